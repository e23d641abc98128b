//! The configuration as an operator meets it: `trustcard check-config`, and what stops a start.

use serde_json::Value;
use trustcard_tests::{process::command, servers::root};

/// Runs `check-config arguments` with these variables; exit code, standard output and error.
async fn check(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut check = command(&[&["check-config"][..], arguments].concat());
    check.env_remove("API_PORT").env_remove("LOG_LEVEL");
    let output = check
        .envs(variables.iter().copied())
        .output()
        .await
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The row of a setting.
fn of<'a>(document: &'a Value, key: &str) -> &'a Value {
    let settings = document["settings"].as_array().unwrap();
    let found = settings.iter().find(|row| row["key"] == key);
    found.unwrap_or_else(|| panic!("{key} is not shown"))
}

#[tokio::test]
async fn check_config_shows_every_setting_its_origin_and_no_secret() {
    let variables = [
        ("SECRET_KEY", "s3cr3t-key"),
        ("TRUSTCARD__SCRAPE__UPSTREAM__SESSION_ID", "s3cr3t-cookie"),
        ("TRUSTCARD__DATABASE__USERNAME", "trustcard"),
        ("TRUSTCARD__DATABASE__PASSWORD", "s3cr3t-database"),
        ("TRUSTCARD__KAFKA__CLIENT__SASL_PASSWORD", "s3cr3t-sasl"),
        ("TRUSTCARD__KAFKA__CLIENT__SASL_USERNAME", "trustcard"),
        ("API_PORT", "8123"),
        ("TRUSTCARD__STAGES__SCRAPE__CONCURRENCY", "7"),
    ];
    let (code, table, _) = check(&[], &variables).await;
    assert_eq!(code, Some(0));
    let line = |key: &str| {
        let line = table.lines().find(|line| line.trim().starts_with(key));
        line.unwrap_or_else(|| panic!("{key} is not in {table}"))
    };
    assert!(line("api.port").contains("8123") && line("api.port").contains("API_PORT"));
    assert!(line("kafka.client.sasl.username").contains("trustcard"));
    assert!(line("api.max_batch_urls").contains("10000"));
    assert!(line("api.max_batch_urls").trim_end().ends_with("default"));
    assert!(!table.contains("s3cr3t"), "{table}");

    let (code, json, _) = check(&["--json"], &variables).await;
    assert_eq!(code, Some(0));
    assert!(!json.contains("s3cr3t"), "{json}");
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["environment"], "development");
    let concurrency = of(&document, "stages.scrape.concurrency");
    assert_eq!(concurrency["value"], 7);
    assert_eq!(
        concurrency["origin"],
        "TRUSTCARD__STAGES__SCRAPE__CONCURRENCY"
    );
    for secret in [
        "api.secret_key",
        "database.password",
        "scrape.upstream.session_id",
        "kafka.client.sasl.password",
    ] {
        assert_eq!(of(&document, secret)["value"], "(hidden)", "{secret}");
    }
    assert_eq!(
        of(&document, "api.debug")["value"],
        true,
        "as it is in effect"
    );
    assert_eq!(of(&document, "telemetry.json")["value"], false);
}

#[tokio::test]
async fn every_fault_is_told_at_once_with_key_value_and_remedy_and_no_secret() {
    let variables = [
        ("API_PORT", "many"),
        ("TRUSTCARD__API__PROT", "1"),
        ("TRUSTCARD__STAGES__SCRAPE__CONCURRENCY", "0"),
        ("TRUSTCARD__STAGES__SCRAPE__BATCH_SIZE", "0"),
        ("TRUSTCARD__SCORING__AI__THRESHOLD", "1.5"),
        ("TRUSTCARD__SCRAPE__MEDIA__MAX_PIXELS", "0"),
        ("TRUSTCARD__SCRAPE__UPSTREAM__SESSION_ID", "s3cr3t; x"),
        ("TRUSTCARD__DATABASE__BACKEND", "scylla"),
        ("TRUSTCARD__DATABASE__MAX_IN_FLIGHT", "0"),
        ("TRUSTCARD__DATABASE__PASWORD", "s3cr3t"),
        ("LOG_LEVEL", "LOUD"),
        ("SECRET_KEY", "s3cr3t"),
        ("ENVIRONMENT", "production"),
        ("CORS_ORIGINS", "[\"*\"]"),
    ];
    let (code, json, told) = check(&["--json"], &variables).await;
    assert_eq!(code, Some(78));
    assert!(told.contains("CONFIGURATION_ERROR"), "{told}");
    let document: Value = serde_json::from_str(&json).unwrap();
    let faults = document["faults"].as_array().unwrap();
    let expected = [
        ("api.port", "\"many\""),
        ("api.prot", "\"1\""),
        ("stages.scrape.concurrency", "\"0\""),
        ("stages.scrape.batch_size", "\"0\""),
        ("scoring.ai.threshold", "\"1.5\""),
        ("scrape.media.max_pixels", "\"0\""),
        ("scrape.upstream.session_id", "(hidden)"),
        ("database.max_in_flight", "\"0\""),
        ("database.pasword", "(hidden)"),
        ("telemetry.level", "\"LOUD\""),
        ("api.secret_key", "(hidden)"),
        ("api.cors_origins", "[\"*\"]"),
    ];
    for (key, value) in expected {
        let fault = faults.iter().find(|fault| fault["key"] == key);
        let fault = fault.unwrap_or_else(|| panic!("{key} is not among {told}"));
        assert_eq!(fault["value"], value, "{fault}");
        assert!(fault["remedy"].as_str().unwrap().len() > 5, "{fault}");
        assert!(told.contains(key), "{told}");
    }
    assert_eq!(faults.len(), expected.len(), "{told}");
    assert!(
        !told.contains("s3cr3t") && !json.contains("s3cr3t"),
        "{told}"
    );
}

