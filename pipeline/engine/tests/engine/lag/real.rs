//! Against a real broker, where transactions leave markers, and against Kafka's own tool, which counts them.

use std::{process::Command, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};
use schemas::{Record, retry::Retry};
use trustcard_engine::SharedClock;
use uuid::Uuid;

use super::*;

/// When everything here is written: 1,000 s before [`NOW_MS`].
const WRITTEN_MS: i64 = 1_700_000_000_000;
/// What the monitor's clock says when it starts.
const NOW_MS: i64 = WRITTEN_MS + 1_000_000;

/// A topic nobody else uses, and groups named after it.
struct Log {
    topic: String,
    bootstrap: String,
}

impl Log {
    async fn new(partitions: i32) -> Self {
        let variable = std::env::var("TRUSTCARD_TEST_KAFKA");
        let log = Self {
            topic: format!("test.lag.{}", Uuid::new_v4().simple()),
            bootstrap: variable.unwrap_or_else(|_| "127.0.0.1:19092".to_owned()),
        };
        // What is written here is years old.
        let topic = NewTopic::new(&log.topic, partitions, TopicReplication::Fixed(1));
        let topic = topic.set("retention.ms", "-1");
        let made = log
            .admin()
            .create_topics([&topic], &AdminOptions::new())
            .await;
        made.expect("no Kafka answers: run `make servers-up`")[0]
            .as_ref()
            .unwrap();
        log
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    fn group(&self, name: &str) -> String {
        format!("{}.{name}", self.topic)
    }

    /// A producer of transactions.
    fn writer(&self) -> Writer<'_> {
        let mut config = self.client();
        config.set("transactional.id", &self.topic);
        // Only the test ends a transaction, however long that takes.
        config.set("transaction.timeout.ms", "900000");
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        Writer {
            log: self,
            producer,
        }
    }

    /// Records written without a transaction.
    fn write(&self, partition: i32, count: usize) {
        let producer: BaseProducer = self.client().create().unwrap();
        let writer = Writer {
            log: self,
            producer,
        };
        writer.send(partition, count);
    }

    fn list(&self, partition: i32, offset: i64) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))
            .unwrap();
        list
    }

    /// Commits for a group without being a member; its full name.
    fn commit(&self, name: &str, partition: i32, offset: i64) -> String {
        let group = self.group(name);
        trustcard_tests::commit::offset(&self.bootstrap, &group, (&self.topic, partition, offset));
        group
    }

    /// Watches all groups of this log, found by their beginning, and those whose topics are known.
    fn monitor(&self, own: Vec<Watched>) -> Monitor {
        self.monitor_at(own, NOW_MS)
    }

    fn monitor_at(&self, own: Vec<Watched>, now_ms: i64) -> Monitor {
        let clock: SharedClock = Arc::new(Running::from(now_ms));
        let kafka = Kafka::new(&self.bootstrap, BTreeMap::new());
        let foreign = vec![Pattern::new(format!("{}*", self.topic))];
        Monitor::new(&kafka, own, foreign, clock).unwrap()
    }

    /// What a new monitor tells.
    async fn lag(&self) -> Lag {
        complete(&mut self.monitor(Vec::new())).await
    }

    /// What `kafka-consumer-groups --describe` says of a group, by partition; `None` where it says `-`.
    async fn theirs(&self, group: &str) -> BTreeMap<i32, Option<i64>> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/dev/kafka.sh");
        let mut command = Command::new(script);
        command.args([
            "run",
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        ]);
        command.args(["--bootstrap-server", &self.bootstrap]);
        command.args(["--describe", "--group", group]);
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let output = output.unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{errors}");
        let rows = text.lines().filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG ...
            let of_this = words.first() == Some(&group) && words.get(1) == Some(&&*self.topic);
            of_this.then(|| (words[2].parse().unwrap(), words[5].parse().ok()))
        });
        let rows: BTreeMap<i32, Option<i64>> = rows.collect();
        assert!(!rows.is_empty(), "{text}{errors}");
        rows
    }
}

