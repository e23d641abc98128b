use serde_json::Value;
use trustcard_sample_site::{SESSION_CHALLENGE, SESSION_CHECKPOINT, SESSION_EXPIRED};

use crate::client::start;

#[tokio::test]
async fn a_post_by_number_is_the_post_by_shortcode() {
    let client = start().await;
    for code in ["DTCtideline", "DTCreelwave", "DTCfivepics", "load0042"] {
        let item = client.item(code).await;
        let response = client.session(item["pk"].as_str().unwrap(), "good").await;
        assert_eq!(response.status(), 200, "{code}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["items"][0], item, "{code}");
    }
}

#[tokio::test]
async fn a_session_is_needed_and_may_have_to_be_confirmed() {
    let client = start().await;
    let pk = client.item("DTCtideline").await["pk"]
        .as_str()
        .unwrap()
        .to_owned();
    for response in [
        client.get(&format!("/api/v1/media/{pk}/info/")).await,
        client.session(&pk, "").await,
        client.session(&pk, SESSION_EXPIRED).await,
    ] {
        assert_eq!(response.status(), 302);
        assert_eq!(
            response.headers()["location"],
            client.url("/accounts/login/")
        );
    }
    for (session, message) in [
        (SESSION_CHECKPOINT, "checkpoint_required"),
        (SESSION_CHALLENGE, "challenge_required"),
    ] {
        let response = client.session(&pk, session).await;
        assert_eq!(response.status(), 400);
        assert_eq!(response.json::<Value>().await.unwrap()["message"], message);
    }
    let bare = client
        .http
        .get(client.url(&format!("/api/v1/media/{pk}/info/")))
        .header("Cookie", "sessionid=good");
    assert_eq!(bare.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn deleted_is_404_and_private_is_an_empty_list() {
    let client = start().await;
    // The number of DTCdeleted1, and of a shortcode that no post has.
    for pk in [
        pk_of("DTCdeleted1"),
        pk_of("NoSuchPost1"),
        "seven".to_owned(),
        "9".repeat(60),
    ] {
        assert_eq!(client.session(&pk, "good").await.status(), 404, "{pk}");
    }
    let private = client.session(&pk_of("DTCprivate1"), "good").await;
    assert_eq!(private.status(), 200);
    assert_eq!(
        private.json::<Value>().await.unwrap()["items"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn faults_of_a_post_meet_the_session_too() {
    let client = start().await;
    let statuses = [
        ("DTPtoomany1", 429),
        ("DTPplswait1", 401),
        ("DTPfeedback", 400),
        ("DTPgateway1", 502),
        ("DTPlogin001", 302),
        ("DTPforbid01", 403),
    ];
    for (code, status) in statuses {
        assert_eq!(
            client.session(&pk_of(code), "good").await.status(),
            status,
            "{code}"
        );
    }
    let old: Value = client
        .session(&pk_of("DTPoldshape"), "good")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(old.get("items"), None);
}

fn pk_of(code: &str) -> String {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |c| alphabet.find(c).unwrap() as u64;
    code.chars()
        .fold(0_u64, |n, c| n * 64 + digit(c))
        .to_string()
}
