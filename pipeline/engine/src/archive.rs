//! A second home for dead letters, where the topic itself is only a rolling window.

use async_trait::async_trait;
use schemas::Record;

/// Keeps dead letters for good.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Keeps these dead letters. Called before they are produced, and again with the same ones after a redo; a null header
    /// value comes as an empty one.
    ///
    /// # Errors
    /// When they could not be kept: they are not produced then, no offset moves, and all of it is tried again.
    async fn keep(&self, letters: Vec<Record>) -> Result<(), String>;
}
