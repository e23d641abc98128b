//! trustcard-store
