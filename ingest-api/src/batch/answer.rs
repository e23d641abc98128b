//! What is answered to a batch.

use serde::Serialize;
use store::Status;
use utoipa::ToSchema;
use uuid::Uuid;

use super::sorted::{Fate, Sorted};
use crate::error::Code;

/// The answer, 202.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedBatch {
    /// Ask for its progress under this id.
    batch_id: Uuid,
    /// How many the broker acknowledged.
    accepted: usize,
    /// URLs that repeat the post of an earlier one in this request.
    duplicates: u32,
    /// URLs that were not accepted, in the order of the request.
    rejected: Vec<Rejected>,
    /// The accepted ones, in the order of the request.
    items: Vec<Item>,
    /// What became of each URL, in the order of the request.
    outcomes: Vec<ItemOutcome>,
}

/// A URL that was not accepted.
#[derive(Debug, Serialize, ToSchema)]
struct Rejected {
    /// Its place in the request, from 0.
    index: u32,
    /// What was sent, cut where it is long.
    url: String,
    /// Why.
    error: ItemError,
    /// Whether the same URL may be accepted later.
    retryable: bool,
}

/// Why a URL was not accepted.
#[derive(Debug, Serialize, ToSchema)]
struct ItemError {
    /// INVALID_INPUT, RATE_LIMIT_EXCEEDED or BROKER_UNAVAILABLE.
    code: &'static str,
    /// A sentence for people; of a line it names the line and the field.
    message: String,
}

/// A URL that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AcceptedItem)]
struct Item {
    /// Its place in the request, from 0.
    index: u32,
    /// Ask for its result under this id.
    analysis_id: Uuid,
    /// The shortcode.
    post_id: String,
    /// Where it stands.
    status: Status,
}

/// What became of a URL.
#[derive(Debug, Serialize, ToSchema)]
struct ItemOutcome {
    /// Its place in the request, from 0: of a line, blank ones not counted.
    index: u32,
    /// What became of it.
    status: OutcomeStatus,
    /// Ask for its result under this id; that of the earlier URL where it is a duplicate, null where it was rejected.
    analysis_id: Option<Uuid>,
    /// What the caller calls it.
    client_ref: Option<String>,
    /// INVALID_INPUT, RATE_LIMIT_EXCEEDED or BROKER_UNAVAILABLE where it was rejected, or the one that a duplicate repeats.
    code: Option<&'static str>,
    /// Whether the same URL may be accepted later.
    retryable: bool,
}

/// What became of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OutcomeStatus {
    /// The broker acknowledged it.
    Accepted,
    /// It repeats the post of an earlier one in this request.
    Duplicate,
    /// It was not accepted.
    Rejected,
}

/// Why a well-formed URL was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The quota is used up.
    Quota,
    /// The broker did not acknowledge it, or had no room.
    Broker,
}

impl Refused {
    const fn code(self) -> Code {
        match self {
            Self::Quota => Code::RateLimitExceeded,
            Self::Broker => Code::BrokerUnavailable,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Quota => "The quota is used up; send it again after Retry-After.",
            Self::Broker => "The submission could not be queued; send it again later.",
        }
    }
}

/// What became of a post that was to be submitted.
type Submitted = Result<Uuid, Refused>;

impl AcceptedBatch {
    /// What became of a batch: `submissions` are the analyses that were published, each with whether the broker acknowledged it;
    /// posts beyond them were beyond the quota.
    #[must_use]
    pub fn of(
        batch_id: Uuid,
        sorted: &Sorted,
        submissions: impl Iterator<Item = (Uuid, bool)>,
    ) -> Self {
        let submitted = submissions.map(|(analysis_id, acknowledged)| match acknowledged {
            true => Ok(analysis_id),
            false => Err(Refused::Broker),
        });
        let mut submitted = submitted.chain(std::iter::repeat(Err(Refused::Quota)));
        // By places; none where there was nothing to submit.
        let mut fates: Vec<Option<Submitted>> = Vec::with_capacity(sorted.items.len());
        let mut answer = Self {
            batch_id,
            accepted: 0,
            duplicates: sorted.repeats,
            rejected: Vec::new(),
            items: Vec::new(),
            outcomes: Vec::with_capacity(sorted.items.len()),
        };
        for (index, item) in (0..).zip(&sorted.items) {
            let (submitted, repeats) = match item.fate {
                Fate::Fresh(_) => (submitted.next(), false),
                Fate::Repeats(first) => (fates.get(first as usize).copied().flatten(), true),
                Fate::Malformed { .. } => (None, false),
            };
            fates.push(submitted);
            let (status, analysis_id, code, retryable) = match (submitted, repeats) {
                (Some(Ok(id)), false) => (OutcomeStatus::Accepted, Some(id), None, false),
                (Some(Ok(id)), true) => (OutcomeStatus::Duplicate, Some(id), None, false),
                (Some(Err(refused)), true) => {
                    (OutcomeStatus::Duplicate, None, Some(refused.code()), true)
                }
                (Some(Err(refused)), false) => {
                    (OutcomeStatus::Rejected, None, Some(refused.code()), true)
                }
                (None, _) => (
                    OutcomeStatus::Rejected,
                    None,
                    Some(Code::InvalidInput),
                    false,
                ),
            };
            answer.tell(index, &item.fate, submitted);
            answer.outcomes.push(ItemOutcome {
                index,
                status,
                analysis_id,
                client_ref: item.client_ref.clone(),
                code: code.map(Code::name),
                retryable,
            });
        }
        answer.accepted = answer.items.len();
        answer
    }

