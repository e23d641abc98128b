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

/// Asks `probe` until what it tells is `goal` or more, however long that takes.
///
/// # Panics
/// When nothing has come of it for [`DEADLINE`].
pub async fn until_count(what: &str, goal: u64, mut probe: impl AsyncFnMut() -> Option<u64>) {
    let mut reached = 0;
    while reached < goal {
        let more = async || probe().await.filter(|&count| count > reached);
        let at = format!("more than {reached} of {goal} {what}");
        reached = until(&at, more).await;
    }
}
