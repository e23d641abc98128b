//! The work of the engine bench on ruststream-rdkafka's exactly-once pipeline: told where by its environment, ended by the end
//! of standard input, then one line of JSON on standard output.

use std::{borrow::Borrow, env, error::Error, io::Read, time::Duration};

use ruststream::{HeaderMap, OutgoingMessage};
use ruststream_rdkafka::{EosPipeline, PARTITION_KEY_HEADER, context::KafkaContext, prelude::*};
use schemas::Event as _;
use work::{Checked, Post};

#[allow(dead_code, reason = "the other legs use all of it")]
#[path = "../../../src/work.rs"]
mod work;

/// The allocator of every Rust leg.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The pipeline, and the transactional id of its producer.
fn pipeline() -> String {
    told("BENCH_NAME")
}

fn told(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// What is read. Offsets are committed by the pipeline; records of different keys run side by side, since a publish waits
/// for its acknowledgement and a lane does nothing else meanwhile.
fn source() -> KafkaTopic {
    let settings = [
        ("fetch.wait.max.ms", "100"),
        ("queued.min.messages", "10000"),
        ("queued.max.messages.kbytes", "8192"),
        ("fetch.queue.backoff.ms", "5"),
        ("isolation.level", "read_committed"),
    ];
    let topic = KafkaTopic::new(told("BENCH_INPUT"))
        .group(told("BENCH_GROUP"))
        .start(StartOffset::Earliest)
        .commit(Commit::Transactional(pipeline().into()))
        .lane_key(LaneKey::RecordKey);
    settings
        .into_iter()
        .fold(topic, |topic, (key, value)| topic.config(key, value))
}

#[subscriber("posts", workers(1024, by_key))]
async fn check(
    post: &Post,
    ctx: &mut Context<'_, KafkaContext>,
    Out(window): Out<impl Borrow<EosPipeline>>,
) -> HandlerOutcome {
    let pipeline: &EosPipeline = (**window).borrow();
    if ctx.headers().get_str("ce_type") != Some(Post::TYPE) {
        return HandlerOutcome::drop();
    }
    let checked = Checked::from(post.clone());
    let Ok(value) = serde_json::to_vec(&checked) else {
        return HandlerOutcome::drop();
    };
    let mut headers = HeaderMap::with_capacity(10);
    headers.insert("ce_specversion", "1.0");
    headers.insert("ce_id", checked.id().to_string());
    headers.insert("ce_type", Checked::TYPE);
    headers.insert("ce_source", Checked::SOURCE);
    headers.insert("ce_time", checked.time().to_string());
    headers.insert("ce_subject", checked.post_id.clone());
    headers.insert("ce_dataschema", schemas::envelope::data_schema::<Checked>());
    headers.insert("content-type", schemas::envelope::CONTENT_TYPE);
    if let Some(trace) = ctx.headers().get_shared("traceparent") {
        headers.insert("traceparent", trace);
    }
    // Becomes the record's key.
    headers.insert(PARTITION_KEY_HEADER, checked.post_id.clone());
    let output = told("BENCH_OUTPUT");
    let record = OutgoingMessage::new(&output, value.as_slice()).with_headers(headers);
    match pipeline.publish(&ctx.context(Source), record, None).await {
        Ok(()) => HandlerOutcome::ack(),
        Err(_) => HandlerOutcome::retry(),
    }
}

fn app() -> RustStream {
    let producer = [
        ("compression.type", "lz4"),
        ("linger.ms", "5"),
        ("batch.size", "524288"),
        ("acks", "all"),
        ("enable.idempotence", "true"),
        ("partitioner", "murmur2_random"),
        ("message.timeout.ms", "10000"),
    ];
    let broker = KafkaBroker::new([told("BENCH_BOOTSTRAP")]);
    let broker = producer.into_iter().fold(broker, |broker, (key, value)| {
        broker.producer_config(key, value)
    });
    let interval = told("BENCH_COMMIT_MS").parse().unwrap_or(100);
    RustStream::new(AppInfo::new("bench", "0.1.0")).with_broker(broker, |b| {
        let policy = EosPublish::new(pipeline())
            .commit_interval(Duration::from_millis(interval))
            .transaction_timeout(Duration::from_secs(10));
        b.include(check.map_source(|_| source())).out(DefaultSlot, policy).build();
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(app().run_until(async {
        let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        let _ = end.await;
    }))?;
    // It does not count its commits.
    println!("{{}}");
    Ok(())
}