    /// How many were accepted.
    #[must_use]
    pub const fn accepted(&self) -> usize {
        self.accepted
    }

    /// The item among the accepted or the rejected ones; a repeated one is in neither list.
    fn tell(&mut self, index: u32, fate: &Fate, submitted: Option<Submitted>) {
        let (url, error, retryable) = match (fate, submitted) {
            (Fate::Fresh(post), Some(Ok(analysis_id))) => {
                return self.items.push(Item {
                    index,
                    analysis_id,
                    post_id: post.post_id.clone(),
                    status: Status::Pending,
                });
            }
            (Fate::Fresh(post), Some(Err(refused))) => {
                let error = ItemError {
                    code: refused.code().name(),
                    message: refused.message().to_owned(),
                };
                (post.url.clone(), error, true)
            }
            (Fate::Malformed { url, message }, _) => {
                let error = ItemError {
                    code: Code::InvalidInput.name(),
                    message: message.clone(),
                };
                (url.clone(), error, false)
            }
            (Fate::Fresh(_), None) | (Fate::Repeats(_), _) => return,
        };
        self.rejected.push(Rejected {
            index,
            url,
            error,
            retryable,
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::batch::request::Entry;

    #[test]
    fn every_item_is_told_of_with_what_became_of_it() {
        let url = |code: &str| format!("https://www.instagram.com/p/{code}/");
        let lines = [
            url("A"),
            "bad".to_owned(),
            url("B"),
            url("B"),
            url("C"),
            url("A"),
        ];
        let entries: Vec<Entry<'_>> = (1..)
            .zip(&lines)
            .map(|(number, line)| Entry::Line(number, line.as_bytes()))
            .collect();
        let sorted = Sorted::of(&entries, 2000);
        assert_eq!((sorted.fresh, sorted.repeats, sorted.malformed), (3, 2, 1));
        // A is acknowledged, B is not, C is beyond the quota.
        let acknowledged = [1, 2].map(Uuid::from_u128).into_iter().zip([true, false]);
        let answer = AcceptedBatch::of(Uuid::nil(), &sorted, acknowledged);
        assert_eq!((answer.accepted(), answer.duplicates), (1, 2));
        let told = serde_json::to_value(&answer).unwrap();
        let of = |list: &str, member: &str| -> Vec<Value> {
            let list = told[list].as_array().unwrap();
            list.iter().map(|entry| entry[member].clone()).collect()
        };
        assert_eq!(of("items", "index"), [json!(0)]);
        assert_eq!(of("rejected", "index"), [json!(1), json!(2), json!(4)]);
        assert_eq!(
            of("rejected", "retryable"),
            [json!(false), json!(true), json!(true)]
        );
        assert_eq!(
            of("outcomes", "status"),
            [
                "accepted",
                "rejected",
                "rejected",
                "duplicate",
                "rejected",
                "duplicate"
            ]
        );
        let (broker, quota) = (json!("BROKER_UNAVAILABLE"), json!("RATE_LIMIT_EXCEEDED"));
        assert_eq!(
            of("outcomes", "code"),
            [
                Value::Null,
                json!("INVALID_INPUT"),
                broker.clone(),
                broker,
                quota,
                Value::Null
            ]
        );
        assert_eq!(
            told["outcomes"][5]["analysis_id"],
            json!(Uuid::from_u128(1))
        );
        assert_eq!(told["outcomes"][3]["retryable"], true);
    }
}
