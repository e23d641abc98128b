//! On real servers: `make servers-up` starts them.

mod callers;
mod examples;
mod fairness;
mod faults;
mod secure;
mod webhooks;
