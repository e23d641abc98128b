//! The stage: a submission in, the scraped post out. Work is done once: a run is claimed before anything is asked of the upstream,
//! and a post read recently is not read again.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{
    GateWatch, Message, Outcome, SharedClock, Stage, StageError, cache_metrics::CacheMetrics,
    telemetry::LOGGED,
};
use futures::future::join_all;
use prometheus::Registry;
use schemas::{
    PostRef, PostScraped, Reason, Record, Submission,
    dead_letter::DeadLetter,
    events::{
        result::Failure,
        scraped::{Media, Post},
    },
    post_url::is_shortcode,
    topics,
};
use store::{BlobError, BlobStore, Claim, EndMetrics, KeptPost, ProgressStep, Store, StoreError};
use tracing::Instrument as _;
use url::Url;

use crate::{
    circuit::Breaker,
    config::{InvalidConfig, ScrapeConfig},
    kept::Kept,
    media::Downloader,
    metrics::Metrics,
    upstream::{self, FetchedPost, Upstream, UpstreamError},
};
use outbound::{ClientError, HttpClient, SystemLookup};

const NAME: &str = "scrape";
/// Progress after this stage, percent.
const SCRAPED: u8 = 20;
/// Failures of a file that may have passed when the post is read the next time.
const PASSING: [Reason; 3] = [
    Reason::MediaExpired,
    Reason::MediaTimeout,
    Reason::MediaUnavailable,
];

/// The scrape stage.
pub struct ScrapeStage {
    store: Arc<dyn Store>,
    blobs: BlobStore,
    clock: SharedClock,
    upstream: Arc<dyn Upstream>,
    downloader: Downloader,
    breaker: Breaker,
    kept: Kept,
    ends: EndMetrics,
}

/// Why the stage can't be started.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A setting can't be used.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Its metrics are registered already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl ScrapeStage {
    /// The stage as configured, its metrics in `registry` beside `ends`.
    ///
    /// # Errors
    /// See [`SetupError`].
    pub fn new(
        config: &ScrapeConfig,
        store: Arc<dyn Store>,
        blobs: BlobStore,
        clock: SharedClock,
        registry: &Registry,
        ends: EndMetrics,
    ) -> Result<Self, SetupError> {
        let metrics = Metrics::register(registry)?;
        let http = HttpClient::new(&config.network.client(), Arc::new(SystemLookup))?;
        let reuse = CacheMetrics::register(registry, "instagram")?;
        let kept = Kept::new(reuse, clock.clone(), store.policy().post_reuse_s);
        Ok(Self {
            kept,
            store,
            blobs,
            clock,
            upstream: upstream::connect(config, http.clone(), metrics.clone())?,
            breaker: Breaker::new(&config.circuit, metrics.circuit()),
            downloader: Downloader::new(config, http, metrics)?,
            ends,
        })
    }

    /// The upstream's circuit, for signs of life.
    #[must_use]
    pub fn circuit(&self) -> Breaker {
        self.breaker.clone()
    }

    /// What is kept for reuse, for signs of life.
    #[must_use]
    pub fn reuse(&self) -> Kept {
        self.kept.clone()
    }
}

#[async_trait]
impl Stage for ScrapeStage {
    type In = Submission;

    fn name(&self) -> &'static str {
        NAME
    }

    fn input(&self) -> &'static str {
        topics::SUBMISSIONS
    }

    async fn process(&self, batch: Vec<Message<Submission>>) -> Result<Vec<Outcome>, StageError> {
        let settled = batch.iter().map(|message| {
            let id = message.event.analysis_id;
            let span = tracing::error_span!(target: LOGGED, "analysis", analysis_id = %id);
            self.outcome(message).instrument(span)
        });
        let settled = join_all(settled).await;
        if let Some(answers) = store_answers(&settled) {
            self.breaker.store_answers(answers);
        }
        let outcome = |settled: Result<Outcome, StoreError>| {
            settled.unwrap_or_else(|error| {
                tracing::warn!(%error, "store");
                Outcome::retry(Reason::StoreUnavailable)
            })
        };
        Ok(settled.into_iter().map(outcome).collect())
    }

    async fn on_dead_letter(
        &self,
        message: &Message<Submission>,
        letter: &DeadLetter,
    ) -> Result<Vec<Record>, StageError> {
        self.fail(message, letter.code)
            .await
            .map_err(|error| StageError::new(Reason::StoreUnavailable, error))
    }

    fn gate(&self) -> GateWatch {
        self.breaker.gate()
    }
}

