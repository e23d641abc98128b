//! What an operator can set about the models and their threads.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{header::PictureLimits, video::VideoLimits};

/// Settings of the detectors. Every field has a default; unknown keys are refused.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectConfig {
    /// Whether models run at all. When off, every component says `skipped: models_off` and no file is read.
    pub models_enabled: bool,
    /// The cache folder that `trustcard models pull` fills.
    pub models_dir: PathBuf,
    /// A `models.toml` to use instead of the built-in one; weights named in it are looked up beside it.
    pub registry: Option<PathBuf>,
    /// The native ONNX Runtime library. When unset, `ORT_DYLIB_PATH` is asked, then the cache folder.
    pub onnxruntime_library: Option<PathBuf>,
    /// Worker threads, each with one session of every model.
    pub workers: usize,
    /// Threads inside one inference. Workers scale better, so the default is 1.
    pub intra_threads: usize,
    /// Pictures that may wait for a worker before callers wait themselves.
    pub queue: usize,
    /// Certificates (PEM) of those whose content credentials are called trusted. Without a list nobody's are.
    pub trusted_issuers: Option<PathBuf>,
    /// What a picture may cost to decode.
    pub picture: PictureLimits,
    /// What a video may cost.
    pub video: VideoLimits,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            models_enabled: true,
            models_dir: default_models_dir(),
            registry: None,
            onnxruntime_library: None,
            workers: 1,
            intra_threads: 1,
            queue: 64,
            trusted_issuers: None,
            picture: PictureLimits::default(),
            video: VideoLimits::default(),
        }
    }
}

/// Where model files are kept when nothing else is configured: `trustcard/models` in the user's cache folder
/// (`XDG_CACHE_HOME`, else `.cache` in the home folder), or in the system's temporary folder for a user without one.
#[must_use]
pub fn default_models_dir() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("trustcard")
        .join("models")
}
