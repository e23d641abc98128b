//! The model registry, `models.toml`: what may be loaded, where it comes from and how it proves to be the right thing.
//!
//! The built-in registry is part of the binary. An operator can name another one, in which the weights of heads are looked
//! up beside that file.

mod entries;
mod files;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use entries::{
    Filter, Fit, HeadEntry, InputSpec, Layout, ModelEntry, OutputSpec, RuntimeEntry, VerifiedOn,
};
pub use files::{FileError, PackageFile};

const BUILT_IN: &str = include_str!("../models.toml");
/// Weights that the built-in registry names.
const BUILT_IN_WEIGHTS: [(&str, &[u8]); 1] = [(
    "weights/ai_generated.json",
    include_bytes!("../weights/ai_generated.json"),
)];

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
    /// The folder of the file this was read from; `None` for the built-in registry.
    #[serde(skip)]
    folder: Option<PathBuf>,
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
        let (path, bytes) = match &self.folder {
            Some(folder) => {
                let path = folder.join(&head.weights);
                let bytes = std::fs::read(&path).map_err(|source| RegistryError::Read {
                    path: path.clone(),
                    source,
                })?;
                (path, bytes)
            }
            None => {
                let (name, bytes) = BUILT_IN_WEIGHTS
                    .iter()
                    .find(|(name, _)| *name == head.weights)
                    .ok_or_else(|| RegistryError::Invalid {
                        what: format!("no built-in weights {}", head.weights),
                    })?;
                (PathBuf::from(name), bytes.to_vec())
            }
        };
        files::check_weights(&path, &bytes, &head.sha256)?;
        Ok(bytes)
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
            );
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
