//! A client of TrustCard's HTTP API: submit posts, watch a batch, read results.
//!
//! ```no_run
//! # async fn example() -> Result<(), trustcard_client::Error> {
//! use trustcard_client::{Client, patient};
//!
//! let client = Client::new("http://127.0.0.1:8000", None)?;
//! let urls = ["https://www.instagram.com/p/DTCsatire01/".to_owned()];
//! // The same key again is the same batch again: safe after any failure.
//! let batch = patient(async || client.submit_batch(&urls, "order-4711").await).await?;
//! let mut looks = client.watch_batch(batch.batch_id);
//! while let Some(batch) = looks.next().await? {
//!     println!("{} %", batch.percent);
//! }
//! for item in &batch.items {
//!     let analysis = patient(async || client.analysis(item.analysis_id).await).await?;
//!     println!("{}: {:?}", item.post_id, analysis.and_then(|one| one.trust_score));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It depends on no other part of TrustCard: it knows what the API's description says. Properties it does not know are kept or
//! ignored, so a newer API is no fault.
#![warn(missing_docs)]

mod client;
mod error;
mod types;

pub use client::{BatchWatch, Client, patient};
pub use error::Error;
pub use types::{
    Accepted, Analysis, Batch, BatchAnswer, Counts, Failure, Fault, Page, Rejected, Status,
};
