//! Which inference runtime this process uses: the native ONNX Runtime where its library is found, tract otherwise.
//!
//! `ort` is built to load the library at run time, so one binary serves both. The choice is made once, for the whole
//! process, because ONNX Runtime's environment is.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use ort::environment::Environment;

use crate::registry::{Registry, RegistryError};

/// The environment variable that ONNX Runtime users know for the path of the library.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The runtime in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// ONNX Runtime's own library.
    Native {
        /// Its version, such as `1.32.0`.
        version: String,
        /// The file it was loaded from.
        path: PathBuf,
    },
    /// The tract engine, which is part of this binary.
    Tract {
        /// Why the native library is not used.
        because: String,
    },
}

impl Runtime {
    /// The name that `/status` shows and that models are verified on: `onnxruntime 1.32.0` or `tract`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Native { version, .. } => format!("onnxruntime {version}"),
            Self::Tract { .. } => "tract".to_owned(),
        }
    }
}

/// Why no runtime could be set up.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RuntimeError {
    /// The library loaded, but would not give an environment.
    #[error(
        "the inference runtime can't be initialised: {0}; set the path of another ONNX Runtime library"
    )]
    Environment(String),
}

/// The runtime of this process and the environment that sessions are made in.
pub(crate) struct Engine {
    pub(crate) runtime: Runtime,
    pub(crate) environment: Environment,
}

static ENGINE: OnceLock<Result<Engine, RuntimeError>> = OnceLock::new();

/// Chooses the runtime on the first call; every later call gets the same one, whatever its arguments.
///
/// The library is the configured one, else the one `ORT_DYLIB_PATH` names, else the one the registry keeps in
/// `models_dir`. The last is checked against its SHA-256 before it is loaded, since loading it is running it.
///
/// # Errors
/// [`RegistryError`] when the cached library is not the one on record; [`RuntimeError`] when nothing can be initialised.
pub(crate) fn engine(
    configured: Option<&Path>,
    registry: &Registry,
    models_dir: &Path,
) -> Result<&'static Engine, EngineError> {
    let library = find(configured, registry, models_dir)?;
    let engine = ENGINE.get_or_init(|| open(library));
    engine
        .as_ref()
        .map_err(|error| EngineError::Runtime(error.clone()))
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

impl From<EngineError> for crate::StartError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Registry(error) => Self::Registry(error),
            EngineError::Runtime(error) => Self::Runtime(error),
        }
    }
}

/// The library to try; `None` when there is none.
fn find(
    configured: Option<&Path>,
    registry: &Registry,
    models_dir: &Path,
) -> Result<Option<PathBuf>, RegistryError> {
    if let Some(path) = configured {
        return Ok(Some(path.to_path_buf()));
    }
    if let Some(path) = std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(Some(PathBuf::from(path)));
    }
    let Some(entry) = registry.runtime_for(std::env::consts::ARCH, std::env::consts::OS) else {
        return Ok(None);
    };
    let path = entry.path(models_dir);
    if !path.exists() {
        return Ok(None);
    }
    entry.file.verify(&path)?;
    Ok(Some(path))
}

fn open(library: Option<PathBuf>) -> Result<Engine, RuntimeError> {
    let because = match library {
        None => "no native library was found".to_owned(),
        Some(path) => match ort::init_from(&path) {
            Ok(builder) => {
                let environment = builder
                    .with_telemetry(false)
                    .build()
                    .map_err(|error| RuntimeError::Environment(error.to_string()))?;
                return Ok(Engine {
                    runtime: Runtime::Native {
                        version: version_of(&path, ort::info()),
                        path,
                    },
                    environment,
                });
            }
            Err(error) => error.to_string(),
        },
    };
    ort::set_api(ort_tract::api());
    let environment = ort::init()
        .build()
        .map_err(|error| RuntimeError::Environment(error.to_string()))?;
    Ok(Engine {
        runtime: Runtime::Tract { because },
        environment,
    })
}

/// The version of a library: from its file name (`libonnxruntime.so.1.32.0`, links followed), else from the release branch
/// that its build information names (`git-branch=rel-1.32.0`).
fn version_of(path: &Path, build: &str) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let in_name = name
        .split_once(".so.")
        .map(|(_, version)| version.to_owned());
    let in_build = || {
        let (_, rest) = build.split_once("git-branch=rel-")?;
        Some(rest.split([',', ' ']).next()?.to_owned())
    };
    in_name
        .or_else(in_build)
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_file_name_else_from_the_build() {
        let version = |name: &str, build| version_of(Path::new(name), build);
        let build = "ORT Build Info: git-branch=rel-1.31.0, git-commit-id=abc";
        assert_eq!(version("/lib/libonnxruntime.so.1.32.0", build), "1.32.0");
        assert_eq!(version("/lib/libonnxruntime.so", build), "1.31.0");
        assert_eq!(
            version("/lib/libonnxruntime.so", "git-branch=main"),
            "unknown"
        );
    }
}
