//! What roles and operators ask.

use schemas::{Halt, Reason};

use super::{Shared, at};
use crate::{Heartbeat, KeptDeadLetter};

pub(crate) async fn a_role_that_falls_silent_is_forgotten(store: Shared) {
    let beat = |role: &str, instance: &str, seconds| Heartbeat {
        role: role.to_owned(),
        instance: instance.to_owned(),
        version: "1.0.0".to_owned(),
        at: at(seconds),
        details: serde_json::json!({"circuit": "closed", "models": ["clip-linear@1"]}),
    };
    let (score, scrape) = (beat("score", "b", 0), beat("scrape", "a", 5));
    store.heartbeat(&score, at(0)).await.unwrap();
    store.heartbeat(&scrape, at(5)).await.unwrap();
    let alive = store.heartbeats(at(29)).await.unwrap();
    assert_eq!(alive, [score, scrape.clone()], "by role");
    assert_eq!(store.heartbeats(at(34)).await.unwrap(), [scrape]);
    let again = beat("score", "b", 40);
    store.heartbeat(&again, at(40)).await.unwrap();
    assert_eq!(store.heartbeats(at(41)).await.unwrap(), [again]);
}

pub(crate) async fn dead_letters_come_back_byte_for_byte_newest_first(store: Shared) {
    let letter = |stage: &str, offset: i64, seconds| KeptDeadLetter {
        stage: stage.to_owned(),
        code: Reason::InvalidJson,
        origin: ("trustcard.posts".to_owned(), 3, offset),
        failed_at: at(seconds) + jiff::SignedDuration::from_nanos(1),
        key: Some(vec![0, 255, 10]),
        value: (offset % 2 == 0).then(|| (0..=255).collect()),
        headers: vec![
            ("ce_id".to_owned(), vec![0xff, 0xfe]),
            ("ce_id".to_owned(), Vec::new()),
        ],
    };
    let letters = [
        letter("detect", 1, 10),
        letter("detect", 2, 30),
        letter("detect", 3, 20),
    ];
    for letter in &letters {
        store.keep_dead_letter(letter).await.unwrap();
        store.keep_dead_letter(letter).await.unwrap();
    }
    store
        .keep_dead_letter(&letter("score", 1, 99))
        .await
        .unwrap();
    // Offsets of an embedded broker begin again: this is another record.
    let reborn = letter("detect", 1, 40);
    store.keep_dead_letter(&reborn).await.unwrap();
    let [first, second, third] = letters;
    let kept = store.dead_letters("detect", 100).await.unwrap();
    assert_eq!(kept, [reborn.clone(), second.clone(), third, first]);
    let newest = store.dead_letters("detect", 2).await.unwrap();
    assert_eq!(newest, [reborn, second]);
    assert_eq!(store.dead_letters("scrape", 2).await.unwrap(), []);
}

pub(crate) async fn a_stage_stands_still_until_it_is_released(store: Shared) {
    let halt = |reason: &str, seconds| Halt {
        reason: reason.to_owned(),
        at: at(seconds),
    };
    assert_eq!(store.halted("detect").await.unwrap(), None);
    assert_eq!(store.release("detect").await.unwrap(), None);
    let (first, other) = (halt("100 in a row", 10), halt("half of 500", 20));
    store.halt("detect", &first).await.unwrap();
    store.halt("detect", &first).await.unwrap();
    store.halt("score", &other).await.unwrap();
    assert_eq!(store.halted("detect").await.unwrap(), Some(first.clone()));
    assert_eq!(store.halted("scrape").await.unwrap(), None);
    let second = halt("100 in a row, again", 30);
    store.halt("detect", &second).await.unwrap();
    assert_eq!(store.halted("detect").await.unwrap(), Some(second.clone()));
    assert_eq!(store.release("detect").await.unwrap(), Some(second));
    assert_eq!(store.halted("detect").await.unwrap(), None);
    assert_eq!(store.release("detect").await.unwrap(), None);
    assert_eq!(store.halted("score").await.unwrap(), Some(other));
    store.halt("detect", &first).await.unwrap();
    assert_eq!(store.halted("detect").await.unwrap(), Some(first));
}

pub(crate) async fn a_store_that_is_open_answers(store: Shared) {
    store.ping().await.unwrap();
}
