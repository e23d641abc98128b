//! Posts made of somebody's own pictures: each picture of a folder is a post, each subfolder a carousel.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::posts::{Expect, Post, SamplePost};

/// Key of the account that posts them, in `authors.toml`.
const AUTHOR: &str = "folder";
/// Most pictures of a carousel; the upstream allows 20.
const MOST: usize = 20;
/// 2026-09-01, so that the posts have a date and the same one each time.
const TAKEN_AT: i64 = 1_788_220_800;

/// The posts and files of a folder.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    posts: HashMap<String, Post>,
    files: HashMap<String, Bytes>,
    listed: Vec<SamplePost>,
}

impl Folder {
    /// Reads a folder. A picture's caption is the text file of the same name, a carousel's is its `caption.txt`.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let mut read = Self::default();
        for path in sorted(folder)? {
            let pictures = if path.is_dir() {
                sorted(&path)?
                    .into_iter()
                    .filter(|file| is_picture(file))
                    .take(MOST)
                    .collect()
            } else if is_picture(&path) {
                vec![path.clone()]
            } else {
                continue;
            };
            if !pictures.is_empty() {
                let text = if path.is_dir() {
                    path.join("caption.txt")
                } else {
                    path.with_extension("txt")
                };
                let caption = fs::read_to_string(text)
                    .ok()
                    .map(|text| text.trim().to_owned());
                read.add(&path, &pictures, caption)?;
            }
        }
        if read.listed.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "no picture (jpg, png, webp, gif) in it",
            ));
        }
        Ok(read)
    }

    pub(crate) fn post(&self, shortcode: &str) -> Option<&Post> {
        self.posts.get(shortcode)
    }

    pub(crate) fn file(&self, name: &str) -> Option<&Bytes> {
        self.files.get(name)
    }

    pub(crate) fn listed(&self) -> &[SamplePost] {
        &self.listed
    }

    fn add(
        &mut self,
        path: &Path,
        pictures: &[PathBuf],
        caption: Option<String>,
    ) -> io::Result<()> {
        let title = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let shortcode =
            self.free_shortcode(&path.file_stem().unwrap_or_default().to_string_lossy());
        let mut media = Vec::with_capacity(pictures.len());
        for (number, picture) in pictures.iter().enumerate() {
            let extension = extension(picture);
            let name = format!("{shortcode}-{number}.{extension}");
            self.files.insert(name.clone(), fs::read(picture)?.into());
            media.push(name);
        }
        self.listed.push(SamplePost {
            url: format!("https://www.instagram.com/p/{shortcode}/"),
            shortcode: shortcode.clone(),
            title: title.clone(),
            expect: Expect::Completed,
        });
        let post = Post {
            shortcode: shortcode.clone(),
            title,
            author: AUTHOR.to_owned(),
            taken_at: TAKEN_AT,
            caption,
            media,
            likes: None,
            comments: 0,
            plays: None,
            location: None,
            coauthors: Vec::new(),
            ai_label: None,
            paid: false,
            fault: None,
            fault_times: None,
            expired_times: 0,
            fails: None,
        };
        self.posts.insert(shortcode, post);
        Ok(())
    }

    /// A shortcode that tells the file's name and is nobody else's; `load...` would be taken for a load post.
    fn free_shortcode(&self, stem: &str) -> String {
        let allowed = |c: char| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        };
        let base: String = "F_"
            .chars()
            .chain(stem.chars().map(allowed))
            .take(48)
            .collect();
        let numbered = (1..).map(|n| {
            if n == 1 {
                base.clone()
            } else {
                format!("{base}_{n}")
            }
        });
        numbered
            .into_iter()
            .find(|code| !self.posts.contains_key(code))
            .unwrap_or(base)
    }
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

fn extension(path: &Path) -> String {
    path.extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase()
}

fn is_picture(path: &Path) -> bool {
    path.is_file()
        && matches!(
            extension(path).as_str(),
            "jpg" | "jpeg" | "png" | "webp" | "gif"
        )
}

/// The media type a file's name says.
pub(crate) fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        _ => "image/jpeg",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_posts_subfolders_are_carousels_and_text_files_are_captions() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write("a b.jpg", "1");
        write("a b.txt", " A caption.\n");
        write("a_b.PNG", "2");
        write("trip/1.webp", "3");
        write("trip/2.gif", "4");
        write("trip/caption.txt", "Two pictures.");
        write("notes.md", "not a post");
        let read = Folder::read(folder.path()).unwrap();
        let codes: Vec<&str> = read
            .listed()
            .iter()
            .map(|post| post.shortcode.as_str())
            .collect();
        assert_eq!(codes, ["F_a_b", "F_a_b_2", "F_trip"]);
        assert_eq!(
            read.post("F_a_b").unwrap().caption.as_deref(),
            Some("A caption.")
        );
        assert_eq!(read.post("F_a_b_2").unwrap().caption, None);
        assert_eq!(
            read.post("F_trip").unwrap().media,
            ["F_trip-0.webp", "F_trip-1.gif"]
        );
        assert_eq!(
            read.file("F_trip-1.gif").unwrap(),
            &Bytes::from_static(b"4")
        );
    }

    #[test]
    fn a_folder_without_pictures_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Folder::read(folder.path()).is_err());
    }
}
