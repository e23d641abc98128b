//! The model registry, `models.toml`: what may be loaded, where it comes from and how it proves to be the right thing.
//!
//! The built-in registry is part of the binary. An operator can name another one, in which the weights of heads are looked
//! up beside that file, and then among those of the binary.

mod entries;
mod files;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub(crate) use entries::OcrFiles;
pub use entries::{
    Activation, ClassifierEntry, Filter, FinderEntry, Fit, HeadEntry, InnerSpec, InputSpec, Layout,
    ModelEntry, OcrEntry, OutputSpec, ReadOn, RuntimeEntry, VerifiedOn,
};
pub use files::{FileError, PackageFile};

const BUILT_IN: &str = include_str!("../models.toml");
/// Weights that the built-in registry names.
const BUILT_IN_WEIGHTS: [(&str, &[u8]); 2] = [
    (
        "weights/ai_generated.json",
        include_bytes!("../weights/ai_generated.json"),
    ),
    (
        "weights/blazeface.onnx",
        include_bytes!("../weights/blazeface.onnx"),
    ),
];

/// Everything that may be loaded.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Native inference runtimes, one per platform.
    #[serde(default, rename = "runtime")]
    pub runtimes: Vec<RuntimeEntry>,
    /// Models that turn a picture into features.
    #[serde(default, rename = "model")]
    pub models: Vec<ModelEntry>,
    /// Heads that turn features into a probability.
    #[serde(default, rename = "head")]
    pub heads: Vec<HeadEntry>,
    /// Models that read text; the first is used.
    #[serde(default)]
    pub ocr: Vec<OcrEntry>,
    /// Models that find faces; the first is used.
    #[serde(default)]
    pub finder: Vec<FinderEntry>,
    /// Models of an operator that give classes.
    #[serde(default, rename = "classifier")]
    pub classifiers: Vec<ClassifierEntry>,
    /// The folder of the file this was read from; `None` for the built-in registry.
    #[serde(skip)]
    folder: Option<PathBuf>,
}

/// A model file of the registry.
#[derive(Debug, Clone)]
pub struct ModelFile<'a> {
    /// `name@version` of its entry.
    pub id: String,
    /// Its licence.
    pub licence: &'a str,
    /// The file and the package that ships it.
    pub file: &'a PackageFile,
    /// Where it is kept in the cache folder.
    pub path: PathBuf,
}

