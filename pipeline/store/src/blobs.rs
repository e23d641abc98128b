//! The store of media files: found by the SHA-256 of their bytes, so the same picture is kept once and a reference can't lie.
//!
//! Media never travel over topics; events carry a [`BlobRef`].

use std::{fmt, path::Path, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, path};
use schemas::events::scraped::BlobRef;
use sha2::{Digest, Sha256};

/// Why a media file was not kept or given.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The media store does not answer; the same call may succeed later.
    #[error("the media store is unavailable: {0}")]
    Unavailable(String),
    /// It has no such file: it was removed, or never written. Scrape the post again.
    #[error("the media store has no file {0}")]
    Missing(String),
    /// The file is not as long as its reference says. Scrape the post again.
    #[error("media file {sha256} has {found} bytes instead of {expected}")]
    Length {
        /// Name of the file.
        sha256: String,
        /// Length in the reference, in bytes.
        expected: u64,
        /// Length found, in bytes.
        found: u64,
    },
    /// A reference that names no file: its SHA-256 is not 64 lower-case hex digits.
    #[error("not a reference to a media file")]
    Reference,
}

/// The store of media files. Cheap to clone.
#[derive(Clone)]
pub struct BlobStore {
    objects: Arc<dyn ObjectStore>,
}

impl fmt::Debug for BlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobStore({})", self.objects)
    }
}

impl BlobStore {
    /// Media files in a local folder, which is created where it is missing.
    ///
    /// # Errors
    /// When the folder can't be created or opened.
    pub fn local(folder: &Path) -> Result<Self, BlobError> {
        std::fs::create_dir_all(folder).map_err(|error| {
            BlobError::Unavailable(format!("can't create {}: {error}", folder.display()))
        })?;
        let objects = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| BlobError::Unavailable(error.to_string()))?;
        Ok(Self {
            objects: Arc::new(objects),
        })
    }

    /// Keeps `bytes`, whose media type the caller has found in them, and gives the reference. Bytes that are kept already are
    /// not written again; a file appears whole or not at all.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn put(&self, bytes: Bytes, content_type: &str) -> Result<BlobRef, BlobError> {
        let hashed = bytes.clone();
        let sha256 = tokio::task::spawn_blocking(move || hex::encode(Sha256::digest(&hashed)))
            .await
            .map_err(|error| BlobError::Unavailable(error.to_string()))?;
        let blob = BlobRef {
            sha256,
            bytes: bytes.len() as u64,
            content_type: content_type.to_owned(),
        };
        let place = place(&blob)?;
        match self.objects.head(&place).await {
            Ok(kept) if kept.size == blob.bytes => return Ok(blob),
            // Cut short by a crash of the machine: written again.
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(unavailable(&error)),
        }
        self.objects
            .put(&place, PutPayload::from_bytes(bytes))
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(blob)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// See [`BlobError`].
    pub async fn get(&self, blob: &BlobRef) -> Result<Bytes, BlobError> {
        let found = match self.objects.get(&place(blob)?).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(BlobError::Missing(blob.sha256.clone()));
            }
            Err(error) => return Err(unavailable(&error)),
        };
        let length = |found| BlobError::Length {
            sha256: blob.sha256.clone(),
            expected: blob.bytes,
            found,
        };
        // Checked before the bytes are read, so that a wrong file is not taken into memory.
        if found.meta.size != blob.bytes {
            return Err(length(found.meta.size));
        }
        let bytes = found.bytes().await.map_err(|error| unavailable(&error))?;
        if bytes.len() as u64 != blob.bytes {
            return Err(length(bytes.len() as u64));
        }
        Ok(bytes)
    }
}

/// `ab/cd/abcd…`: two levels, so that no folder holds more than a few hundred files per million. References come from events,
/// so what is not a hash is refused before it becomes a path.
fn place(blob: &BlobRef) -> Result<path::Path, BlobError> {
    let hash = blob.sha256.as_str();
    let digits = hash
        .bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if hash.len() != 64 || !digits {
        return Err(BlobError::Reference);
    }
    Ok(path::Path::from_iter([&hash[..2], &hash[2..4], hash]))
}

