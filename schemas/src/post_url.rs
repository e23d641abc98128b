//! From what people paste to a post: the URL rules. Parsed by hand on the raw string, because a general URL parser repairs
//! input (drops tabs, decodes hosts, turns `\` into `/`) that must be refused here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The default longest URL, in characters.
pub const MAX_URL_LENGTH: usize = 2000;
const MAX_SHORTCODE: usize = 64;
const HOSTS: [&str; 4] = [
    "instagram.com",
    "www.instagram.com",
    "m.instagram.com",
    "instagr.am",
];

/// A post, as named by its URL. Identity is the shortcode alone: `/p/X` and `/reel/X` are one post.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct PostRef {
    /// The shortcode: 1 to 64 of `[A-Za-z0-9_-]`, case-sensitive.
    pub post_id: String,
    /// The canonical URL, `https://www.instagram.com/p|reel|tv/{shortcode}/`.
    pub url: String,
}

/// Why a URL is refused. The text is meant for the person who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing was given.
    #[error("URL is empty")]
    Empty,
    /// More characters than allowed.
    #[error("URL is longer than {0} characters")]
    TooLong(usize),
    /// Control characters, white space inside, or characters outside ASCII before the query.
    #[error("URL contains characters that are not allowed")]
    Characters,
    /// Neither http nor https.
    #[error("URL must begin with http:// or https://")]
    Scheme,
    /// A user name or password stands before the host.
    #[error("URL must not contain a user name or password")]
    UserInfo,
    /// A port other than the scheme's own.
    #[error("URL must not name a port")]
    Port,
    /// Another site.
    #[error("URL must be on instagram.com")]
    Host,
    /// `%` in the path.
    #[error("URL path must not be percent-encoded")]
    PercentEncoded,
    /// Not the address of a post.
    #[error("URL must be that of a post: /p/, /reel/ or /tv/ followed by its shortcode")]
    Path,
    /// The shortcode has other characters or another length.
    #[error("shortcode must be 1 to 64 letters, digits, '_' or '-'")]
    Shortcode,
}

impl PostRef {
    /// Parses what a partner sent, at most `max_length` characters of it.
    ///
    /// # Errors
    /// The first rule that the URL breaks.
    pub fn parse(input: &str, max_length: usize) -> Result<Self, UrlError> {
        if input.chars().count() > max_length {
            return Err(UrlError::TooLong(max_length));
        }
        let url = input.trim_matches([' ', '\t', '\r', '\n']);
        if url.is_empty() {
            return Err(UrlError::Empty);
        }
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(UrlError::Characters);
        }
        let (default_port, rest) = split_scheme(url)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        check_authority(authority, default_port)?;
        let path = tail.split(['?', '#']).next().unwrap_or_default();
        let (kind, shortcode) = split_path(path)?;
        Ok(Self {
            post_id: shortcode.to_owned(),
            url: format!("https://www.instagram.com/{kind}/{shortcode}/"),
        })
    }
}

fn split_scheme(url: &str) -> Result<(&'static str, &str), UrlError> {
    let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
    if scheme.eq_ignore_ascii_case("https") {
        Ok(("443", rest))
    } else if scheme.eq_ignore_ascii_case("http") {
        Ok(("80", rest))
    } else {
        Err(UrlError::Scheme)
    }
}

fn check_authority(authority: &str, default_port: &str) -> Result<(), UrlError> {
    if authority.contains('@') {
        return Err(UrlError::UserInfo);
    }
    let host = match authority.split_once(':') {
        Some((host, port)) if port == default_port => host,
        Some(_) => return Err(UrlError::Port),
        None => authority,
    };
    if HOSTS.iter().any(|known| known.eq_ignore_ascii_case(host)) {
        Ok(())
    } else {
        Err(UrlError::Host)
    }
}

fn split_path(path: &str) -> Result<(&'static str, &str), UrlError> {
    if path.contains('%') {
        return Err(UrlError::PercentEncoded);
    }
    if !path.is_ascii() {
        return Err(UrlError::Characters);
    }
    let path = path.strip_prefix('/').ok_or(UrlError::Path)?;
    let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    let (kind, shortcode) = match segments[..] {
        ["p", shortcode] => ("p", shortcode),
        ["reel" | "reels", shortcode] => ("reel", shortcode),
        ["tv", shortcode] => ("tv", shortcode),
        [user, "p", shortcode] if is_user(user) => ("p", shortcode),
        [user, "reel", shortcode] if is_user(user) => ("reel", shortcode),
        _ => return Err(UrlError::Path),
    };
    if is_shortcode(shortcode) {
        Ok((kind, shortcode))
    } else {
        Err(UrlError::Shortcode)
    }
}

/// Whether `text` has the form of a shortcode.
#[must_use]
pub fn is_shortcode(text: &str) -> bool {
    (1..=MAX_SHORTCODE).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A user name; `.` and `..` are path navigation, not names.
fn is_user(text: &str) -> bool {
    (1..=30).contains(&text.len())
        && text.bytes().any(|b| b != b'.')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}
