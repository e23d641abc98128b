//! Lag as an operator sees it: the command, and the role's metrics while brokers come and go.

use serde_json::Value;
use trustcard_tests::{
    process::{Up, command},
    wait::until,
};

#[tokio::test]
async fn the_lag_of_a_running_up_is_in_the_command_and_in_its_metrics() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let ids = up.submit(&["loadlag".to_owned()]).await;
    up.ended_analysis(&ids[0]).await;
    let folder = data.path().to_str().unwrap();
    let look = ["lag", "--json", "--data-dir", folder];
    let document = until("no lag, and the commits that say so", async || {
        let output = command(&look).output().await.unwrap();
        assert!(output.status.success());
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let score = document["groups"].as_array()?.iter();
        let score = score
            .clone()
            .find(|one| one["group"] == "trustcard.score")?;
        let partitions = score["partitions"].as_array()?;
        let worked = partitions.iter().any(|one| one["committed"] == 1);
        (worked && document["lag"] == 0).then(|| document.clone())
    })
    .await;
    assert_eq!(document["complete"], true, "{document}");
    assert_eq!(document["groups"].as_array().unwrap().len(), 6);
    let table = command(&["lag", "--data-dir", folder]).output().await;
    let table = String::from_utf8(table.unwrap().stdout).unwrap();
    let headings = ["group", "topic", "lag", "oldest", "state"];
    let first = table.lines().next().unwrap();
    assert!(headings.iter().all(|word| first.contains(word)), "{table}");
    assert!(table.contains("trustcard.detections"), "{table}");
    until("the metric", async || {
        let metrics = up.text("/metrics").await;
        let line = r#"kafka_consumergroup_group_lag{group="trustcard.score",partition="0",topic="trustcard.detections"} 0"#;
        metrics.lines().any(|found| found == line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_command_ends_with_69_where_no_broker_answers_and_78_for_a_wrong_group() {
    let nobody = ["lag", "--bootstrap", "127.0.0.1:9"];
    let output = command(&nobody).output().await.unwrap();
    assert_eq!(output.status.code(), Some(69));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("127.0.0.1:9") && told.contains("--bootstrap"),
        "{told}"
    );
    let wrong = ["lag", "--bootstrap", "127.0.0.1:9", "--group", "a*b"];
    let output = command(&wrong).output().await.unwrap();
    assert_eq!(output.status.code(), Some(78));
}

/// On a broker of its own, which is killed.
mod real {
    use std::{collections::BTreeMap, time::Duration};

    use rdkafka::{
        ClientConfig,
        admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
        client::DefaultClientContext,
        producer::{BaseProducer, BaseRecord, Producer as _},
    };
    use trustcard_tests::{commit, role::RoleProcess, servers::KafkaServer, wait::until};

    const TOPIC: &str = "theirs";
    const GROUP: &str = "billing";
    const LAG: &str = "kafka_consumergroup_group_lag";
    const SECONDS: &str = "kafka_consumergroup_group_lag_seconds";
    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Seven records, of which a group that is gone has committed two.
    async fn fill(bootstrap: &str) {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", bootstrap);
        let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
        let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
        let made = admin.create_topics([&topic], &AdminOptions::new()).await;
        made.unwrap()[0].as_ref().unwrap();
        let producer: BaseProducer = client.create().unwrap();
        for _ in 0..7 {
            let record = BaseRecord::<str, str>::to(TOPIC).partition(0).payload("x");
            producer.send(record).map_err(|(e, _)| e).unwrap();
        }
        producer.flush(TIMEOUT).unwrap();
        commit::offset(bootstrap, GROUP, (TOPIC, 0, 2));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_monitor_lives_without_a_store_tells_when_the_broker_is_gone_and_finds_it_again() {
        let kafka = KafkaServer::start().await;
        fill(&kafka.bootstrap()).await;
        let folder = tempfile::tempdir().unwrap();
        let settings = BTreeMap::from([
            ("TRUSTCARD__KAFKA__BOOTSTRAP", kafka.bootstrap()),
            ("TRUSTCARD__MONITOR__GROUPS", "bill*,nobody".to_owned()),
            ("TRUSTCARD__MONITOR__INTERVAL_S", "1".to_owned()),
            // Neither is asked for anything.
            ("TRUSTCARD__DATABASE__BACKEND", "scylla".to_owned()),
            ("TRUSTCARD__DATABASE__NODES", "127.0.0.1:9".to_owned()),
        ]);
        let settings = settings
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let log = folder.path().join("monitor.log");
        let mut monitor = RoleProcess::start("monitor", &[], &settings, log);
        monitor.ready().await;
        let lag = async |monitor: &RoleProcess| {
            let group = r#"group="billing""#;
            let lag = monitor.metric(LAG, group).await?;
            (monitor.metric("trustcard_lag_up", "").await? == 1.0).then_some(lag)
        };
        assert_eq!(until("lag", async || lag(&monitor).await).await, 5.0);
        assert!(monitor.metric(SECONDS, "billing").await > Some(0.0));

        kafka.kill().await;
        until("no old lag, and unready", async || {
            let up = monitor.metric("trustcard_lag_up", "").await?;
            let metrics = monitor.api.try_text("/metrics").await?;
            let old = metrics.lines().any(|line| line.starts_with("kafka_"));
            let (ready, _) = monitor.api.try_get("/health/ready").await?;
            (up == 0.0 && !old && ready == 503).then_some(())
        })
        .await;
        for _ in 0..3 {
            let took = async || {
                monitor
                    .metric("trustcard_lag_round_duration_seconds", "")
                    .await
            };
            let last = took().await;
            until("another round", async || {
                (took().await? != last?).then_some(())
            })
            .await;
        }
        let logged = monitor.logged();
        assert_eq!(logged.matches("does not answer").count(), 1, "{logged}");

        kafka.start_again().await;
        monitor.ready().await;
        until("the lag of before", async || {
            (lag(&monitor).await? == 5.0).then_some(())
        })
        .await;
        assert!(monitor.stop().await.success());
    }
}
