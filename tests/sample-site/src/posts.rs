//! The posts of the site, read from the data files beside the code.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::faults::PostFault;
use crate::shortcode;

const AUTHORS: &str = include_str!("../posts/authors.toml");
const SHAPES: &str = include_str!("../posts/shapes.toml");
const CLAIMS: &str = include_str!("../posts/claims.toml");
const UPSTREAM: &str = include_str!("../posts/upstream.toml");
const PROBES: &str = include_str!("../posts/probes.toml");

/// A post of the site, as someone who submits it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamplePost {
    /// The post's shortcode.
    pub shortcode: String,
    /// The canonical URL to submit: `https://www.instagram.com/p|reel/{shortcode}/`.
    pub url: String,
    /// What is special about the post, in a few words.
    pub title: String,
    /// How its analysis must end.
    pub expect: Expect,
}

/// How the analysis of a post must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// With a score.
    Completed,
    /// Without one, for the reason of this code.
    Failed(String),
}

/// The named posts that end by themselves: what a demonstration submits and judges. In the order of the data files.
#[must_use]
pub fn posts() -> &'static [SamplePost] {
    catalogue().as_ref().map_or(&[], |c| &c.listed)
}

/// An account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Author {
    pub pk: u64,
    pub username: String,
    pub full_name: String,
    #[serde(default)]
    pub verified: bool,
    #[serde(default)]
    pub private: bool,
}

/// A post as the data files write it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Post {
    pub shortcode: String,
    pub title: String,
    /// Key of the author in `authors.toml`.
    pub author: String,
    /// Seconds since 1970.
    pub taken_at: i64,
    /// Absent: the post has no caption (`null`).
    pub caption: Option<String>,
    /// File names below `/media/`, or absolute URLs to give out as they are. `.mp4` is a video.
    pub media: Vec<String>,
    /// Absent: the answer has no such field. -1: hidden.
    pub likes: Option<i64>,
    #[serde(default)]
    pub comments: u64,
    pub plays: Option<u64>,
    pub location: Option<String>,
    #[serde(default)]
    pub coauthors: Vec<String>,
    /// The site's own label for generated pictures; absent: `NONE`.
    pub ai_label: Option<String>,
    #[serde(default)]
    pub paid: bool,
    pub fault: Option<PostFault>,
    /// How many requests meet the fault; absent: all.
    pub fault_times: Option<u32>,
    /// How many answers give out media addresses that have expired.
    #[serde(default)]
    pub expired_times: u32,
    /// Reason code of the failure that must come of this post.
    pub fails: Option<String>,
}

impl Post {
    /// Whether the post is a single video.
    pub(crate) fn is_reel(&self) -> bool {
        matches!(self.media.as_slice(), [only] if only.ends_with(".mp4"))
    }
}

/// Everything in the data files.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub authors: HashMap<String, Author>,
    posts: HashMap<String, Post>,
    by_pk: HashMap<u128, String>,
    listed: Vec<SamplePost>,
}

impl Catalogue {
    pub(crate) fn post(&self, shortcode: &str) -> Option<&Post> {
        self.posts.get(shortcode)
    }

    /// The shortcode of a named post with this number.
    pub(crate) fn shortcode(&self, pk: u128) -> Option<&str> {
        self.by_pk.get(&pk).map(String::as_str)
    }

    fn read() -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Authors {
            authors: HashMap<String, Author>,
        }
        #[derive(Deserialize)]
        struct Posts {
            post: Vec<Post>,
        }
        let Authors { authors } =
            toml::from_str(AUTHORS).map_err(|e| format!("authors.toml: {e}"))?;
        let mut catalogue = Self {
            authors,
            posts: HashMap::new(),
            by_pk: HashMap::new(),
            listed: Vec::new(),
        };
        let files = [
            ("shapes.toml", SHAPES, true),
            ("claims.toml", CLAIMS, true),
            ("upstream.toml", UPSTREAM, true),
            ("probes.toml", PROBES, false),
        ];
        for (name, text, listed) in files {
            let Posts { post } = toml::from_str(text).map_err(|e| format!("{name}: {e}"))?;
            for post in post {
                catalogue
                    .add(post, listed)
                    .map_err(|e| format!("{name}: {e}"))?;
            }
        }
        Ok(catalogue)
    }

    fn add(&mut self, mut post: Post, listed: bool) -> Result<(), String> {
        let code = post.shortcode.clone();
        if let Some(name) = std::iter::once(&post.author)
            .chain(&post.coauthors)
            .find(|a| !self.authors.contains_key(*a))
        {
            return Err(format!("{code}: unknown author {name}"));
        }
        let pk = shortcode::pk(&code).ok_or_else(|| format!("{code}: not a shortcode"))?;
        if self.by_pk.insert(pk, code.clone()).is_some() {
            return Err(format!("{code}: its number is taken by another post"));
        }
        // A multi-line string in the data file ends with a line break that is no part of the caption.
        post.caption = post
            .caption
            .map(|caption| caption.trim_end_matches('\n').to_owned());
        if listed {
            let path = if post.is_reel() { "reel" } else { "p" };
            self.listed.push(SamplePost {
                shortcode: code.clone(),
                url: format!("https://www.instagram.com/{path}/{code}/"),
                title: post.title.clone(),
                expect: post.fails.clone().map_or(Expect::Completed, Expect::Failed),
            });
        }
        self.posts.insert(code, post);
        Ok(())
    }
}

/// The data files, read once a process; the error names the file and the entry.
pub(crate) fn catalogue() -> &'static Result<Catalogue, String> {
    static CATALOGUE: OnceLock<Result<Catalogue, String>> = OnceLock::new();
    CATALOGUE.get_or_init(Catalogue::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_files_are_sound_and_list_at_least_24_posts() {
        let catalogue = catalogue().as_ref().unwrap();
        assert!(posts().len() >= 24, "{}", posts().len());
        assert!(
            catalogue.posts.len() > posts().len(),
            "probes are served but not listed"
        );
        for post in catalogue.posts.values() {
            assert!(
                shortcode::pk(&post.shortcode).unwrap() <= u128::from(u64::MAX),
                "{}",
                post.shortcode
            );
            assert!(post.media.len() <= 5, "{}", post.shortcode);
        }
    }

    #[test]
    fn a_reel_has_the_url_of_a_reel_and_a_deleted_post_is_expected_to_fail() {
        let find = |code: &str| posts().iter().find(|p| p.shortcode == code).unwrap();
        assert_eq!(
            find("DTCreelwave").url,
            "https://www.instagram.com/reel/DTCreelwave/"
        );
        assert_eq!(
            find("DTCtideline").url,
            "https://www.instagram.com/p/DTCtideline/"
        );
        assert_eq!(
            find("DTCdeleted1").expect,
            Expect::Failed("post_unavailable".into())
        );
        assert_eq!(find("DTCtideline").expect, Expect::Completed);
        assert!(!posts().iter().any(|p| p.shortcode == "DTPtoomany1"));
    }
}
