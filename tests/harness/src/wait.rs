//! Waiting for a condition, never for a time.

use std::time::Duration;

/// Far longer than anything takes on a slow machine; only a hang reaches it.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Asks `probe` until it answers.
///
/// # Panics
/// When it has not answered within [`DEADLINE`]; `what` says what was waited for.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = probe().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(DEADLINE, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