#[tokio::test]
async fn an_environment_that_does_not_exist_and_a_variable_with_a_typing_mistake_stop_a_start() {
    for variable in [
        ("ENVIRONMENT", "prod"),
        ("ENVIRONMENT", "../production"),
        ("TRUSTCARD__KAFKA__BOOTSTRAPS", "127.0.0.1:9"),
        ("TRUSTCARD__LOGGING__LEVEL", "INFO"),
        ("TRUSTCARD_CONFIG_DIR", "/nowhere"),
    ] {
        let mut role = command(&["score"]);
        let output = role.envs([variable]).output().await.unwrap();
        assert_eq!(output.status.code(), Some(78), "{variable:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("CONFIGURATION_ERROR"), "{told}");
        let named = [variable.0, variable.1, "/nowhere"];
        assert!(named.iter().any(|name| told.contains(name)), "{told}");
    }
}

#[tokio::test]
async fn production_does_not_start_with_the_secret_that_everybody_knows() {
    let (code, _, told) = check(&[], &[("ENVIRONMENT", "production")]).await;
    assert_eq!(code, Some(78));
    assert!(told.contains("CONFIGURATION_ERROR"), "{told}");
    assert!(told.contains("SECRET_KEY"), "{told}");
    assert!(told.contains("CORS_ORIGINS"), "all at once: {told}");
    assert!(!told.contains("dev-secret-key"), "{told}");

    let secret = "0123456789abcdef".repeat(4);
    let variables = [
        ("ENVIRONMENT", "production"),
        ("SECRET_KEY", &secret),
        ("CORS_ORIGINS", r#"["https://a.example"]"#),
        ("RATE_LIMIT_PER_MINUTE", "7"),
        ("TRUSTCARD__API__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8"),
    ];
    let (code, json, told) = check(&["--json"], &variables).await;
    assert_eq!(code, Some(0), "{told}");
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(of(&document, "api.rate_limit.per_minute")["value"], 7);
    let origins = &of(&document, "api.cors_origins")["value"];
    assert_eq!(origins[0], "https://a.example");
    let proxies = &of(&document, "api.trusted_proxies")["value"];
    assert_eq!(proxies.as_array().unwrap().len(), 2);
    assert_eq!(of(&document, "api.debug")["value"], false);
    assert_eq!(of(&document, "telemetry.json")["value"], true);
    assert!(!json.contains(&secret), "{json}");
}

#[tokio::test]
async fn the_files_of_all_three_environments_are_sound_and_in_the_image() {
    let folder = root().join("config");
    let folder = folder.to_str().unwrap();
    let secret = "0123456789abcdef".repeat(2);
    for (environment, json, debug) in [
        ("development", false, true),
        ("staging", true, false),
        ("production", true, false),
    ] {
        let variables = [
            ("ENVIRONMENT", environment),
            ("TRUSTCARD_CONFIG_DIR", folder),
            ("SECRET_KEY", &secret),
        ];
        let (code, shown, told) = check(&["--json"], &variables).await;
        assert_eq!(code, Some(0), "{environment}: {told}");
        let document: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(document["environment"], environment);
        assert_eq!(of(&document, "telemetry.json")["value"], json);
        let shown = of(&document, "api.debug");
        assert_eq!(shown["value"], debug);
        let file = format!("{environment}.toml");
        assert!(shown["origin"].as_str().unwrap().ends_with(&file));
    }
    let dockerfile = std::fs::read_to_string(root().join("infra/Dockerfile")).unwrap();
    assert!(dockerfile.contains("COPY config /etc/trustcard"));
    assert!(dockerfile.contains("TRUSTCARD_CONFIG_DIR=/etc/trustcard"));
}
