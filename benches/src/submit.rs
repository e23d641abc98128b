//! Submitting posts of the sample site's endless supply.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use trustcard_tests::api::Api;

/// Submits the posts of these shortcodes as one batch; its id.
///
/// # Errors
/// When the API does not answer, or takes not all of the request.
pub async fn submit_batch(
    api: &Api,
    shortcodes: impl IntoIterator<Item = String>,
) -> Result<String> {
    let urls = shortcodes
        .into_iter()
        .map(|code| format!("https://www.instagram.com/p/{code}/"));
    let body = json!({ "urls": urls.collect::<Vec<_>>() });
    let answer = api.post("/api/analyze/batch", &body).await;
    let (status, answer) = answer.context("the API is gone")?;
    ensure!(status == 202, "{status} {answer}");
    let id = answer["batch_id"].as_str().context("no batch")?;
    Ok(id.to_owned())
}
