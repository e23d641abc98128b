//! What the components found, read out of a result for the card.
//!
//! `analysis_results` is each component's own JSON, and results outlive the version that wrote them: what is missing or of
//! another shape is left out, and the coverage of the result says why.

use schemas::Reason;
use serde::de::DeserializeOwned;
use serde_json::Value;

mod pictures;
mod provenance;
mod sources;
mod text;
mod videos;

pub use pictures::{Picture, media, pictures};
pub use provenance::{Provenance, provenance};
pub use sources::{Sources, sources};
pub use text::{Text, text};
pub use videos::{Video, videos};

/// Reads a value of another's shape; `None` where it has none of it.
fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

/// The entries of a list that have the shape, in order, each with its value.
fn entries<T: DeserializeOwned>(value: &Value) -> impl Iterator<Item = (&Value, T)> {
    let entries = value.as_array().map_or(&[][..], Vec::as_slice);
    entries
        .iter()
        .filter_map(|entry| Some((entry, read(entry)?)))
}

/// The same without the values.
fn list<T: DeserializeOwned>(value: &Value) -> Vec<T> {
    entries(value).map(|(_, entry)| entry).collect()
}

/// The sentence of a reason's code, as the end of a sentence.
fn sentence(code: Option<&str>) -> String {
    let reason = code.and_then(Reason::from_code);
    let sentence = reason.map_or("no reason was kept", Reason::sentence);
    let sentence = sentence.trim_end_matches('.');
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}
