//! The bodies of the topics, one file an event.

pub mod deletion;
pub mod detections;
pub mod feedback;
pub mod result;
pub mod scraped;
pub mod submission;
