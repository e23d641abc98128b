use outbound::{
    StatusCode,
    header::{HeaderName, HeaderValue},
};
use schemas::Reason;
use serde_json::json;

use super::*;

fn answer(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect(),
        body: body.to_vec().into(),
    }
}

fn web(status: u16, body: &Value) -> Result<Value, UpstreamError> {
    query_item(&answer(status, &[], body.to_string().as_bytes()))
}

fn session(status: u16, body: &Value) -> Result<Value, UpstreamError> {
    info_item(&answer(status, &[], body.to_string().as_bytes()))
}

fn throttled_for(seconds: Option<u64>) -> UpstreamError {
    UpstreamError::Throttled {
        retry_after: seconds.map(Duration::from_secs),
    }
}

fn kind<T: std::fmt::Debug>(result: Result<T, UpstreamError>) -> &'static str {
    result.unwrap_err().kind()
}

fn query_error(message: &str, code: &Value) -> Value {
    json!({"errors": [{"message": message, "severity": "CRITICAL", "code": code}], "data": null, "status": "ok"})
}

#[test]
fn a_good_answer_gives_its_item() {
    let item = json!({"code": "x", "media_type": 1});
    let body = json!({"data": {"xdt_api__v1__media__shortcode__web_info": {"items": [item]}}, "status": "ok"});
    assert_eq!(web(200, &body).unwrap(), item);
    assert_eq!(
        session(200, &json!({"items": [item], "status": "ok"})).unwrap(),
        item
    );
}

#[test]
fn an_execution_error_without_a_code_is_their_fault_or_a_retired_id_never_a_missing_post() {
    let body = json!({"errors": [{"message": "execution error"}], "data": null, "status": "ok"});
    let error = web(200, &body).unwrap_err();
    assert_eq!(error.reason(), Reason::UpstreamShapeChanged);
    assert!(!error.is_final());
    assert!(error.to_string().contains("execution error"), "{error}");
    assert!(error.to_string().contains("doc_id"), "{error}");
}

#[test]
fn code_4630001_is_an_unavailable_post() {
    for code in [json!(4_630_001), json!("4630001")] {
        let error = web(200, &query_error("Media not found or unavailable", &code)).unwrap_err();
        assert_eq!(error, UpstreamError::Unavailable);
        assert!(error.is_final());
        assert_eq!(error.reason(), Reason::PostUnavailable);
    }
    let nested =
        json!({"errors": [{"message": "x", "extensions": {"code": 4_630_001}}], "data": null});
    assert_eq!(kind(web(200, &nested)), "unavailable");
}

#[test]
fn every_way_to_be_throttled_is_throttled() {
    let wait = json!({"message": "Please wait a few minutes before you try again.", "require_login": true, "status": "fail"});
    let feedback = json!({"message": "feedback_required", "spam": true, "status": "fail"});
    for (name, result) in [
        (
            "1675004",
            web(200, &query_error("Rate limit exceeded", &json!(1_675_004))),
        ),
        ("429", web(429, &json!({"status": "fail"}))),
        ("429 of the session", session(429, &wait)),
        ("429 without JSON", query_item(&answer(429, &[], b"<html>"))),
        ("401 wait", web(401, &wait)),
        ("401 wait of the session", session(401, &wait)),
        ("400 feedback", web(400, &feedback)),
        ("400 feedback of the session", session(400, &feedback)),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error, throttled_for(None), "{name}");
        assert_eq!(error.reason(), Reason::UpstreamRateLimited);
        assert!(!error.is_final());
    }
    let embed = page(Adapter::Embed, &answer(429, &[], b"slow down")).unwrap_err();
    assert_eq!(embed, throttled_for(None));
}

#[test]
fn a_login_redirect_or_403_needs_a_session_and_is_the_operators_matter_where_there_is_one() {
    let location = |to| [("location", to)];
    for to in [
        "https://www.instagram.com/accounts/login/?next=/p/x/",
        "/accounts/login/",
        "http://127.0.0.1:8000/accounts/login/",
    ] {
        let answer = answer(302, &location(to), b"");
        assert_eq!(kind(query_item(&answer)), "login_wall", "{to}");
        assert_eq!(kind(page(Adapter::Embed, &answer)), "login_wall", "{to}");
        let error = info_item(&answer).unwrap_err();
        assert_eq!(error.reason(), Reason::SessionInvalid, "{to}");
    }
    for status in [401, 403] {
        let answer = answer(status, &[], b"<html>Forbidden</html>");
        assert_eq!(kind(query_item(&answer)), "login_wall");
        assert_eq!(kind(info_item(&answer)), "session_invalid");
    }
    let required = json!({"message": "login_required", "require_login": true, "status": "fail"});
    assert_eq!(kind(session(400, &required)), "session_invalid");
}

