//! Client settings of the legs that choose their own: those of `engine::kafka`, so that only the code around the client differs.

use rdkafka::ClientConfig;

use crate::leg::Place;

/// As our runner's producer.
pub fn producer(place: &Place) -> ClientConfig {
    client(
        place,
        &[
            ("compression.type", "lz4"),
            ("linger.ms", "5"),
            ("batch.size", "524288"),
            ("message.max.bytes", "16777216"),
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("partitioner", "murmur2_random"),
            ("message.timeout.ms", "30000"),
        ],
    )
}

/// As our runner's consumer, beginning at the beginning.
pub fn consumer(place: &Place) -> ClientConfig {
    let mut config = client(
        place,
        &[
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "3000"),
            ("fetch.wait.max.ms", "100"),
            ("queued.min.messages", "1000"),
            ("queued.max.messages.kbytes", "1024"),
            ("fetch.message.max.bytes", "262144"),
            ("fetch.queue.backoff.ms", "5"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("isolation.level", "read_committed"),
        ],
    );
    config.set("group.id", place.group());
    config
}

fn client(place: &Place, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &place.bootstrap);
    config.set("client.id", &place.name);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config
}
