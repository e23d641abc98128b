//! Lag as metrics, under the names that operators have dashboards for.

use std::{collections::HashSet, time::Duration};

use prometheus::{Gauge, GaugeVec, IntCounter, IntGaugeVec, Opts, Registry};

use super::{GroupLag, Lag, PartitionLag};

/// The metrics of the monitor.
#[derive(Debug)]
pub struct LagMetrics {
    /// `kafka_consumergroup_group_lag{group,topic,partition}`: records not processed.
    lag: IntGaugeVec,
    /// `kafka_consumergroup_group_lag_seconds{group,topic,partition}`: age of the oldest of them.
    seconds: GaugeVec,
    /// `trustcard_lag_partition_state{group,topic,partition,state}`: 1 for the state the partition is in.
    state: IntGaugeVec,
    /// `trustcard_lag_group_up{group}`: 1 if every partition of the group is known.
    group_up: IntGaugeVec,
    /// `trustcard_lag_up`: 1 if the last round found out everything.
    up: Gauge,
    /// `trustcard_lag_last_success_timestamp_seconds`: when a round last did.
    last_success: Gauge,
    /// `trustcard_lag_round_duration_seconds`: how long the last round took.
    duration: Gauge,
    /// `trustcard_lag_reads_total`: partitions that a record was looked for in.
    reads: IntCounter,
    shown: Shown,
}

/// Labels of the series there are, so that those of topics and groups that are gone go too.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shown {
    lag: HashSet<[String; 3]>,
    seconds: HashSet<[String; 3]>,
    state: HashSet<[String; 4]>,
    groups: HashSet<[String; 1]>,
}

