//! The detectors of this process: what the stage asks about a picture.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use schemas::Reason;

use crate::{
    ComponentError, DetectConfig, Registry, Runtime, StartError,
    clip::{Encoder, session_error},
    faces::Finder,
    footage::Footage,
    head::Head,
    look::{Eyes, FaceJudge, Judge, Judged, Look, Opened},
    ocr::Reader,
    pool::Pool,
    provenance::CredentialChecker,
    registry::{ClassifierEntry, FinderEntry, HeadEntry, ModelEntry, OcrEntry, OcrFiles},
    runtime::{self, Engine},
};

/// Name in the registry of the head that tells generated pictures.
const AI_GENERATED: &str = "ai-generated";
/// Name in the registry of the head that tells synthesised faces.
const SYNTHETIC_FACE: &str = "synthetic-face";
/// Name in the registry of an operator's model, which takes that head's place.
const FACE_MANIPULATION: &str = "face-manipulation";

/// A model of this process and whether it is in use, for `/status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// Name in the registry.
    pub name: String,
    /// Version in the registry.
    pub version: String,
    /// `None` when it is in use, else why it is not.
    pub skipped: Option<Reason>,
}

/// The detectors of this process.
pub struct Detector {
    workers: usize,
    runtime: Option<Runtime>,
    models: Vec<ModelInfo>,
    eyes: Result<Pool<Eyes>, Reason>,
}

impl Detector {
    /// Reads the registry, verifies every file it needs, opens the models and has each answer its golden picture. Blocks
    /// for seconds, so an async caller wraps it in `spawn_blocking`. With models disabled it reads nothing.
    ///
    /// # Errors
    /// [`StartError`] when a file is missing or another one, or a model can't be opened. A model that was not verified on
    /// the runtime of this machine is no error: its component says `skipped: runtime`.
    pub fn start(config: &DetectConfig) -> Result<Self, StartError> {
        let workers = config.workers.max(1);
        if !config.models_enabled {
            return Ok(Self {
                workers,
                runtime: None,
                models: Vec::new(),
                eyes: Err(Reason::ModelsOff),
            });
        }
        let registry = Registry::load(config.registry.as_deref())?;
        let library = config.onnxruntime_library.as_deref();
        let engine = runtime::engine(library, &registry, &config.models_dir)?;
        let parts = Arc::new(Parts::read(&registry, config, engine)?);
        let faults = Arc::new(Faults::default());
        let pool = Pool::start("detect", workers, config.queue, {
            let (parts, faults) = (Arc::clone(&parts), Arc::clone(&faults));
            move || parts.open(engine, &faults)
        })?;
        Ok(Self {
            workers,
            runtime: Some(engine.runtime.clone()),
            models: parts.describe(&faults),
            eyes: Ok(pool),
        })
    }

    /// Pictures that are worked on at once.
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.workers
    }

    /// The runtime in use; `None` with models off.
    #[must_use]
    pub const fn runtime(&self) -> Option<&Runtime> {
        self.runtime.as_ref()
    }

    /// The models of this process and whether each is in use.
    #[must_use]
    pub fn models(&self) -> &[ModelInfo] {
        &self.models
    }

    /// Names what answers on pictures come from, so that answers of other models are never taken for theirs.
    ///
    /// # Errors
    /// Why nothing looks at pictures.
    pub fn identity(&self) -> Result<String, Reason> {
        self.eyes.as_ref().map_err(|reason| *reason)?;
        let used = self.models.iter().filter(|model| model.skipped.is_none());
        let ids: Vec<String> = used.map(|m| format!("{}@{}", m.name, m.version)).collect();
        Ok(ids.join("+"))
    }

    /// What every component says about the picture in `file`. One that is not in use says why.
    pub async fn look(&self, file: Bytes) -> Look {
        let looked = self.run(move |eyes| eyes.look(&file)).await;
        looked.unwrap_or_else(|error| Look::unseen(&error))
    }

    /// Decodes the picture in `file` for [`Self::look_at`]; one that can't be decoded, or that nobody looks at, is looked at already.
    ///
    /// # Errors
    /// What every component says about that one.
    pub async fn open(&self, file: Bytes) -> Result<Opened, Box<Look>> {
        let opened = self.run(move |eyes| eyes.open(&file)).await;
        opened.unwrap_or_else(|error| Err(Box::new(Look::unseen(&error))))
    }

    /// What every component says about a decoded picture, but of one whose origin is `known` not whether it was generated.
    pub async fn look_at(&self, opened: Opened, known: bool) -> Look {
        let looked = self.run(move |eyes| eyes.look_at(opened, known)).await;
        looked.unwrap_or_else(|error| Look::unseen(&error))
    }

    /// What the components that look at frames say about the video in `file`. One that is not in use says why.
    pub async fn watch(&self, file: Bytes) -> Footage {
        let watched = self.run(move |eyes| eyes.watch(&file)).await;
        watched.unwrap_or_else(Footage::unseen)
    }

    /// Whether the picture in `file` was generated.
    ///
    /// # Errors
    /// [`ComponentError`], with a stable reason: the component is off, the picture can't be judged, or the model failed.
    pub async fn ai_generated(&self, file: Bytes) -> Result<Judged, ComponentError> {
        self.look(file).await.ai_generated
    }

    /// The features of the surest face in `file`, cut out, which heads for faces are trained on.
    ///
    /// # Errors
    /// [`ComponentError`]; without a face, skipped for [`Reason::NoFaces`].
    pub async fn face_features(&self, file: Bytes) -> Result<Vec<f32>, ComponentError> {
        self.run(move |eyes| eyes.face_features(&file)).await?
    }

    /// The features of the picture in `file`, which heads are trained on.
    ///
    /// # Errors
    /// [`ComponentError`]
    pub async fn features(&self, file: Bytes) -> Result<Vec<f32>, ComponentError> {
        self.run(move |eyes| eyes.features(&file)).await?
    }

    /// Has a worker do something; an error when nothing looks at files, or the worker broke on it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Eyes) -> T + Send + 'static,
    ) -> Result<T, ComponentError> {
        match &self.eyes {
            Err(reason) => Err(ComponentError::Skipped(*reason)),
            Ok(pool) => pool.run(work).await,
        }
    }
}

