//! What a file is, by its own first bytes: what a server or a name says about it does not count.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};
use schemas::{Reason, events::scraped::MediaKind};

/// Most memory that reading a header may take, in bytes.
const HEADER_MEMORY: u64 = 4 * 1024 * 1024;

/// Major brands of MP4 video (ISO/IEC 14496-12 and the MP4 Registration Authority's list); pictures in the same box format, such as
/// HEIC and AVIF, have others.
const MP4_BRANDS: [&[u8; 4]; 14] = [
    b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso8", b"mp41", b"mp42", b"avc1",
    b"M4V ", b"MSNV", b"dash", b"mmp4",
];

/// Types that are analysed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileType {
    Picture(ImageFormat),
    Mp4,
}

impl FileType {
    fn media_type(self) -> &'static str {
        match self {
            Self::Picture(format) => format.to_mime_type(),
            Self::Mp4 => "video/mp4",
        }
    }
}

/// Judges a file that should be a picture or a video, and gives its media type.
///
/// # Errors
/// Why it is not accepted.
pub fn inspect(bytes: &[u8], kind: MediaKind, max_pixels: u64) -> Result<&'static str, Reason> {
    let file_type = file_type(bytes).ok_or(Reason::MediaUnsupported)?;
    match (file_type, kind) {
        (FileType::Picture(format), MediaKind::Image | MediaKind::Thumbnail) => {
            check_pixels(bytes, format, max_pixels)?;
        }
        (FileType::Mp4, MediaKind::Video) => {}
        _ => return Err(Reason::MediaUnsupported),
    }
    Ok(file_type.media_type())
}

fn file_type(bytes: &[u8]) -> Option<FileType> {
    let at = |range: std::ops::Range<usize>| bytes.get(range).unwrap_or_default();
    if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        Some(FileType::Picture(ImageFormat::Jpeg))
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(FileType::Picture(ImageFormat::Png))
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        Some(FileType::Picture(ImageFormat::Gif))
    } else if bytes.starts_with(b"RIFF") && at(8..12) == b"WEBP" {
        Some(FileType::Picture(ImageFormat::WebP))
    } else if at(4..8) == b"ftyp" && MP4_BRANDS.iter().any(|brand| at(8..12) == *brand) {
        Some(FileType::Mp4)
    } else {
        None
    }
}

/// Reads width and height from the header alone.
fn check_pixels(bytes: &[u8], format: ImageFormat, max_pixels: u64) -> Result<(), Reason> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(HEADER_MEMORY);
    reader.limits(limits);
    let (width, height) = reader
        .into_dimensions()
        .map_err(|_| Reason::MediaUndecodable)?;
    match u64::from(width) * u64::from(height) {
        0 => Err(Reason::MediaUndecodable),
        pixels if pixels > max_pixels => Err(Reason::MediaTooManyPixels),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
