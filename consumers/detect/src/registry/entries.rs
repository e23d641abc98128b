//! What the registry says of each runtime, model and head.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{PackageFile, RegistryError, require};
use crate::{head::Thresholds, onnx};

/// A native ONNX Runtime library.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeEntry {
    /// Name, part of the path in the cache folder.
    pub name: String,
    /// Version of the library.
    pub version: String,
    /// Processor it runs on, as Rust names it (`x86_64`, `aarch64`).
    pub arch: String,
    /// Operating system it runs on, as Rust names it (`linux`).
    pub os: String,
    /// Where it comes from, for people.
    pub source: String,
    /// Its licence.
    pub licence: String,
    /// The file and the package that ships it.
    pub file: PackageFile,
}

/// A model file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// Name, part of the path in the cache folder.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// Where it comes from, for people.
    pub source: String,
    /// Its licence.
    pub licence: String,
    /// The file and the package that ships it.
    pub file: PackageFile,
    /// What it takes.
    pub input: InputSpec,
    /// What it gives.
    pub output: OutputSpec,
    /// Runtimes on which its answer is known to be right. On any other the component is skipped.
    #[serde(default)]
    pub verified: Vec<VerifiedOn>,
}

/// A model's input: one picture.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Name of the input.
    pub name: String,
    /// `[1, 3, side, side]`.
    pub shape: [u32; 4],
    /// Order of the dimensions.
    pub layout: Layout,
    /// How a picture of another size is brought to it.
    pub fit: Fit,
    /// Interpolation of that.
    pub filter: Filter,
    /// Mean of each channel, subtracted from samples in 0..=1; red, green, blue.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, by which samples are divided then.
    pub std: [f32; 3],
}

impl InputSpec {
    /// Side of the square the model sees, in pixels.
    #[must_use]
    pub const fn side(&self) -> u32 {
        self.shape[2]
    }
}

/// Order of a tensor's dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
}

/// How a picture is brought to the model's square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Its shortest side becomes the square's side, and the centre is kept.
    CentreSquare,
}

/// Interpolation when resizing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Bicubic with a = -0.5.
    CatmullRom,
}

/// A model's output: one row of features.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputSpec {
    /// Name of the output.
    pub name: String,
    /// `[1, features]`.
    pub shape: [usize; 2],
    /// What a transformer has inside and gives too, if anything.
    pub inner: Option<InnerSpec>,
}

impl OutputSpec {
    /// Features in all: those of the output, then those of each inner state.
    #[must_use]
    pub fn features(&self) -> usize {
        let inner = self.inner.as_ref();
        self.shape[1] + inner.map_or(0, |inner| inner.names.len() * inner.shape[2])
    }
}

/// States between the layers of a transformer. The first token of each, which gathers what the layer knows of the whole picture,
/// follows the output in the row of features.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InnerSpec {
    /// Names in the model's graph, where they need not be outputs.
    pub names: Vec<String>,
    /// `[1, tokens, width]` of each.
    pub shape: [usize; 3],
}

/// The answer on the golden picture that a runtime must give.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifiedOn {
    /// Name of the runtime, as [`crate::Runtime::name`] gives it.
    pub runtime: String,
    /// The first features of the golden picture, scaled to length 1 over all features.
    pub golden: Vec<f32>,
    /// The largest difference of any of them.
    pub tolerance: f32,
}

/// A linear head.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadEntry {
    /// Name of the head.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The model whose features it takes, `name@version`.
    pub model: String,
    /// What the probability is of, after what it is not of.
    pub labels: [String; 2],
    /// Path of its weights, relative to the registry.
    pub weights: String,
    /// SHA-256 of the weights, in hex.
    pub sha256: String,
    /// Where it decides and where it does not.
    pub thresholds: Thresholds,
}

impl RuntimeEntry {
    /// Where its file is kept in the cache folder. The processor is part of it, so that one folder can serve several.
    #[must_use]
    pub fn path(&self, models_dir: &Path) -> PathBuf {
        let folder = format!("{}-{}-{}", self.name, self.version, self.arch);
        models_dir.join(folder).join(self.file.file_name())
    }
}

impl ModelEntry {
    /// `name@version`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Where its file is kept in the cache folder.
    #[must_use]
    pub fn path(&self, models_dir: &Path) -> PathBuf {
        let folder = format!("{}-{}", self.name, self.version);
        models_dir.join(folder).join(self.file.file_name())
    }

    /// Its file, checked against its SHA-256, which gives its inner states too.
    pub(crate) fn read(&self, models_dir: &Path) -> Result<Vec<u8>, RegistryError> {
        let mut file = self.file.read_model(&self.path(models_dir))?;
        if let Some(inner) = &self.output.inner {
            onnx::add_outputs(&mut file, &inner.names);
        }
        Ok(file)
    }

    /// What the golden picture must give on the runtime called `name`, if the model was verified on it.
    #[must_use]
    pub fn verified_on(&self, name: &str) -> Option<&VerifiedOn> {
        self.verified.iter().find(|entry| entry.runtime == name)
    }

