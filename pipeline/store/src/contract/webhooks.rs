//! Where holders want to be told, what became of it, and whom a result concerns.

use schemas::webhook::Kind;
use uuid::Uuid;

use super::{Shared, accepted, analysis_of, at, batch, claim, completed, finish, single};
use crate::{Attempted, Claim, OpenBatch, Owner, Webhook};

fn webhook(id: u128, seconds: i64) -> Webhook {
    Webhook {
        webhook_id: Uuid::from_u128(id),
        holder: "acme".to_owned(),
        url: "https://hooks.partner.example/trustcard".to_owned(),
        kinds: [Kind::BatchCompleted, Kind::AnalysisFailed].into(),
        created_at: at(seconds),
    }
}

pub(crate) async fn a_webhook_is_kept_as_it_was_made_until_it_is_dropped(store: Shared) {
    assert_eq!(store.webhooks().await.unwrap(), []);
    let (later, earlier) = (webhook(1, 9), webhook(2, 5));
    for one in [&later, &earlier, &later] {
        store.add_webhook(one).await.unwrap();
    }
    let both = [earlier, later];
    assert_eq!(store.webhooks().await.unwrap(), both);
    for _ in 0..2 {
        store.drop_webhook(Uuid::from_u128(1)).await.unwrap();
        assert_eq!(store.webhooks().await.unwrap(), both[..1]);
    }
}

pub(crate) async fn attempts_come_newest_first_and_only_for_a_time(store: Shared) {
    let id = Uuid::from_u128(7);
    let day = 24 * 3600;
    let attempt = |seconds: i64, attempt: u32, status: Option<u16>| Attempted {
        webhook_id: id,
        message_id: Uuid::from_u128(99),
        kind: Kind::AnalysisCompleted,
        subject: analysis_of("a"),
        attempt,
        at: at(seconds),
        status,
        problem: (status != Some(200)).then(|| "no answer".to_owned()),
    };
    let made = [
        attempt(10, 1, None),
        attempt(70, 2, Some(503)),
        attempt(10 * day, 3, Some(200)),
    ];
    for one in [&made[0], &made[2], &made[1], &made[1]] {
        store.log_attempt(one).await.unwrap();
    }
    let read = async |limit, seconds| store.attempts(id, limit, at(seconds)).await.unwrap();
    let newest_first = [made[2].clone(), made[1].clone(), made[0].clone()];
    assert_eq!(read(9, 10 * day + 1).await, newest_first);
    assert_eq!(read(2, 10 * day + 1).await, newest_first[..2]);
    let ttl = i64::try_from(store.policy().webhook_log_s).unwrap();
    assert_eq!(read(9, ttl + 71).await, newest_first[..1]);
    let other = store.attempts(Uuid::from_u128(8), 9, at(20)).await.unwrap();
    assert_eq!(other, []);
}

pub(crate) async fn whoever_claims_is_an_owner_before_the_result(store: Shared) {
    let by = |owner: &str, seconds| {
        let mut submission = single("a", seconds, owner);
        submission.owner = Some(owner.to_owned());
        submission
    };
    let owners = async || {
        let mut owners = store.owners(analysis_of("a")).await.unwrap();
        owners.sort();
        owners
    };
    assert_eq!(owners().await, []);
    let (first, second) = (by("acme", 1), by("other", 2));
    assert_eq!(claim(&store, &first, 3).await, Claim::Own);
    assert_eq!(claim(&store, &second, 3).await, Claim::Other);
    assert_eq!(
        claim(&store, &single("a", 2, "nobody"), 3).await,
        Claim::Other
    );
    let owner = |holder: &str, seconds| Owner {
        holder: holder.to_owned(),
        submitted_ms: at(seconds).as_millisecond(),
    };
    assert_eq!(owners().await, [owner("acme", 1), owner("other", 2)]);
    finish(&store, &completed("a", first.run, 4, 80.0), 4).await;
    claim(&store, &by("acme", 5), 5).await;
    assert_eq!(owners().await, [owner("acme", 5), owner("other", 2)]);
}

pub(crate) async fn a_batch_of_a_holder_is_open_until_it_is_closed(store: Shared) {
    assert_eq!(store.open_batches().await.unwrap(), []);
    let (one, _) = accepted(&store, "one", &["a"], 0).await;
    let (two, _) = accepted(&store, "two", &["b"], 0).await;
    let (mut nobodys, items) = batch("nobodys", &["c"], 0);
    nobodys.owner = None;
    store.accept(&items, Some(&nobodys), at(0)).await.unwrap();
    let open = async || {
        let mut open = store.open_batches().await.unwrap();
        open.sort();
        open
    };
    let partners = |batch_id| OpenBatch {
        batch_id,
        holder: "partner".to_owned(),
    };
    let mut both = [partners(one), partners(two)];
    both.sort();
    assert_eq!(open().await, both);
    for _ in 0..2 {
        store.close_batch(one).await.unwrap();
        assert_eq!(open().await, [partners(two)]);
    }
}
