//! Copies on a real broker: once each, whatever interrupts them, and no other group is touched.

use std::collections::BTreeMap;

use schemas::Record;
use tokio::sync::oneshot;
use trustcard_engine::copy::{
    self, Copier, CopyConfig, CopyError, Decision, Ended, Mark, Marks, Ranges, Source,
};

use super::rig::Rig;
use crate::support::{Note, read};

/// Copies every note but those whose id is a multiple of ten, and notes its name beside the progress.
struct Some9 {
    kafka: trustcard_engine::Kafka,
    topic: String,
    output: String,
    ends: Option<Ranges>,
    done: usize,
    decided: usize,
    /// Fails before this many decisions.
    breaks_after: usize,
    /// When something has been copied, waits for this before it decides again.
    waits_for: Option<oneshot::Receiver<()>>,
}

impl Some9 {
    fn new(rig: &Rig, breaks_after: usize) -> Self {
        Self {
            kafka: rig.kafka(),
            topic: rig.input.to_owned(),
            output: rig.output.to_owned(),
            ends: None,
            done: 0,
            decided: 0,
            breaks_after,
            waits_for: None,
        }
    }
}

#[async_trait::async_trait]
impl Copier for Some9 {
    async fn begin(&mut self, marks: &Marks) -> Result<(Ranges, Option<Marks>), String> {
        let ends = match &self.ends {
            Some(ends) => ends.clone(),
            None => copy::bounds(&self.kafka, &self.topic).await.unwrap(),
        };
        let mut ranges = ends.clone();
        for (partition, mark) in marks {
            assert_eq!(mark.note, "pinned");
            ranges.get_mut(partition).unwrap().start = mark.offset;
        }
        self.ends = Some(ends);
        let first = ranges.keys().map(|p| (*p, self.mark(*p, ranges[p].start)));
        let pinned = marks.is_empty().then(|| first.collect());
        Ok((ranges, pinned))
    }

    async fn decide(&mut self, records: &[Source]) -> Result<Vec<Decision>, String> {
        self.decided += records.len();
        if self.decided > self.breaks_after {
            return Err("broken".to_owned());
        }
        if self.done > 0
            && let Some(sign) = self.waits_for.take()
        {
            sign.await.unwrap();
        }
        let decide = |source: &Source| {
            if read(&source.record).id.is_multiple_of(10) {
                return Decision::Pass;
            }
            Decision::Copy(Record {
                topic: self.output.clone().into(),
                ..source.record.clone()
            })
        };
        Ok(records.iter().map(decide).collect())
    }

    async fn done(&mut self, count: usize) {
        self.done += count;
    }

    fn mark(&self, _: i32, next: i64) -> Mark {
        Mark {
            offset: next,
            note: "pinned".to_owned(),
        }
    }
}

fn config(rig: &Rig) -> CopyConfig {
    CopyConfig {
        topic: rig.input.to_owned(),
        group: format!("copy-{}", rig.input),
        transactional_id: format!("copy-{}", rig.input),
        max: None,
        rate: None,
        dry_run: false,
    }
}

async fn filled(notes: u32) -> Rig {
    let rig = Rig::new(3).await;
    let notes: Vec<Note> = (0..notes)
        .map(|id| Note {
            id,
            key: format!("k{}", id % 17),
            text: String::new(),
        })
        .collect();
    rig.publish(&notes).await;
    rig
}

fn wanted(notes: u32) -> Vec<u32> {
    (0..notes).filter(|id| id % 10 != 0).collect()
}

#[tokio::test]
async fn what_was_interrupted_goes_on_and_nothing_is_copied_twice() {
    let rig = filled(2000).await;
    let broken = copy::copy(&rig.kafka(), &config(&rig), &mut Some9::new(&rig, 900)).await;
    assert!(matches!(broken, Err(CopyError::Copier(_))), "{broken:?}");
    let so_far = rig.ids().await.len();
    assert!((1..=900).contains(&so_far), "{so_far}");

    let some = CopyConfig {
        max: Some(50),
        ..config(&rig)
    };
    let ended = copy::copy(&rig.kafka(), &some, &mut Some9::new(&rig, usize::MAX)).await;
    assert_eq!(ended.unwrap(), Ended::AtMost);
    assert_eq!(rig.ids().await.len(), so_far + 50);

    let mut rest = Some9::new(&rig, usize::MAX);
    let ended = copy::copy(&rig.kafka(), &config(&rig), &mut rest).await;
    assert_eq!(ended.unwrap(), Ended::AtTheEnd);
    assert_eq!(rig.ids().await, wanted(2000));
    assert!(rest.done > 0 && rest.done < 1150, "{}", rest.done);

    let mut again = Some9::new(&rig, usize::MAX);
    let ended = copy::copy(&rig.kafka(), &config(&rig), &mut again).await;
    assert_eq!(ended.unwrap(), Ended::AtTheEnd);
    assert_eq!((again.done, rig.ids().await), (0, wanted(2000)));
    assert_eq!(rig.offset(rig.input).await, 0, "no other group's offsets");
    let ends = copy::bounds(&rig.kafka(), rig.input).await.unwrap();
    let marks = copy::progress(&rig.kafka(), rig.input, &config(&rig).group).await;
    let marks: BTreeMap<i32, i64> = marks.unwrap().iter().map(|(p, m)| (*p, m.offset)).collect();
    assert_eq!(
        marks,
        ends.iter().map(|(p, range)| (*p, range.end)).collect()
    );
}

#[tokio::test]
async fn of_two_at_once_one_is_fenced_and_together_they_copy_everything_once() {
    let rig = filled(1000).await;
    let (kafka, mut first, mut second) = (
        rig.kafka(),
        Some9::new(&rig, usize::MAX),
        Some9::new(&rig, usize::MAX),
    );
    let config = config(&rig);
    let (ended, sign) = oneshot::channel();
    first.waits_for = Some(sign);
    let later = async {
        crate::support::until("the first has begun", async || !rig.ids().await.is_empty()).await;
        let other = copy::copy(&kafka, &config, &mut second).await;
        ended.send(()).unwrap();
        other
    };
    let (one, other) = tokio::join!(copy::copy(&kafka, &config, &mut first), later);
    assert!(matches!(one, Err(CopyError::Fenced)), "{one:?}");
    assert_eq!(other.unwrap(), Ended::AtTheEnd);
    assert_eq!(rig.ids().await, wanted(1000));
}

#[tokio::test]
async fn a_dry_run_sees_everything_and_leaves_no_trace() {
    let rig = filled(300).await;
    let dry = CopyConfig {
        dry_run: true,
        ..config(&rig)
    };
    let mut looker = Some9::new(&rig, usize::MAX);
    let ended = copy::copy(&rig.kafka(), &dry, &mut looker).await;
    assert_eq!(ended.unwrap(), Ended::AtTheEnd);
    assert_eq!((looker.done, rig.ids().await.len()), (300, 0));
    let marks = copy::progress(&rig.kafka(), rig.input, &config(&rig).group).await;
    assert_eq!(marks.unwrap(), Marks::new());
}
