//! Each role as a process of its own, with nothing between them but topics and the data folder.

use sample_site::{SampleSite, SiteConfig};
use serde_json::Value;
use tokio::process::Child;
use trustcard_tests::{broker::embedded, process::command, servers::free_ports, wait::until};

#[tokio::test]
async fn five_processes_bring_a_post_from_the_request_to_its_result() {
    let broker = embedded(2);
    let site = SampleSite::start(SiteConfig::default()).await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let port = free_ports(1);

    let start = |role: &str| -> Child {
        let mut command = command(&[role, "--data-dir", data.path().to_str().unwrap()]);
        command
            .env("API_PORT", port.to_string())
            .env("TRUSTCARD__OPS__PORT", "0")
            .env("TRUSTCARD__KAFKA__BOOTSTRAP", broker.kafka().bootstrap())
            .env("TRUSTCARD__KAFKA__CLIENT__SESSION_TIMEOUT_MS", "6000")
            .env("TRUSTCARD__DETECT__MODELS_ENABLED", "false")
            .env("TRUSTCARD__SCRAPE__UPSTREAM__BASE_URL", site.base_url())
            .env("TRUSTCARD__SCRAPE__NETWORK__ALLOW_LOOPBACK", "true")
            .env("TRUSTCARD__SCRAPE__NETWORK__MEDIA_HOSTS", "127.0.0.1");
        command.spawn().unwrap()
    };
    let mut processes: Vec<Child> = ["api", "record", "scrape", "detect", "score"]
        .iter()
        .map(|role| start(role))
        .collect();

    let api = format!("http://127.0.0.1:{port}");
    let health = until("every role to give a sign of life", async || {
        let answer = get(&format!("{api}/status")).await?;
        let stages = answer["stages"].as_object()?;
        (["record", "scrape", "detect", "score"]
            .iter()
            .all(|role| stages.contains_key(*role)))
        .then_some(answer)
    })
    .await;
    assert_eq!(health["database"]["total_analyses"], 0);

    let submit = [
        "submit",
        "https://www.instagram.com/p/DTCsatire01/",
        "--wait",
        "--api",
        &api,
    ];
    let sent = command(&submit).output().await.unwrap();
    assert!(
        sent.status.success(),
        "{}",
        String::from_utf8_lossy(&sent.stderr)
    );
    let list = get(&format!("{api}/api/results")).await.unwrap();
    let result = &list["analyses"][0];
    assert_eq!(
        (&result["post_id"], &result["status"]),
        (&Value::from("DTCsatire01"), &Value::from("completed")),
        "{list}"
    );

    for process in &processes {
        let pid = process.id().unwrap().to_string();
        tokio::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap();
    }
    for process in &mut processes {
        assert!(
            process.wait().await.unwrap().success(),
            "a role drains on SIGTERM"
        );
    }
}

/// A JSON document, if the server is there and has one.
async fn get(url: &str) -> Option<Value> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.get(url).send().await.ok()?.json().await.ok()
}

mod real {
    use serde_json::Value;
    use trustcard_tests::{cluster::Cluster, read, wait::until};

    const ROLES: [&str; 6] = ["api", "record", "scrape", "detect", "score", "monitor"];

    #[tokio::test]
    async fn six_processes_bring_posts_through_kafka_and_cql_and_each_drains_on_sigterm() {
        let cluster = Cluster::start(2).await;
        let mut roles = cluster.roles(ROLES).await;
        let api = roles[0].api.clone();
        let codes: Vec<String> = (0..20).map(|n| format!("loadreal{n:02}")).collect();
        let ids = api.submit(&codes).await;
        for id in &ids {
            assert_eq!(api.ended_analysis(id).await["status"], "completed", "{id}");
        }
        let (_, listed) = api.get("/api/results?limit=100").await;
        assert_eq!(
            listed["analyses"].as_array().unwrap().len(),
            ids.len(),
            "{listed}"
        );
        let stages = until("every role to give a sign of life", async || {
            let (_, status) = api.try_get("/status").await?;
            let stages = status["stages"].as_object()?.len();
            (stages >= 4).then_some(stages)
        })
        .await;
        assert!(stages >= 4);

        for (role, name) in roles.iter_mut().zip(ROLES) {
            let ended = role.stop().await;
            assert!(
                ended.success(),
                "{name} drains on SIGTERM: {ended} {}",
                role.logged()
            );
        }
        // A transaction may have made the result known to the store before it was committed; now all have ended.
        let bootstrap = cluster.kafka.bootstrap();
        let seen =
            tokio::task::spawn_blocking(move || read::topic(&bootstrap, "trustcard.results"));
        let seen = seen.await.unwrap();
        let mut keys: Vec<String> = seen
            .iter()
            .map(|one| String::from_utf8(one.key.clone().unwrap().to_vec()).unwrap())
            .collect();
        let mut wanted = ids.clone();
        keys.sort();
        wanted.sort();
        assert_eq!(keys, wanted, "one result each for a read-committed reader");
        for one in &seen {
            let result: Value = serde_json::from_slice(one.value.as_ref().unwrap()).unwrap();
            assert_eq!(result["status"], "completed");
        }
    }

    #[tokio::test]
    async fn a_role_waits_for_its_topics_and_its_tables_are_asked_for_by_name() {
        let mut cluster = Cluster::start(1).await;
        // Another broker, where nobody has made topics.
        let empty = trustcard_tests::servers::KafkaServer::start().await;
        let variable = "TRUSTCARD__KAFKA__BOOTSTRAP".to_owned();
        cluster.settings.insert(variable, empty.bootstrap());
        let mut record = cluster.role("record", &[]);
        until("the role to say what is missing", async || {
            record
                .logged()
                .contains("trustcard topics create")
                .then_some(())
        })
        .await;
        let (status, _) = until("the role to answer", async || {
            record.api.try_get("/health/ready").await
        })
        .await;
        assert_eq!(status, 503);
        cluster.must(&["topics", "create"]).await;
        record.ready().await;
        assert!(record.stop().await.success());

        let mut stranger = cluster.role(
            "score",
            &[("TRUSTCARD__DATABASE__KEYSPACE", "trustcard_nobody_made")],
        );
        assert_eq!(stranger.ended().await.code(), Some(78));
        assert!(
            stranger.logged().contains("trustcard migrate"),
            "{}",
            stranger.logged()
        );
    }
}
