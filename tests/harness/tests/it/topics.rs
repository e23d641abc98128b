//! `trustcard topics` and `trustcard migrate`, as an operator types them.

use serde_json::Value;
use trustcard_tests::process::command;

#[tokio::test]
async fn a_broker_that_is_not_there_and_an_embedded_store_are_told_as_such() {
    let mut check = command(&["topics", "check"]);
    check.env("TRUSTCARD__KAFKA__BOOTSTRAP", "127.0.0.1:9");
    let check = check.output().await.unwrap();
    assert_eq!(check.status.code(), Some(69));
    let told = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(told.contains("broker's address"), "{told}");

    let migrate = command(&["migrate", "--json"]).output().await.unwrap();
    assert!(migrate.status.success());
    let told: Value = serde_json::from_slice(&migrate.stdout).unwrap();
    assert_eq!(told["backend"], "embedded");
    assert_eq!(told["migrations"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn settings_that_would_lose_records_or_can_not_be_are_refused_all_at_once() {
    let mut check = command(&["check-config"]);
    check
        .env("TRUSTCARD__TOPICS__RETENTION_H__RETRY", "1")
        .env("TRUSTCARD__TOPICS__MAX_MESSAGE_BYTES", "1000")
        .env("TRUSTCARD__DATABASE__BACKEND", "scylla")
        .env("TRUSTCARD__DATABASE__KEYSPACE", "no-such")
        .env("TRUSTCARD__KAFKA__INSTANCE", "a b");
    let output = check.output().await.unwrap();
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for key in [
        "topics.retention_h.retry",
        "topics.max_message_bytes",
        "database.keyspace",
        "kafka.instance",
    ] {
        assert!(told.contains(key), "{key} is missing in {told}");
    }
}

#[tokio::test]
async fn a_database_password_is_read_and_never_printed() {
    let mut check = command(&["check-config", "--json"]);
    check
        .env("TRUSTCARD__DATABASE__USERNAME", "trustcard")
        .env("TRUSTCARD__DATABASE__PASSWORD", "hunter2")
        .env("TRUSTCARD__DATABASE__BACKEND", "scylla")
        .env("TRUSTCARD__DATABASE__NODES", "a:9042,b:9042");
    let output = check.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let value = |key: &str| {
        let settings = shown["settings"].as_array().unwrap();
        let setting = settings.iter().find(|setting| setting["key"] == key);
        setting.unwrap_or_else(|| panic!("no {key} in {text}"))["value"].clone()
    };
    assert_eq!(
        value("database.nodes"),
        serde_json::json!(["a:9042", "b:9042"])
    );
    assert_eq!(value("database.backend"), "scylla");
    assert!(!text.contains("hunter2"), "{text}");
}

mod real {
    use serde_json::Value;
    use trustcard_tests::{process::command, servers::KafkaServer};

    struct Operator(KafkaServer);

    impl Operator {
        /// Runs `trustcard topics ...` with one copy and two partitions; `settings` win. Exit code and JSON.
        async fn topics(&self, arguments: &[&str], settings: &[(&str, &str)]) -> (i32, Value) {
            let mut command = command(&["topics"]);
            command
                .args(arguments)
                .arg("--json")
                .env("TRUSTCARD__KAFKA__BOOTSTRAP", self.0.bootstrap())
                .env("TRUSTCARD__TOPICS__REPLICATION", "1")
                .env("TRUSTCARD__TOPICS__PARTITIONS", "2")
                .envs(settings.iter().copied());
            let output = command.output().await.unwrap();
            let told = serde_json::from_slice(&output.stdout);
            let error = String::from_utf8_lossy(&output.stderr);
            (
                output.status.code().unwrap(),
                told.unwrap_or_else(|_| panic!("{error}")),
            )
        }
    }

    fn named(list: &Value) -> Vec<&str> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| one["topic"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn topics_are_created_checked_raised_and_corrected_and_never_shrunk() {
        let operator = Operator(KafkaServer::start().await);
        let all = schemas::topics::all();

        let (code, told) = operator.topics(&["check"], &[]).await;
        assert_eq!((code, named(&told["differences"]).len()), (1, all.len()));
        let (code, told) = operator.topics(&["create", "--dry-run"], &[]).await;
        assert_eq!((code, named(&told["done"]).len()), (0, all.len()));
        let (_, told) = operator.topics(&["describe"], &[]).await;
        assert!(
            told["topics"]
                .as_array()
                .unwrap()
                .iter()
                .all(|one| one["exists"] == false),
            "a dry run creates nothing: {told}"
        );

        let (code, told) = operator.topics(&["create"], &[]).await;
        assert_eq!((code, named(&told["done"]).len()), (0, all.len()), "{told}");
        let (code, told) = operator.topics(&["create"], &[]).await;
        assert_eq!((code, named(&told["done"]).len()), (0, 0), "{told}");
        assert_eq!(operator.topics(&["check"], &[]).await.0, 0);

        // Another retention is named, and set only when asked for.
        let longer = [("TRUSTCARD__TOPICS__RETENTION_H__POSTS", "240")];
        for arguments in [&["check"][..], &["create"]] {
            let (code, told) = operator.topics(arguments, &longer).await;
            let left = if told["left"].is_null() {
                &told["differences"]
            } else {
                &told["left"]
            };
            assert_eq!((code, named(left)), (1, vec!["trustcard.posts"]), "{told}");
        }
        let (code, told) = operator
            .topics(&["create", "--apply-config"], &longer)
            .await;
        assert_eq!(
            (code, named(&told["done"])),
            (0, vec!["trustcard.posts"]),
            "{told}"
        );
        assert_eq!(operator.topics(&["check"], &longer).await.0, 0);

        // All grow but the compacted one.
        let more = [longer[0], ("TRUSTCARD__TOPICS__PARTITIONS", "3")];
        let (code, told) = operator.topics(&["create"], &more).await;
        assert_eq!(
            (code, named(&told["left"]), named(&told["done"]).len()),
            (1, vec!["trustcard.results.latest"], all.len() - 1),
            "{told}"
        );
        let but_one = ("TRUSTCARD__TOPICS__PARTITIONS_OF__RESULTS_LATEST", "2");
        assert_eq!(
            operator
                .topics(&["create"], &[more[0], more[1], but_one])
                .await
                .0,
            0
        );

        // Fewer are refused, and nothing is lost by it.
        let (code, told) = operator
            .topics(&["create", "--apply-config"], &longer)
            .await;
        assert_eq!(
            (code, named(&told["left"]).len()),
            (1, all.len() - 1),
            "{told}"
        );
        let (_, told) = operator.topics(&["describe"], &[]).await;
        let topics = told["topics"].as_array().unwrap();
        let posts = topics.iter().find(|one| one["topic"] == "trustcard.posts");
        assert_eq!(posts.unwrap()["partitions"], 3);

        // More copies than brokers.
        let copies = [("TRUSTCARD__TOPICS__REPLICATION", "3")];
        let (code, told) = operator.topics(&["check"], &copies).await;
        assert!(
            code == 1 && told.to_string().contains("copies of each partition, not 3"),
            "{told}"
        );
    }
}