/// A component that the registry has and whose files were read, or why it is not used.
type Part<T> = Result<T, Reason>;

/// What every worker opens its models from.
struct Parts {
    config: DetectConfig,
    ai: Part<(ModelEntry, Vec<u8>, Judge)>,
    ocr: Part<(OcrEntry, OcrFiles)>,
    finder: Part<(FinderEntry, Vec<u8>)>,
    face_judge: Part<FaceParts>,
    credentials: CredentialChecker,
    /// Name and version of what belongs to each component, in use or not.
    names: [Vec<(String, String)>; COMPONENTS],
}

/// What judges faces.
enum FaceParts {
    Head(Judge),
    Own(Box<(ModelEntry, Vec<u8>, ClassifierEntry)>),
}

/// Places of the components among [`Faults`] and names.
const AI: usize = 0;
const OCR: usize = 1;
const FINDER: usize = 2;
const FACE_JUDGE: usize = 3;
const COMPONENTS: usize = 4;

/// Components whose golden answer was not right on some worker.
#[derive(Default)]
struct Faults(Mutex<[bool; COMPONENTS]>);

impl Faults {
    fn note(&self, component: usize, why: &str) -> ComponentError {
        tracing::warn!(why, "a detector is left out");
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[component] = true;
        ComponentError::Skipped(Reason::Runtime)
    }

    fn noted(&self, component: usize) -> Option<Reason> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner)[component];
        noted.then_some(Reason::Runtime)
    }
}

impl Parts {
    fn read(
        registry: &Registry,
        config: &DetectConfig,
        engine: &Engine,
    ) -> Result<Self, StartError> {
        let runtime = engine.runtime.name();
        let named = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let mut names: [Vec<_>; COMPONENTS] = Default::default();
        let mut ai = Err(Reason::NotInstalled);
        if let Some((head, model)) = with_model(registry, AI_GENERATED) {
            names[AI] = vec![
                named(&model.name, &model.version),
                named(&head.name, &head.version),
            ];
            let judge = judge(registry, head, model)?;
            let file = model.read(&config.models_dir)?;
            ai = match model.verified_on(&runtime) {
                Some(_) => Ok((model.clone(), file, judge)),
                None => Err(not_verified(&model.id(), &runtime)),
            };
        }
        let mut ocr = Err(Reason::NotInstalled);
        if let Some(entry) = registry.ocr.first() {
            names[OCR] = vec![named(&entry.name, &entry.version)];
            let files = entry.read_files(&config.models_dir)?;
            ocr = match entry.verified_on(&runtime) {
                Some(_) => Ok((entry.clone(), files)),
                None => Err(not_verified(&entry.id(), &runtime)),
            };
        }
        let mut finder = Err(Reason::NotInstalled);
        if let Some(entry) = registry.finder.first() {
            names[FINDER] = vec![named(&entry.name, &entry.version)];
            let file = registry.finder_model(entry)?;
            finder = if entry.verified.iter().any(|on| on.runtime == runtime) {
                Ok((entry.clone(), file))
            } else {
                Err(not_verified(&entry.id(), &runtime))
            };
        }
        let mut face_judge = Err(Reason::NotInstalled);
        if let Some(entry) = registry.classifier(FACE_MANIPULATION) {
            names[FACE_JUDGE] = vec![named(&entry.name, &entry.version)];
            // A registry without that model was refused.
            if let Some(model) = registry.model(&entry.model) {
                let file = model.read(&config.models_dir)?;
                face_judge = match model.verified_on(&runtime) {
                    Some(_) => {
                        let own = (model.clone(), file, entry.clone());
                        Ok(FaceParts::Own(Box::new(own)))
                    }
                    None => Err(not_verified(&model.id(), &runtime)),
                };
            }
        } else if let Some((head, model)) = with_model(registry, SYNTHETIC_FACE) {
            names[FACE_JUDGE] = vec![named(&head.name, &head.version)];
            let parsed = judge(registry, head, model)?;
            // It reads the features of the encoder of whole pictures, and of no other.
            face_judge = match &ai {
                Ok((encoder, ..)) if encoder.id() == model.id() => Ok(FaceParts::Head(parsed)),
                Ok(_) => Err(Reason::NotInstalled),
                Err(reason) => Err(*reason),
            };
        }
        Ok(Self {
            config: config.clone(),
            ai,
            ocr,
            finder,
            face_judge,
            credentials: CredentialChecker::new(config.trusted_issuers.as_deref())?,
            names,
        })
    }

