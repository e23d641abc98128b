//! Stages that stopped themselves, remembered as rows, so that every instance and every restart knows of it.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{Halt, HaltStore};
use store::Store;

/// Keeps halts in the store.
pub struct HaltRows(pub Arc<dyn Store>);

#[async_trait]
impl HaltStore for HaltRows {
    async fn halt(&self, stage: &str, halt: &Halt) -> Result<(), String> {
        let kept = self.0.halt(stage, halt).await;
        kept.map_err(|error| error.to_string())
    }

    async fn halted(&self, stage: &str) -> Result<Option<Halt>, String> {
        let halted = self.0.halted(stage).await;
        halted.map_err(|error| error.to_string())
    }
}
