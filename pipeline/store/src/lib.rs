//! Where results live: the store port and its adapters, and the store of media files.
#![warn(missing_docs)]

pub mod port;

pub use port::*;
