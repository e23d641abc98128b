use serde_json::{Value, json};

use crate::client::{SLOW, start};

#[tokio::test]
async fn a_retired_query_gets_an_execution_error_and_no_data() {
    let client = start().await;
    let expected = json!({"errors": [{"message": "execution error", "severity": "CRITICAL"}], "data": null, "status": "ok"});
    for doc_id in ["8845758582119845", "1"] {
        let response = client
            .query_request("DTCtideline", doc_id)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.json::<Value>().await.unwrap(), expected);
    }
    let response = client
        .get("/graphql/query/?query_hash=2b0673e0dc4580674a88d426fe00ea90")
        .await;
    assert_eq!(response.json::<Value>().await.unwrap(), expected);
}

#[tokio::test]
async fn posts_that_are_gone_have_their_code() {
    let client = start().await;
    for code in [
        "DTCdeleted1",
        "DTCprivate1kQ0vX7Zt3mWb8_nLr2Hs5Yd-Jc9pAa",
        "NoSuchPost1",
        "Loadtoolate",
        "load.dot",
    ] {
        let response = client.query(code).await;
        assert_eq!(response.status(), 200, "{code}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["errors"][0]["code"], 4_630_001, "{code}");
        assert_eq!(body["data"], Value::Null, "{code}");
    }
}

#[tokio::test]
async fn passing_faults_pass() {
    let client = start().await;
    let throttled = client.query("DTCthrottle").await;
    assert_eq!(
        (
            throttled.status().as_u16(),
            &throttled.headers()["retry-after"]
        ),
        (429, &"1".parse().unwrap())
    );
    let coded = client.query("DTCratecode").await;
    assert_eq!(coded.status(), 200);
    assert_eq!(
        coded.json::<Value>().await.unwrap()["errors"][0]["code"],
        1_675_004
    );
    assert_eq!(client.query("DTCgateway1").await.status(), 502);
    let old: Value = client.query("DTColdshape").await.json().await.unwrap();
    assert_eq!(
        old["data"]["xdt_shortcode_media"]["shortcode"],
        "DTColdshape"
    );
    assert!(
        old["data"]["xdt_shortcode_media"]["edge_media_to_caption"]["edges"][0]["node"]["text"]
            .is_string()
    );
    for code in ["DTCthrottle", "DTCratecode", "DTCgateway1", "DTColdshape"] {
        assert_eq!(client.item(code).await["code"], *code);
    }
}

#[tokio::test]
async fn lasting_faults_last() {
    let client = start().await;
    for _ in 0..3 {
        assert_eq!(client.query("DTPtoomany1").await.status(), 429);
        let wait = client.query("DTPplswait1").await;
        assert_eq!(wait.status(), 401);
        let expected = json!({
            "message": "Please wait a few minutes before you try again.", "require_login": true, "status": "fail",
        });
        assert_eq!(wait.json::<Value>().await.unwrap(), expected);
        let feedback = client.query("DTPfeedback").await;
        assert_eq!(feedback.status(), 400);
        assert_eq!(
            feedback.json::<Value>().await.unwrap()["message"],
            "feedback_required"
        );
        let login = client.query("DTPlogin001").await;
        assert_eq!(login.status(), 302);
        assert_eq!(login.headers()["location"], client.url("/accounts/login/"));
        assert_eq!(client.query("DTPforbid01").await.status(), 403);
        assert_eq!(client.query("DTPgateway1").await.status(), 502);
        assert_eq!(
            client
                .query("DTPratecode")
                .await
                .json::<Value>()
                .await
                .unwrap()["errors"][0]["code"],
            1_675_004
        );
        let retired: Value = client.query("DTPretired1").await.json().await.unwrap();
        assert_eq!(retired["errors"][0].get("code"), None);
        assert!(
            client
                .query("DTPoldshape")
                .await
                .json::<Value>()
                .await
                .unwrap()["data"]["xdt_shortcode_media"]
                .is_object()
        );
    }
    assert_eq!(client.get("/accounts/login/").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_slow_post_takes_its_time() {
    let client = start().await;
    let begun = tokio::time::Instant::now();
    assert_eq!(client.item("DTCslowpost").await["code"], "DTCslowpost");
    assert!(begun.elapsed() >= SLOW);
}
