//! Metrics of the Kafka clients of a process, from librdkafka's own statistics. Of those a fixed few are shown, for each client by
//! its id (the stage's name, or `trustcard-` and what it is for) and kind: no label grows with brokers, topics or partitions.

use std::sync::{Mutex, PoisonError};

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use rdkafka::Statistics;

const LABELS: [&str; 2] = ["client", "kind"];
/// What statistics call a broker that is connected and can be used.
const CONNECTED: [&str; 2] = ["UP", "UPDATE"];

/// The metrics; each client has its own labels `client` and `kind` (`producer` or `consumer`).
#[derive(Debug, Clone)]
pub struct ClientMetrics {
    /// `trustcard_kafka_client_requests_total`: requests sent to brokers.
    requests: IntCounterVec,
    /// `trustcard_kafka_client_sent_bytes_total`: bytes sent to brokers.
    sent: IntCounterVec,
    /// `trustcard_kafka_client_received_bytes_total`: bytes received from brokers.
    received: IntCounterVec,
    /// `trustcard_kafka_client_errors_total`: requests that could not be sent, answers that could not be read, timeouts.
    errors: IntCounterVec,
    /// `trustcard_kafka_client_queued_records`: records that wait to be sent.
    queued_records: IntGaugeVec,
    /// `trustcard_kafka_client_queued_bytes`: bytes of those records.
    queued_bytes: IntGaugeVec,
    /// `trustcard_kafka_client_brokers_connected`: brokers that it is connected to.
    connected: IntGaugeVec,
    /// `trustcard_kafka_client_rtt_seconds`: round trip to the slowest broker, 99 of 100 in the last interval.
    rtt: GaugeVec,
}

impl ClientMetrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| {
            let vec = IntCounterVec::new(Opts::new(name, help), &LABELS)?;
            registry.register(Box::new(vec.clone()))?;
            prometheus::Result::Ok(vec)
        };
        let gauge = |name: &str, help: &str| {
            let vec = IntGaugeVec::new(Opts::new(name, help), &LABELS)?;
            registry.register(Box::new(vec.clone()))?;
            prometheus::Result::Ok(vec)
        };
        let rtt = Opts::new(
            "trustcard_kafka_client_rtt_seconds",
            "Round trip to the slowest broker, 99 of 100 in the last interval",
        );
        let rtt = GaugeVec::new(rtt, &LABELS)?;
        registry.register(Box::new(rtt.clone()))?;
        Ok(Self {
            requests: counter(
                "trustcard_kafka_client_requests_total",
                "Requests sent to brokers",
            )?,
            sent: counter(
                "trustcard_kafka_client_sent_bytes_total",
                "Bytes sent to brokers",
            )?,
            received: counter(
                "trustcard_kafka_client_received_bytes_total",
                "Bytes received from brokers",
            )?,
            errors: counter(
                "trustcard_kafka_client_errors_total",
                "Requests not sent, answers not read, and requests without an answer in time",
            )?,
            queued_records: gauge(
                "trustcard_kafka_client_queued_records",
                "Records that wait to be sent",
            )?,
            queued_bytes: gauge(
                "trustcard_kafka_client_queued_bytes",
                "Bytes of the records that wait to be sent",
            )?,
            connected: gauge(
                "trustcard_kafka_client_brokers_connected",
                "Brokers that the client is connected to",
            )?,
            rtt,
        })
    }
}

/// Shows the statistics of one client for as long as it lives.
#[derive(Debug, Default)]
pub(crate) struct ClientWatch {
    metrics: Option<ClientMetrics>,
    shown: Mutex<Option<Shown>>,
}

/// What was shown last: the labels, and counts since the client was made.
#[derive(Debug)]
struct Shown {
    labels: [String; 2],
    requests: u64,
    sent: u64,
    received: u64,
    errors: u64,
}

impl ClientWatch {
    /// Of a client that was just made; without metrics nothing is shown.
    pub(crate) fn new(metrics: Option<&ClientMetrics>) -> Self {
        Self {
            metrics: metrics.cloned(),
            shown: Mutex::new(None),
        }
    }