/// Why a registry, or a file it names, can't be used. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry can't be read.
    #[error(
        "the model registry {path} can't be read: {source}; correct its path or unset it to use the built-in one"
    )]
    Read {
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It is not TOML of the right shape.
    #[error("the model registry {origin} is not valid: {message}")]
    Parse {
        /// Its path, or `built in`.
        origin: String,
        /// What is wrong, with the line.
        message: String,
    },
    /// A value can't be right.
    #[error("the model registry has {what}; correct the entry")]
    Invalid {
        /// What can't be right.
        what: String,
    },
    /// A file it names is missing or not the right one.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Registry {
    /// Reads the registry at `path`, or the built-in one.
    ///
    /// # Errors
    /// [`RegistryError`]; unknown keys are refused.
    pub fn load(path: Option<&Path>) -> Result<Self, RegistryError> {
        match path {
            None => Self::parse(BUILT_IN, "built in", None),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|source| RegistryError::Read {
                    path: path.to_path_buf(),
                    source,
                })?;
                let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
                Self::parse(&text, &path.display().to_string(), Some(folder))
            }
        }
    }

    fn parse(text: &str, origin: &str, folder: Option<PathBuf>) -> Result<Self, RegistryError> {
        let mut registry: Self = toml::from_str(text).map_err(|error| RegistryError::Parse {
            origin: origin.to_owned(),
            message: error.to_string(),
        })?;
        registry.folder = folder;
        registry.validate()?;
        Ok(registry)
    }

    /// The native runtime for a platform.
    #[must_use]
    pub fn runtime_for(&self, arch: &str, os: &str) -> Option<&RuntimeEntry> {
        self.runtimes
            .iter()
            .find(|entry| entry.arch == arch && entry.os == os)
    }

    /// The head called `name`, if there is one.
    #[must_use]
    pub fn head(&self, name: &str) -> Option<&HeadEntry> {
        self.heads.iter().find(|head| head.name == name)
    }

    /// The operator's model called `name`, if there is one.
    #[must_use]
    pub fn classifier(&self, name: &str) -> Option<&ClassifierEntry> {
        self.classifiers.iter().find(|entry| entry.name == name)
    }

    /// The model called `id`, which is `name@version`.
    #[must_use]
    pub fn model(&self, id: &str) -> Option<&ModelEntry> {
        self.models.iter().find(|model| model.id() == id)
    }

    /// The weights of a head, checked against their SHA-256.
    ///
    /// # Errors
    /// [`RegistryError`] when they are missing or others.
    pub fn weights(&self, head: &HeadEntry) -> Result<Vec<u8>, RegistryError> {
        self.beside(&head.weights, &head.sha256)
    }

    /// The face finder's model, checked against its SHA-256.
    ///
    /// # Errors
    /// [`RegistryError`] when it is missing or another one.
    pub fn finder_model(&self, finder: &FinderEntry) -> Result<Vec<u8>, RegistryError> {
        self.beside(&finder.weights, &finder.sha256)
    }

    /// A file beside the registry; one that is not there may be built in.
    fn beside(&self, weights: &str, sha256: &str) -> Result<Vec<u8>, RegistryError> {
        let path = match &self.folder {
            Some(folder) => folder.join(weights),
            None => PathBuf::from(weights),
        };
        let built_in = BUILT_IN_WEIGHTS.iter().find(|(name, _)| *name == weights);
        let bytes = match built_in {
            Some((_, bytes)) if self.folder.is_none() || !path.exists() => bytes.to_vec(),
            None if self.folder.is_none() => {
                return Err(RegistryError::Invalid {
                    what: format!("no built-in weights {weights}"),
                });
            }
            _ => std::fs::read(&path).map_err(|source| RegistryError::Read {
                path: path.clone(),
                source,
            })?,
        };
        files::check_weights(&path, &bytes, sha256)?;
        Ok(bytes)
    }

    /// Every model file and where it is kept.
    #[must_use]
    pub fn model_files(&self, models_dir: &Path) -> Vec<ModelFile<'_>> {
        let models = self.models.iter().map(|entry| ModelFile {
            id: entry.id(),
            licence: &entry.licence,
            file: &entry.file,
            path: entry.path(models_dir),
        });
        let readers = self.ocr.iter().flat_map(|entry| {
            entry.files(models_dir).map(|(file, path)| ModelFile {
                id: entry.id(),
                licence: &entry.licence,
                file,
                path,
            })
        });
        models.chain(readers).collect()
    }

    fn validate(&self) -> Result<(), RegistryError> {
        let mut paths = HashSet::new();
        let files = self
            .runtimes
            .iter()
            .map(|entry| (&entry.name, &entry.version, &entry.file, &entry.arch))
            .chain(
                self.models
                    .iter()
                    .map(|entry| (&entry.name, &entry.version, &entry.file, &entry.name)),
            )
            .chain(self.ocr.iter().flat_map(|entry| {
                [&entry.find, &entry.turn, &entry.read]
                    .map(|file| (&entry.name, &entry.version, file, &file.member))
            }));
        for (name, version, file, variant) in files {
            require(
                files::is_path_part(name) && files::is_path_part(version),
                || format!("a name or version that is no file name: {name:?} {version:?}"),
            )?;
            require(file.is_valid(), || {
                format!("a file entry of {name} that can't be right")
            })?;
            require(paths.insert((name, version, variant)), || {
                format!("{name} {version} twice")
            })?;
        }
        for model in &self.models {
            model.validate()?;
        }
        for classifier in &self.classifiers {
            classifier.validate(self.model(&classifier.model))?;
        }
        for finder in &self.finder {
            require(
                files::is_sha256(&finder.sha256) && files::is_inside(&finder.weights),
                || format!("a file entry of {} that can't be right", finder.name),
            )?;
        }
        for head in &self.heads {
            require(self.model(&head.model).is_some(), || {
                format!(
                    "head {} on a model that is not in it: {}",
                    head.name, head.model
                )
            })?;
            require(files::is_sha256(&head.sha256), || {
                format!("a SHA-256 of head {} that is not 64 hex digits", head.name)
            })?;
            require(files::is_inside(&head.weights), || {
                format!("weights of head {} outside its folder", head.name)
            })?;
            require(head.thresholds.is_valid(), || {
                format!(
                    "thresholds of head {} that are not 0 < low <= high < 1",
                    head.name
                )
            })?;
        }
        Ok(())
    }
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), RegistryError> {
    if holds {
        Ok(())
    } else {
        Err(RegistryError::Invalid { what: what() })
    }
}