impl LagMetrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let partition = ["group", "topic", "partition"];
        let gauge = |name: &str, help: &str| {
            let gauge = Gauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            prometheus::Result::Ok(gauge)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone()))?;
            prometheus::Result::Ok(gauges)
        };
        let seconds = GaugeVec::new(
            Opts::new(
                "kafka_consumergroup_group_lag_seconds",
                "Age of the oldest record the group has not processed, 0 when there is none",
            ),
            &partition,
        )?;
        registry.register(Box::new(seconds.clone()))?;
        let reads = IntCounter::new(
            "trustcard_lag_reads_total",
            "Partitions that a record was looked for in",
        )?;
        registry.register(Box::new(reads.clone()))?;
        Ok(Self {
            lag: gauges(
                "kafka_consumergroup_group_lag",
                "Records the group has not processed",
                &partition,
            )?,
            seconds,
            state: gauges(
                "trustcard_lag_partition_state",
                "1 for the state the partition is in, as the group sees it",
                &["group", "topic", "partition", "state"],
            )?,
            group_up: gauges(
                "trustcard_lag_group_up",
                "1 if the lag of every partition of the group is known",
                &["group"],
            )?,
            up: gauge(
                "trustcard_lag_up",
                "1 if the last round found out the lag of every group",
            )?,
            last_success: gauge(
                "trustcard_lag_last_success_timestamp_seconds",
                "When a round last found out the lag of every group",
            )?,
            duration: gauge(
                "trustcard_lag_round_duration_seconds",
                "How long the last round took",
            )?,
            reads,
            shown: Shown::default(),
        })
    }

    /// Shows a round that took so long and has read so many partitions since the beginning.
    pub fn show(&mut self, lag: &Lag, took: Duration, reads: u64) {
        let mut shown = Shown::default();
        for group in &lag.groups {
            let up = [group.group.clone()];
            self.group_up
                .with_label_values(&up)
                .set(group.complete().into());
            shown.groups.insert(up);
            for partition in &group.partitions {
                self.show_partition(group, partition, &mut shown);
            }
        }
        self.keep(shown);
        self.duration.set(took.as_secs_f64());
        self.reads.inc_by(reads.saturating_sub(self.reads.get()));
        self.up.set(f64::from(u8::from(lag.complete())));
        if lag.complete() {
            self.last_success.set(lag.at.as_duration().as_secs_f64());
        }
    }

    fn show_partition(&self, group: &GroupLag, partition: &PartitionLag, shown: &mut Shown) {
        let labels = || {
            [
                group.group.clone(),
                partition.topic.clone(),
                partition.partition.to_string(),
            ]
        };
        if let Some(lag) = partition.lag {
            self.lag.with_label_values(&labels()).set(lag);
            shown.lag.insert(labels());
        }
        if let Some(seconds) = partition.lag_seconds {
            self.seconds.with_label_values(&labels()).set(seconds);
            shown.seconds.insert(labels());
        }
        let [name, topic, number] = labels();
        let state = [name, topic, number, partition.state.name().to_owned()];
        self.state.with_label_values(&state).set(1);
        shown.state.insert(state);
    }

    /// Shows that the broker did not answer: no lag at all, rather than an old one.
    pub fn show_failure(&mut self, took: Duration) {
        let groups = std::mem::take(&mut self.shown.groups);
        for group in &groups {
            self.group_up.with_label_values(group).set(0);
        }
        self.shown.groups = groups.clone();
        self.keep(Shown {
            groups,
            ..Shown::default()
        });
        self.duration.set(took.as_secs_f64());
        self.up.set(0.0);
    }

    /// Removes the series that are not among `shown`.
    fn keep(&mut self, shown: Shown) {
        let before = std::mem::replace(&mut self.shown, shown);
        for gone in before.lag.difference(&self.shown.lag) {
            let _ = self.lag.remove_label_values(gone);
        }
        for gone in before.seconds.difference(&self.shown.seconds) {
            let _ = self.seconds.remove_label_values(gone);
        }
        for gone in before.state.difference(&self.shown.state) {
            let _ = self.state.remove_label_values(gone);
        }
        for gone in before.groups.difference(&self.shown.groups) {
            let _ = self.group_up.remove_label_values(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use prometheus::TextEncoder;

    use super::{super::State, *};

    fn partition(
        topic: &str,
        lag: Option<i64>,
        seconds: Option<f64>,
        state: State,
    ) -> PartitionLag {
        PartitionLag {
            topic: topic.to_owned(),
            partition: 0,
            committed: None,
            log_start: None,
            last_stable: None,
            end: None,
            lag,
            exact: true,
            lag_seconds: seconds,
            state,
        }
    }

    fn lag(at_s: i64, partitions: Vec<PartitionLag>) -> Lag {
        Lag {
            at: Timestamp::from_second(at_s).unwrap(),
            groups: vec![GroupLag {
                group: "g".to_owned(),
                problem: None,
                partitions,
            }],
            problem: None,
        }
    }

    /// Lines of the exposition, the comments left out.
    fn lines(registry: &Registry) -> Vec<String> {
        let text = TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn series_of_what_is_gone_go_and_a_failure_leaves_no_old_lag() {
        let registry = Registry::new();
        let mut metrics = LagMetrics::new(&registry).unwrap();
        let round = lag(
            100,
            vec![
                partition("a", Some(3), Some(1.5), State::Ok),
                partition("b", Some(0), Some(0.0), State::NoCommit),
            ],
        );
        metrics.show(&round, Duration::from_millis(20), 2);
        let shown = lines(&registry);
        for line in [
            r#"kafka_consumergroup_group_lag{group="g",partition="0",topic="a"} 3"#,
            r#"kafka_consumergroup_group_lag{group="g",partition="0",topic="b"} 0"#,
            r#"kafka_consumergroup_group_lag_seconds{group="g",partition="0",topic="a"} 1.5"#,
            r#"trustcard_lag_partition_state{group="g",partition="0",state="no_commit",topic="b"} 1"#,
            r#"trustcard_lag_group_up{group="g"} 1"#,
            "trustcard_lag_up 1",
            "trustcard_lag_last_success_timestamp_seconds 100",
            "trustcard_lag_reads_total 2",
        ] {
            assert!(shown.contains(&line.to_owned()), "{line} in {shown:#?}");
        }

        // Topic b is gone; a's leader does not answer.
        let round = lag(200, vec![partition("a", None, None, State::Unavailable)]);
        metrics.show(&round, Duration::from_millis(20), 2);
        let shown = lines(&registry);
        let about = |word: &str| shown.iter().filter(|line| line.contains(word)).count();
        assert_eq!(about("kafka_consumergroup_group_lag"), 0, "{shown:#?}");
        assert_eq!(about(r#"topic="b""#), 0, "{shown:#?}");
        assert_eq!(about(r#"state="unavailable""#), 1, "{shown:#?}");
        assert_eq!(about(r#"state="ok""#), 0, "{shown:#?}");
        assert_eq!(about(r#"trustcard_lag_group_up{group="g"} 0"#), 1);
        assert_eq!(about("trustcard_lag_up 0"), 1);
        assert_eq!(about("last_success_timestamp_seconds 100"), 1);

        metrics.show(&lag(300, Vec::new()), Duration::ZERO, 2);
        metrics.show_failure(Duration::from_secs(5));
        let shown = lines(&registry);
        let about = |word: &str| shown.iter().filter(|line| line.contains(word)).count();
        assert_eq!(about(r#"trustcard_lag_group_up{group="g"} 0"#), 1);
        assert_eq!(about("trustcard_lag_up 0"), 1);
        assert_eq!(about("last_success_timestamp_seconds 300"), 1);

        let nobody = Lag {
            groups: Vec::new(),
            ..lag(400, Vec::new())
        };
        metrics.show(&nobody, Duration::ZERO, 2);
        assert!(!lines(&registry).iter().any(|line| line.contains("group=")));
    }
}
