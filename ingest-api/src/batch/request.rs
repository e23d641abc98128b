//! The items of a batch as they were sent: a list in a JSON object, or a line each. Nothing is copied out of the body here.

use axum::http::{HeaderMap, header};
use schemas::PostRef;
use serde_json::{Value, value::RawValue};

use crate::{
    body::{Items, Members, echo, string},
    error::{ApiError, FieldError, shorten},
};

/// Longest name a caller may give an item, in characters.
const LONGEST_REF: usize = 255;

/// How a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `{"urls": [...]}`.
    Json,
    /// A URL, or `{"url", "client_ref"}`, a line.
    Lines,
}

impl Format {
    /// That of a request.
    ///
    /// # Errors
    /// 415 for another.
    pub fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let media_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(|value| value.trim().to_ascii_lowercase());
        match media_type.as_deref() {
            Some("application/json") => Ok(Self::Json),
            Some("application/x-ndjson" | "application/ndjson") => Ok(Self::Lines),
            _ => Err(ApiError::unsupported(
                "Send the body as Content-Type: application/json or application/x-ndjson.",
            )),
        }
    }

    /// Its name, for what stands for a whole request.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Lines => "ndjson",
        }
    }
}

/// An item as it was sent.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// Of a list.
    Listed(&'a RawValue),
    /// A line, without the white space around it, and its number, from 1.
    Line(usize, &'a [u8]),
}

/// What an item asks for.
#[derive(Debug, PartialEq)]
pub struct Asked {
    /// The post.
    pub post: PostRef,
    /// What the caller calls the item.
    pub client_ref: Option<String>,
}

/// The items of a batch, at most `most`.
///
/// # Errors
/// 413 when there are more; 422 when there is none, or the whole is malformed. A malformed item is its own affair.
pub fn entries(body: &[u8], format: Format, most: usize) -> Result<Vec<Entry<'_>>, ApiError> {
    let (entries, count) = match format {
        Format::Json => {
            let listed = Members::of(body)?.list("urls", most);
            let Items { first, count } = listed.map_err(|fault| ApiError::invalid(vec![fault]))?;
            (first.into_iter().map(Entry::Listed).collect(), count)
        }
        Format::Lines => lines(body, most),
    };
    match count {
        0 => Err(ApiError::invalid_field(
            match format {
                Format::Json => "urls",
                Format::Lines => "body",
            },
            0,
            "must hold at least one URL",
        )),
        count if count > most => Err(ApiError::too_large(most, "URLs")),
        _ => Ok(entries),
    }
}

