//! What stands after the process has ended, however it ended.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
};

use schemas::{Event, Submission};
use uuid::Uuid;

use super::{SqliteStore, StorePolicy, file, open_sqlite, reopen};
use crate::{
    Claim, Intake, Status,
    contract::{
        Shared, accepted, analysis_of, at, batch, claim, completed, counts, failed, finish, single,
        state,
    },
};

/// Tells the child which file to write.
const CHILD_FILE: &str = "TRUSTCARD_STORE_TEST_FILE";
/// Begins a line in which the child says that a submission was accepted.
const ACCEPTED: &str = "accepted ";

#[test]
fn what_was_accepted_before_a_kill_is_there_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::tests::restart::accept_until_killed"])
        .args(["--ignored", "--nocapture"])
        .env(CHILD_FILE, file(&folder))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = BTreeSet::new();
    while told.len() < 200 {
        let line = lines
            .next()
            .expect("the child writes until it is killed")
            .unwrap();
        told.extend(line.strip_prefix(ACCEPTED).map(str::to_owned));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it said between the last line read and its end.
    told.extend(lines.filter_map(|line| Some(line.ok()?.strip_prefix(ACCEPTED)?.to_owned())));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store: Shared = Arc::new(reopen(&folder));
        for post in &told {
            assert_eq!(
                state(&store, post, 1).await,
                Some((Status::Pending, 0)),
                "{post}"
            );
        }
        let kept = reopen(&folder).unfinished(None, u32::MAX).await.unwrap();
        let kept: BTreeSet<String> = kept.into_iter().map(|s| s.post.post_id).collect();
        assert!(kept.is_superset(&told));
        let rows = store.totals(at(1)).await.unwrap().pending;
        assert_eq!(
            rows,
            kept.len() as u64,
            "row and outbox are written together"
        );
    });
}

#[tokio::test]
#[ignore = "run as a child, and killed, by the test above"]
async fn accept_until_killed() {
    let path = std::env::var_os(CHILD_FILE).unwrap();
    let store = SqliteStore::open(path.as_ref(), StorePolicy::default()).unwrap();
    for round in 0..1_000_000 {
        let submissions: Vec<Submission> = (0..16)
            .map(|n| single(&format!("p{round}-{n}"), 0, "r"))
            .collect();
        let calls = submissions.iter().map(|submission| async {
            store
                .accept(std::slice::from_ref(submission), None, at(0))
                .await
                .unwrap();
            println!("{ACCEPTED}{}", submission.post.post_id);
        });
        futures::future::join_all(calls).await;
    }
}

/// Ids of all posts to publish again, page by page.
async fn unfinished(store: &SqliteStore, page: u32) -> Vec<String> {
    let (mut posts, mut after): (Vec<String>, Option<Uuid>) = (Vec::new(), None);
    loop {
        let found = store.unfinished(after, page).await.unwrap();
        after = found.last().map(Event::id);
        let last = found.len() < page as usize;
        posts.extend(found.into_iter().map(|submission| submission.post.post_id));
        if last {
            posts.sort();
            return posts;
        }
    }
}

#[tokio::test]
async fn a_restart_finds_every_submission_that_is_not_answered() {
    let (store, folder) = open_sqlite();
    let shared: Shared = store;
    let (_, items) = accepted(&shared, "b", &["a", "b", "c", "d", "e"], 0).await;
    let alone = single("f", 0, "r");
    shared
        .accept(std::slice::from_ref(&alone), None, at(0))
        .await
        .unwrap();
    assert_eq!(claim(&shared, &items[0], 1).await, Claim::Own);
    claim(&shared, &items[1], 1).await;
    finish(&shared, &completed("b", items[1].run, 2, 80.0), 2).await;
    claim(&shared, &items[2], 1).await;
    finish(&shared, &failed("c", items[2].run, 2), 2).await;
    shared.retract(&items[3..4]).await.unwrap();
    shared.delete(analysis_of("e"), at(3)).await.unwrap();
    drop(shared);

    let store = reopen(&folder);
    for page in [1, 2, 100] {
        assert_eq!(
            unfinished(&store, page).await,
            ["a", "f"],
            "pages of {page}"
        );
    }
    let again = store.unfinished(None, 10).await.unwrap();
    assert!(
        again.contains(&items[0]) && again.contains(&alone),
        "as they were"
    );
    // Published again, the same claim is met.
    let shared: Shared = Arc::new(store);
    assert_eq!(claim(&shared, &items[0], 10).await, Claim::Own);
}

#[tokio::test]
async fn an_answer_from_another_submission_settles_an_item_that_was_never_projected() {
    let (store, folder) = open_sqlite();
    let shared: Shared = store;
    let (one, items) = accepted(&shared, "one", &["a"], 0).await;
    let (two, _) = accepted(&shared, "two", &["a", "b"], 1).await;
    claim(&shared, &items[0], 1).await;
    finish(&shared, &completed("a", items[0].run, 5, 80.0), 5).await;
    drop(shared);
    // The process ends before `two` was published: nobody will ever project or claim its first item.
    let store = reopen(&folder);
    assert_eq!(unfinished(&store, 10).await, ["b"]);
    let shared: Shared = Arc::new(store);
    assert_eq!(counts(&shared, one, 6).await, [0, 0, 1, 0, 0]);
    assert_eq!(counts(&shared, two, 6).await, [1, 0, 1, 0, 1]);
}

#[tokio::test]
async fn a_failure_clears_only_the_submissions_it_answers() {
    let (store, _folder) = open_sqlite();
    let reusable = i64::try_from(StorePolicy::default().failed_reusable_s).unwrap();
    let shared: Shared = store.clone();
    let first = single("a", 0, "1");
    claim(&shared, &first, 1).await;
    let later = 5 + reusable;
    for submission in [
        first.clone(),
        single("a", later - 1, "2"),
        single("a", later, "3"),
    ] {
        shared.accept(&[submission], None, at(0)).await.unwrap();
    }
    finish(&shared, &failed("a", first.run, 5), 5).await;
    let kept = store.unfinished(None, 10).await.unwrap();
    assert_eq!(kept, [single("a", later, "3")]);
    // A submission that finds its answer when it is claimed or projected is not published again either.
    let (new, items) = batch("b", &["a"], 9);
    shared.accept(&items, Some(&new), at(9)).await.unwrap();
    shared
        .accept(&[single("a", 9, "4")], None, at(9))
        .await
        .unwrap();
    assert_eq!(store.unfinished(None, 10).await.unwrap().len(), 3);
    shared.project(&items, at(10)).await.unwrap();
    assert_eq!(store.unfinished(None, 10).await.unwrap(), kept);
    assert_eq!(counts(&shared, new.batch_id, 11).await, [0, 0, 0, 1, 1]);
}