fn unavailable(error: &object_store::Error) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (BlobStore, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (
            BlobStore::local(&folder.path().join("media")).unwrap(),
            folder,
        )
    }

    fn file(folder: &tempfile::TempDir, blob: &BlobRef) -> std::path::PathBuf {
        let hash = &blob.sha256;
        folder
            .path()
            .join("media")
            .join(&hash[..2])
            .join(&hash[2..4])
            .join(hash)
    }

    #[tokio::test]
    async fn bytes_come_back_and_are_kept_under_their_hash() {
        let (store, folder) = store();
        let blob = store
            .put(Bytes::from_static(b"abc"), "image/png")
            .await
            .unwrap();
        // SHA-256 of "abc", FIPS 180-2 appendix B.1.
        assert_eq!(
            blob.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!((blob.bytes, blob.content_type.as_str()), (3, "image/png"));
        assert_eq!(std::fs::read(file(&folder, &blob)).unwrap(), b"abc");
        assert_eq!(store.get(&blob).await.unwrap(), "abc");
    }

    #[tokio::test]
    async fn bytes_that_are_kept_already_are_not_written_again() {
        let (store, folder) = store();
        let blob = store
            .put(Bytes::from_static(b"abc"), "image/png")
            .await
            .unwrap();
        // Same length, other bytes: a second write would show.
        std::fs::write(file(&folder, &blob), b"xyz").unwrap();
        let again = store
            .put(Bytes::from_static(b"abc"), "image/png")
            .await
            .unwrap();
        assert_eq!(again, blob);
        assert_eq!(std::fs::read(file(&folder, &blob)).unwrap(), b"xyz");
    }

    #[tokio::test]
    async fn a_file_that_was_cut_short_is_refused_and_mended_by_the_next_put() {
        let (store, folder) = store();
        let blob = store
            .put(Bytes::from_static(b"abc"), "image/png")
            .await
            .unwrap();
        std::fs::write(file(&folder, &blob), b"ab").unwrap();
        let error = store.get(&blob).await.unwrap_err();
        assert!(
            matches!(
                error,
                BlobError::Length {
                    expected: 3,
                    found: 2,
                    ..
                }
            ),
            "{error}"
        );
        store
            .put(Bytes::from_static(b"abc"), "image/png")
            .await
            .unwrap();
        assert_eq!(store.get(&blob).await.unwrap(), "abc");
    }

    #[tokio::test]
    async fn a_missing_file_and_a_reference_that_is_no_hash_are_told_apart() {
        let (store, _folder) = store();
        let mut blob = store
            .put(Bytes::from_static(b"abc"), "image/png")
            .await
            .unwrap();
        blob.sha256 = "0".repeat(64);
        assert!(matches!(store.get(&blob).await, Err(BlobError::Missing(_))));
        for bad in [
            "",
            "../../../../etc/passwd",
            &"A".repeat(64),
            &"é".repeat(32),
        ] {
            blob.sha256 = bad.to_owned();
            assert!(
                matches!(store.get(&blob).await, Err(BlobError::Reference)),
                "{bad}"
            );
        }
    }

    #[tokio::test]
    async fn many_puts_of_the_same_bytes_at_once_leave_one_whole_file() {
        let (store, folder) = store();
        let bytes = Bytes::from(vec![7_u8; 300_000]);
        let puts = (0..16).map(|_| store.put(bytes.clone(), "image/jpeg"));
        let blobs = futures::future::try_join_all(puts).await.unwrap();
        assert!(blobs.iter().all(|blob| blob == &blobs[0]));
        assert_eq!(store.get(&blobs[0]).await.unwrap(), bytes);
        let folder = file(&folder, &blobs[0]);
        let files = std::fs::read_dir(folder.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1, "nothing half-written is left behind");
    }
}
