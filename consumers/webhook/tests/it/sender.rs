//! One message to one webhook.

use std::time::Duration;

use schemas::{
    events::result::Outcome,
    webhook::{Data, Kind, Notification},
};
use trustcard_webhook::{WebhookConfig, sender::Told};
use wiremock::{Mock, ResponseTemplate, matchers::method};

use crate::world::{World, address, is_signed, received, receiver, single};

async fn message(world: &World) -> Notification {
    let submission = world.submit("DTCtold00001", "acme", single()).await;
    Notification::of_analysis(&world.end(&submission, Outcome::Completed).await)
}

#[tokio::test]
async fn a_message_is_signed_logged_and_never_sent_again_once_it_was_taken() {
    let (world, server) = (World::new(), receiver(ResponseTemplate::new(204)).await);
    let webhook = world.webhook("acme", address(&server), &Kind::ALL).await;
    let message = message(&world).await;
    for _ in 0..3 {
        let told = world.sender.tell(&webhook, &message).await.unwrap();
        assert_eq!(told, Told::Done);
    }
    let requests = received(&server).await;
    assert_eq!(requests.len(), 1);
    assert!(is_signed(&requests[0], &webhook));
    assert_eq!(requests[0].headers["content-type"], "application/json");
    let id = message.id(webhook.webhook_id);
    assert_eq!(requests[0].headers["webhook-id"], id.to_string().as_str());
    let body: Notification = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(body, message);
    let Data::Analysis(end) = &body.data else {
        panic!("{body:?}")
    };
    assert_eq!(
        (end.trust_score, &*end.post_id),
        (Some(61.5), "DTCtold00001")
    );
    let log = world.log(&webhook).await;
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!((log[0].status, &log[0].problem), (Some(204), &None));
    assert_eq!((log[0].message_id, log[0].subject), (id, end.analysis_id));
}

#[tokio::test]
async fn of_many_at_once_one_sends_it() {
    let (world, server) = (World::new(), receiver(ResponseTemplate::new(200)).await);
    let webhook = world.webhook("acme", address(&server), &Kind::ALL).await;
    let message = message(&world).await;
    let told = (0..16).map(|_| world.sender.tell(&webhook, &message));
    let told = futures::future::join_all(told).await;
    assert!(told.iter().any(|told| matches!(told, Ok(Told::Done))));
    assert_eq!(received(&server).await.len(), 1);
}

#[tokio::test]
async fn what_was_not_taken_is_sent_again_under_the_same_id() {
    let world = World::new();
    let server = receiver(ResponseTemplate::new(200)).await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(503).insert_header("retry-after", "7"))
        .up_to_n_times(1)
        .with_priority(1)
        .mount(&server)
        .await;
    let webhook = world.webhook("acme", address(&server), &Kind::ALL).await;
    let message = message(&world).await;
    let told = world.sender.tell(&webhook, &message).await.unwrap();
    assert_eq!(told, Told::Later(Some(Duration::from_secs(7))));
    let told = world.sender.tell(&webhook, &message).await.unwrap();
    assert_eq!(told, Told::Done);
    let requests = received(&server).await;
    assert_eq!(requests.len(), 2);
    assert_eq!(
        requests[0].headers["webhook-id"],
        requests[1].headers["webhook-id"]
    );
    let mut log = world.log(&webhook).await;
    log.sort_by_key(|attempt| attempt.attempt);
    let told: Vec<_> = log.iter().map(|one| (one.attempt, one.status)).collect();
    assert_eq!(told, [(1, Some(503)), (2, Some(200))]);
    assert_eq!(log[0].problem.as_deref(), Some("the receiver answered 503"));
}

#[tokio::test]
async fn a_long_answer_is_not_read() {
    let world = World::new();
    let answer = ResponseTemplate::new(200).set_body_bytes(vec![b'x'; 3_000_000]);
    let server = receiver(answer).await;
    let webhook = world.webhook("acme", address(&server), &Kind::ALL).await;
    let told = world.sender.tell(&webhook, &message(&world).await).await;
    assert_eq!(told.unwrap(), Told::Done);
}

#[tokio::test]
async fn a_redirect_is_no_answer_and_is_not_followed() {
    let (world, trap) = (World::new(), receiver(ResponseTemplate::new(200)).await);
    let answer = ResponseTemplate::new(307).insert_header("location", address(&trap));
    let server = receiver(answer).await;
    let webhook = world.webhook("acme", address(&server), &Kind::ALL).await;
    let told = world.sender.tell(&webhook, &message(&world).await).await;
    assert_eq!(told.unwrap(), Told::Later(None));
    assert_eq!(received(&trap).await.len(), 0);
    assert_eq!(world.log(&webhook).await[0].status, Some(307));
}

#[tokio::test]
async fn an_address_inside_is_not_asked() {
    let world = World::with(WebhookConfig::default());
    let server = receiver(ResponseTemplate::new(200)).await;
    let message = message(&world).await;
    let port = server.address().port();
    for url in [
        address(&server),
        format!("https://127.0.0.1:{port}/hook"),
        format!("https://localhost:{port}/hook"),
        "https://localhost/hook".to_owned(),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let webhook = world.webhook("acme", url.clone(), &Kind::ALL).await;
        let told = world.sender.tell(&webhook, &message).await.unwrap();
        assert_eq!(told, Told::Later(None), "{url}");
        let log = world.log(&webhook).await;
        let problem = log[0].problem.as_deref().unwrap();
        assert!(
            problem.contains("address") || problem.contains("not on the public internet"),
            "{url}: {problem}"
        );
        assert_eq!(log[0].status, None);
    }
    assert_eq!(received(&server).await.len(), 0);
}

#[tokio::test]
async fn a_receiver_that_is_gone_has_its_webhook_dropped() {
    let (world, server) = (World::new(), receiver(ResponseTemplate::new(410)).await);
    let webhook = world.webhook("acme", address(&server), &Kind::ALL).await;
    let told = world.sender.tell(&webhook, &message(&world).await).await;
    assert_eq!(told.unwrap(), Told::Done);
    assert_eq!(world.store.webhooks().await.unwrap(), []);
    assert_eq!(world.log(&webhook).await[0].status, Some(410));
}

#[tokio::test]
async fn a_receiver_that_fails_rests_and_no_other() {
    let world = World::new();
    let (down, up) = (
        receiver(ResponseTemplate::new(500)).await,
        receiver(ResponseTemplate::new(200)).await,
    );
    let failing = world.webhook("acme", address(&down), &Kind::ALL).await;
    let fine = world.webhook("acme", address(&up), &Kind::ALL).await;
    let message = message(&world).await;
    for _ in 0..world.config.rest_after {
        let told = world.sender.tell(&failing, &message).await.unwrap();
        assert_eq!(told, Told::Later(None));
    }
    let told = world.sender.tell(&failing, &message).await.unwrap();
    assert!(matches!(told, Told::Later(Some(_))), "{told:?}");
    let asked = received(&down).await.len();
    assert_eq!(asked, world.config.rest_after as usize);
    let told = world.sender.tell(&fine, &message).await.unwrap();
    assert_eq!(told, Told::Done);
}
