//! On real servers: `make servers-up` starts them.

mod callers;
mod fairness;
mod faults;
mod secure;
