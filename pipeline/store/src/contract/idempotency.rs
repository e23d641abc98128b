//! One request a key, done once and answered as often as it is sent.

use futures::future::join_all;
use uuid::Uuid;

use super::{Shared, at};
use crate::{Begun, KeptAnswer, KeyedRequest, Turn};

fn request(owner: &str, key: &str, body: &str, token: u128) -> KeyedRequest {
    KeyedRequest {
        owner: owner.to_owned(),
        key: key.to_owned(),
        fingerprint: body.to_owned(),
        token: Uuid::from_u128(token),
    }
}

fn answer(body: &str) -> KeptAnswer {
    KeptAnswer {
        status: 202,
        body: body.as_bytes().to_vec(),
    }
}

async fn begin(store: &Shared, request: &KeyedRequest, seconds: i64) -> Begun {
    store.begin(request, at(seconds)).await.unwrap()
}

/// The turn of a request that must get its key.
async fn turn(store: &Shared, request: &KeyedRequest, seconds: i64) -> Turn {
    match begin(store, request, seconds).await {
        Begun::Own(turn) => turn,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_request_is_answered_once_and_then_told_again(store: Shared) {
    let first = request("acme", "k", "body", 1);
    let own = turn(&store, &first, 0).await;
    assert_eq!((own.attempt, own.started_at), (1, at(0)));
    let again = request("acme", "k", "body", 2);
    assert_eq!(begin(&store, &again, 1).await, Begun::InFlight);
    let other = request("acme", "k", "another", 3);
    assert_eq!(begin(&store, &other, 1).await, Begun::Other);
    let told = answer("\u{0}anything");
    store
        .end(&first, own.attempt, Some(&told), at(2))
        .await
        .unwrap();
    assert_eq!(begin(&store, &again, 3).await, Begun::Answered(told));
    assert_eq!(begin(&store, &other, 3).await, Begun::Other);
}

pub(crate) async fn of_many_requests_at_once_one_has_the_key(store: Shared) {
    let requests: Vec<_> = (0..64)
        .map(|token| request("acme", "k", "body", token))
        .collect();
    let begun = join_all(requests.iter().map(|request| begin(&store, request, 0))).await;
    let own = begun.iter().filter(|begun| matches!(begun, Begun::Own(_)));
    assert_eq!(own.count(), 1);
    let waiting = begun.iter().filter(|begun| **begun == Begun::InFlight);
    assert_eq!(waiting.count(), 63);
}

pub(crate) async fn a_key_that_was_given_up_begins_anew(store: Shared) {
    let first = request("acme", "k", "body", 1);
    let own = turn(&store, &first, 0).await;
    store.end(&first, own.attempt, None, at(1)).await.unwrap();
    let second = request("acme", "k", "another body", 2);
    let own = turn(&store, &second, 2).await;
    let expected = Turn {
        attempt: 2,
        request_id: second.token,
        started_at: at(2),
    };
    assert_eq!(own, expected);
}

pub(crate) async fn a_request_that_was_cut_off_goes_on_as_it_was(store: Shared) {
    let in_flight = i64::try_from(store.policy().in_flight_s).unwrap();
    let first = request("acme", "k", "body", 1);
    let cut = turn(&store, &first, 0).await;
    let second = request("acme", "k", "body", 2);
    assert_eq!(begin(&store, &second, in_flight - 1).await, Begun::InFlight);
    let other = request("acme", "k", "another", 3);
    assert_eq!(begin(&store, &other, in_flight).await, Begun::Other);
    let own = turn(&store, &second, in_flight).await;
    assert_eq!(own.attempt, 2);
    assert_eq!(
        (own.request_id, own.started_at),
        (cut.request_id, cut.started_at)
    );
    store
        .end(&second, 2, Some(&answer("a")), at(in_flight))
        .await
        .unwrap();
    // The first one ends after all, and changes nothing.
    store
        .end(&first, 1, Some(&answer("b")), at(in_flight))
        .await
        .unwrap();
    let third = request("acme", "k", "body", 4);
    assert_eq!(
        begin(&store, &third, in_flight + 1).await,
        Begun::Answered(answer("a"))
    );
}

pub(crate) async fn a_key_is_its_callers_alone_and_only_for_a_time(store: Shared) {
    let first = request("acme", "k", "body", 1);
    let own = turn(&store, &first, 0).await;
    store
        .end(&first, own.attempt, Some(&answer("a")), at(0))
        .await
        .unwrap();
    let others = request("other", "k", "their body", 2);
    assert_eq!(turn(&store, &others, 1).await.attempt, 1);
    let ttl = i64::try_from(store.policy().idempotency_ttl_s).unwrap();
    let late = request("acme", "k", "another body", 3);
    assert_eq!(begin(&store, &late, ttl - 1).await, Begun::Other);
    assert_eq!(turn(&store, &late, ttl).await.request_id, late.token);
}
