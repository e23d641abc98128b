//! Dead letters kept in a second home.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use schemas::{Reason, Record, dead_letter::DeadLetter};
use trustcard_engine::{Archive, Outcome};

use crate::support::{Rig, TestStage, config, forward, notes, until};

/// An archive that can be away.
#[derive(Default)]
struct Shelf {
    open: AtomicBool,
    asked: AtomicBool,
    kept: Mutex<Vec<Record>>,
}

#[async_trait]
impl Archive for Shelf {
    async fn keep(&self, letters: Vec<Record>) -> Result<(), String> {
        self.asked.store(true, Ordering::Relaxed);
        if !self.open.load(Ordering::Relaxed) {
            return Err("away".to_owned());
        }
        self.kept.lock().unwrap().extend(letters);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_kept_before_its_offset_moves_and_nothing_else_is_kept() {
    let mut rig = Rig::new(1);
    let shelf = Arc::new(Shelf::default());
    rig.kafka = rig.kafka.clone().with_archive(shelf.clone());
    rig.publish(&notes(0..10)).await;
    let stage = TestStage::each(|message| match message.event.id {
        3 => Outcome::Reject(Reason::PostUndecodable),
        _ => forward(message),
    });
    let started = rig.start(stage, config());
    until("the archive is asked", async || {
        shelf.asked.load(Ordering::Relaxed)
    })
    .await;
    assert!(
        rig.dead_letters().await.is_empty(),
        "not produced while it can't be kept"
    );
    assert!(rig.committed().await.values().all(|offset| *offset <= 3));

    shelf.open.store(true, Ordering::Relaxed);
    rig.settled(10).await;
    started.drain().await.unwrap();
    let kept = std::mem::take(&mut *shelf.kept.lock().unwrap());
    let letters: Vec<DeadLetter> = kept
        .iter()
        .map(|record| DeadLetter::read(&record.headers).unwrap().0)
        .collect();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].offset, letters[0].code),
        (3, Reason::PostUndecodable)
    );
    assert_eq!(rig.dead_letters().await.len(), 1);
}
