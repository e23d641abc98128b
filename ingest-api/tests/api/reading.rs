//! Listings.

use serde_json::{Value, json};

use crate::support::{Api, post, url};

async fn pages(api: &Api, query: &str) -> Vec<String> {
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get_json(&format!("/api/results?{query}{cursor}")).await;
        let analyses = page["analyses"].as_array().unwrap();
        seen.extend(
            analyses
                .iter()
                .map(|row| row["post_id"].as_str().unwrap().to_owned()),
        );
        assert!(analyses.len() as u64 <= page["page_size"].as_u64().unwrap());
        match &page["next_cursor"] {
            Value::Null => return seen,
            next => cursor = format!("&cursor={}", next.as_str().unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_walks_all_analyses_newest_first() {
    let api = Api::start().await;
    let mut expected = Vec::new();
    for n in 0..25 {
        let code = format!("LIST{n}");
        let id = api.analyze(&url(&code)).await.id();
        if n % 5 == 0 {
            api.finish(id, &post(&code), |_| {}).await;
        }
        expected.insert(0, code);
        api.clock.advance(1);
    }
    assert_eq!(pages(&api, "limit=7").await, expected);
    assert_eq!(pages(&api, "limit=100").await, expected);
    let done = ["LIST20", "LIST15", "LIST10", "LIST5", "LIST0"];
    assert_eq!(pages(&api, "limit=2&status=completed").await, done);
    assert_eq!(pages(&api, "status=pending").await.len(), 20);
    assert_eq!(pages(&api, "status=failed").await.len(), 0);

    let usual = api.get_json("/api/results").await;
    assert_eq!(usual["page_size"], 10);
    assert_eq!(usual["analyses"].as_array().unwrap().len(), 10);
    let one = &api.get_json("/api/results?status=completed&limit=1").await["analyses"][0];
    assert_eq!(
        (&one["status"], &one["trust_score"]),
        (&json!("completed"), &json!(51.36))
    );
    assert!(one["scoring_version"].is_string(), "{one}");
    for bad in [
        "limit=101",
        "limit=-1",
        "limit=x",
        "limit=1&limit=2",
        "status=",
        "cursor=",
    ] {
        let answer = api.get(&format!("/api/results?{bad}")).await;
        answer.error(422, "INVALID_INPUT");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_tells_its_strongest_reasons() {
    let api = Api::start().await;
    for (code, impacts) in [
        ("MANY", &[1.5, -20.0, 0.25, 3.0, -3.0][..]),
        ("ONE", &[-0.5]),
        ("NONE", &[]),
    ] {
        let id = api.analyze(&url(code)).await.id();
        api.finish(id, &post(code), |result| {
            let breakdown = result.trust_score_breakdown.as_mut().unwrap();
            let adjustment = breakdown.adjustments[0].clone();
            breakdown.adjustments = impacts
                .iter()
                .map(|impact| schemas::events::result::Adjustment {
                    category: format!("moved {impact}"),
                    impact: *impact,
                    ..adjustment.clone()
                })
                .collect();
        })
        .await;
        api.clock.advance(1);
    }
    api.analyze(&url("WAITS")).await.id();

    let listed = api.get_json("/api/results").await;
    let reasons = |place: usize| &listed["analyses"][place]["reasons"];
    assert_eq!(reasons(0), &Value::Null, "there is no score yet");
    assert_eq!(reasons(1), &json!([]));
    assert_eq!(
        reasons(2),
        &json!([{ "category": "moved -0.5", "impact": -0.5 }])
    );
    assert_eq!(
        reasons(3),
        &json!([
            { "category": "moved -20", "impact": -20.0 },
            { "category": "moved 3", "impact": 3.0 },
            { "category": "moved -3", "impact": -3.0 },
        ])
    );
}