#[test]
fn an_account_to_be_confirmed_is_a_challenge_of_the_session() {
    for message in ["checkpoint_required", "challenge_required"] {
        for status in [200, 400, 403] {
            let error =
                session(status, &json!({"message": message, "status": "fail"})).unwrap_err();
            assert_eq!(error, UpstreamError::Challenge, "{status} {message}");
            assert_eq!(error.reason(), Reason::SessionChallenge);
        }
        assert_eq!(kind(web(400, &json!({"message": message}))), "login_wall");
    }
    for to in ["https://www.instagram.com/challenge/1/", "/checkpoint/1/"] {
        let redirect = answer(302, &[("location", to)], b"");
        assert_eq!(kind(info_item(&redirect)), "session_challenge", "{to}");
    }
}

#[test]
fn for_the_session_404_and_no_items_are_an_unavailable_post_and_for_the_others_they_are_not() {
    assert_eq!(
        session(404, &json!({})).unwrap_err(),
        UpstreamError::Unavailable
    );
    assert_eq!(
        session(200, &json!({"items": []})).unwrap_err(),
        UpstreamError::Unavailable
    );
    assert_eq!(kind(web(404, &json!({}))), "shape_changed");
    let empty = json!({"data": {"xdt_api__v1__media__shortcode__web_info": {"items": []}}});
    assert_eq!(kind(web(200, &empty)), "shape_changed");
    assert_eq!(
        kind(page(Adapter::Embed, &answer(404, &[], b""))),
        "shape_changed"
    );
}

#[test]
fn what_is_unknown_is_a_changed_shape() {
    for body in [
        &b""[..],
        b"<!DOCTYPE html>",
        b"null",
        b"[]",
        b"[{\"items\":[]}]",
        b"\"items\"",
        b"{}",
        b"{\"items\": null}",
        b"{\"items\": [null]}",
        b"{\"items\": [[]]}",
        b"{\"items\": 5, \"message\": 5, \"errors\": 5}",
        b"{\"data\": {\"xdt_shortcode_media\": {\"shortcode\": \"x\"}}}",
        b"{\"data\": {\"xdt_api__v1__media__shortcode__web_info\": null}}",
        b"{\"errors\": [null, 5, {\"code\": -1}], \"data\": null}",
        b"\xff\xfe",
    ] {
        let answer = answer(200, &[], body);
        assert_eq!(kind(query_item(&answer)), "shape_changed", "{body:?}");
        assert_eq!(kind(info_item(&answer)), "shape_changed", "{body:?}");
    }
    for status in [204, 301, 302, 400, 410] {
        assert_eq!(kind(web(status, &json!({}))), "shape_changed", "{status}");
    }
    let away = answer(302, &[("location", "https://elsewhere.example/")], b"");
    assert_eq!(kind(page(Adapter::Web, &away)), "shape_changed");
}

#[test]
fn their_own_errors_silence_and_no_connection_are_told_apart() {
    for status in [500, 502, 503, 504] {
        let error = web(status, &json!({})).unwrap_err();
        assert_eq!(error, UpstreamError::Failed { status });
        assert_eq!(error.reason(), Reason::UpstreamError);
    }
    let reason = |error| no_answer(Adapter::Web, error).reason();
    assert_eq!(reason(NetError::Timeout), Reason::UpstreamTimeout);
    assert_eq!(
        reason(NetError::Unreachable("refused".into())),
        Reason::UpstreamUnreachable
    );
    assert_eq!(reason(NetError::Incomplete), Reason::UpstreamUnreachable);
    assert_eq!(reason(NetError::TooLarge(5)), Reason::UpstreamShapeChanged);
}

#[test]
fn retry_after_is_believed_up_to_an_hour() {
    for (told, expected) in [
        ("7", Some(7)),
        ("86400", Some(3600)),
        ("18446744073709551615", Some(3600)),
        ("soon", None),
    ] {
        let error = query_item(&answer(429, &[("retry-after", told)], b"")).unwrap_err();
        assert_eq!(error, throttled_for(expected), "{told}");
    }
}

#[test]
fn a_foreign_message_is_cut_and_escaped_before_it_is_told() {
    let message = format!("\n\u{1b}[31m{}", "x".repeat(1000));
    let error = web(400, &json!({"message": message}))
        .unwrap_err()
        .to_string();
    assert!(
        error.len() < 250 && !error.contains('\n') && !error.contains('\u{1b}'),
        "{error}"
    );
}
