//! Content credentials as programs write and sign them.

use std::{fs, io::Cursor};

use c2pa::{Builder, Signer};
use schemas::events::detections::{Credentials, ProvenanceFinding};
use serde_json::json;
use trustcard_detect::provenance::{CredentialChecker, TrustError, read};

use crate::{common::fixture, issuer::issuer};

const IPTC: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/";
const FILES: [(&str, &str); 3] = [
    ("baseline.jpg", "image/jpeg"),
    ("rgba.png", "image/png"),
    ("lossy.webp", "image/webp"),
];

/// A new manifest whose first action gives a digital source type.
fn manifest(action: &str, kind: &str, program: &str) -> Builder {
    let mut first = json!({ "action": action, "softwareAgent": program });
    if !kind.is_empty() {
        first["digitalSourceType"] = json!(format!("{IPTC}{kind}"));
    }
    let definition = json!({
        "claim_generator_info": [{ "name": program, "version": "1.0" }],
        "assertions": [{ "label": "c2pa.actions", "data": { "actions": [first] } }],
    });
    let builder = Builder::default();
    builder.with_definition(definition.to_string()).unwrap()
}

fn signed(mut builder: Builder, by: &dyn Signer, file: &[u8], mime: &str) -> Vec<u8> {
    let (mut from, mut to) = (Cursor::new(file), Cursor::new(Vec::new()));
    builder.sign(by, mime, &mut from, &mut to).unwrap();
    to.into_inner()
}

/// What is said of a file where this issuer is trusted, or nobody is.
fn said(file: &[u8], trusted: Option<&str>) -> ProvenanceFinding {
    let folder = tempfile::tempdir().unwrap();
    let path = trusted.map(|pem| {
        let path = folder.path().join("issuers.pem");
        fs::write(&path, pem).unwrap();
        path
    });
    read(file, &CredentialChecker::new(path.as_deref()).unwrap())
}

#[test]
fn a_camera_is_valid_and_where_its_issuer_is_listed_trusted() {
    for (name, mime) in FILES {
        let (camera, pem) = issuer();
        let builder = manifest("c2pa.created", "digitalCapture", "Camera");
        let file = signed(builder, &*camera, &fixture(name), mime);
        for (trusted, state) in [
            (None, Credentials::Valid),
            (Some(issuer().1), Credentials::Valid),
            (Some(pem), Credentials::Trusted),
        ] {
            let finding = said(&file, trusted.as_deref());
            assert_eq!(finding.c2pa, state, "{name}: {finding:?}");
            assert!(!finding.declared_ai);
            assert_eq!(
                finding.digital_source_type.as_deref(),
                Some("digitalCapture")
            );
            assert!(finding.issuer.is_some(), "{finding:?}");
        }
    }
}

#[test]
fn a_file_that_was_changed_since_is_invalid_and_what_it_declares_is_told_all_the_same() {
    let (by, pem) = issuer();
    let kind = "trainedAlgorithmicMedia";
    let builder = manifest("c2pa.created", kind, "Adobe Firefly");
    let mut file = signed(builder, &*by, &fixture("baseline.jpg"), "image/jpeg");
    let whole = said(&file, Some(&pem));
    assert_eq!(
        (whole.c2pa, whole.declared_ai),
        (Credentials::Trusted, true)
    );
    assert_eq!(
        whole.statement.as_deref(),
        Some("Its content credentials say that it was made by Adobe Firefly.")
    );
    // A byte of the picture.
    let place = file.len() - 100;
    file[place] ^= 1;
    let changed = said(&file, Some(&pem));
    assert_eq!(
        (changed.c2pa, changed.declared_ai),
        (Credentials::Invalid, true)
    );
    // Credentials that were cut off in the middle.
    let cut = file.windows(4).position(|word| word == b"c2pa").unwrap() + 40;
    assert_ne!(said(&file[..cut], Some(&pem)).c2pa, Credentials::Trusted);
}

#[test]
fn an_edit_is_followed_to_its_origin_and_a_part_says_nothing_of_the_whole() {
    let (by, pem) = issuer();
    let made = manifest("c2pa.created", "trainedAlgorithmicMedia", "Generator");
    let made = signed(made, &*by, &fixture("baseline.jpg"), "image/jpeg");
    for (relationship, action, declared) in [
        ("parentOf", "c2pa.opened", true),
        ("componentOf", "c2pa.placed", false),
    ] {
        let mut edit = manifest(action, "", "Editor");
        let ingredient = json!({ "title": "before", "relationship": relationship });
        edit.add_ingredient_from_stream(
            ingredient.to_string(),
            "image/jpeg",
            &mut Cursor::new(&made),
        )
        .unwrap();
        let edited = signed(edit, &*by, &fixture("rgba.png"), "image/png");
        let finding = said(&edited, Some(&pem));
        assert_eq!(finding.declared_ai, declared, "{finding:?}");
    }
}

#[test]
fn what_only_looks_like_credentials_is_broken_and_nothing_makes_it_panic() {
    let (by, _) = issuer();
    let builder = manifest("c2pa.created", "digitalCapture", "Camera");
    let file = signed(builder, &*by, &fixture("rgba.png"), "image/png");
    let checker = CredentialChecker::new(None).unwrap();
    let begin = file.windows(4).position(|word| word == b"caBX").unwrap();
    for place in (begin..file.len()).step_by(97) {
        let mut broken = file.clone();
        broken[place] = !broken[place];
        let state = read(&broken, &checker).c2pa;
        assert_ne!(state, Credentials::Trusted);
        let _ = read(&file[..place], &checker);
    }
}

#[test]
fn a_list_that_is_none_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    let refused = CredentialChecker::new(Some(&missing)).err();
    assert!(matches!(refused, Some(TrustError::Unreadable(..))));
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "nobody").unwrap();
    let refused = CredentialChecker::new(Some(&empty)).err();
    assert!(matches!(refused, Some(TrustError::Malformed(..))));
}
