use super::*;

fn read(json: serde_json::Value) -> ScrapeConfig {
    serde_json::from_value(json).unwrap()
}

#[test]
fn defaults_are_valid_and_lead_to_the_site_and_its_media_hosts_alone() {
    let config = ScrapeConfig::default();
    config.validate().unwrap();
    let (url, site) = config.site().unwrap();
    assert_eq!(url.as_str(), "https://www.instagram.com/");
    assert!(site.parse("https://scontent.cdninstagram.com/x").is_err());
    let media = config.media_policy().unwrap();
    assert!(
        media
            .parse("https://scontent-fra3-1.cdninstagram.com/v/x.jpg")
            .is_ok()
    );
    assert!(media.parse("https://scontent.xx.fbcdn.net/v/x.jpg").is_ok());
    assert!(media.parse("https://www.instagram.com/x.jpg").is_err());
    assert!(media.parse("http://127.0.0.1:9/x.jpg").is_err());
}

#[test]
fn settings_that_cant_be_used_are_named() {
    use serde_json::json;
    for (config, key) in [
        (
            json!({"upstream": {"base_url": "instagram.com"}}),
            "upstream.base_url",
        ),
        (
            json!({"upstream": {"base_url": "http://www.instagram.com"}}),
            "upstream.base_url",
        ),
        (
            json!({"upstream": {"base_url": "http://127.0.0.1:8000"}}),
            "upstream.base_url",
        ),
        (
            json!({"upstream": {"base_url": "https://u:p@www.instagram.com"}}),
            "upstream.base_url",
        ),
        (
            json!({"upstream": {"base_url": "https://www.instagram.com/?a=b"}}),
            "upstream.base_url",
        ),
        (
            json!({"upstream": {"csrf_path": "x"}}),
            "upstream.csrf_path",
        ),
        (json!({"upstream": {"doc_id": "x"}}), "upstream.doc_id"),
        (json!({"upstream": {"app_id": ""}}), "upstream.app_id"),
        (
            json!({"upstream": {"session_id": "a; b"}}),
            "upstream.session_id",
        ),
        (
            json!({"network": {"user_agent": "a\nb"}}),
            "network.user_agent",
        ),
        (
            json!({"network": {"media_hosts": ["*"]}}),
            "network.media_hosts",
        ),
        (json!({"media": {"max_pixels": 0}}), "media.max_pixels"),
        (json!({"media": {"memory_bytes": 1}}), "media.memory_bytes"),
        (json!({"budget": {"instances": 0}}), "budget.instances"),
        (
            json!({"circuit": {"max_pause_s": 1}}),
            "circuit.max_pause_s",
        ),
    ] {
        assert_eq!(
            read(config.clone()).validate().unwrap_err().key,
            key,
            "{config}"
        );
    }
    let loopback = json!({"upstream": {"base_url": "http://127.0.0.1:8000"}, "network": {"allow_loopback": true}});
    read(loopback).validate().unwrap();
    assert!(serde_json::from_value::<ScrapeConfig>(json!({"medai": {}})).is_err());
    assert!(serde_json::from_value::<ScrapeConfig>(json!({"media": {"max_pixel": 1}})).is_err());
}

#[test]
fn the_session_cookie_is_never_printed() {
    let config = read(serde_json::json!({"upstream": {"session_id": "31415926535%3Atop-secret"}}));
    assert!(config.upstream.session_id.is_some());
    assert!(!format!("{config:?}").contains("top-secret"));
    assert!(
        !serde_json::to_string(&config)
            .unwrap()
            .contains("top-secret")
    );
}
