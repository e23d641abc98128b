//! Reading JSON bodies from callers one can't trust: bounded in bytes and time, and picked apart without building a tree, so
//! that neither nesting nor repetition costs more than the bytes themselves.

use axum::{
    extract::Request,
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use std::{fmt, time::Duration};

use crate::error::{ApiError, FieldError, shorten};

pub mod decoded;

/// Most members of an object that are looked at; no request has that many.
const MOST_MEMBERS: usize = 64;

/// Reads the whole body of a JSON request.
///
/// # Errors
/// See [`read_body`].
pub async fn read_json(
    request: Request,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, ApiError> {
    read_body(request, "application/json", limit, deadline).await
}

/// Reads the whole body of a request of this type.
///
/// # Errors
/// 415 for another type or a compressed body, 413 beyond `limit` bytes, 400 when it does not arrive within `deadline`.
pub async fn read_body(
    request: Request,
    wanted: &'static str,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, ApiError> {
    check_type(request.headers(), wanted)?;
    let declared = declared_length(request.headers());
    if declared > limit {
        return Err(ApiError::too_large(limit, "bytes"));
    }
    tokio::time::timeout(deadline, collect(request, declared, limit))
        .await
        .unwrap_or_else(|_| Err(ApiError::body_incomplete("did not arrive in time")))
}

/// What the caller says the body has, in bytes; 0 when it does not say.
fn declared_length(headers: &HeaderMap) -> usize {
    headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok())
        .map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

async fn collect(request: Request, declared: usize, limit: usize) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::with_capacity(declared);
    let mut chunks = request.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::body_incomplete("ended too early"))?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::too_large(limit, "bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn check_type(headers: &HeaderMap, wanted: &str) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let media_type = text(header::CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase());
    if media_type.as_deref() != Some(wanted) {
        let message = format!("Send the body as Content-Type: {wanted}.");
        return Err(ApiError::unsupported(message));
    }
    match headers.get(header::CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => Err(ApiError::unsupported(
            "Send the body uncompressed, without Content-Encoding.",
        )),
        _ => Ok(()),
    }
}

/// The members of a JSON object, not yet parsed.
#[derive(Debug)]
pub struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Takes a body apart.
    ///
    /// # Errors
    /// 422 when it is not a JSON object in UTF-8.
    pub fn of(body: &'a [u8]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body)
            .map_err(|_| ApiError::invalid_field("body", Value::Null, "must be JSON in UTF-8"))?;
        serde_json::from_str(text).map_err(|error| {
            ApiError::invalid_field(
                "body",
                Value::Null,
                format!("must be a JSON object: {error}"),
            )
        })
    }

    /// The member of that name, if it is there, once, and not null.
    ///
    /// # Errors
    /// When it is there more than once.
    pub fn get(&self, name: &str) -> Result<Option<&'a RawValue>, FieldError> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        let first = found.next().map(|(_, value)| *value);
        if found.next().is_some() {
            return Err(FieldError::new(
                name,
                Value::Null,
                "is given more than once",
            ));
        }
        Ok(first.filter(|value| value.get() != "null"))
    }

    /// A string that must be there.
    ///
    /// # Errors
    /// When it is not there or no string.
    pub fn string(&self, name: &str) -> Result<String, FieldError> {
        self.optional_string(name)?
            .ok_or_else(|| FieldError::new(name, Value::Null, "is required"))
    }

    /// A string, if there is one.
    ///
    /// # Errors
    /// When it is something else.
    pub fn optional_string(&self, name: &str) -> Result<Option<String>, FieldError> {
        let value = self.get(name)?;
        value
            .map(|value| {
                string(value).ok_or_else(|| FieldError::new(name, echo(value), "must be a string"))
            })
            .transpose()
    }

    /// A boolean; `false` when it is not there.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self, name: &str) -> Result<bool, FieldError> {
        self.get(name)?.map_or(Ok(false), |value| {
            serde_json::from_str(value.get())
                .map_err(|_| FieldError::new(name, echo(value), "must be true or false"))
        })
    }

    /// A list that must be there: its first `most` items, and how many it has.
    ///
    /// # Errors
    /// When it is not there or no list.
    pub fn list(&self, name: &str, most: usize) -> Result<Items<'a>, FieldError> {
        let value = self.required(name)?;
        let mut json = serde_json::Deserializer::from_str(value.get());
        json.deserialize_seq(ItemsVisitor(most))
            .map_err(|_| FieldError::new(name, echo(value), "must be a list"))
    }

    fn required(&self, name: &str) -> Result<&'a RawValue, FieldError> {
        self.get(name)?
            .ok_or_else(|| FieldError::new(name, Value::Null, "is required"))
    }
}