    pub(crate) fn show(&self, statistics: &Statistics) {
        let Some(metrics) = &self.metrics else {
            return;
        };
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let brokers = || statistics.brokers.values();
        let errors = brokers().map(|one| one.txerrs + one.rxerrs + one.req_timeouts);
        let now = Shown {
            labels: [statistics.client_id.clone(), statistics.client_type.clone()],
            requests: count(statistics.tx),
            sent: count(statistics.tx_bytes),
            received: count(statistics.rx_bytes),
            errors: errors.sum(),
        };
        let labels = &now.labels;
        let gauge = |vec: &IntGaugeVec, value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            vec.with_label_values(labels).set(value);
        };
        gauge(&metrics.queued_records, statistics.msg_cnt);
        gauge(&metrics.queued_bytes, statistics.msg_size);
        let connected = brokers().filter(|one| one.nodeid >= 0 && CONNECTED.contains(&&*one.state));
        gauge(&metrics.connected, connected.count() as u64);
        let rtt = brokers().filter_map(|one| Some(one.rtt.as_ref()?.p99));
        let micros = rtt.max().unwrap_or(0).max(0);
        metrics
            .rtt
            .with_label_values(labels)
            .set(micros as f64 / 1e6);

        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = |of: fn(&Shown) -> u64| shown.as_ref().map_or(0, of);
        let add = |vec: &IntCounterVec, of: fn(&Shown) -> u64| {
            vec.with_label_values(labels)
                .inc_by(of(&now).saturating_sub(before(of)));
        };
        add(&metrics.requests, |shown| shown.requests);
        add(&metrics.sent, |shown| shown.sent);
        add(&metrics.received, |shown| shown.received);
        add(&metrics.errors, |shown| shown.errors);
        *shown = Some(now);
    }
}

impl Drop for ClientWatch {
    /// A client that is gone holds nothing and is connected to nobody.
    fn drop(&mut self) {
        let shown = self.shown.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (Some(metrics), Some(shown)) = (&self.metrics, shown) {
            let gauges = [
                &metrics.queued_records,
                &metrics.queued_bytes,
                &metrics.connected,
            ];
            for gauge in gauges {
                gauge.with_label_values(&shown.labels).set(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;
    use rdkafka::statistics::Broker;

    use super::*;

    fn statistics(requests: i64, state: &str) -> Statistics {
        let broker = Broker {
            nodeid: 1,
            state: state.to_owned(),
            txerrs: 1,
            ..Broker::default()
        };
        Statistics {
            client_id: "score".to_owned(),
            client_type: "producer".to_owned(),
            tx: requests,
            msg_cnt: 3,
            brokers: [("b".to_owned(), broker)].into(),
            ..Statistics::default()
        }
    }

    #[test]
    fn counts_go_on_over_clients_and_gauges_end_with_theirs() {
        let registry = Registry::new();
        let metrics = ClientMetrics::new(&registry).unwrap();
        let has = |name: &str, value: u64| {
            let text = TextEncoder::new()
                .encode_to_string(&registry.gather())
                .unwrap();
            let line = format!(
                "trustcard_kafka_client_{name}{{client=\"score\",kind=\"producer\"}} {value}\n"
            );
            assert!(text.contains(&line), "{line} in {text}");
        };
        let first = ClientWatch::new(Some(&metrics));
        first.show(&statistics(5, "UP"));
        first.show(&statistics(7, "UP"));
        has("requests_total", 7);
        has("errors_total", 1);
        has("queued_records", 3);
        has("brokers_connected", 1);
        drop(first);
        has("queued_records", 0);
        has("brokers_connected", 0);
        let second = ClientWatch::new(Some(&metrics));
        second.show(&statistics(2, "DOWN"));
        has("requests_total", 9);
        has("brokers_connected", 0);
        ClientWatch::new(None).show(&statistics(1, "UP"));
    }
}
