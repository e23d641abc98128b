//! trustcard-engine