struct Writer<'a> {
    log: &'a Log,
    producer: BaseProducer,
}

impl Writer<'_> {
    fn send(&self, partition: i32, count: usize) {
        for _ in 0..count {
            let record = BaseRecord::<str, str>::to(&self.log.topic)
                .partition(partition)
                .timestamp(WRITTEN_MS)
                .payload("a record");
            self.producer.send(record).map_err(|(e, _)| e).unwrap();
        }
        self.producer.flush(PATIENCE).unwrap();
    }

    /// A transaction of so many records, which leaves a marker behind them.
    fn committed(&self, count: usize) {
        self.producer.begin_transaction().unwrap();
        self.send(0, count);
        self.producer.commit_transaction(PATIENCE).unwrap();
    }

    fn aborted(&self, count: usize) {
        self.producer.begin_transaction().unwrap();
        self.send(0, count);
        self.producer.abort_transaction(PATIENCE).unwrap();
    }
}

/// Records, since when the oldest of them waits (none: it is 0 s old), and state, of each partition of a group.
fn brief(lag: &Lag, group: &str) -> Vec<(i64, Option<i64>, State)> {
    let brief = |one: &PartitionLag| {
        let age_ms = (one.lag_seconds.unwrap() * 1_000.0).round() as i64;
        let since = (age_ms > 0).then(|| lag.at.as_millisecond() - age_ms);
        (one.lag.unwrap(), since, one.state)
    };
    of(lag, group).iter().map(brief).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_consumers_lag_is_what_kafkas_own_tool_says() {
    let log = Log::new(2).await;
    log.write(0, 10);
    log.write(1, 4);
    let group = log.group("dead");
    let consumer: BaseConsumer = log
        .client()
        .set("group.id", &group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    consumer.subscribe(&[&log.topic]).unwrap();
    let mut read = [0; 2];
    let until = tokio::time::Instant::now() + PATIENCE;
    while read != [10, 4] {
        assert!(tokio::time::Instant::now() < until, "{read:?}");
        // Joining the group ends a poll as well.
        let Some(message) = consumer.poll(Duration::from_secs(1)).transpose().unwrap() else {
            continue;
        };
        read[rdkafka::Message::partition(&message) as usize] += 1;
    }
    for (partition, offset) in [(0, 3), (1, 4)] {
        let list = log.list(partition, offset);
        consumer.commit(&list, CommitMode::Sync).unwrap();
    }
    let alive = log.lag().await;
    drop(consumer);
    let dead = log.lag().await;
    for lag in [alive, dead] {
        assert_eq!(
            brief(&lag, &group),
            [(7, Some(WRITTEN_MS), State::Ok), (0, None, State::Ok)]
        );
        assert!(of(&lag, &group).iter().all(|p| p.exact));
    }
    let theirs = log.theirs(&group).await;
    assert_eq!(theirs, BTreeMap::from([(0, Some(7)), (1, Some(0))]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn markers_and_aborted_records_are_counted_by_kafkas_tool_and_not_by_ours() {
    let log = Log::new(1).await;
    let writer = log.writer();
    for _ in 0..5 {
        writer.committed(2);
    }
    // Offset 15 is the first of three aborted records and a marker.
    let records_read = [("none", 0, 10), ("first", 2, 8), ("marker", 14, 0)];
    let groups = records_read.map(|(name, offset, left)| (log.commit(name, 0, offset), left));
    let lag = log.lag().await;
    for (group, left) in &groups {
        let since = (*left > 0).then_some(WRITTEN_MS);
        assert_eq!(brief(&lag, group), [(*left, since, State::Ok)], "{group}");
        assert!(of(&lag, group)[0].exact);
    }
    for ((group, ours), theirs) in groups.iter().zip([15, 13, 1]) {
        assert_eq!(log.theirs(group).await[&0], Some(theirs), "{group}: {ours}");
    }

    writer.aborted(3);
    let group = log.commit("aborted", 0, 15);
    let lag = log.lag().await;
    assert_eq!(brief(&lag, &group), [(0, None, State::Ok)]);
    assert_eq!(log.theirs(&group).await[&0], Some(4));
    assert_eq!(
        brief(&lag, &groups[0].0),
        [(10, Some(WRITTEN_MS), State::Ok)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn far_behind_offsets_are_counted_from_the_first_record_on_and_that_is_said() {
    let log = Log::new(1).await;
    let writer = log.writer();
    writer.aborted(10);
    for _ in 0..3 {
        writer.committed(100);
    }
    let group = log.commit("far", 0, 0);
    let lag = log.lag().await;
    // Eleven offsets before the first record are known to hold none; the three markers behind it are not looked for.
    assert_eq!(brief(&lag, &group), [(303, Some(WRITTEN_MS), State::Ok)]);
    assert!(!of(&lag, &group)[0].exact);
    assert_eq!(log.theirs(&group).await[&0], Some(314));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_an_open_transaction_lag_is_what_waits_for_it_and_its_age_is_known() {
    let log = Log::new(1).await;
    let writer = log.writer();
    writer.committed(2);
    let (all, some) = (log.commit("all", 0, 2), log.commit("some", 0, 1));
    writer.producer.begin_transaction().unwrap();
    writer.send(0, 3);
    let mut monitor = log.monitor(Vec::new());
    let lag = complete(&mut monitor).await;
    // Written behind it by somebody else, and as much out of reach.
    log.write(0, 1);
    let later = complete(&mut monitor).await;
    for (lag, waiting) in [(lag, 3), (later, 4)] {
        let written = Some(WRITTEN_MS);
        assert_eq!(
            brief(&lag, &all),
            [(waiting, written, State::OpenTransaction)]
        );
        assert_eq!(of(&lag, &all)[0].last_stable, Some(3));
        let (_, since, state) = brief(&lag, &some)[0];
        assert_eq!((since, state), (written, State::Ok), "one can be read");
    }
    // The tool counts the marker before the transaction as well.
    assert_eq!(log.theirs(&all).await[&0], Some(5));

    writer.producer.commit_transaction(PATIENCE).unwrap();
    // The broker lets readers past a transaction some time after its producer was told; until then records are an estimate.
    let mut lag = complete(&mut monitor).await;
    until("everything is counted", async || {
        lag = complete(&mut monitor).await;
        [&all, &some].iter().all(|group| of(&lag, group)[0].exact)
    })
    .await;
    assert_eq!(brief(&lag, &all), [(4, Some(WRITTEN_MS), State::Ok)]);
    assert_eq!(brief(&lag, &some), [(5, Some(WRITTEN_MS), State::Ok)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_in_an_open_transaction_holds_nobody_up_and_does_not_count_yet() {
    let log = Log::new(1).await;
    log.write(0, 5);
    let group = log.commit("stage", 0, 1);
    let writer = log.writer();
    let consumer: BaseConsumer = log.client().set("group.id", &group).create().unwrap();
    let metadata = consumer.group_metadata().unwrap();
    writer.producer.begin_transaction().unwrap();
    let offsets = log.list(0, 4);
    writer
        .producer
        .send_offsets_to_transaction(&offsets, &metadata, PATIENCE)
        .unwrap();
    let lag = log.lag().await;
    assert_eq!(brief(&lag, &group), [(4, Some(WRITTEN_MS), State::Ok)]);
    writer.producer.commit_transaction(PATIENCE).unwrap();
    let lag = log.lag().await;
    assert_eq!(brief(&lag, &group), [(1, Some(WRITTEN_MS), State::Ok)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_without_a_commit_count_from_the_logs_start_and_are_marked() {
    let log = Log::new(2).await;
    log.write(0, 3);
    log.write(1, 5);
    let half = log.commit("half", 0, 1);
    let never = log.group("never");
    let own = vec![watched(&never, &[&log.topic])];
    let lag = complete(&mut log.monitor(own)).await;
    let written = Some(WRITTEN_MS);
    assert_eq!(
        brief(&lag, &half),
        [(2, written, State::Ok), (5, written, State::NoCommit)]
    );
    assert_eq!(
        brief(&lag, &never),
        [(3, written, State::NoCommit), (5, written, State::NoCommit)]
    );
    assert!(of(&lag, &never).iter().all(|p| p.committed.is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_outside_of_the_log_are_clamped_and_marked() {
    let log = Log::new(1).await;
    log.write(0, 10);
    let (lost, beyond) = (log.commit("lost", 0, 2), log.commit("beyond", 0, 99));
    let deleted = log
        .admin()
        .delete_records(&log.list(0, 6), &AdminOptions::new())
        .await;
    deleted.unwrap();
    let lag = log.lag().await;
    assert_eq!(
        brief(&lag, &lost),
        [(4, Some(WRITTEN_MS), State::BehindLogStart)]
    );
    assert_eq!(of(&lag, &lost)[0].log_start, Some(6));
    assert_eq!(brief(&lag, &beyond), [(0, None, State::BeyondEnd)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_ages_from_the_time_it_is_due() {
    let log = Log::new(1).await;
    let retry = Retry {
        due_ms: NOW_MS + 3_600_000,
        attempts: 1,
        first_failure: Timestamp::UNIX_EPOCH,
        topic: "in".to_owned(),
        partition: 0,
        offset: 0,
        timestamp_ms: WRITTEN_MS,
    };
    let original = Record {
        topic: "".into(),
        key: None,
        value: None,
        headers: Vec::new(),
    };
    let due_ms = retry.due_ms;
    let headers = retry.record("scrape", 1, original).headers;
    let headers = headers.iter().fold(OwnedHeaders::new(), |all, header| {
        all.insert(Header {
            key: &header.name,
            value: Some(&*header.value),
        })
    });
    let producer: BaseProducer = log.client().create().unwrap();
    let record = BaseRecord::<str, str>::to(&log.topic).timestamp(WRITTEN_MS);
    let record = record.payload("a retry").headers(headers);
    producer.send(record).map_err(|(e, _)| e).unwrap();
    producer.flush(PATIENCE).unwrap();
    let group = log.commit("retry", 0, 0);
    for (now_ms, since) in [(NOW_MS, None), (due_ms + 12_000, Some(due_ms))] {
        let lag = complete(&mut log.monitor_at(Vec::new(), now_ms)).await;
        assert_eq!(brief(&lag, &group), [(1, since, State::Ok)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_twice_for_one_commit_and_topics_come_and_go() {
    let log = Log::new(2).await;
    log.write(0, 3);
    log.write(1, 300);
    let group = log.commit("group", 0, 1);
    log.commit("group", 1, 1);
    let mut monitor = log.monitor(Vec::new());
    complete(&mut monitor).await;
    assert_eq!(monitor.reads(), 2, "one for each partition");
    let same = complete(&mut monitor).await;
    assert_eq!(monitor.reads(), 2);
    // Grown, but too far behind to count: the head is known.
    log.write(1, 5);
    let grown = complete(&mut monitor).await;
    assert_eq!(monitor.reads(), 2);
    assert_eq!(of(&same, &group)[1].lag, Some(299));
    assert_eq!(of(&grown, &group)[1].lag, Some(304));
    log.commit("group", 0, 2);
    let moved = complete(&mut monitor).await;
    assert_eq!(monitor.reads(), 3, "the one whose commit moved");
    assert_eq!(of(&moved, &group)[0].lag, Some(1));
    log.commit("group", 0, 3);
    complete(&mut monitor).await;
    assert_eq!(monitor.reads(), 3, "nothing is left to read");

    let deleted = log
        .admin()
        .delete_topics(&[&log.topic], &AdminOptions::new())
        .await;
    deleted.unwrap();
    until("the topic is gone", async || {
        of(&monitor.round().await.unwrap(), &group).is_empty()
    })
    .await;
}
