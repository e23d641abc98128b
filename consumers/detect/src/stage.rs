//! The stage: a scraped post in, what the models saw in its pictures out.

use std::sync::Arc;

use async_trait::async_trait;
use engine::{
    Gate, GateState, GateWatch, Message, Outcome, SharedClock, Stage, StageError, telemetry::LOGGED,
};
use futures::future::join_all;
use schemas::{
    Detections, PictureDetections, PictureFinding, PostScraped, Reason,
    dead_letter::DeadLetter,
    events::{
        detections::TextFinding,
        result::Failure,
        scraped::{Media, MediaKind},
    },
    topics,
};
use store::{BlobError, BlobStore, ProgressStep, Store, StoreError};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::{
    Detector, findings,
    metrics::{Answer, DetectMetrics},
};

/// What answers on a picture are kept under, before the models they come from.
const PICTURE: &str = "picture";
/// Progress after this stage, percent.
const DETECTED: u8 = 60;

/// The detect stage.
pub struct DetectStage {
    store: Arc<dyn Store>,
    blobs: BlobStore,
    detector: Arc<Detector>,
    clock: SharedClock,
    metrics: DetectMetrics,
    gate: Gate,
    /// Leave to hold a picture's file in memory: one for each worker, and one that is read meanwhile.
    files: Semaphore,
}

impl DetectStage {
    /// A stage that reads pictures from `blobs`, asks `detector` about them, and keeps rows and answers in `store`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        blobs: BlobStore,
        detector: Arc<Detector>,
        clock: SharedClock,
        metrics: DetectMetrics,
    ) -> Self {
        Self {
            files: Semaphore::new(detector.workers() + 1),
            store,
            blobs,
            detector,
            clock,
            metrics,
            gate: Gate::open(),
        }
    }
}

/// Why a post is tried again.
enum Again {
    /// The store failed.
    Store(StoreError),
    /// The media store failed.
    Blobs,
}

impl From<StoreError> for Again {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Again> for Outcome {
    fn from(again: Again) -> Self {
        match again {
            Again::Store(error) => {
                tracing::warn!(%error, "store");
                Self::retry(Reason::StoreUnavailable)
            }
            Again::Blobs => Self::retry(Reason::BlobUnavailable),
        }
    }
}

#[async_trait]
impl Stage for DetectStage {
    type In = PostScraped;

    fn name(&self) -> &'static str {
        "detect"
    }

    fn input(&self) -> &'static str {
        topics::POSTS
    }

    async fn process(&self, batch: Vec<Message<PostScraped>>) -> Result<Vec<Outcome>, StageError> {
        let seen = batch.iter().map(|message| {
            let id = message.event.analysis_id;
            let span = tracing::error_span!(target: LOGGED, "analysis", analysis_id = %id);
            self.detect(message).instrument(span)
        });
        let seen = join_all(seen).await;
        let mut away = seen
            .iter()
            .any(|seen| matches!(seen, Err(Again::Store(StoreError::Unavailable(_)))));
        let outcomes: Vec<Outcome> = seen
            .into_iter()
            .map(|seen| seen.unwrap_or_else(Outcome::from))
            .collect();
        let done = |(message, outcome): (&Message<PostScraped>, &Outcome)| {
            matches!(outcome, Outcome::Forward(_)).then_some(ProgressStep {
                analysis_id: message.event.analysis_id,
                run: message.event.run,
                percent: DETECTED,
            })
        };
        let steps: Vec<ProgressStep> = batch.iter().zip(&outcomes).filter_map(done).collect();
        let told = self.store.progress(&steps).await;
        away |= matches!(told, Err(StoreError::Unavailable(_)));
        // While the store is away posts wait in the topic; they are not at fault. What it can't read back is no outage.
        if away {
            self.gate.set(GateState::Probe);
        } else if told.is_ok() && !steps.is_empty() {
            self.gate.set(GateState::Open);
        }
        told.map_err(|error| StageError::new(Reason::StoreUnavailable, error))?;
        Ok(outcomes)
    }

    fn gate(&self) -> GateWatch {
        self.gate.watch()
    }

    async fn on_dead_letter(
        &self,
        message: &Message<PostScraped>,
        letter: &DeadLetter,
    ) -> Result<Vec<schemas::Record>, StageError> {
        let post = &message.event;
        let failure = Failure {
            code: letter.code,
            message: letter.code.sentence().to_owned(),
            stage: self.name().to_owned(),
        };
        let run = (post.analysis_id, post.run, post.supersedes, &post.post);
        let times = (message.meta.timestamp, self.clock.now());
        store::fail(&*self.store, run, failure, times, &self.metrics.ends)
            .await
            .map_err(|error| StageError::new(Reason::StoreUnavailable, error))
    }
}

