//! The stage: a scraped post in, what the models saw in its pictures and videos out.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use engine::{
    Gate, GateState, GateWatch, Message, Outcome, SharedClock, Stage, StageError, telemetry::LOGGED,
};
use futures::{
    future::{join_all, try_join_all},
    try_join,
};
use schemas::{
    Detections, PictureDetections, PictureFinding, PostScraped, Reason,
    dead_letter::DeadLetter,
    events::{
        detections::{CopyOf, TextFinding, VideoDetections},
        result::Failure,
        scraped::{Media, MediaKind},
    },
    topics,
};
use serde::{Serialize, de::DeserializeOwned};
use store::{Appearance, BlobError, BlobStore, KeptAppearance, ProgressStep, Store, StoreError};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::{
    ComponentError, Detector, appearance, findings,
    metrics::{Answer, DetectMetrics, Kind},
};

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
    /// Leave to hold a file in memory: one for each worker, and one that is read meanwhile.
    files: Semaphore,
}

impl DetectStage {
    /// A stage that reads files from `blobs`, asks `detector` about them, and keeps rows and answers in `store`.
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
        let (videos, pictures): (Vec<&Media>, Vec<&Media>) = post
            .content
            .media
            .iter()
            .partition(|media| media.kind == MediaKind::Video);
        let pictures = try_join_all(pictures.into_iter().map(|media| self.picture(media)));
        let videos = try_join_all(videos.into_iter().map(|media| self.video(media)));
        let (pictures, videos) = try_join!(pictures, videos)?;
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
            videos,
        };
        Ok(schemas::encode(topics::DETECTIONS, &detections)
            .map_or(Outcome::Reject(Reason::SchemaMismatch), |record| {
                Outcome::Forward(vec![record])
            }))
    }

    /// What is seen in one picture; an error is one of storage, and the whole post is tried again.
    async fn picture(&self, media: &Media) -> Result<PictureDetections, Again> {
        let found = self.found(Kind::Picture, media, async |file, key| {
            self.look(file, key).await
        });
        let picture = match found.await? {
            Found::Kept(kept) => findings::reused(kept),
            Found::New(picture) => picture,
            Found::Skipped(reason) => findings::unseen(
                PictureFinding::skipped(reason),
                TextFinding::skipped(reason),
            ),
            Found::Failed(reason) => {
                findings::unseen(PictureFinding::failed(reason), TextFinding::failed(reason))
            }
        };
        Ok(findings::placed(picture, media))
    }

    /// What is seen in one video.
    async fn video(&self, media: &Media) -> Result<VideoDetections, Again> {
        let found = self.found(Kind::Video, media, async |file, _| {
            let footage = self.detector.watch(file).await;
            let computed = (Kind::Video, Answer::Computed);
            let whole = self.note(computed, footage.runs(), footage.failures());
            Ok((findings::of_video(footage), whole))
        });
        let video = match found.await? {
            Found::Kept(kept) => findings::video_reused(kept),
            Found::New(video) => video,
            Found::Skipped(reason) => findings::no_video(PictureFinding::skipped(reason)),
            Found::Failed(reason) => findings::no_video(PictureFinding::failed(reason)),
        };
        Ok(VideoDetections {
            media_index: media.index,
            sha256: media.blob.as_ref().map(|blob| blob.sha256.clone()),
            ..video
        })
    }

    /// Looks at a picture, and says whether nothing failed. One that is a near-identical copy of another is not judged again:
    /// both have one verdict.
    async fn look(&self, file: Bytes, key: &Key<'_>) -> Result<(PictureDetections, bool), Again> {
        let computed = (Kind::Picture, Answer::Computed);
        let opened = match self.detector.open(file).await {
            Ok(opened) => opened,
            Err(look) => {
                let whole = self.note(computed, look.runs(), look.failures());
                return Ok((findings::of(*look), whole));
            }
        };
        let appearance = opened.appearance.clone();
        let judged = match &appearance {
            Some(appearance) => self.judged(appearance, key).await?,
            None => None,
        };
        let look = self.detector.look_at(opened, judged.is_some()).await;
        let Some((verdict, original)) = judged else {
            let whole = self.note(computed, look.runs(), look.failures());
            if let (true, Some(appearance)) = (whole, appearance) {
                let sha256 = key.sha256.to_owned();
                let kept = KeptAppearance { sha256, appearance };
                let now = self.clock.now();
                self.store
                    .keep_appearance(&key.identity, &kept, now)
                    .await?;
            }
            return Ok((findings::of(look), whole));
        };
        let copied = (Kind::Picture, Answer::Copied);
        let whole = self.note(copied, look.runs(), look.failures());
        let picture = PictureDetections {
            ai_generated: verdict,
            copy_of: Some(original),
            ..findings::of(look)
        };
        Ok((picture, whole))
    }

    /// The verdict on the picture of which one that looks like this is a copy.
    async fn judged(
        &self,
        appearance: &Appearance,
        key: &Key<'_>,
    ) -> Result<Option<(PictureFinding, CopyOf)>, Again> {
        let now = self.clock.now();
        let kept = self.store.alike(&key.identity, appearance, now).await?;
        let Some((original, distance)) = appearance::copied(appearance, &kept) else {
            return Ok(None);
        };
        let found = self.store.finding(&original.sha256, &key.identity, now);
        let found = found.await?.and_then(findings::read_back);
        let verdict = found.and_then(findings::for_copy);
        let sha256 = original.sha256.clone();
        Ok(verdict.map(|verdict| (verdict, CopyOf { sha256, distance })))
    }

    /// An answer on a file: kept earlier on the same bytes, or that of `look`, which is kept when it is whole.
    async fn found<T: Serialize + DeserializeOwned>(
        &self,
        kind: Kind,
        media: &Media,
        look: impl AsyncFnOnce(Bytes, &Key<'_>) -> Result<(T, bool), Again>,
    ) -> Result<Found<T>, Again> {
        let (key, blob) = match (self.detector.identity(), &media.blob) {
            (Err(reason), _) => return Ok(Found::Skipped(reason)),
            (Ok(_), None) => {
                let reason = media.failure.unwrap_or(Reason::MediaUnavailable);
                return Ok(Found::Failed(reason));
            }
            (Ok(identity), Some(blob)) => {
                let key = Key {
                    sha256: &blob.sha256,
                    identity: format!("{}:{identity}", kind.name()),
                };
                (key, blob)
            }
        };
        let now = self.clock.now();
        let kept = self.store.finding(key.sha256, &key.identity, now).await?;
        if let Some(kept) = kept.and_then(findings::read_back) {
            self.metrics.answer(kind, Answer::Reused);
            return Ok(Found::Kept(kept));
        }
        // Nothing closes it; the permit ends with the file.
        let _held = self.files.acquire().await;
        let file = match self.blobs.get(blob).await {
            Ok(file) => file,
            // A file that is gone comes back only with another scrape: it is lost to this run, the post is not.
            Err(BlobError::Missing { .. }) => return Ok(Found::Failed(Reason::BlobUnavailable)),
            Err(error) => {
                tracing::warn!(sha256 = blob.sha256, %error, "media store");
                return Err(Again::Blobs);
            }
        };
        let span = tracing::error_span!(target: LOGGED, "media", sha256 = blob.sha256);
        let (answer, whole) = look(file, &key).instrument(span).await?;
        if whole && let Ok(value) = serde_json::to_value(&answer) {
            let now = self.clock.now();
            self.store
                .keep_finding(key.sha256, &key.identity, &value, now)
                .await?;
        }
        Ok(Found::New(answer))
    }

    /// Counts a look, as `whole` if nothing failed in it, and tells what did; whether nothing did.
    fn note<'a>(
        &self,
        (kind, whole): (Kind, Answer),
        runs: impl Iterator<Item = (&'a str, u64)>,
        failures: impl Iterator<Item = &'a ComponentError>,
    ) -> bool {
        for (model, millis) in runs {
            self.metrics.inference(model, millis);
        }
        let mut answer = whole;
        for error in failures {
            tracing::warn!(%error, "{}", kind.name());
            answer = Answer::Failed;
        }
        self.metrics.answer(kind, answer);
        answer == whole
    }
}

/// What answers on a file are kept under.
struct Key<'a> {
    sha256: &'a str,
    /// The kind of file, and the models that answer.
    identity: String,
}

/// Where an answer on a file comes from.
enum Found<T> {
    /// It was kept earlier, on the same bytes.
    Kept(T),
    /// Somebody looked.
    New(T),
    /// Nobody looks at files.
    Skipped(Reason),
    /// There is no file.
    Failed(Reason),
}
