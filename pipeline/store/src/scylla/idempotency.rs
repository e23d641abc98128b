//! Requests that may be sent again. Of many at once one must get the key, so attempts are lightweight transactions; whose an
//! attempt is, is told by a read that sees all of them, whether or not the answer to the write arrived.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{ScyllaStore, rows::ttl};
use crate::{
    Attempt, Begun, Fate, Idempotency, KeptAnswer, KeyedRequest, Meeting, Result,
    values::{count, status_code},
};

/// How often a request tries to get its key while others are faster.
const TRIES: u32 = 4;

#[async_trait]
impl Idempotency for ScyllaStore {
    async fn begin(&self, request: &KeyedRequest, now: Timestamp) -> Result<Begun> {
        for _ in 0..TRIES {
            let latest = self.latest_attempt(request).await?;
            let attempt = match Attempt::meet(latest, request, &self.policy, now) {
                Meeting::Settled(begun) => return Ok(begun),
                Meeting::Try(attempt) => attempt,
            };
            let written = self.put_attempt(request, &attempt).await;
            match (self.attempt(request).await?, written) {
                (Some(stands), _) if stands.token == request.token => {
                    return stands.turn().map(Begun::Own);
                }
                (None, Err(error)) => return Err(error),
                _ => {}
            }
        }
        Ok(Begun::InFlight)
    }

    async fn end(
        &self,
        request: &KeyedRequest,
        attempt: u32,
        answer: Option<&KeptAnswer>,
        _: Timestamp,
    ) -> Result<()> {
        let values = (
            &request.owner,
            &request.key,
            number(attempt),
            answer.map_or(0, |answer| i32::from(answer.status)),
            answer.map(|answer| answer.body.as_slice()),
            ttl(self.policy.idempotency_ttl_s),
        );
        self.write(&self.statements.put_answer, values).await
    }
}

impl ScyllaStore {
    async fn attempt(&self, request: &KeyedRequest) -> Result<Option<Attempt>> {
        let key = (&request.owner, &request.key);
        let row: Option<(i32, Uuid, Uuid, i64, String, i64)> =
            self.row(&self.statements.attempt, key).await?;
        row.map(|row| {
            let (attempt, token, request_id, started_ms, fingerprint, began_ms) = row;
            Ok(Attempt {
                number: u32::try_from(count(attempt.into())?).unwrap_or(u32::MAX),
                token,
                request_id,
                started_ms,
                fingerprint,
                began_ms,
            })
        })
        .transpose()
    }

    async fn latest_attempt(&self, request: &KeyedRequest) -> Result<Option<(Attempt, Fate)>> {
        let Some(attempt) = self.attempt(request).await? else {
            return Ok(None);
        };
        let key = (&request.owner, &request.key, number(attempt.number));
        let answer: Option<(Option<i32>, Option<Vec<u8>>)> =
            self.row(&self.statements.answer, key).await?;
        let fate = match answer {
            None | Some((None, _)) => Fate::Open,
            Some((Some(0), _)) => Fate::GivenUp,
            Some((Some(status), body)) => Fate::Answered(KeptAnswer {
                status: status_code(status)?,
                body: body.unwrap_or_default(),
            }),
        };
        Ok(Some((attempt, fate)))
    }

    async fn put_attempt(&self, request: &KeyedRequest, attempt: &Attempt) -> Result<()> {
        let values = (
            &request.owner,
            &request.key,
            number(attempt.number),
            attempt.token,
            attempt.request_id,
            attempt.started_ms,
            &attempt.fingerprint,
            attempt.began_ms,
            ttl(self.policy.idempotency_ttl_s),
        );
        self.write(&self.statements.put_attempt, values).await
    }
}

fn number(attempt: u32) -> i32 {
    i32::try_from(attempt).unwrap_or(i32::MAX)
}
