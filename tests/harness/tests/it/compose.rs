//! docker-compose.yml is not run here; that its settings are ones that TrustCard has, is.

use trustcard_tests::{process::command, servers::root};

#[tokio::test]
async fn every_setting_in_docker_compose_is_one_of_trustcards() {
    let compose = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let settings: Vec<(&str, &str)> = compose
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(name, _)| name.starts_with("TRUSTCARD__"))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    assert!(settings.len() >= 8, "{settings:?}");
    let mut check = command(&["check-config", "--json"]);
    let output = check.envs(settings).output().await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("kafka:9092") && shown.contains("scylla:9042"));
}
