//! Whom a result concerns.

use engine::{Message, Meta, Outcome, Stage as _};
use schemas::{AnalysisResult, FromResults, Reason, events::result, topics, webhook::Kind};
use trustcard_webhook::WebhookStage;
use wiremock::ResponseTemplate;

use crate::world::{World, address, received, receiver, single};

fn record(event: FromResults) -> Message<FromResults> {
    Message {
        event,
        meta: Meta {
            topic: topics::RESULTS.into(),
            partition: 0,
            offset: 0,
            timestamp: jiff::Timestamp::UNIX_EPOCH,
            event_id: "e".into(),
            attempt: 1,
        },
    }
}

fn ended(result: &AnalysisResult) -> Message<FromResults> {
    record(FromResults::Ended(Box::new(result.clone())))
}

fn stage(world: &World) -> WebhookStage {
    WebhookStage::new(
        world.sender.clone(),
        world.store.clone(),
        world.clock.clone(),
    )
}

#[tokio::test]
async fn every_holder_that_submitted_and_asked_for_it_is_told_and_nobody_else() {
    let (world, server) = (World::new(), receiver(ResponseTemplate::new(200)).await);
    let at = |name: &str| format!("{}?{name}", address(&server));
    for (holder, kind) in [
        ("acme", Kind::AnalysisCompleted),
        ("other", Kind::AnalysisCompleted),
        ("failures", Kind::AnalysisFailed),
        ("stranger", Kind::AnalysisCompleted),
    ] {
        world.webhook(holder, at(holder), &[kind]).await;
    }
    let submission = world.submit("DTCtold00001", "acme", single()).await;
    for holder in ["other", "failures"] {
        world.submit("DTCtold00001", holder, single()).await;
    }
    let result = world.end(&submission, result::Outcome::Completed).await;
    let outcomes = stage(&world).process(vec![ended(&result)]).await.unwrap();
    assert_eq!(outcomes, [Outcome::Forward(Vec::new())]);
    let mut told: Vec<String> = received(&server)
        .await
        .iter()
        .map(|request| request.url.query().unwrap().to_owned())
        .collect();
    told.sort();
    assert_eq!(told, ["acme", "other"]);
}

#[tokio::test]
async fn one_that_can_not_be_told_is_tried_again_and_the_others_are_not_told_twice() {
    let world = World::new();
    let (down, up) = (
        receiver(ResponseTemplate::new(500)).await,
        receiver(ResponseTemplate::new(200)).await,
    );
    for server in [&down, &up] {
        world.webhook("acme", address(server), &Kind::ALL).await;
    }
    let submission = world.submit("DTCtold00001", "acme", single()).await;
    let result = world.end(&submission, result::Outcome::Failed).await;
    let stage = stage(&world);
    for _ in 0..2 {
        let outcomes = stage.process(vec![ended(&result)]).await.unwrap();
        assert_eq!(outcomes, [Outcome::retry(Reason::WebhookFailed)]);
    }
    assert_eq!(received(&down).await.len(), 2);
    assert_eq!(received(&up).await.len(), 1);
}

#[tokio::test]
async fn what_was_deleted_since_is_not_told_and_a_tombstone_neither() {
    let (world, server) = (World::new(), receiver(ResponseTemplate::new(200)).await);
    world.webhook("acme", address(&server), &Kind::ALL).await;
    let submission = world.submit("DTCtold00001", "acme", single()).await;
    let result = world.end(&submission, result::Outcome::Completed).await;
    let id = submission.analysis_id;
    world.store.delete(id, world.clock.now()).await.unwrap();
    let batch = vec![ended(&result), record(FromResults::Gone)];
    let outcomes = stage(&world).process(batch).await.unwrap();
    let skipped = Outcome::Skip(Reason::Deleted);
    assert_eq!(outcomes, [Outcome::Forward(Vec::new()), skipped]);
    assert_eq!(received(&server).await.len(), 0);
}
