//! One vote per voter and analysis.

use futures::future::join_all;
use uuid::Uuid;

use super::{Shared, analysis_of, at};
use crate::{Opinion, Vote, VoteSummary};

fn vote(number: u128, post: &str, voter: &str, opinion: Opinion, seconds: i64) -> Vote {
    Vote {
        feedback_id: Uuid::from_u128(number),
        analysis_id: analysis_of(post),
        voter: voter.to_owned(),
        opinion,
        comment: Some(format!("comment {number}")),
        at: at(seconds),
    }
}

pub(crate) async fn a_voter_has_one_vote_and_a_second_changes_nothing(store: Shared) {
    let first = vote(1, "a", "one", Opinion::Accurate, 0);
    assert!(store.vote(&first).await.unwrap());
    assert!(store.vote(&first).await.unwrap(), "the same vote again");
    let second = vote(2, "a", "one", Opinion::False, 1);
    assert!(!store.vote(&second).await.unwrap());
    assert!(
        store
            .vote(&vote(3, "a", "two", Opinion::Misleading, 2))
            .await
            .unwrap()
    );
    assert!(
        store
            .vote(&vote(4, "b", "one", Opinion::False, 3))
            .await
            .unwrap()
    );
    let votes = store.votes(analysis_of("a"), 10, at(4)).await.unwrap();
    let summary = VoteSummary {
        total_votes: 2,
        accurate: 1,
        misleading: 1,
        wrong: 0,
    };
    assert_eq!(votes.summary, summary);
    let comments: Vec<&str> = votes.comments.iter().map(|c| c.comment.as_str()).collect();
    assert_eq!(comments, ["comment 3", "comment 1"]);
    let nothing = store.votes(analysis_of("c"), 10, at(4)).await.unwrap();
    assert_eq!(nothing, crate::Votes::default());
}

pub(crate) async fn of_many_votes_of_one_voter_at_once_one_is_taken(store: Shared) {
    let votes: Vec<Vote> = (0..64)
        .map(|number| vote(number, "a", "one", Opinion::Accurate, 0))
        .collect();
    let taken = join_all(votes.iter().map(|vote| store.vote(vote))).await;
    let taken: Vec<usize> = (0..64).filter(|n| *taken[*n].as_ref().unwrap()).collect();
    assert_eq!(taken.len(), 1, "{taken:?}");
    let votes = store.votes(analysis_of("a"), 10, at(1)).await.unwrap();
    assert_eq!(votes.summary.total_votes, 1);
    assert_eq!(votes.comments[0].comment, format!("comment {}", taken[0]));
}

pub(crate) async fn the_newest_comments_come_first_and_votes_without_one_count(store: Shared) {
    for number in 0..15_u8 {
        // Not in the order of their times.
        let seconds = i64::from(number) * 7 % 15;
        let voter = format!("voter {number}");
        let mut vote = vote(number.into(), "a", &voter, Opinion::False, seconds);
        if seconds == 13 {
            vote.comment = None;
        }
        assert!(store.vote(&vote).await.unwrap());
    }
    let votes = store.votes(analysis_of("a"), 10, at(20)).await.unwrap();
    assert_eq!((votes.summary.total_votes, votes.summary.wrong), (15, 15));
    let times: Vec<_> = votes.comments.iter().map(|comment| comment.at).collect();
    assert_eq!(times, [14, 12, 11, 10, 9, 8, 7, 6, 5, 4].map(at));
}

pub(crate) async fn votes_go_with_their_analysis(store: Shared) {
    let first = vote(1, "a", "one", Opinion::Accurate, 0);
    assert!(store.vote(&first).await.unwrap());
    store.delete(analysis_of("a"), at(1)).await.unwrap();
    let votes = store.votes(analysis_of("a"), 10, at(2)).await.unwrap();
    assert_eq!(votes.summary.total_votes, 0);
    let again = vote(2, "a", "one", Opinion::False, 3);
    assert!(
        store.vote(&again).await.unwrap(),
        "a new analysis, a new vote"
    );
    let ttl = i64::try_from(store.policy().analysis_ttl_s).unwrap();
    let late = store
        .votes(analysis_of("a"), 10, at(3 + ttl))
        .await
        .unwrap();
    assert_eq!(late.summary.total_votes, 0);
}
