//! Where in a picture file metadata stand: the segments of JPEG, the chunks of PNG and WebP. Nothing is decompressed.

/// What a piece of metadata is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A TIFF structure of tags.
    Exif,
    /// XML.
    Xmp,
    /// A text chunk of PNG, with its key.
    PngText(String),
    /// Boxes of content credentials (C2PA).
    Credentials,
}

/// Pieces of metadata of one file, at most; more is no photograph's.
const MAX_PIECES: usize = 256;

/// The metadata of a file of any type; none for one that is no picture.
pub(super) fn of(file: &[u8]) -> Vec<(Place, &[u8])> {
    let mut found = match file {
        [0xFF, 0xD8, rest @ ..] => jpeg(rest),
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, rest @ ..] => png(rest),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            rest @ ..,
        ] => webp(rest),
        _ => Vec::new(),
    };
    found.truncate(MAX_PIECES);
    found
}

/// Segments up to the first scan (ISO/IEC 10918-1, B.1).
fn jpeg(mut rest: &[u8]) -> Vec<(Place, &[u8])> {
    let mut found = Vec::new();
    while let [0xFF, marker, tail @ ..] = rest {
        match marker {
            // Fill bytes, and markers without a length.
            0xFF => {
                rest = &rest[1..];
                continue;
            }
            0x01 | 0xD0..=0xD8 => {
                rest = tail;
                continue;
            }
            // The scan, or the end.
            0xDA | 0xD9 => break,
            _ => {}
        }
        let Some((body, after)) = sized(tail, 2, |length| length.checked_sub(2)) else {
            break;
        };
        const EXIF: &[u8] = b"Exif\0\0";
        const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
        match marker {
            0xE1 if body.starts_with(EXIF) => found.push((Place::Exif, &body[EXIF.len()..])),
            0xE1 if body.starts_with(XMP) => found.push((Place::Xmp, &body[XMP.len()..])),
            0xEB => found.push((Place::Credentials, body)),
            _ => {}
        }
        rest = after;
    }
    found
}

/// A big-endian length of so many bytes, and the bytes it counts.
fn sized(
    bytes: &[u8],
    width: usize,
    counted: impl Fn(usize) -> Option<usize>,
) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(width)?;
    let length = length
        .iter()
        .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    rest.split_at_checked(counted(length)?)
}

/// Chunks (W3C PNG, 5.3): length, type, data, checksum.
fn png(mut rest: &[u8]) -> Vec<(Place, &[u8])> {
    let mut found = Vec::new();
    while let Some((body, after)) = sized(rest, 4, |length| length.checked_add(8)) {
        let (kind, data) = body.split_at(4);
        let data = &data[..data.len() - 4];
        match kind {
            b"eXIf" => found.push((Place::Exif, data)),
            b"caBX" => found.push((Place::Credentials, data)),
            b"tEXt" | b"iTXt" => {
                if let Some((key, text)) = png_text(kind, data) {
                    found.push((Place::PngText(key), text));
                }
            }
            _ => {}
        }
        rest = after;
    }
    found
}

/// Key and text; a compressed text is left alone.
fn png_text<'a>(kind: &[u8], data: &'a [u8]) -> Option<(String, &'a [u8])> {
    let cut = |bytes: &'a [u8]| {
        let end = bytes.iter().position(|&byte| byte == 0)?;
        Some((&bytes[..end], &bytes[end + 1..]))
    };
    let (key, mut text) = cut(data)?;
    if kind == b"iTXt" {
        let [0, _, rest @ ..] = text else { return None };
        // Language, translated key.
        text = cut(cut(rest)?.1)?.1;
    }
    Some((String::from_utf8_lossy(key).into_owned(), text))
}

/// Chunks of RIFF: type, little-endian length, data, a byte of padding after an odd length.
fn webp(mut rest: &[u8]) -> Vec<(Place, &[u8])> {
    let mut found = Vec::new();
    while let Some((&[a, b, c, d, l0, l1, l2, l3], tail)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let Some((data, after)) = tail.split_at_checked(length) else {
            break;
        };
        match &[a, b, c, d] {
            b"EXIF" => found.push((Place::Exif, data.strip_prefix(b"Exif\0\0").unwrap_or(data))),
            b"XMP " => found.push((Place::Xmp, data)),
            b"C2PA" => found.push((Place::Credentials, data)),
            _ => {}
        }
        rest = after.get(length % 2..).unwrap_or_default();
    }
    found
}
