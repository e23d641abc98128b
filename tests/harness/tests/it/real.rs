//! On real servers: `make servers-up` starts them.

mod faults;
mod secure;
