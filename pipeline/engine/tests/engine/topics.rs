//! Topics are made, raised and corrected as asked, and nothing else happens to them.

/// On a real broker: the embedded one answers no admin requests.
mod real {
    use std::collections::BTreeMap;

    use trustcard_engine::{
        Kafka,
        admin::{AdminError, Difference, Remedy, TopicSpec, Topics},
    };
    use uuid::Uuid;

    fn kafka() -> Kafka {
        let variable = std::env::var("TRUSTCARD_TEST_KAFKA");
        let bootstrap = variable.unwrap_or_else(|_| "127.0.0.1:19092".to_owned());
        Kafka::new(bootstrap, BTreeMap::new())
    }

    async fn topics() -> Topics {
        let topics = Topics::new(&kafka()).unwrap();
        let answer = topics.missing(&[]).await;
        answer.expect("no Kafka answers: run `make servers-up`");
        topics
    }

    /// A topic nobody else uses.
    fn spec(partitions: u32, config: &[(&str, &str)]) -> TopicSpec {
        let config = config.iter();
        TopicSpec {
            name: format!("test.topics.{}", Uuid::new_v4().simple()),
            partitions,
            replication: 1,
            config: config
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    async fn mend_all(topics: &Topics, specs: &[TopicSpec]) -> Vec<Difference> {
        let wanted = topics.differences(specs).await.unwrap();
        topics.mend(specs, &wanted).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_missing_is_created_as_specified_and_a_second_time_changes_nothing() {
        let topics = topics().await;
        let specs = [
            spec(3, &[("retention.ms", "86400000")]),
            spec(1, &[("cleanup.policy", "compact")]),
        ];
        let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
        assert_eq!(topics.missing(&names).await.unwrap(), names);
        let before = topics.differences(&specs).await.unwrap();
        assert!(before.iter().all(|one| one.remedy() == Remedy::Create));
        assert_eq!(before.len(), 2);

        assert_eq!(topics.mend(&specs, &before).await.unwrap(), []);
        assert!(topics.missing(&names).await.unwrap().is_empty());
        let found = topics.describe(&names).await.unwrap();
        let first = &found[&names[0]];
        assert_eq!((first.partitions, first.replication), (3, 1));
        assert_eq!(first.config["retention.ms"], "86400000");
        assert_eq!(found[&names[1]].config["cleanup.policy"], "compact");

        // Asked for again, though it is there: as two operators at once would.
        assert_eq!(topics.mend(&specs, &before).await.unwrap(), []);
        assert_eq!(topics.describe(&names).await.unwrap(), found);
    }

    #[tokio::test]
    async fn partitions_are_raised_and_never_taken_away() {
        let topics = topics().await;
        let mut specs = [spec(2, &[])];
        assert_eq!(mend_all(&topics, &specs).await, []);
        specs[0].partitions = 5;
        assert_eq!(mend_all(&topics, &specs).await, []);
        specs[0].partitions = 4;
        let left = mend_all(&topics, &specs).await;
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].remedy(), Remedy::Refuse);
        let found = topics.describe(&[specs[0].name.clone()]).await.unwrap();
        assert_eq!(found[&specs[0].name].partitions, 5);
    }

    #[tokio::test]
    async fn a_setting_is_corrected_and_those_that_nobody_asked_about_stay() {
        let topics = topics().await;
        let all = [("retention.ms", "1000"), ("segment.ms", "77000")];
        let mut specs = [spec(1, &all)];
        assert_eq!(mend_all(&topics, &specs).await, []);
        specs[0].config = spec(
            1,
            &[("retention.ms", "2000"), ("max.message.bytes", "5000")],
        )
        .config;
        let wanted = topics.differences(&specs).await.unwrap();
        assert_eq!(wanted.len(), 2, "{wanted:?}");
        assert_eq!(topics.mend(&specs, &wanted).await.unwrap(), []);
        let found = topics.describe(&[specs[0].name.clone()]).await.unwrap();
        let config = &found[&specs[0].name].config;
        let value = |key: &str| config[key].as_str();
        assert_eq!(
            (
                value("retention.ms"),
                value("max.message.bytes"),
                value("segment.ms")
            ),
            ("2000", "5000", "77000")
        );
    }

    #[tokio::test]
    async fn only_what_was_asked_for_is_done() {
        let topics = topics().await;
        let mut specs = [spec(1, &[("retention.ms", "1000")])];
        assert_eq!(mend_all(&topics, &specs).await, []);
        specs[0].partitions = 2;
        specs[0].config = spec(1, &[("retention.ms", "2000")]).config;
        let mut wanted = topics.differences(&specs).await.unwrap();
        wanted.retain(|one| one.remedy() == Remedy::AddPartitions);
        let left = topics.mend(&specs, &wanted).await.unwrap();
        assert!(
            matches!(&left[..], [Difference::Config { found: Some(found), .. }] if found == "1000"),
            "{left:?}"
        );
    }

    #[tokio::test]
    async fn what_the_broker_refuses_is_told_with_the_topic() {
        let topics = topics().await;
        let specs = [spec(1, &[("retention.ms", "soon")])];
        let wanted = topics.differences(&specs).await.unwrap();
        let error = topics.mend(&specs, &wanted).await.unwrap_err();
        assert!(
            matches!(&error, AdminError::Refused { topic, .. } if *topic == specs[0].name),
            "{error}"
        );
    }
}
