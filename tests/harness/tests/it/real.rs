//! On real servers: `make servers-up` starts them.

mod callers;
mod faults;
mod secure;
