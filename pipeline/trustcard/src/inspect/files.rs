//! Which files are looked at, and reading them.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use schemas::Reason;

/// The files named, and those in folders named, however deep: sorted within a folder, hidden ones and links to folders left
/// out.
///
/// # Errors
/// A path that does not exist or a folder that can't be read.
pub(super) fn of(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let kind = fs::metadata(path).with_context(|| path.display().to_string())?;
        if kind.is_dir() {
            walk(path, &mut files)?;
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut entries: Vec<_> = entries.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        let kind = entry.file_type()?;
        if hidden {
            continue;
        } else if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() || fs::metadata(entry.path()).is_ok_and(|real| real.is_file()) {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// The bytes of a file, at most `max`.
///
/// # Errors
/// The reason why it is not looked at.
pub(super) fn read(path: &Path, max: u64) -> Result<Vec<u8>, Reason> {
    let kind = fs::metadata(path).map_err(|_| Reason::MediaUnavailable)?;
    // A pipe or a device would never end.
    if !kind.is_file() {
        return Err(Reason::MediaUnsupported);
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(max + 1).read_to_end(&mut bytes))
        .map_err(|_| Reason::MediaUnavailable)?;
    if bytes.len() as u64 > max {
        return Err(Reason::MediaTooLarge);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_walked_in_order_and_what_is_hidden_or_a_loop_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/deep")).unwrap();
        for name in ["c.jpg", "b/deep/x.png", "a.txt", ".hidden"] {
            fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), at("b/loop")).unwrap();
        std::os::unix::fs::symlink(at("c.jpg"), at("d.jpg")).unwrap();
        let found = of(&[folder.path().to_owned(), at("c.jpg")]).unwrap();
        let expected = ["a.txt", "b/deep/x.png", "c.jpg", "d.jpg", "c.jpg"].map(at);
        assert_eq!(found, expected);
        assert!(of(&[at("nothing")]).is_err());
    }

    #[test]
    fn what_is_too_large_or_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read(&path, 10), Ok(vec![7; 10]));
        assert_eq!(read(&path, 9), Err(Reason::MediaTooLarge));
        assert_eq!(read(folder.path(), 10), Err(Reason::MediaUnsupported));
        assert_eq!(
            read(&folder.path().join("gone"), 10),
            Err(Reason::MediaUnavailable)
        );
    }
}
