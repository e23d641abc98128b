//! The image encoder: a picture in, a row of features out.

use bytes::Bytes;
use image::metadata::Orientation;
use ort::{
    session::{Session, builder::GraphOptimizationLevel},
    value::TensorRef,
};
use tokio::time::Instant;

use crate::{
    DetectConfig, Registry, Runtime,
    error::{ComponentError, StartError},
    golden,
    pool::Pool,
    preprocess::Preprocessor,
    registry::{ModelEntry, RegistryError},
    runtime::{self, Engine},
};

/// Why a model's output is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// The output is not there, or no tensor of 32-bit floats.
    #[error("the model has no output {0:?} of 32-bit floats")]
    Missing(String),
    /// The output has another shape than the registry says; an empty one too.
    #[error("the model's output has shape {found:?}, not {expected:?}")]
    Shape {
        /// The shape found.
        found: Vec<i64>,
        /// The shape on record.
        expected: [usize; 2],
    },
    /// A feature is NaN or infinite.
    #[error("feature {0} of the model's output is not finite")]
    NotFinite(usize),
    /// Every feature is 0, so they point nowhere.
    #[error("every feature of the model's output is 0")]
    Zero,
    /// The head makes no probability of the features.
    #[error("the features lead to no probability")]
    Score,
}

/// What the encoder says about one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// The features, as the model gives them: finite, and not all of them 0.
    pub values: Vec<f32>,
    /// Time for decoding and inference, in milliseconds, without waiting.
    pub millis: u64,
}

/// An image encoder on worker threads of its own.
pub struct ClipEncoder {
    pool: Pool<Worker>,
    runtime: &'static Runtime,
}

/// What opening an encoder came to.
pub enum Opened {
    /// It answers as it should.
    Ready(ClipEncoder),
    /// Its answers are not known to be right on this runtime, so it must not be used.
    NotVerified {
        /// The runtime in use.
        runtime: &'static Runtime,
        /// What is not as it should be.
        why: String,
    },
}

impl ClipEncoder {
    /// Verifies the model's file, opens one session per worker and has each answer the golden picture, which also warms it
    /// up. Blocks for seconds.
    ///
    /// # Errors
    /// [`StartError`] when a file is missing or another one, or a session can't be opened.
    pub fn open(
        config: &DetectConfig,
        registry: &Registry,
        model: &ModelEntry,
    ) -> Result<Opened, StartError> {
        let engine = engine(config, registry)?;
        let file = model
            .file
            .read_model(&model.path(&config.models_dir))
            .map_err(RegistryError::from)?;
        let runtime = &engine.runtime;
        if model.verified_on(&runtime.name()).is_none() {
            let why = format!("{} was never verified on {}", model.id(), runtime.name());
            return Ok(Opened::NotVerified { runtime, why });
        }
        let (entry, settings) = (model.clone(), config.clone());
        let opened = Pool::start("detect", config.workers, config.queue, move || {
            let mut worker = Worker::open(engine, &file, &entry, &settings)?;
            worker.check_golden(engine, &entry)?;
            Ok(worker)
        });
        match opened {
            Ok(pool) => Ok(Opened::Ready(Self { pool, runtime })),
            Err(OpenError::Start(error)) => Err(error),
            Err(OpenError::Golden(why)) => Ok(Opened::NotVerified { runtime, why }),
        }
    }

    /// The features of the picture in `file`.
    ///
    /// # Errors
    /// [`ComponentError`]
    pub async fn features(&self, file: Bytes) -> Result<Features, ComponentError> {
        self.pool.run(move |worker| worker.features(&file)).await?
    }

    /// The runtime it uses.
    #[must_use]
    pub const fn runtime(&self) -> &'static Runtime {
        self.runtime
    }
}

/// The answer of a model to the golden picture on the runtime of this process, scaled to length 1: what to put on record
/// when verifying a model on another runtime.
///
/// # Errors
/// [`StartError`] when the model can't be opened or gives no answer.
pub fn golden_answer(
    config: &DetectConfig,
    registry: &Registry,
    model: &ModelEntry,
) -> Result<Vec<f32>, StartError> {
    let engine = engine(config, registry)?;
    let file = model
        .file
        .read_model(&model.path(&config.models_dir))
        .map_err(RegistryError::from)?;
    let mut worker = Worker::open(engine, &file, model, config)?;
    worker
        .golden()
        .map_err(|error| session_error(model, engine, &error))
}

fn engine(config: &DetectConfig, registry: &Registry) -> Result<&'static Engine, StartError> {
    let library = config.onnxruntime_library.as_deref();
    Ok(runtime::engine(library, registry, &config.models_dir)?)
}

enum OpenError {
    Start(StartError),
    Golden(String),
}

impl From<StartError> for OpenError {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

/// What one thread owns.
struct Worker {
    preprocessor: Preprocessor,
    encoder: ImageEncoder,
}

impl Worker {
    fn open(
        engine: &Engine,
        file: &[u8],
        model: &ModelEntry,
        config: &DetectConfig,
    ) -> Result<Self, StartError> {
        let encoder = ImageEncoder::open(engine, file, model, config.intra_threads)
            .map_err(|error| session_error(model, engine, &error))?;
        Ok(Self {
            preprocessor: Preprocessor::new(&model.input, config.picture),
            encoder,
        })
    }

    fn features(&mut self, file: &[u8]) -> Result<Features, ComponentError> {
        let began = Instant::now();
        let tensor = self.preprocessor.tensor(file)?;
        let values = self.encoder.run(&tensor)?;
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Features { values, millis })
    }