    /// The models of one thread, each after its golden check.
    fn open(&self, engine: &Engine, faults: &Faults) -> Result<Eyes, StartError> {
        let runtime = engine.runtime.name();
        let threads = self.config.intra_threads;
        let encoder = |entry: &ModelEntry, file: &[u8], component: usize| {
            let mut encoder = Encoder::open(engine, file, entry, &self.config)?;
            let checked = encoder.check_golden(entry, &runtime);
            let checked = checked.map_err(|why| faults.note(component, &why));
            Ok::<_, StartError>(checked.map(|()| encoder))
        };
        let ai = match &self.ai {
            Err(reason) => Err(ComponentError::Skipped(*reason)),
            Ok((entry, file, judge)) => {
                encoder(entry, file, AI)?.map(|encoder| (encoder, judge.clone()))
            }
        };
        let reader = match &self.ocr {
            Err(reason) => Err(ComponentError::Skipped(*reason)),
            Ok((entry, files)) => {
                let mut reader = Reader::open(engine, files, threads)
                    .map_err(|error| session_error(&entry.id(), engine, &error))?;
                let checked = reader.check_golden(entry, &runtime);
                let checked = checked.map_err(|why| faults.note(OCR, &why));
                checked.map(|()| (reader, entry.id()))
            }
        };
        let finder = match &self.finder {
            Err(reason) => Err(ComponentError::Skipped(*reason)),
            Ok((entry, file)) => {
                let mut finder = Finder::open(engine, file, threads)
                    .map_err(|error| session_error(&entry.id(), engine, &error))?;
                let checked = finder.check_golden(entry, &runtime);
                let checked = checked.map_err(|why| faults.note(FINDER, &why));
                checked.map(|()| finder)
            }
        };
        let face_judge = match &self.face_judge {
            Err(reason) => Err(ComponentError::Skipped(*reason)),
            Ok(FaceParts::Head(judge)) => match &ai {
                Ok(_) => Ok(FaceJudge::Head(judge.clone())),
                Err(why) => Err(why.clone()),
            },
            Ok(FaceParts::Own(own)) => {
                let (entry, file, classifier) = &**own;
                encoder(entry, file, FACE_JUDGE)?
                    .map(|encoder| FaceJudge::Own(Box::new((encoder, classifier.clone()))))
            }
        };
        Ok(Eyes {
            limits: self.config.picture,
            video: self.config.video,
            ai,
            reader,
            finder,
            face_judge,
            credentials: self.credentials.clone(),
        })
    }

    fn describe(&self, faults: &Faults) -> Vec<ModelInfo> {
        let left_out = [
            self.ai.as_ref().err().copied(),
            self.ocr.as_ref().err().copied(),
            self.finder.as_ref().err().copied(),
            self.face_judge.as_ref().err().copied(),
        ];
        let mut models = Vec::new();
        for (component, (names, left_out)) in self.names.iter().zip(left_out).enumerate() {
            let skipped = left_out.or(faults.noted(component));
            models.extend(names.iter().map(|(name, version)| ModelInfo {
                name: name.clone(),
                version: version.clone(),
                skipped,
            }));
        }
        models
    }
}

/// A head and the model it reads.
fn with_model<'a>(registry: &'a Registry, name: &str) -> Option<(&'a HeadEntry, &'a ModelEntry)> {
    let head = registry.head(name)?;
    Some((head, registry.model(&head.model)?))
}

fn not_verified(id: &str, runtime: &str) -> Reason {
    tracing::warn!(
        model = id,
        runtime,
        "never verified on this runtime, so it is left out: run `trustcard models pull` to fetch the native runtime"
    );
    Reason::Runtime
}

fn judge(registry: &Registry, head: &HeadEntry, model: &ModelEntry) -> Result<Judge, StartError> {
    let weights = registry.weights(head)?;
    let parsed = Head::parse(&weights, &model.id(), model.output.features());
    let parsed = parsed.map_err(|source| StartError::Head {
        name: head.name.clone(),
        source,
    })?;
    Ok(Judge {
        head: parsed,
        thresholds: head.thresholds,
        id: format!("{}@{}", head.name, head.version),
    })
}
