//! One trace from the HTTP request through every stage.

use serde_json::json;
use trustcard_tests::{otlp::Receiver, process::Up, wait::until};

#[tokio::test]
async fn one_trace_leads_from_the_request_through_every_stage() {
    let receiver = Receiver::start().await;
    let data = tempfile::tempdir().unwrap();
    let variables = [(
        "TRUSTCARD__TELEMETRY__OTLP_ENDPOINT",
        receiver.endpoint.as_str(),
    )];
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &variables).await;
    let (_, answer) = up
        .post(
            "/api/analyze",
            &json!({ "url": "https://www.instagram.com/p/loadTrace/" }),
        )
        .await
        .unwrap();
    up.ended_analysis(answer["analysis_id"].as_str().unwrap())
        .await;

    let expected = ["record", "scrape", "detect", "score"];
    let spans = until("a span of every stage", async || {
        let spans = receiver.spans();
        expected
            .iter()
            .all(|stage| spans.iter().any(|span| span.name == *stage))
            .then_some(spans)
    })
    .await;
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let trace = &of("scrape").trace_id;
    assert!(
        expected.iter().all(|stage| of(stage).trace_id == *trace),
        "{spans:#?}"
    );
    let root = until("the span of the request", async || {
        receiver
            .spans()
            .into_iter()
            .find(|span| span.trace_id == *trace && span.parent_id.is_empty())
    })
    .await;
    assert_eq!(
        of("scrape").parent_id,
        root.span_id,
        "the scrape follows the request"
    );
    assert_eq!(of("detect").parent_id, of("scrape").span_id);
    assert_eq!(of("score").parent_id, of("detect").span_id);
}
