//! Quotas, and a list of leases that grows by one at a time.

use futures::future::join_all;
use uuid::Uuid;

use super::Shared;
use crate::{Lease, Quota};

fn lease(number: i64, id: u128) -> Lease {
    Lease {
        number,
        lease_id: Uuid::from_u128(id),
        minute: 7,
        minute_used: 10,
        hour: 3,
        hour_used: 20,
        day_used: 30,
    }
}

pub(crate) async fn what_was_set_last_stands(store: Shared) {
    assert_eq!(store.quotas().await.unwrap(), []);
    let quota = Quota {
        per_minute: Some(5),
        per_hour: None,
        per_day: Some(u32::MAX),
    };
    store.set_quota("acme", &quota).await.unwrap();
    assert_eq!(store.quotas().await.unwrap(), [("acme".to_owned(), quota)]);
    store.set_quota("acme", &Quota::default()).await.unwrap();
    let cleared = [("acme".to_owned(), Quota::default())];
    assert_eq!(store.quotas().await.unwrap(), cleared);
}

pub(crate) async fn of_many_leases_of_one_number_one_is_added(store: Shared) {
    assert_eq!(store.newest_lease("acme", 20_000).await.unwrap(), None);
    for number in 1..=3 {
        let leases: Vec<Lease> = (0..16).map(|id| lease(number, id)).collect();
        let added = join_all(
            leases
                .iter()
                .map(|lease| store.add_lease("acme", 20_000, lease)),
        );
        let added = added.await;
        let winners: Vec<&Lease> = leases
            .iter()
            .zip(&added)
            .filter_map(|(lease, added)| (*added.as_ref().unwrap()).then_some(lease))
            .collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        let newest = store.newest_lease("acme", 20_000).await.unwrap();
        assert_eq!(newest.as_ref(), Some(winners[0]));
    }
    assert!(
        !store
            .add_lease("acme", 20_000, &lease(2, 99))
            .await
            .unwrap()
    );
    assert!(store.add_lease("acme", 20_001, &lease(1, 1)).await.unwrap());
    assert!(
        store
            .add_lease("other", 20_000, &lease(1, 1))
            .await
            .unwrap()
    );
}
