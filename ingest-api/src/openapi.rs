//! The document that describes the API, OpenAPI 3.1. Paths, parameters and bodies come from the annotations of the handlers
//! ([`crate::routes`] by way of [`crate::router`]); here is what they have in common.
//!
//! - [`refusals`]: the errors, each made by the code that answers them;
//! - [`shapes`]: bodies that have no type of their own elsewhere;
//! - `guide.md`: what the document begins with.
//!
//! `ingest-api/openapi.json` is the committed copy; `make openapi` writes it.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        self, Header, HeaderBuilder, ObjectBuilder, Ref, RefOr, Required, Schema, Type,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        schema::SchemaType,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::rate_limit;

pub mod refusals;
pub mod shapes;

/// What has no place in an annotation of a handler.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "TrustCard",
        description = include_str!("openapi/guide.md"),
        contact(name = "TrustCard"),
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "Where this document came from")),
    tags(
        (name = "submissions", description = "Posts in: one, or thousands at once."),
        (name = "results", description = "Scores out, with every reason."),
        (name = "webhooks", description = "Be told when analyses and batches end."),
        (name = "feedback", description = "What readers think of a result."),
        (name = "cache", description = "What is kept so that nothing is done twice."),
        (name = "monitoring", description = "For operators and orchestrators. Probes and metrics are not rate limited."),
        (name = "documentation", description = "This document, and what there is.")
    ),
    components(schemas(refusals::ErrorBody, refusals::Problem))
)]
struct Common;

/// The document without paths.
#[must_use]
pub fn beginning() -> openapi::OpenApi {
    Common::openapi()
}

/// Adds to a document with all its paths what every operation has.
#[must_use]
pub fn complete(mut document: openapi::OpenApi) -> openapi::OpenApi {
    let mut used = BTreeSet::new();
    for (path, item) in &mut document.paths.paths {
        let limited = !rate_limit::is_exempt(path);
        for (_, operation) in operations(item) {
            if limited {
                refusals::add(operation, 429);
            }
            refusals::add(operation, 500);
            for (status, response) in &mut operation.responses.responses {
                match response {
                    RefOr::T(response) => response.headers.extend(headers(limited)),
                    RefOr::Ref(_) => drop(used.insert(status.clone())),
                }
            }
            let parameters = operation.parameters.get_or_insert_default();
            for parameter in parameters.iter_mut() {
                if let RefOr::T(parameter) = parameter
                    && parameter.parameter_in == ParameterIn::Query
                {
                    parameter.required = Required::False;
                }
            }
            parameters.push(RefOr::T(request_id_parameter()));
        }
    }
    let components = document.components.get_or_insert_default();
    components.responses.extend(refusals::all(&used));
    for (name, kind, about) in HEADERS {
        let header = HeaderBuilder::new()
            .schema(Some(text_or_number(kind)))
            .description(Some(about));
        components
            .headers
            .insert(name.to_owned(), RefOr::T(header.build()));
    }
    for (name, schema) in &mut components.schemas {
        if !shapes::REQUESTS.contains(&name.as_str()) {
            require_all(schema);
        }
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A key, as `trustcard keys create` shows it once."))
        .build();
    components.add_security_scheme("key", SecurityScheme::Http(bearer));
    document
}

/// Answers hold every member, `null` where there is nothing to say.
fn require_all(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema {
        object.required = object.properties.keys().cloned().collect();
    }
}

const REQUEST_ID: &str = "X-Request-ID";

/// Headers of answers: name, type, what they say. The first is on every answer, the next on those that count against a limit.
const HEADERS: [(&str, Type, &str); 9] = [
    (
        REQUEST_ID,
        Type::String,
        "The id of this request: the caller's own, or one made here. Every line logged for it has it.",
    ),
    (
        "X-RateLimit-Limit-Minute",
        Type::Integer,
        "Requests that the budget allows in any minute.",
    ),
    (
        "X-RateLimit-Limit-Hour",
        Type::Integer,
        "Requests that the budget allows in any hour.",
    ),
    (
        "X-RateLimit-Remaining-Minute",
        Type::Integer,
        "What is left of the minute.",
    ),
    (
        "X-RateLimit-Remaining-Hour",
        Type::Integer,
        "What is left of the hour.",
    ),
    (
        "RateLimit-Policy",
        Type::String,
        "The same limits as draft-ietf-httpapi-ratelimit-headers-10 writes them.",
    ),
    (
        "RateLimit",
        Type::String,
        "What is left, written the same way; `t` is the seconds until there is room for one more.",
    ),
    (
        "Retry-After",
        Type::Integer,
        "Seconds after which it is worth trying again.",
    ),
    (
        "WWW-Authenticate",
        Type::String,
        "`Bearer`: how a key is sent.",
    ),
];

/// The headers of an answer, as references.
fn headers(limited: bool) -> impl Iterator<Item = (String, RefOr<Header>)> {
    let names = HEADERS.iter().map(|(name, ..)| *name);
    names.take(if limited { 7 } else { 1 }).map(header)
}

/// A reference to a header, under its name.
fn header(name: &str) -> (String, RefOr<Header>) {
    let reference = Ref::new(format!("#/components/headers/{name}"));
    (name.to_owned(), RefOr::Ref(reference))
}

fn text_or_number(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(kind))
}

fn request_id_parameter() -> Parameter {
    ParameterBuilder::new()
        .name(REQUEST_ID)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("An id of the caller's for this request, 1 to 128 of `A-Z a-z 0-9 . _ -`; another one is replaced."))
        .schema(Some(text_or_number(Type::String)))
        .build()
}

/// The operations of a path by their methods.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("GET", &mut item.get),
        ("POST", &mut item.post),
        ("PUT", &mut item.put),
        ("PATCH", &mut item.patch),
        ("DELETE", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// A path and what it is for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Endpoint {
    /// The method.
    pub method: &'static str,
    /// The route pattern.
    pub path: String,
    /// What it is for.
    pub about: String,
    /// Status of its usual answer.
    #[serde(skip)]
    pub success: u16,
}

/// The document as it is served, and the list of what it describes.
#[derive(Debug)]
pub struct Document {
    /// JSON.
    pub text: Bytes,
    /// By path.
    pub endpoints: Vec<Endpoint>,
}

impl Document {
    /// Makes them.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn new(mut document: openapi::OpenApi) -> Result<Self, serde_json::Error> {
        let text = text(&document)?.into();
        let mut endpoints = Vec::new();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                endpoints.push(Endpoint {
                    method,
                    path: path.clone(),
                    about: operation.summary.clone().unwrap_or_default(),
                    success: success(operation),
                });
            }
        }
        Ok(Self { text, endpoints })
    }
}

/// Status of an operation's usual answer: the first of its responses that is no error.
fn success(operation: &Operation) -> u16 {
    let statuses = operation.responses.responses.keys();
    statuses
        .filter_map(|status| status.parse().ok())
        .min()
        .unwrap_or(200)
}

/// The document as it is committed: indented, with a newline at its end. Equal code gives equal bytes.
///
/// # Errors
/// When it can't be written as JSON.
pub fn text(document: &openapi::OpenApi) -> Result<String, serde_json::Error> {
    let mut text = document.to_pretty_json()?;
    text.push('\n');
    Ok(text)
}
