//! The image encoder: a picture in, a row of features out.

use std::iter;

use image::{DynamicImage, metadata::Orientation};

use crate::{
    DetectConfig, Registry,
    error::{ComponentError, StartError},
    golden,
    preprocess::Preprocessor,
    registry::{InnerSpec, ModelEntry, OutputSpec},
    runtime::{self, Engine},
    session::{Model, Output},
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
        found: Vec<usize>,
        /// The shape on record.
        expected: [usize; 2],
    },
    /// An inner state has another shape than the registry says.
    #[error("an inner state of the model has shape {found:?}, not {expected:?}")]
    Inner {
        /// The shape found.
        found: Vec<usize>,
        /// The shape on record.
        expected: [usize; 3],
    },
    /// The output holds more or fewer values than it should.
    #[error("the model's output holds {found} values along an axis, not {expected}")]
    Length {
        /// Values found.
        found: usize,
        /// Values promised.
        expected: usize,
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
    let library = config.onnxruntime_library.as_deref();
    let engine = runtime::engine(library, registry, &config.models_dir)?;
    let file = model.read(&config.models_dir)?;
    let mut encoder = Encoder::open(engine, &file, model, config)?;
    encoder
        .golden()
        .map_err(|error| session_error(&model.id(), engine, &error))
}

/// One session of an encoder model, with the buffers that bring pictures to its input.
pub(crate) struct Encoder {
    preprocessor: Preprocessor,
    model: Model,
    input_shape: [usize; 4],
    output: OutputSpec,
}

impl Encoder {
    pub(crate) fn open(
        engine: &Engine,
        file: &[u8],
        entry: &ModelEntry,
        config: &DetectConfig,
    ) -> Result<Self, StartError> {
        let inner = entry.output.inner.iter().flat_map(|inner| &inner.names);
        let outputs: Vec<&str> = iter::once(&entry.output.name)
            .chain(inner)
            .map(String::as_str)
            .collect();
        let model = Model::open(
            engine,
            file,
            &entry.input.name,
            &outputs,
            config.intra_threads,
        )
        .map_err(|error| session_error(&entry.id(), engine, &error))?;
        Ok(Self {
            preprocessor: Preprocessor::new(&entry.input),
            model,
            input_shape: entry.input.shape.map(|side| side as usize),
            output: entry.output.clone(),
        })
    }

    /// The features of a picture, as the model gives them: those of its output, finite and not all of them 0, then those of its
    /// inner states. One picture at a time: the model scales its activations over the whole batch, so another picture in it would
    /// change the answer.
    pub(crate) fn features(
        &mut self,
        picture: &DynamicImage,
        orientation: Orientation,
    ) -> Result<Vec<f32>, ComponentError> {
        let tensor = self.preprocessor.tensor(picture, orientation)?;
        let outputs = self.model.run(&self.input_shape, &tensor)?;
        let mut outputs = outputs.into_iter();
        let output = outputs.next();
        let (shape, values) = output.map(|o| (o.shape, o.values)).unwrap_or_default();
        let mut features = checked(&shape, values, self.output.shape)?;
        if let Some(inner) = &self.output.inner {
            for state in outputs {
                features.extend_from_slice(first_token(&state, inner)?);
            }
        }
        Ok(features)
    }

    fn golden(&mut self) -> Result<Vec<f32>, ComponentError> {
        let answer = self.features(&golden::picture(), Orientation::NoTransforms)?;
        let output = answer.get(..self.output.shape[1]).unwrap_or_default();
        Ok(golden::unit(output).ok_or(OutputError::Zero)?)
    }

    /// Why its answer to the golden picture is not the one on record; nothing when it is. This warms it up too.
    pub(crate) fn check_golden(&mut self, entry: &ModelEntry, runtime: &str) -> Result<(), String> {
        let record = entry
            .verified_on(runtime)
            .ok_or_else(|| format!("{} was never verified on {runtime}", entry.id()))?;
        let answer = self.golden().map_err(|error| error.to_string())?;
        let difference = golden::difference(&answer, record);
        if difference <= record.tolerance {
            return Ok(());
        }
        Err(format!(
            "the answer of {} to the golden picture is off by {difference}, more than {}",
            entry.id(),
            record.tolerance
        ))
    }
}

pub(crate) fn session_error(model: &str, engine: &Engine, error: &impl ToString) -> StartError {
    StartError::Session {
        model: model.to_owned(),
        runtime: engine.runtime.name(),
        message: error.to_string(),
    }
}

/// The features, if they are as many as promised and not all of them 0.
fn checked(
    shape: &[usize],
    values: Vec<f32>,
    expected: [usize; 2],
) -> Result<Vec<f32>, OutputError> {
    if shape != expected || values.len() != expected[0] * expected[1] {
        return Err(OutputError::Shape {
            found: shape.to_vec(),
            expected,
        });
    }
    if values.iter().all(|&value| value == 0.0) {
        return Err(OutputError::Zero);
    }
    Ok(values)
}

/// What the first token of an inner state holds.
fn first_token<'a>(state: &'a Output, spec: &InnerSpec) -> Result<&'a [f32], OutputError> {
    let token = state.values.get(..spec.shape[2]);
    match token {
        Some(token) if state.shape == spec.shape => Ok(token),
        _ => Err(OutputError::Inner {
            found: state.shape.clone(),
            expected: spec.shape,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_of_a_state_is_taken_if_its_shape_is_right() {
        let spec = InnerSpec {
            names: vec!["state".to_owned()],
            shape: [1, 2, 3],
        };
        let state = |shape: &[usize], count: u8| Output {
            shape: shape.to_vec(),
            values: (0..count).map(f32::from).collect(),
        };
        assert_eq!(
            first_token(&state(&[1, 2, 3], 6), &spec),
            Ok(&[0.0, 1.0, 2.0][..])
        );
        for wrong in [state(&[1, 3, 2], 6), state(&[3], 3), state(&[1, 2, 3], 2)] {
            assert!(first_token(&wrong, &spec).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_features_of_the_right_shape_are_an_answer() {
        let wrong_shape = |found: &[usize]| {
            Err(OutputError::Shape {
                found: found.to_vec(),
                expected: [1, 2],
            })
        };
        let cases: [(&[usize], &[f32], _); 8] = [
            (&[1, 2], &[0.5, -1.0], Ok(vec![0.5, -1.0])),
            (&[1, 0], &[], wrong_shape(&[1, 0])),
            (&[0, 2], &[], wrong_shape(&[0, 2])),
            (&[], &[], wrong_shape(&[])),
            (&[2], &[0.5, 1.0], wrong_shape(&[2])),
            (&[2, 1], &[0.5, 1.0], wrong_shape(&[2, 1])),
            (&[1, 2], &[0.5], wrong_shape(&[1, 2])),
            (&[1, 2], &[0.0, -0.0], Err(OutputError::Zero)),
        ];
        for (shape, values, expected) in cases {
            assert_eq!(
                checked(shape, values.to_vec(), [1, 2]),
                expected,
                "{shape:?} {values:?}"
            );
        }
    }
}
