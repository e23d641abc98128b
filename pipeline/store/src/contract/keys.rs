//! Keys are kept for good, and revoked for good.

use super::{Shared, at};
use crate::{KeyRole, KeyRow};

fn key(key_id: &str, holder: &str, role: KeyRole, seconds: i64) -> KeyRow {
    KeyRow {
        key_id: key_id.to_owned(),
        holder: holder.to_owned(),
        role,
        hash: format!("{key_id:0>64}"),
        created_at: at(seconds),
        revoked_at: None,
    }
}

pub(crate) async fn keys_come_back_by_age_each_with_its_rights(store: Shared) {
    assert_eq!(store.keys().await.unwrap(), []);
    let young = key("a", "acme", KeyRole::Partner, 20);
    let old = key("b", "root", KeyRole::Admin, 10);
    for key in [&young, &old, &young] {
        store.add_key(key).await.unwrap();
    }
    assert_eq!(store.keys().await.unwrap(), [old, young]);
}

pub(crate) async fn a_revoked_key_stays_revoked(store: Shared) {
    let (first, second) = (
        key("a", "acme", KeyRole::Partner, 0),
        key("b", "acme", KeyRole::Partner, 1),
    );
    store.add_key(&first).await.unwrap();
    store.add_key(&second).await.unwrap();
    assert!(!store.revoke_key("c", at(2)).await.unwrap());
    assert!(store.revoke_key("a", at(3)).await.unwrap());
    assert!(!store.revoke_key("a", at(4)).await.unwrap());
    store.add_key(&first).await.unwrap();
    let revoked = KeyRow {
        revoked_at: Some(at(3)),
        ..first
    };
    assert_eq!(store.keys().await.unwrap(), [revoked, second]);
}