/// The first `most` lines that are not blank, and how many there are.
fn lines(body: &[u8], most: usize) -> (Vec<Entry<'_>>, usize) {
    let lines = (1..).zip(body.split(|byte| *byte == b'\n'));
    let lines = lines.map(|(number, line)| (number, line.trim_ascii()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty());
    let first = lines.by_ref().take(most);
    let first: Vec<_> = first
        .map(|(number, line)| Entry::Line(number, line))
        .collect();
    let count = first.len() + lines.count();
    (first, count)
}

impl Entry<'_> {
    /// What it asks for.
    ///
    /// # Errors
    /// A sentence that says what is wrong, and for a line where.
    pub fn read(&self, max_url_length: usize) -> Result<Asked, String> {
        let parse =
            |url: &str| PostRef::parse(url, max_url_length).map_err(|error| error.to_string());
        match self {
            Self::Listed(raw) => {
                let url = string(raw).ok_or_else(|| "URL must be a string".to_owned())?;
                let post = parse(&url)?;
                Ok(Asked {
                    post,
                    client_ref: None,
                })
            }
            Self::Line(number, line) => {
                let at = |fault: FieldError| {
                    format!("line {number}, {}: {}", fault.field(), fault.message())
                };
                let fault =
                    |field: &str, message: String| at(FieldError::new(field, Value::Null, message));
                let text = std::str::from_utf8(line)
                    .map_err(|_| fault("line", "must be UTF-8".to_owned()))?;
                if text.starts_with('{') {
                    let members: Members<'_> = serde_json::from_str(text).map_err(|error| {
                        fault("line", format!("must be a JSON object: {error}"))
                    })?;
                    let url = members.string("url").map_err(at)?;
                    let client_ref = members.optional_string("client_ref").map_err(at)?;
                    if let Some(name) = &client_ref
                        && name.chars().count() > LONGEST_REF
                    {
                        let message = format!("must have at most {LONGEST_REF} characters");
                        return Err(fault("client_ref", message));
                    }
                    let post = parse(&url).map_err(|message| fault("url", message))?;
                    return Ok(Asked { post, client_ref });
                }
                let quoted = text.starts_with('"');
                let url = match quoted {
                    true => serde_json::from_str(text).map_err(|error| {
                        fault("line", format!("must be a JSON string: {error}"))
                    })?,
                    false => text.to_owned(),
                };
                let post = parse(&url).map_err(|message| fault("url", message))?;
                Ok(Asked {
                    post,
                    client_ref: None,
                })
            }
        }
    }

    /// What was sent, as far as it can be repeated.
    #[must_use]
    pub fn echo(&self) -> String {
        match self {
            Self::Listed(raw) => echo(raw),
            Self::Line(_, line) => {
                // No more of it than is repeated: characters have at most four bytes.
                let beginning = &line[..line.len().min(1024)];
                shorten(&String::from_utf8_lossy(beginning))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    const URL: &str = "https://www.instagram.com/p/ABC/";

    fn read(line: &str) -> Result<Asked, String> {
        Entry::Line(7, line.as_bytes()).read(2000)
    }

    #[test]
    fn a_line_is_a_url_a_string_or_an_object() {
        let post = PostRef::parse(URL, 2000).unwrap();
        let asked = |client_ref: Option<&str>| Asked {
            post: post.clone(),
            client_ref: client_ref.map(str::to_owned),
        };
        assert_eq!(read(URL), Ok(asked(None)));
        assert_eq!(read(&format!("{URL:?}")), Ok(asked(None)));
        let object = format!(r#"{{"client_ref":"a\n1","url":"{URL}","more":[1]}}"#);
        assert_eq!(read(&object), Ok(asked(Some("a\n1"))));
        assert_eq!(
            read(&format!(r#"{{"url":"{URL}","client_ref":null}}"#)),
            Ok(asked(None))
        );
    }

    #[test]
    fn a_fault_names_its_line_and_its_field() {
        let long = format!(r#"{{"url":"{URL}","client_ref":"{}"}}"#, "é".repeat(256));
        for (line, beginning) in [
            (
                "https://example.com/p/A/",
                "line 7, url: URL must be on instagram.com",
            ),
            ("{\"url\":5}", "line 7, url: must be a string"),
            ("{\"client_ref\":\"a\"}", "line 7, url: is required"),
            (
                "{\"url\":\"a\",\"url\":\"b\"}",
                "line 7, url: is given more than once",
            ),
            ("{\"url\":", "line 7, line: must be a JSON object"),
            ("\"open", "line 7, line: must be a JSON string"),
            ("[1]", "line 7, url: "),
            (
                &format!(r#"{{"url":"{URL}","client_ref":{{}}}}"#),
                "line 7, client_ref: must be a string",
            ),
            (
                &long,
                "line 7, client_ref: must have at most 255 characters",
            ),
        ] {
            let fault = read(line).unwrap_err();
            assert!(fault.starts_with(beginning), "{fault}");
        }
        let odd = Entry::Line(2, b"\xff\xfe");
        assert_eq!(
            odd.read(2000),
            Err("line 2, line: must be UTF-8".to_owned())
        );
        assert_eq!(odd.echo(), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn blank_lines_are_none_and_the_rest_is_counted_to_its_end() {
        let body = b"\r\na\r\n\n  b  \nc";
        let entries = entries(body, Format::Lines, 3).unwrap();
        let places: Vec<(usize, &[u8])> = entries
            .iter()
            .map(|entry| match entry {
                Entry::Line(number, line) => (*number, *line),
                Entry::Listed(_) => panic!("no list"),
            })
            .collect();
        assert_eq!(places, [(2, &b"a"[..]), (4, b"b"), (5, b"c")]);
        let code = |body: &[u8], most| {
            super::entries(body, Format::Lines, most)
                .map(|_| ())
                .map_err(|error| error.code())
        };
        assert_eq!(code(body, 2), Err(Code::PayloadTooLarge));
        assert_eq!(code(b" \n\n", 2), Err(Code::InvalidInput));
    }
}
