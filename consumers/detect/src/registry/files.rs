//! Files of the registry: which package ships them and whether what lies on the disk is the one on record.

use std::{
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::onnx;

/// One file within a package of the Python package index.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageFile {
    /// Name of the package.
    pub package: String,
    /// Version of the package.
    pub version: String,
    /// The platform tag of the wheel, when the package has one per platform (`manylinux_2_28_x86_64`).
    #[serde(default)]
    pub platform: Option<String>,
    /// The Python version of the wheel, when the package has one per version (`3.11`).
    #[serde(default)]
    pub python: Option<String>,
    /// Size of the wheel in bytes, for the progress shown.
    pub wheel_bytes: u64,
    /// Path of the file in the wheel.
    pub member: String,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
}

/// Why a file can't be used. Each message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there.
    #[error("{path} is missing; run `trustcard models pull`, or start without models")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It is another file than the one on record.
    #[error(
        "{path} has SHA-256 {found}, not {expected}; run `trustcard models pull` to fetch the right one"
    )]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// Hash on record.
        expected: String,
        /// Hash of the file.
        found: String,
    },
    /// The weights of a head are others than the ones on record.
    #[error(
        "{path} has SHA-256 {found}, not {expected}; restore it, or train again, which records the new hash"
    )]
    WrongWeights {
        /// The file.
        path: PathBuf,
        /// Hash on record.
        expected: String,
        /// Hash of the file.
        found: String,
    },
    /// The model keeps weights in another file, which its hash does not cover.
    #[error(
        "{path} keeps weights in another file ({location:?}), which can't be verified; name a model that is one file in the registry, then run `trustcard models pull`"
    )]
    ExternalData {
        /// The model.
        path: PathBuf,
        /// The path it names.
        location: String,
    },
    /// The file is no ONNX model.
    #[error(
        "{path} is no ONNX model: {message}; correct its registry entry, then run `trustcard models pull`"
    )]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// It can't be read.
    #[error(
        "{path} can't be read: {source}; check its permissions, or remove it and run `trustcard models pull`"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl PackageFile {
    /// Name of the file itself.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.member.rsplit('/').next().unwrap_or(&self.member)
    }

    /// Checks that the file at `path` is the one on record.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn verify(&self, path: &Path) -> Result<(), FileError> {
        let mut file = File::open(path).map_err(|source| error_at(path, source))?;
        let found = sha256_of(&mut file).map_err(|source| error_at(path, source))?;
        self.compare(path, found)
    }

    /// Reads the model at `path` and checks that it is the one on record and complete in itself. What is loaded is what
    /// was checked: the file is read once.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn read_model(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        let bytes = std::fs::read(path).map_err(|source| error_at(path, source))?;
        self.compare(path, hex::encode(Sha256::digest(&bytes)))?;
        match onnx::external_data(&bytes) {
            Ok(None) => Ok(bytes),
            Ok(Some(location)) => Err(FileError::ExternalData {
                path: path.to_path_buf(),
                location,
            }),
            Err(message) => Err(FileError::NotOnnx {
                path: path.to_path_buf(),
                message: message.to_owned(),
            }),
        }
    }

    fn compare(&self, path: &Path, found: String) -> Result<(), FileError> {
        if found == self.sha256 {
            return Ok(());
        }
        Err(FileError::WrongHash {
            path: path.to_path_buf(),
            expected: self.sha256.clone(),
            found,
        })
    }

    pub(super) fn is_valid(&self) -> bool {
        let tag = |tag: &Option<String>| tag.as_deref().is_none_or(is_path_part);
        is_path_part(&self.package)
            && is_path_part(&self.version)
            && tag(&self.platform)
            && tag(&self.python)
            && is_inside(&self.member)
            && is_sha256(&self.sha256)
    }
}

/// Checks the weights of a head against the hash on record.
pub(super) fn check_weights(path: &Path, bytes: &[u8], expected: &str) -> Result<(), FileError> {
    let found = hex::encode(Sha256::digest(bytes));
    if found == expected {
        return Ok(());
    }
    Err(FileError::WrongWeights {
        path: path.to_path_buf(),
        expected: expected.to_owned(),
        found,
    })
}

fn error_at(path: &Path, source: io::Error) -> FileError {
    let path = path.to_path_buf();
    match source.kind() {
        io::ErrorKind::NotFound => FileError::Missing { path },
        _ => FileError::Read { path, source },
    }
}

/// SHA-256 of everything in `file`, in hex.
fn sha256_of(file: &mut impl Read) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// Whether `text` can be one part of a path and an argument of a program: no separators, no leading dot or dash.
pub(super) fn is_path_part(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['.', '-'])
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte))
}

/// Whether `path` stays below the folder it is relative to.
pub(super) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

/// Whether `text` is a SHA-256 as this registry writes it.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
