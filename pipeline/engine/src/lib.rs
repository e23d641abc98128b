//! The machinery of the pipeline, true of any message.
#![warn(missing_docs)]

pub mod clock;
pub mod config;
pub mod gate;
pub mod lifecycle;
pub mod ops;
pub mod stage;
pub mod telemetry;

pub use clock::{Clock, SharedClock, SystemClock};
pub use gate::{Gate, GateState, GateWatch};
pub use stage::{Message, Meta, Outcome, Stage, StageError};
