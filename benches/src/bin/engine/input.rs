//! The input topic: some millions of posts, the same ones at every run, made once.

use std::time::Duration;

use anyhow::{Result, bail};
use benches::work::{Author, Media, Post};
use jiff::Timestamp;
use rdkafka::{
    error::RDKafkaErrorCode,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _, ThreadedProducer},
};
use uuid::Uuid;

use crate::{broker::Broker, leg::Place, settings};

/// The topic; the number changes with what is written to it.
pub const TOPIC: &str = "bench.posts.2";
/// Partitions of input and output.
pub const PARTITIONS: i32 = 6;

/// Makes sure that the topic has at least so many records; how many it has.
pub fn fill(broker: &Broker, records: u64) -> Result<u64> {
    broker.create(TOPIC, PARTITIONS)?;
    let there = broker.records(TOPIC)?;
    if there >= records {
        return Ok(there);
    }
    eprintln!("Writing {} input records", records - there);
    let place = Place {
        bootstrap: broker.bootstrap().to_owned(),
        input: String::new(),
        output: TOPIC.to_owned(),
        name: "bench-input".to_owned(),
    };
    let mut config = settings::producer(&place);
    config.set("linger.ms", "20");
    let producer: ThreadedProducer<_> = config.create()?;
    for number in there..records {
        let post = post(number);
        let made = schemas::encode(TOPIC, &post)?;
        let trace = trace(&mut Random(number ^ 0x7ace));
        let headers = made.headers.iter();
        let headers = headers.fold(OwnedHeaders::new_with_capacity(9), |headers, header| {
            headers.insert(Header {
                key: &header.name,
                value: Some(&*header.value),
            })
        });
        let headers = headers.insert(Header {
            key: "traceparent",
            value: Some(&trace),
        });
        let value = made.value.unwrap_or_default();
        let mut record = BaseRecord::to(TOPIC)
            .key(&post.post_id)
            .payload(&*value)
            .headers(headers);
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(10));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(60))?;
    let there = broker.records(TOPIC)?;
    if there < records {
        bail!("only {there} of {records} input records were written");
    }
    Ok(there)
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same numbers at every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// One of 2,048 words of two to four syllables, common ones more often, as in a language.
    fn word(&mut self, text: &mut String) {
        const SYLLABLES: [&str; 16] = [
            "ka", "lo", "mi", "ner", "so", "tu", "ven", "ra", "pel", "is", "on", "da", "gri", "bo",
            "ta", "shu",
        ];
        let rank = self.below(2_048).min(self.below(2_048));
        let mut bits = Random(rank).next();
        for _ in 0..2 + rank % 3 {
            text.push_str(SYLLABLES[(bits % 16) as usize]);
            bits /= 16;
        }
    }
}

/// The post of that number.
#[allow(clippy::cast_possible_wrap, reason = "seconds of this decade")]
fn post(number: u64) -> Post {
    const CODE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut random = Random(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let post_id: String = (0..11)
        .map(|_| char::from(CODE[random.below(64) as usize]))
        .collect();
    let mut caption = String::with_capacity(192);
    while caption.len() < 176 {
        random.word(&mut caption);
        caption.push(' ');
    }
    let mut username = String::new();
    random.word(&mut username);
    username += &random.below(1_000).to_string();
    let hashtags = (0..2).map(|_| {
        let mut tag = String::new();
        random.word(&mut tag);
        tag
    });
    let hashtags = hashtags.collect();
    let posted = 1_767_225_600 + random.below(20_000_000) as i64;
    let at = |second: i64| Timestamp::from_second(second).unwrap_or_default();
    Post {
        analysis_id: Uuid::from_u64_pair(random.next(), random.next()),
        post_id,
        author: Author {
            username,
            followers: random.below(1_000_000),
            verified: random.below(10) == 0,
        },
        caption,
        hashtags,
        likes: random.below(50_000),
        comments: random.below(2_000),
        posted_at: at(posted),
        scraped_at: at(posted + random.below(100_000) as i64),
        media: vec![Media {
            index: 0,
            sha256: (0..4).map(|_| format!("{:016x}", random.next())).collect(),
            width: 1080,
            height: 1350,
        }],
    }
}

/// A sampled W3C trace context.
fn trace(random: &mut Random) -> String {
    format!(
        "00-{:016x}{:016x}-{:016x}-01",
        random.next(),
        random.next(),
        random.next()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_are_of_about_600_bytes_and_the_same_at_every_run() {
        let sizes = (0..1_000).map(|number| serde_json::to_vec(&post(number)).unwrap().len());
        let mean = sizes.sum::<usize>() / 1_000;
        assert!((550..650).contains(&mean), "{mean}");
        assert_eq!(post(7), post(7));
        assert_ne!(post(7).post_id, post(8).post_id);
        assert_eq!(post(7).post_id.len(), 11);
        assert_eq!(trace(&mut Random(1)).len(), 55);
    }
}