    pub(super) fn validate(&self) -> Result<(), RegistryError> {
        let [batch, channels, height, width] = self.input.shape;
        require(
            batch == 1 && channels == 3 && height == width && (1..=4096).contains(&height),
            || {
                format!(
                    "an input shape of {} that is not [1, 3, side, side]",
                    self.name
                )
            },
        )?;
        let usable = |value: &f32| value.is_finite();
        require(
            self.input.mean.iter().all(usable)
                && self.input.std.iter().all(|v| usable(v) && *v > 0.0),
            || format!("a mean or std of {} that can't be right", self.name),
        )?;
        require(
            self.output.shape[0] == 1 && self.output.shape[1] > 0,
            || format!("an output shape of {} that is not [1, features]", self.name),
        )?;
        require(
            self.output.inner.as_ref().is_none_or(|inner| {
                inner.shape[0] == 1 && inner.shape[1] > 0 && (1..=65_536).contains(&inner.shape[2])
            }),
            || {
                format!(
                    "an inner shape of {} that is not [1, tokens, width]",
                    self.name
                )
            },
        )?;
        for entry in &self.verified {
            require(
                !entry.golden.is_empty()
                    && entry.golden.len() <= self.output.shape[1]
                    && entry.golden.iter().all(usable)
                    && entry.tolerance.is_finite()
                    && entry.tolerance > 0.0,
                || {
                    format!(
                        "golden values of {} on {} that can't be right",
                        self.name, entry.runtime
                    )
                },
            )?;
        }
        Ok(())
    }
}

/// The three models that read text together.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OcrEntry {
    /// Name, part of the path in the cache folder.
    pub name: String,
    /// Version of the models.
    pub version: String,
    /// Where they come from, for people.
    pub source: String,
    /// Their licence.
    pub licence: String,
    /// Finds lines.
    pub find: PackageFile,
    /// Tells which lines are upside down.
    pub turn: PackageFile,
    /// Reads them; its characters are in its metadata.
    pub read: PackageFile,
    /// Runtimes on which they read the golden picture right. On any other the component is skipped.
    #[serde(default)]
    pub verified: Vec<ReadOn>,
}

/// What must be read in the golden picture on a runtime.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadOn {
    /// Name of the runtime, as [`crate::Runtime::name`] gives it.
    pub runtime: String,
    /// The text.
    pub golden: String,
}

/// The contents of the three files.
pub(crate) struct OcrFiles {
    pub(crate) find: Vec<u8>,
    pub(crate) turn: Vec<u8>,
    pub(crate) read: Vec<u8>,
}

impl OcrEntry {
    /// `name@version`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// The files and where each is kept in the cache folder.
    #[must_use]
    pub fn files(&self, models_dir: &Path) -> [(&PackageFile, PathBuf); 3] {
        let folder = models_dir.join(format!("{}-{}", self.name, self.version));
        [&self.find, &self.turn, &self.read].map(|file| (file, folder.join(file.file_name())))
    }

    /// Reads the files, each checked against its SHA-256.
    pub(crate) fn read_files(&self, models_dir: &Path) -> Result<OcrFiles, RegistryError> {
        let [find, turn, read] = self
            .files(models_dir)
            .map(|(file, path)| file.read_model(&path));
        Ok(OcrFiles {
            find: find?,
            turn: turn?,
            read: read?,
        })
    }

    /// What must be read on the runtime called `name`, if the models were verified on it.
    #[must_use]
    pub fn verified_on(&self, name: &str) -> Option<&ReadOn> {
        self.verified.iter().find(|entry| entry.runtime == name)
    }
}

/// The model that finds faces; it is part of this program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinderEntry {
    /// Name of the model.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it comes from, for people.
    pub source: String,
    /// Its licence.
    pub licence: String,
    /// Path of the model, relative to the registry.
    pub weights: String,
    /// SHA-256 of the model, in hex.
    pub sha256: String,
    /// Runtimes on which its answer is known to be right; of the golden picture the first numbers of the boxes, as they come.
    #[serde(default)]
    pub verified: Vec<VerifiedOn>,
}

impl FinderEntry {
    /// `name@version`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// A model that gives classes rather than features: an operator's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierEntry {
    /// What it decides; `face-manipulation` takes the place of the built-in head.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The model whose output it reads, `name@version`: one number per label.
    pub model: String,
    /// What each number stands for.
    pub labels: Vec<String>,
    /// The label that is a finding.
    pub positive: String,
    /// What makes probabilities of the numbers.
    pub activation: Activation,
    /// Where it decides and where it does not.
    pub thresholds: Thresholds,
}

/// What makes probabilities of a model's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// They are probabilities already.
    None,
    /// Each for itself: `1 / (1 + exp(-x))`.
    Sigmoid,
    /// All together: `exp(x)` over the sum of these.
    Softmax,
}

impl ClassifierEntry {
    /// `name@version`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// The probability of a finding; `None` when the model's numbers lead to none.
    #[must_use]
    pub fn probability(&self, output: &[f32]) -> Option<f64> {
        let place = self
            .labels
            .iter()
            .position(|label| *label == self.positive)?;
        if output.len() != self.labels.len() {
            return None;
        }
        let value = f64::from(output[place]);
        let probability = match self.activation {
            Activation::None => value,
            Activation::Sigmoid => 1.0 / (1.0 + (-value).exp()),
            Activation::Softmax => {
                1.0 / output
                    .iter()
                    .map(|&x| (f64::from(x) - value).exp())
                    .sum::<f64>()
            }
        };
        (0.0..=1.0).contains(&probability).then_some(probability)
    }

    pub(super) fn validate(&self, model: Option<&ModelEntry>) -> Result<(), RegistryError> {
        require(
            model.is_some_and(|model| model.output.shape[1] == self.labels.len()),
            || {
                format!(
                    "classifier {} on a model that is not in it, or gives other than {} numbers: {}",
                    self.name,
                    self.labels.len(),
                    self.model
                )
            },
        )?;
        require(self.labels.contains(&self.positive), || {
            format!(
                "a positive label of classifier {} that is none of its labels",
                self.name
            )
        })?;
        require(self.thresholds.is_valid(), || {
            format!(
                "thresholds of classifier {} that are not 0 < low <= high < 1",
                self.name
            )
        })
    }
}
