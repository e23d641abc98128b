//! Content credentials (C2PA): whether they are whole, belong to the file and were signed by a trusted issuer, and what they declare.

use std::{
    collections::BTreeSet,
    fs,
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use c2pa::{Context, Manifest, Reader, Relationship, Settings, ValidationState};
use schemas::events::detections::Credentials;

/// Edits of an edit that are followed back to where a picture came from.
const MAX_STEPS: usize = 16;

/// Checks content credentials, offline: what is stored elsewhere is not fetched, no certificate authority is asked.
#[derive(Clone)]
pub struct CredentialChecker(Arc<Context>);

/// What there is to say of a file's content credentials.
pub(super) struct Checked {
    pub(super) state: Credentials,
    /// Who signed, by the certificate.
    pub(super) issuer: Option<String>,
    /// What the credentials say of the picture and of the pictures it was edited from, as JSON; nothing of pictures that are a part of it.
    pub(super) declared: String,
}

/// Why the list of trusted issuers can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file can't be read.
    #[error("{0} can't be read: {1}")]
    Unreadable(String, std::io::Error),
    /// It holds no certificates.
    #[error("{0} is no list of certificates in PEM: {1}")]
    Malformed(String, String),
}

impl CredentialChecker {
    /// With a file of the certificates (PEM) of those who may issue credentials that are called trusted; without one, nobody may.
    ///
    /// # Errors
    /// [`TrustError`]
    pub fn new(trusted: Option<&Path>) -> Result<Self, TrustError> {
        let Some(path) = trusted else {
            return Ok(Self(Arc::default()));
        };
        let name = path.display().to_string();
        let pem = match fs::read_to_string(path) {
            Ok(pem) => pem,
            Err(error) => return Err(TrustError::Unreadable(name, error)),
        };
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(TrustError::Malformed(name, "it holds none".to_owned()));
        }
        let settings = Settings::new().with_value("trust.user_anchors", pem);
        let context = settings.and_then(|settings| Context::new().with_settings(settings));
        match context {
            Ok(context) => Ok(Self(Arc::new(context))),
            Err(error) => Err(TrustError::Malformed(name, error.to_string())),
        }
    }

    /// What the credentials in a picture file are worth. They come from strangers, so that a reader that breaks on them calls them
    /// broken.
    pub(super) fn check(&self, file: &[u8]) -> Checked {
        let read = || {
            let format = image::guess_format(file).ok()?.to_mime_type();
            let reader = Reader::from_shared_context(&self.0);
            reader.with_stream(format, Cursor::new(file)).ok()
        };
        let reader = catch_unwind(AssertUnwindSafe(read)).ok().flatten();
        let Some((reader, active)) = reader
            .as_ref()
            .and_then(|reader| Some((reader, reader.active_manifest()?)))
        else {
            return Checked {
                state: Credentials::Invalid,
                issuer: None,
                declared: String::new(),
            };
        };
        Checked {
            state: match reader.validation_state() {
                ValidationState::Trusted => Credentials::Trusted,
                ValidationState::Valid => Credentials::Valid,
                _ => Credentials::Invalid,
            },
            issuer: active.issuer().or_else(|| active.common_name()),
            declared: declared(reader, active),
        }
    }
}

/// What the manifests of a picture's own history declare.
fn declared(reader: &Reader, active: &Manifest) -> String {
    let mut text = String::new();
    let mut met = BTreeSet::new();
    let mut next = Some(active);
    while let Some(manifest) = next.take() {
        if met.len() == MAX_STEPS || !met.insert(manifest.label()) {
            break;
        }
        let said = (
            manifest.claim_generator(),
            &manifest.claim_generator_info,
            manifest.assertions(),
        );
        // What can't be written as JSON says nothing.
        text += &serde_json::to_string(&said).unwrap_or_default();
        let mut ingredients = manifest.ingredients().iter();
        let parent = ingredients.find(|one| *one.relationship() == Relationship::ParentOf);
        next = parent
            .and_then(|parent| parent.active_manifest())
            .and_then(|label| reader.get_manifest(label));
    }
    text
}
