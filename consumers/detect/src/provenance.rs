//! What a file says of its own origin: content credentials, the IPTC digital source type, marks that generators leave.
//!
//! None of it is proof. A mark can be removed, and most sites do; it can be written by anybody, though few have a reason to
//! call their photograph generated. So a declared generator is evidence, and silence means nothing. Content credentials alone
//! are signed: [`CredentialChecker`] says what that is worth.

mod credentials;
mod exif;
mod segments;
mod words;

use schemas::events::detections::{Credentials, OriginMark, ProvenanceFinding};

use credentials::Checked;
pub use credentials::{CredentialChecker, TrustError};
use segments::Place;

/// Characters of a mark that are kept.
const KEPT: usize = 200;

/// What the picture in `file` says of its origin. Broken metadata is no reason not to look at the rest.
#[must_use]
pub fn read(file: &[u8], checker: &CredentialChecker) -> ProvenanceFinding {
    let mut finding = ProvenanceFinding::silent();
    for (place, bytes) in segments::of(file) {
        match place {
            // One for all of its pieces.
            Place::Credentials if finding.c2pa == Credentials::Absent => {
                if bytes.windows(4).any(|word| word == b"c2pa") {
                    signed(&checker.check(file), &mut finding);
                }
            }
            Place::Credentials => {}
            Place::Xmp => xmp(&String::from_utf8_lossy(bytes), &mut finding),
            Place::Exif => {
                for (tag, text) in exif::texts(bytes) {
                    note(&mut finding, "exif", words::in_tag(tag, &text), &text);
                }
            }
            Place::PngText(key) => {
                let text = String::from_utf8_lossy(bytes);
                if key == "XML:com.adobe.xmp" {
                    xmp(&text, &mut finding);
                } else {
                    note(&mut finding, "png_text", words::in_tag(&key, &text), &text);
                }
            }
        }
    }
    finding.statement = statement(&finding);
    finding
}

fn signed(checked: &Checked, finding: &mut ProvenanceFinding) {
    finding.c2pa = checked.state;
    finding.issuer.clone_from(&checked.issuer);
    source_type(&checked.declared, "c2pa", finding);
    if let Some(generator) = words::generator(&checked.declared) {
        finding
            .generator
            .get_or_insert_with(|| generator.to_owned());
        mark(finding, "c2pa", generator);
    }
}

fn xmp(text: &str, finding: &mut ProvenanceFinding) {
    source_type(text, "iptc", finding);
    for name in ["CreatorTool", "Credit"] {
        let value = words::xmp_value(text, name);
        if let Some(value) = value {
            note(finding, "xmp", words::in_tag("Software", value), value);
        }
    }
}

/// The IPTC digital source type, wherever its URI stands.
fn source_type(text: &str, place: &str, finding: &mut ProvenanceFinding) {
    let Some(kind) = words::digital_source_type(text) else {
        return;
    };
    // A picture that was made by a model as a whole; one with generated parts is told, and judged by its pixels.
    finding.declared_ai |= kind == "trainedAlgorithmicMedia";
    mark(finding, place, kind);
    finding
        .digital_source_type
        .get_or_insert_with(|| kind.to_owned());
}

fn note(finding: &mut ProvenanceFinding, place: &str, generator: Option<&str>, text: &str) {
    if let Some(generator) = generator {
        finding.declared_ai = true;
        finding
            .generator
            .get_or_insert_with(|| generator.to_owned());
        mark(finding, place, text);
    }
}

fn mark(finding: &mut ProvenanceFinding, place: &str, text: &str) {
    let text = text
        .chars()
        .filter(|c| !c.is_control())
        .take(KEPT)
        .collect();
    let mark = OriginMark {
        place: place.to_owned(),
        text,
    };
    if !finding.marks.contains(&mark) {
        finding.marks.push(mark);
    }
}

fn statement(finding: &ProvenanceFinding) -> Option<String> {
    let source = if finding.marks.iter().any(|mark| mark.place == "c2pa") {
        "content credentials"
    } else {
        "metadata"
    };
    if finding.declared_ai {
        let by = finding.generator.as_deref().unwrap_or("a generator");
        return Some(format!("Its {source} say that it was made by {by}."));
    }
    let kind = finding.digital_source_type.as_deref()?;
    Some(format!(
        "Its {source} give its digital source type as {kind}."
    ))
}
