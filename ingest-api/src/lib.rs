//! trustcard-ingest-api