/// Why there is no post to forward.
enum Stop {
    /// It can never be read.
    Final(Reason),
    /// Nothing more is to be done now.
    Now(Outcome),
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a batch shows of the store: that it is away, that it answers, or nothing. What it holds and can't read back is an answer
/// too: only so does the attempt count, and the message behind it gets its turn. One that was rejected never got to the store.
fn store_answers(settled: &[Result<Outcome, StoreError>]) -> Option<bool> {
    let any = |shows: fn(&Result<Outcome, StoreError>) -> bool| settled.iter().any(shows);
    if any(|settled| matches!(settled, Err(StoreError::Unavailable(_)))) {
        return Some(false);
    }
    any(|settled| !matches!(settled, Ok(Outcome::Reject(_)))).then_some(true)
}

impl ScrapeStage {
    async fn outcome(&self, message: &Message<Submission>) -> Result<Outcome, StoreError> {
        let reason = match self.scrape(message).await {
            Ok(record) => return Ok(Outcome::Forward(vec![record])),
            Err(Stop::Now(outcome)) => return Ok(outcome),
            Err(Stop::Store(error)) => return Err(error),
            Err(Stop::Final(reason)) => reason,
        };
        let records = self.fail(message, reason).await?;
        Ok(if records.is_empty() {
            Outcome::Skip(Reason::Deleted)
        } else {
            Outcome::Forward(records)
        })
    }

    /// The record of the scraped post.
    async fn scrape(&self, message: &Message<Submission>) -> Result<Record, Stop> {
        let submission = &message.event;
        if !is_shortcode(&submission.post.post_id) {
            return Err(Stop::Now(Outcome::Reject(Reason::SchemaMismatch)));
        }
        let claim = self
            .store
            .claim(submission, &message.meta.event_id, self.clock.now())
            .await?;
        let skip = |reason| Err(Stop::Now(Outcome::Skip(reason)));
        match claim {
            Claim::Own => {}
            Claim::Other => return skip(Reason::DuplicateSubmission),
            Claim::Finished => return skip(Reason::AlreadyFinished),
            Claim::Deleted => return skip(Reason::Deleted),
        }
        let (kept, reused) = match self.kept(submission).await? {
            Some(kept) => {
                let reused = is_older(&kept, submission);
                (kept, reused)
            }
            None => (self.read(&submission.post).await?, false),
        };
        let event = PostScraped {
            analysis_id: submission.analysis_id,
            run: submission.run,
            supersedes: submission.supersedes,
            post: submission.post.clone(),
            scraped_at: kept.scraped_at,
            reused,
            content: kept.content,
        };
        let record = schemas::encode(topics::POSTS, &event)
            .map_err(|_| Stop::Now(Outcome::Reject(Reason::SchemaMismatch)))?;
        let step = ProgressStep {
            analysis_id: submission.analysis_id,
            run: submission.run,
            percent: SCRAPED,
        };
        self.store.progress(&[step]).await?;
        Ok(record)
    }

    /// The post as scraped before. Where reuse is not wanted, only what was scraped since the run began counts: that is this run's
    /// own work, met again after a redelivery.
    async fn kept(&self, submission: &Submission) -> Result<Option<KeptPost>, StoreError> {
        let post_id = &submission.post.post_id;
        let kept = self.store.post(post_id, self.clock.now()).await?;
        if !submission.force {
            self.kept.asked(kept.is_some());
        }
        Ok(kept.filter(|kept| !submission.force || !is_older(kept, submission)))
    }

    /// Reads the post and stores its media. Signed media addresses expire: then the post is read again, once.
    async fn read(&self, post: &PostRef) -> Result<KeptPost, Stop> {
        let mut again = true;
        loop {
            let fetched = self.ask(post).await?;
            let kept = KeptPost {
                scraped_at: self.clock.now(),
                content: self.store_media(fetched).await?,
            };
            if again && failed_for(&kept.content, &[Reason::MediaExpired]) {
                again = false;
                continue;
            }
            // A file that failed for a reason that may pass is worth another try the next time.
            if !failed_for(&kept.content, &PASSING) {
                self.store.keep_post(&post.post_id, &kept).await?;
                let bytes = serde_json::to_vec(&kept.content).map_or(0, |text| text.len());
                self.kept.keep(bytes as u64);
            }
            return Ok(kept);
        }
    }

