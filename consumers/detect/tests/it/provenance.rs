//! What files say of their origin, in every type of picture that is read.

use schemas::events::detections::{Credentials, ProvenanceFinding};
use trustcard_detect::provenance::{self, CredentialChecker};

use crate::common::fixture;

const GENERATED: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";

fn read(file: &[u8]) -> ProvenanceFinding {
    provenance::read(file, &CredentialChecker::new(None).unwrap())
}

/// A JPEG with one more segment.
fn jpeg(marker: u8, body: &[u8]) -> Vec<u8> {
    let mut file = fixture("baseline.jpg");
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    let segment = [&[0xFF, marker], &length[..], body].concat();
    file.splice(2..2, segment);
    file
}

/// A PNG with one more chunk after its header.
fn png(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut file = fixture("rgba.png");
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let chunk = [&length[..], kind, body, &[0; 4]].concat();
    file.splice(33..33, chunk);
    file
}

/// A WebP with one more chunk at its end.
fn webp(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [
        fixture("alpha.webp"),
        kind.to_vec(),
        length.to_vec(),
        body.to_vec(),
    ]
    .concat()
}

fn xmp() -> Vec<u8> {
    format!(
        "<x Iptc4xmpExt:DigitalSourceType=\"{GENERATED}\" xmp:CreatorTool=\"Adobe Firefly 3\"/>"
    )
    .into_bytes()
}

#[test]
fn silence_means_nothing() {
    for name in [
        "baseline.jpg",
        "turned.jpg",
        "rgba.png",
        "lossy.webp",
        "animated.gif",
    ] {
        let finding = read(&fixture(name));
        assert!(
            !finding.declared_ai && finding.statement.is_none(),
            "{name}: {finding:?}"
        );
        assert_eq!(finding.c2pa, Credentials::Absent);
    }
    assert!(read(b"").marks.is_empty());
}

#[test]
fn a_declared_generator_is_found_in_every_type() {
    let app1 = [b"http://ns.adobe.com/xap/1.0/\0".to_vec(), xmp()].concat();
    let itxt = [b"XML:com.adobe.xmp\0\0\0\0\0".to_vec(), xmp()].concat();
    for file in [
        jpeg(0xE1, &app1),
        png(b"iTXt", &itxt),
        webp(b"XMP ", &xmp()),
    ] {
        let finding = read(&file);
        assert!(finding.declared_ai, "{finding:?}");
        assert_eq!(
            finding.digital_source_type.as_deref(),
            Some("trainedAlgorithmicMedia")
        );
        assert_eq!(finding.generator.as_deref(), Some("Adobe Firefly"));
        assert_eq!(
            finding.statement.as_deref(),
            Some("Its metadata say that it was made by Adobe Firefly.")
        );
    }
    let parameters = b"parameters\0a cat\nSteps: 20, Sampler: Euler a, Seed: 1";
    let finding = read(&png(b"tEXt", parameters));
    assert_eq!(finding.generator.as_deref(), Some("Stable Diffusion"));
    assert_eq!(finding.marks[0].place, "png_text");
}

#[test]
fn a_photograph_and_a_composite_declare_no_generator() {
    for kind in ["digitalCapture", "compositeWithTrainedAlgorithmicMedia"] {
        let text = format!("\"http://cv.iptc.org/newscodes/digitalsourcetype/{kind}\"");
        let finding = read(&webp(b"XMP ", text.as_bytes()));
        assert!(!finding.declared_ai);
        assert_eq!(finding.digital_source_type.as_deref(), Some(kind));
    }
}

#[test]
fn no_cut_and_no_change_of_a_byte_makes_it_panic() {
    let files = [
        jpeg(
            0xE1,
            &[
                b"Exif\0\0II\x2A\0\x08\0\0\0\x01\0\x31\x01\x02\0\x20\0\0\0\x1A\0\0\0".to_vec(),
                vec![b'a'; 60],
            ]
            .concat(),
        ),
        png(b"tEXt", b"Software\0Midjourney"),
        webp(
            b"EXIF",
            b"MM\0\x2A\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x08",
        ),
    ];
    let mut state = 11u64;
    for file in files {
        for _ in 0..2_000 {
            let mut changed = file.clone();
            for _ in 0..3 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let place = (state >> 33) as usize % changed.len().min(400);
                changed[place] = (state >> 20) as u8;
            }
            changed.truncate((state >> 40) as usize % (changed.len() + 1));
            let _ = read(&changed);
        }
    }
}
