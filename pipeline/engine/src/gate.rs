//! A gate in front of a stage: closed, its partitions are paused and lag grows, but nothing fails.

use tokio::sync::watch;

/// How much may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateState {
    /// Everything.
    Open,
    /// One message at a time, to find out whether the way is clear again.
    Probe,
    /// Nothing.
    Closed,
}

/// The side that opens and closes.
#[derive(Debug)]
pub struct Gate(watch::Sender<GateState>);

impl Gate {
    /// An open gate.
    #[must_use]
    pub fn open() -> Self {
        Self(watch::Sender::new(GateState::Open))
    }

    /// Opens or closes it.
    pub fn set(&self, state: GateState) {
        self.0
            .send_if_modified(|now| std::mem::replace(now, state) != state);
    }

    /// The side that watches.
    #[must_use]
    pub fn watch(&self) -> GateWatch {
        GateWatch(Some(self.0.subscribe()))
    }
}

/// The side that watches.
#[derive(Debug, Clone)]
pub struct GateWatch(Option<watch::Receiver<GateState>>);

impl GateWatch {
    /// A gate that nobody can close.
    #[must_use]
    pub const fn always_open() -> Self {
        Self(None)
    }

    /// How much may pass now. A gate whose owner is gone is open.
    #[must_use]
    pub fn state(&self) -> GateState {
        self.0
            .as_ref()
            .map_or(GateState::Open, |gate| *gate.borrow())
    }

    /// Waits for the next change; for ever if there will be none.
    pub async fn changed(&mut self) {
        let gone = match &mut self.0 {
            Some(gate) => gate.changed().await.is_err(),
            None => true,
        };
        if gone {
            std::future::pending::<()>().await;
        }
    }
}
