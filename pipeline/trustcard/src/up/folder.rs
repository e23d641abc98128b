//! The data folder of an `up`, taken for one process.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::exit::Failure;

/// Where the lock is.
const LOCK: &str = "up.lock";

/// A data folder that no other process has, as long as this lives: two brokers that publish the same submissions again would do
/// all work twice.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Takes the folder, which is made if it isn't there.
    ///
    /// # Errors
    /// [`Failure::Configuration`] when another process has it; when it can't be made.
    pub fn take(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)
            .with_context(|| format!("the data folder {} can't be made", path.display()))?;
        let file = path.join(LOCK);
        let lock =
            File::create(&file).with_context(|| format!("{} can't be made", file.display()))?;
        lock.try_lock().map_err(|error| {
            Failure::Configuration(format!(
                "another `trustcard up` runs on the data folder {} ({error}); end it or choose another --data-dir",
                path.display()
            ))
        })?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Whether the folder was an `up`'s before, or holds nothing yet.
    ///
    /// # Errors
    /// When it can't be read.
    #[cfg(feature = "sample-site")]
    pub fn is_ours(path: &Path) -> std::io::Result<bool> {
        if !path.exists() || path.join(LOCK).exists() {
            return Ok(true);
        }
        Ok(fs::read_dir(path)?.next().is_none())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Deletes everything in it but the lock, which is why this needs the folder taken.
    ///
    /// # Errors
    /// When something can't be deleted.
    #[cfg(feature = "sample-site")]
    pub fn empty(&self) -> Result<()> {
        let delete = || -> std::io::Result<()> {
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else if entry.file_name() != LOCK {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        delete().with_context(|| format!("{} can't be emptied", self.path.display()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_folder_is_taken_once_and_emptied_but_for_its_lock() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let folder = DataFolder::take(&path).unwrap();
        fs::create_dir(path.join("media")).unwrap();
        fs::write(path.join("media/one"), "x").unwrap();
        fs::write(path.join("trustcard.db"), "x").unwrap();

        let refused = DataFolder::take(&path).unwrap_err();
        assert!(refused.to_string().contains("another `trustcard up`"));
        assert!(path.join("media/one").exists());

        assert!(DataFolder::is_ours(&path).unwrap());
        assert!(!DataFolder::is_ours(parent.path()).unwrap());

        folder.empty().unwrap();
        let left: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, [LOCK]);
        // Still taken: a lock that was deleted and made again would be another one.
        assert!(DataFolder::take(&path).is_err());
        drop(folder);
        assert!(DataFolder::take(&path).is_ok());
    }
}