    /// Asks the upstream, if the circuit allows it.
    async fn ask(&self, post: &PostRef) -> Result<FetchedPost, Stop> {
        let Some(ticket) = self.breaker.admit() else {
            return Err(Stop::Now(Outcome::retry(Reason::CircuitOpen)));
        };
        let error = match self.upstream.fetch(post, &ticket).await {
            Ok(fetched) => {
                ticket.succeeded();
                return Ok(fetched);
            }
            Err(UpstreamError::CircuitOpen) => {
                return Err(Stop::Now(Outcome::retry(Reason::CircuitOpen)));
            }
            Err(error) => error,
        };
        let (post_id, reason) = (&post.post_id, error.reason());
        if error.is_final() {
            ticket.succeeded();
            tracing::info!(post_id, code = reason.code(), "post can't be analysed");
            return Err(Stop::Final(reason));
        }
        ticket.failed((!error.is_upstreams_own()).then_some(post_id));
        tracing::warn!(post_id, code = reason.code(), %error, "upstream");
        Err(Stop::Now(Outcome::Retry {
            reason,
            after: error.retry_after(),
        }))
    }

    /// Fetches and stores every file of a post. A file that can't be fetched fails alone; a media store that does not answer fails
    /// the attempt.
    async fn store_media(&self, fetched: FetchedPost) -> Result<Post, Stop> {
        let FetchedPost { mut post, sources } = fetched;
        let files = post.media.iter_mut().zip(&sources);
        let stored =
            files.filter_map(|(media, source)| Some(self.store_file(media, source.as_ref()?)));
        let stored: Result<(), BlobError> = join_all(stored).await.into_iter().collect();
        stored.map_err(|error| {
            tracing::warn!(%error, "media store");
            Stop::Now(Outcome::retry(Reason::BlobUnavailable))
        })?;
        Ok(post)
    }

    async fn store_file(&self, media: &mut Media, source: &Url) -> Result<(), BlobError> {
        match self.downloader.fetch(source, media.kind).await {
            Ok(file) => {
                let put = self.blobs.put(file.bytes.clone(), file.content_type);
                media.blob = Some(put.await?);
            }
            Err(reason) => media.failure = Some(reason),
        }
        Ok(())
    }

    /// Ends the run without a score; no records when the analysis was deleted meanwhile.
    async fn fail(
        &self,
        message: &Message<Submission>,
        code: Reason,
    ) -> Result<Vec<Record>, StoreError> {
        let submission = &message.event;
        let failure = Failure {
            code,
            message: code.sentence().to_owned(),
            stage: NAME.to_owned(),
        };
        let run = (
            submission.analysis_id,
            submission.run,
            submission.supersedes,
            &submission.post,
        );
        let times = (message.meta.timestamp, self.clock.now());
        store::fail(&*self.store, run, failure, times, &self.ends).await
    }
}

/// Whether a post was scraped before the submission's run began.
fn is_older(kept: &KeptPost, submission: &Submission) -> bool {
    kept.scraped_at.as_millisecond() < submission.run.started_ms
}

fn failed_for(content: &Post, reasons: &[Reason]) -> bool {
    let mut failures = content.media.iter().filter_map(|media| media.failure);
    failures.any(|failure| reasons.contains(&failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_row_is_an_answer_and_a_rejected_message_shows_nothing() {
        let away = || Err(StoreError::Unavailable("stalled".to_owned()));
        let corrupt = || Err(StoreError::Corrupt("no outcome".to_owned()));
        let rejected = || Ok(Outcome::Reject(Reason::SchemaMismatch));
        let done = || Ok(Outcome::Skip(Reason::AlreadyFinished));
        assert_eq!(store_answers(&[corrupt()]), Some(true));
        assert_eq!(store_answers(&[done(), rejected()]), Some(true));
        assert_eq!(store_answers(&[corrupt(), away()]), Some(false));
        assert_eq!(store_answers(&[rejected()]), None);
    }
}
