//! Posts for load: any shortcode that begins with `load` is one. Its caption, author and picture follow from the shortcode
//! alone, and its JSON is put together from prepared pieces.

use std::collections::HashMap;

use crate::posts::{Author, Post};
use crate::shape::Writer;
use crate::shortcode;
use crate::signature::{fnv1a, mix};

const PREFIX: &str = "load";
const MAX_SHORTCODE: usize = 64;
/// How many pictures the load posts share.
pub(crate) const PICTURES: usize = 16;
/// Stands in a prepared item where the shortcode goes, and where its number goes. Neither needs JSON escapes.
const CODE: &str = "%CODE%";
const PK: &str = "%PK%";

const CAPTIONS: [Option<&str>; 8] = [
    Some("The market hall opens at eight and the bread is usually gone by ten."),
    Some(
        "Rainfall in the valley rose by 14% this year, the report of the weather service says. https://www.noaa.gov/",
    ),
    Some("Share this before they delete it!!! They don't want you to know."),
    Some(
        "Studies show that this remedy cures everything. It never fails and big pharma is hiding it.",
    ),
    Some("A short walk, a long lunch, and the last ferry home. #weekend"),
    Some("You won't believe what they found under the old mill. https://www.theonion.com/"),
    Some("The museum announced on 12 May 2026 that its new wing has opened. https://apnews.com/"),
    None,
];

/// The prepared items, one for each pair of caption and picture.
pub(crate) struct LoadPosts {
    authors: Vec<String>,
    items: Vec<Vec<Piece>>,
}

enum Piece {
    Text(Vec<u8>),
    Code,
    Pk,
}

/// The file name of a load picture.
pub(crate) fn picture(index: usize) -> String {
    format!("load-{index:02}.jpg")
}

fn is_load(code: &str) -> bool {
    let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    code.starts_with(PREFIX) && code.len() <= MAX_SHORTCODE && code.bytes().all(valid)
}

impl LoadPosts {
    pub(crate) fn new(authors: &HashMap<String, Author>, writer: &Writer<'_>) -> Self {
        let mut names: Vec<_> = authors
            .iter()
            .filter(|(_, a)| !a.private)
            .map(|(name, _)| name.clone())
            .collect();
        names.sort();
        let mut load = Self {
            authors: names,
            items: Vec::new(),
        };
        for index in 0..CAPTIONS.len() * PICTURES {
            // A real shortcode first, so that the item holds its number wherever the shape puts it.
            let sample = format!("{PREFIX}{index:05}");
            let number = shortcode::pk(&sample).unwrap_or_default().to_string();
            let text = writer.v1(&load.compose(&sample, index)).to_string();
            load.items
                .push(pieces(&text.replace(&sample, CODE).replace(&number, PK)));
        }
        load
    }

    /// The post, or `None` if the shortcode is not one of a load post.
    pub(crate) fn post(&self, code: &str) -> Option<Post> {
        is_load(code).then(|| self.compose(code, self.index(code)))
    }

    /// The post's item in the v1 shape, as JSON.
    pub(crate) fn v1(&self, code: &str) -> Option<Vec<u8>> {
        if !is_load(code) {
            return None;
        }
        let pieces = self.items.get(self.index(code))?;
        let pk = shortcode::pk(code)?.to_string();
        let mut json = Vec::with_capacity(4096);
        for piece in pieces {
            json.extend_from_slice(match piece {
                Piece::Text(text) => text,
                Piece::Code => code.as_bytes(),
                Piece::Pk => pk.as_bytes(),
            });
        }
        Some(json)
    }

    fn index(&self, code: &str) -> usize {
        let items = CAPTIONS.len() * PICTURES;
        usize::try_from(mix(fnv1a(code.as_bytes())) % items as u64).unwrap_or_default()
    }

    fn compose(&self, code: &str, index: usize) -> Post {
        let number = index as u64;
        Post {
            shortcode: code.to_owned(),
            title: String::new(),
            author: self
                .authors
                .get(index % self.authors.len().max(1))
                .cloned()
                .unwrap_or_default(),
            taken_at: 1_788_600_000,
            caption: CAPTIONS[index % CAPTIONS.len()].map(str::to_owned),
            media: vec![picture(index / CAPTIONS.len() % PICTURES)],
            likes: Some(i64::from(index as u32) * 7),
            comments: number,
            plays: None,
            location: None,
            coauthors: Vec::new(),
            ai_label: None,
            paid: false,
            fault: None,
            fault_times: None,
            expired_times: 0,
            fails: None,
        }
    }
}

/// Cuts an item at the places where the shortcode and its number go.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (n, part) in text.split(CODE).enumerate() {
        if n > 0 {
            pieces.push(Piece::Code);
        }
        for (n, part) in part.split(PK).enumerate() {
            if n > 0 {
                pieces.push(Piece::Pk);
            }
            pieces.push(Piece::Text(part.as_bytes().to_vec()));
        }
    }
    pieces
}