/// The text of a JSON string; `None` for anything else, lone surrogates included.
#[must_use]
pub fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// What a caller sent, as far as it can be repeated.
#[must_use]
pub fn echo(value: &RawValue) -> String {
    string(value).map_or_else(|| shorten(value.get()), |text| shorten(&text))
}

/// The items of a list.
#[derive(Debug)]
pub struct Items<'a> {
    /// The first ones, not yet parsed.
    pub first: Vec<&'a RawValue>,
    /// How many there are.
    pub count: usize,
}

struct ItemsVisitor(usize);

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'de>, A::Error> {
        let mut first = Vec::new();
        while first.len() < self.0 {
            match seq.next_element::<&'de RawValue>()? {
                Some(item) => first.push(item),
                None => {
                    let count = first.len();
                    return Ok(Items { first, count });
                }
            }
        }
        let mut count = first.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Items { first, count })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    if members.len() == MOST_MEMBERS {
                        return Err(serde::de::Error::custom("too many members"));
                    }
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault<T: fmt::Debug>(result: Result<T, FieldError>) -> String {
        result.unwrap_err().message().to_owned()
    }

    #[test]
    fn members_are_found_and_faults_are_named() {
        let members =
            Members::of(br#"{"url":"a","force":true,"twice":1,"twice":2,"none":null}"#).unwrap();
        assert_eq!(members.string("url").unwrap(), "a");
        assert!(members.flag("force").unwrap());
        assert!(!members.flag("absent").unwrap());
        assert_eq!(fault(members.string("absent")), "is required");
        assert_eq!(fault(members.string("none")), "is required");
        assert_eq!(fault(members.string("force")), "must be a string");
        assert_eq!(fault(members.flag("url")), "must be true or false");
        assert_eq!(fault(members.string("twice")), "is given more than once");
        assert_eq!(fault(members.list("url", 9)), "must be a list");
    }

    #[test]
    fn a_list_is_counted_to_its_end_but_kept_only_to_its_limit() {
        let body = format!(r#"{{"urls":[{}1]}}"#, "1,".repeat(99_999));
        let members = Members::of(body.as_bytes()).unwrap();
        let items = members.list("urls", 10).unwrap();
        assert_eq!((items.first.len(), items.count), (10, 100_000));
        let members = Members::of(br#"{"urls":["a",5,{}]}"#).unwrap();
        let items = members.list("urls", 3).unwrap();
        assert_eq!((items.first.len(), items.count), (3, 3));
        let texts: Vec<_> = items.first.iter().map(|item| string(item)).collect();
        assert_eq!(texts, [Some("a".to_owned()), None, None]);
    }

    #[test]
    fn what_is_no_object_or_tries_to_exhaust_us_is_refused() {
        let deep = format!(r#"{{"url":{}"#, "[".repeat(10_000));
        let many = format!("{{{}\"a\":1}}", "\"a\":1,".repeat(1000));
        let odd: [&[u8]; 9] = [
            b"",
            b"[]",
            b"\"text\"",
            b"{\"url\":\"a\"",
            b"{\"url\":\"a\"} x",
            b"{\"\\ud800\":1}",
            b"{\"url\":\"\xff\"}",
            deep.as_bytes(),
            many.as_bytes(),
        ];
        for body in odd {
            let error = Members::of(body).unwrap_err();
            assert_eq!(error.code(), crate::error::Code::InvalidInput);
        }
        let closed = format!(r#"{{"url":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
        let members = Members::of(closed.as_bytes()).unwrap();
        assert_eq!(fault(members.string("url")), "must be a string");
        let surrogate = Members::of(br#"{"url":"\ud800"}"#).unwrap();
        assert_eq!(fault(surrogate.string("url")), "must be a string");
    }
}
