//! Rows live for a time only.

use super::{Shared, accepted, at, claim, completed, counts, failed, finish, row, single, state};
use crate::{Claim, Finished, Status};

pub(crate) async fn analyses_and_batches_expire_and_a_replay_begins_anew(store: Shared) {
    let ttl = i64::try_from(store.policy().analysis_ttl_s).unwrap();
    let (batch_id, items) = accepted(&store, "b", &["a"], 0).await;
    store.project(&items, at(0)).await.unwrap();
    claim(&store, &items[0], 1).await;
    let result = failed("a", items[0].run, 5);
    finish(&store, &result, 5).await;
    assert_eq!(
        state(&store, "a", ttl + 4).await,
        Some((Status::Failed, 100))
    );
    assert_eq!(counts(&store, batch_id, ttl - 1).await, [0, 0, 0, 1, 0]);
    assert_eq!(store.batch(batch_id, at(ttl)).await.unwrap(), None);
    assert_eq!(row(&store, "a", ttl + 5).await, None);
    assert_eq!(store.totals(at(ttl + 5)).await.unwrap().sum(), 0);
    // The same submission once more: nothing of the old row counts.
    assert_eq!(claim(&store, &items[0], ttl + 6).await, Claim::Own);
    assert_eq!(
        state(&store, "a", ttl + 7).await,
        Some((Status::Processing, 10))
    );
    let again = completed("a", items[0].run, ttl + 8, 80.0);
    assert_eq!(
        finish(&store, &again, ttl + 8).await,
        Finished::Written { latest: true }
    );
    assert_eq!(row(&store, "a", ttl + 9).await.unwrap().result, Some(again));
    // A result alone is enough to be read.
    let alone = single("alone", 0, "r");
    let result = completed("alone", alone.run, 5, 70.0);
    finish(&store, &result, ttl + 10).await;
    assert_eq!(
        state(&store, "alone", ttl + 11).await,
        Some((Status::Completed, 100))
    );
}
