//! One session of an ONNX model: numbers in, numbers out, and only numbers.

use ort::{
    session::{Session, builder::GraphOptimizationLevel},
    value::TensorRef,
};

use crate::{ComponentError, clip::OutputError, runtime::Engine};

/// An open model with one input.
pub(crate) struct Model {
    session: Session,
    input: String,
    outputs: Vec<String>,
}

/// One output of a run: every value is finite.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Model {
    /// Opens the model in `file` for its input and outputs of these names, on so many threads.
    pub(crate) fn open(
        engine: &Engine,
        file: &[u8],
        input: &str,
        outputs: &[&str],
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
        Ok(Self {
            session: settings.commit_from_memory(file)?,
            input: input.to_owned(),
            outputs: outputs.iter().map(|&name| name.to_owned()).collect(),
        })
    }

    /// A text that the model carries, by its key.
    pub(crate) fn metadata(&self, key: &str) -> Option<String> {
        self.session.metadata().ok()?.custom(key)
    }

    /// Runs it on one tensor.
    pub(crate) fn run(
        &mut self,
        shape: &[usize],
        values: &[f32],
    ) -> Result<Vec<Output>, ComponentError> {
        let failed = |error: ort::Error| ComponentError::Inference(error.to_string());
        let input = TensorRef::from_array_view((shape, values)).map_err(failed)?;
        let answer = self
            .session
            .run(ort::inputs![self.input.as_str() => input])
            .map_err(failed)?;
        let output = |name: &String| {
            let missing = || OutputError::Missing(name.clone());
            let (shape, values) = answer
                .get(name.as_str())
                .ok_or_else(missing)?
                .try_extract_tensor::<f32>()
                .map_err(|_| missing())?;
            // An axis of unknown length would be negative; there is none in an answer.
            let shape = shape
                .iter()
                .map(|&side| usize::try_from(side).unwrap_or(usize::MAX));
            let shape: Vec<usize> = shape.collect();
            if let Some(place) = values.iter().position(|value| !value.is_finite()) {
                return Err(OutputError::NotFinite(place).into());
            }
            Ok(Output {
                shape,
                values: values.to_vec(),
            })
        };
        self.outputs.iter().map(output).collect()
    }
}

/// Whether this processor's fast product of 8-bit numbers overflows, so that a quantised model answers something else than
/// where it was verified (for the image encoder, features at a cosine of 0.4). x86 without VNNI does; the exact product takes
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