    fn golden(&mut self) -> Result<Vec<f32>, ComponentError> {
        let tensor = self
            .preprocessor
            .tensor_of(golden::picture(), Orientation::NoTransforms)?;
        let answer = self.encoder.run(&tensor)?;
        Ok(golden::unit(&answer).ok_or(OutputError::Zero)?)
    }

    fn check_golden(&mut self, engine: &Engine, model: &ModelEntry) -> Result<(), OpenError> {
        let runtime = engine.runtime.name();
        let wrong =
            |what: String| OpenError::Golden(format!("{} on {runtime}: {what}", model.id()));
        let Some(record) = model.verified_on(&runtime) else {
            return Err(wrong("never verified".to_owned()));
        };
        let answer = self.golden().map_err(|error| wrong(error.to_string()))?;
        let difference = golden::difference(&answer, record);
        if difference > record.tolerance {
            return Err(wrong(format!(
                "the answer to the golden picture is off by {difference}, more than {}",
                record.tolerance
            )));
        }
        Ok(())
    }
}

fn session_error(model: &ModelEntry, engine: &Engine, error: &impl ToString) -> StartError {
    StartError::Session {
        model: model.id(),
        runtime: engine.runtime.name(),
        message: error.to_string(),
    }
}

/// One session of an encoder model.
struct ImageEncoder {
    session: Session,
    input: String,
    input_shape: [usize; 4],
    output: String,
    output_shape: [usize; 2],
}

impl ImageEncoder {
    fn open(
        engine: &Engine,
        file: &[u8],
        model: &ModelEntry,
        intra_threads: usize,
    ) -> Result<Self, ort::Error> {
        let mut settings = Session::builder(&engine.environment)?
            // tract does nothing unless it is asked to.
            .with_optimization_level(GraphOptimizationLevel::All)?
            // ONNX Runtime would size its threads by the host, not by the container.
            .with_intra_threads(intra_threads.max(1))?
            .with_inter_threads(1)?;
        if fast_product_saturates() {
            settings = settings.with_precise_qmm()?;
        }
        let session = settings.commit_from_memory(file)?;
        Ok(Self {
            session,
            input: model.input.name.clone(),
            input_shape: model.input.shape.map(|side| side as usize),
            output: model.output.name.clone(),
            output_shape: model.output.shape,
        })
    }

    /// One picture at a time: the model scales its activations over the whole batch, so another picture in it would change
    /// the answer.
    fn run(&mut self, tensor: &[f32]) -> Result<Vec<f32>, ComponentError> {
        let failed = |error: ort::Error| ComponentError::Inference(error.to_string());
        let input = TensorRef::from_array_view((self.input_shape, tensor)).map_err(failed)?;
        let outputs = self
            .session
            .run(ort::inputs![self.input.as_str() => input])
            .map_err(failed)?;
        let missing = || OutputError::Missing(self.output.clone());
        let (shape, values) = outputs
            .get(self.output.as_str())
            .ok_or_else(missing)?
            .try_extract_tensor::<f32>()
            .map_err(|_| missing())?;
        Ok(checked(shape, values, self.output_shape)?)
    }
}

/// Whether this processor's fast product of 8-bit numbers overflows, so that a quantised model answers something else than
/// where it was verified (for this encoder, features at a cosine of 0.4). x86 without VNNI does; the exact product takes
/// twice the time, and where VNNI is, both give the same numbers.
fn fast_product_saturates() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        !(std::is_x86_feature_detected!("avx512vnni") || std::is_x86_feature_detected!("avxvnni"))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// The features, if they are as many as promised and all of them numbers.
fn checked(shape: &[i64], values: &[f32], expected: [usize; 2]) -> Result<Vec<f32>, OutputError> {
    let as_expected = shape
        .iter()
        .map(|&side| usize::try_from(side).unwrap_or(usize::MAX))
        .eq(expected);
    if !as_expected || values.len() != expected[0] * expected[1] {
        return Err(OutputError::Shape {
            found: shape.to_vec(),
            expected,
        });
    }
    if let Some(place) = values.iter().position(|value| !value.is_finite()) {
        return Err(OutputError::NotFinite(place));
    }
    if values.iter().all(|&value| value == 0.0) {
        return Err(OutputError::Zero);
    }
    Ok(values.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_features_of_the_right_shape_are_an_answer() {
        let wrong_shape = |found: &[i64]| {
            Err(OutputError::Shape {
                found: found.to_vec(),
                expected: [1, 2],
            })
        };
        let cases: [(&[i64], &[f32], _); 11] = [
            (&[1, 2], &[0.5, -1.0], Ok(vec![0.5, -1.0])),
            (&[1, 0], &[], wrong_shape(&[1, 0])),
            (&[0, 2], &[], wrong_shape(&[0, 2])),
            (&[], &[], wrong_shape(&[])),
            (&[2], &[0.5, 1.0], wrong_shape(&[2])),
            (&[2, 1], &[0.5, 1.0], wrong_shape(&[2, 1])),
            (&[1, -1], &[0.5, 1.0], wrong_shape(&[1, -1])),
            (&[1, 2], &[0.5], wrong_shape(&[1, 2])),
            (&[1, 2], &[0.5, f32::NAN], Err(OutputError::NotFinite(1))),
            (
                &[1, 2],
                &[f32::NEG_INFINITY, 1.0],
                Err(OutputError::NotFinite(0)),
            ),
            (&[1, 2], &[0.0, -0.0], Err(OutputError::Zero)),
        ];
        for (shape, values, expected) in cases {
            assert_eq!(
                checked(shape, values, [1, 2]),
                expected,
                "{shape:?} {values:?}"
            );
        }
    }
}
