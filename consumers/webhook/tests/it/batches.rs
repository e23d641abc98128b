//! When a batch has ended.

use std::collections::BTreeMap;

use schemas::{
    Submission,
    events::{result::Outcome, submission::Origin},
    webhook::{Data, Kind, Notification},
};
use store::NewBatch;
use trustcard_webhook::Batches;
use uuid::Uuid;
use wiremock::ResponseTemplate;

use crate::world::{World, address, is_signed, received, receiver, submission};

fn batches(world: &World) -> Batches {
    Batches::new(
        &world.config,
        world.sender.clone(),
        world.store.clone(),
        world.clock.clone(),
    )
}

/// A batch of two posts of `holder`, accepted and claimed.
async fn accepted(world: &World, holder: &str) -> (Uuid, Vec<Submission>) {
    let batch = NewBatch {
        batch_id: Uuid::new_v4(),
        owner: Some(holder.to_owned()),
        duplicates: 0,
        rejected: 0,
        client_refs: BTreeMap::new(),
    };
    let (batch_id, now) = (batch.batch_id, world.clock.now());
    let items: Vec<Submission> = (0..2)
        .map(|index| {
            let origin = Origin::Batch { batch_id, index };
            submission(&format!("DTC{holder}{index}"), holder, origin, now)
        })
        .collect();
    world.store.accept(&items, Some(&batch), now).await.unwrap();
    for item in &items {
        let event_id = Uuid::new_v4().to_string();
        world.store.claim(item, &event_id, now).await.unwrap();
    }
    (batch_id, items)
}

async fn is_open(world: &World, batch_id: Uuid) -> bool {
    let open = world.store.open_batches().await.unwrap();
    open.iter().any(|one| one.batch_id == batch_id)
}

#[tokio::test]
async fn a_batch_is_told_once_when_its_last_item_has_ended() {
    let (world, server) = (World::new(), receiver(ResponseTemplate::new(200)).await);
    let kinds = [Kind::BatchCompleted];
    let webhook = world.webhook("acme", address(&server), &kinds).await;
    let (batch_id, items) = accepted(&world, "acme").await;
    world.end(&items[0], Outcome::Completed).await;
    batches(&world).round().await.unwrap();
    assert_eq!(received(&server).await.len(), 0);
    assert!(is_open(&world, batch_id).await);
    world.end(&items[1], Outcome::Failed).await;
    for _ in 0..2 {
        batches(&world).round().await.unwrap();
    }
    let requests = received(&server).await;
    assert_eq!(requests.len(), 1);
    assert!(is_signed(&requests[0], &webhook));
    let told: Notification = serde_json::from_slice(&requests[0].body).unwrap();
    let Data::Batch(end) = told.data else {
        panic!("{told:?}")
    };
    assert_eq!((end.batch_id, end.completed, end.failed), (batch_id, 1, 1));
    assert!(!is_open(&world, batch_id).await);
}

#[tokio::test]
async fn a_batch_that_could_not_be_told_stays_open_until_it_is_given_up() {
    let mut world = World::new();
    let server = receiver(ResponseTemplate::new(500)).await;
    world.webhook("acme", address(&server), &Kind::ALL).await;
    let (batch_id, items) = accepted(&world, "acme").await;
    for item in &items {
        world.end(item, Outcome::Completed).await;
    }
    let mut watching = batches(&world);
    for _ in 0..2 {
        watching.round().await.unwrap();
    }
    assert_eq!(received(&server).await.len(), 1, "not again at once");
    assert!(is_open(&world, batch_id).await);
    world.config.give_up_s = 0;
    batches(&world).round().await.unwrap();
    assert!(!is_open(&world, batch_id).await);
}

#[tokio::test]
async fn a_batch_that_nobody_wants_to_hear_of_is_closed_at_once() {
    let (world, server) = (World::new(), receiver(ResponseTemplate::new(200)).await);
    world.webhook("other", address(&server), &Kind::ALL).await;
    let (batch_id, _) = accepted(&world, "acme").await;
    batches(&world).round().await.unwrap();
    assert!(!is_open(&world, batch_id).await);
    assert_eq!(received(&server).await.len(), 0);
}