impl DetectStage {
    async fn detect(&self, message: &Message<PostScraped>) -> Result<Outcome, Again> {
        let post = &message.event;
        let pictures = post
            .content
            .media
            .iter()
            .filter(|media| media.kind != MediaKind::Video);
        let seen: Result<Vec<PictureDetections>, Again> =
            join_all(pictures.map(|media| self.picture(media)))
                .await
                .into_iter()
                .collect();
        let pictures = seen?;
        let detections = Detections {
            analysis_id: post.analysis_id,
            run: post.run,
            supersedes: post.supersedes,
            post: post.post.clone(),
            scraped_at: post.scraped_at,
            reused: post.reused,
            detected_at: message.meta.timestamp,
            content: post.content.clone(),
            pictures,
            runtime: self.detector.runtime().map(crate::Runtime::name),
            videos: Vec::new(),
        };
        Ok(schemas::encode(topics::DETECTIONS, &detections)
            .map_or(Outcome::Reject(Reason::SchemaMismatch), |record| {
                Outcome::Forward(vec![record])
            }))
    }

    /// What is seen in one picture; an error is one of storage, and the whole post is tried again.
    async fn picture(&self, media: &Media) -> Result<PictureDetections, Again> {
        Ok(findings::placed(self.seen(media).await?, media))
    }

    async fn seen(&self, media: &Media) -> Result<PictureDetections, Again> {
        let failed =
            |reason| findings::unseen(PictureFinding::failed(reason), TextFinding::failed(reason));
        let (identity, blob) = match (self.detector.identity(), &media.blob) {
            (Err(reason), _) => {
                return Ok(findings::unseen(
                    PictureFinding::skipped(reason),
                    TextFinding::skipped(reason),
                ));
            }
            (Ok(_), None) => {
                return Ok(failed(media.failure.unwrap_or(Reason::MediaUnavailable)));
            }
            (Ok(identity), Some(blob)) => (format!("{PICTURE}:{identity}"), blob),
        };
        let kept = self
            .store
            .finding(&blob.sha256, &identity, self.clock.now());
        if let Some(kept) = kept.await?.and_then(findings::read_back) {
            self.metrics.answer(Answer::Reused);
            return Ok(findings::reused(kept));
        }
        // Nothing closes it; the permit ends with the file.
        let _held = self.files.acquire().await;
        let file = match self.blobs.get(blob).await {
            Ok(file) => file,
            // A file that is gone comes back only with another scrape: this picture is lost to this run, not the post.
            Err(BlobError::Missing { .. }) => return Ok(failed(Reason::BlobUnavailable)),
            Err(error) => {
                tracing::warn!(sha256 = blob.sha256, %error, "media store");
                return Err(Again::Blobs);
            }
        };
        let look = self.detector.look(file).await;
        for (model, millis) in look.runs() {
            self.metrics.inference(model, millis);
        }
        for error in look.failures() {
            tracing::warn!(sha256 = blob.sha256, %error, "picture");
        }
        let whole = look.failures().next().is_none();
        let picture = findings::of(look);
        self.metrics.answer(if whole {
            Answer::Computed
        } else {
            Answer::Failed
        });
        if whole && let Ok(value) = serde_json::to_value(&picture) {
            self.store
                .keep_finding(&blob.sha256, &identity, &value, self.clock.now())
                .await?;
        }
        Ok(picture)
    }
}
