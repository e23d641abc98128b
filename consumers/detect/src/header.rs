//! What a picture's header says, read before any decoder sees the file: type, size, and what decoding it would cost.
//!
//! Only the few fields needed are read here. A file can lie in them, so the same walk also looks at the inner sizes that
//! decoders allocate from (the first frame of a GIF, the bitstream inside a WebP) and counts the largest.

mod gif;
mod jpeg;
mod png;
mod webp;

use schemas::Reason;
use serde::{Deserialize, Serialize};

/// What a picture may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PictureLimits {
    /// Pixels of a picture, width times height.
    pub max_pixels: u64,
    /// Bytes that decoding may need beyond the file itself. The default leaves room for resizing and the model's input
    /// within 64 MB altogether.
    pub max_decode_bytes: u64,
    /// Shortest side, in pixels, that can still be judged: below it the model would see nothing but interpolation.
    pub min_side: u32,
}

impl Default for PictureLimits {
    fn default() -> Self {
        Self {
            max_pixels: 16_000_000,
            max_decode_bytes: 48_500_000,
            min_side: 32,
        }
    }
}

/// Why a picture can't be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// Neither JPEG, PNG, GIF nor WebP by its first bytes.
    #[error("the file is no JPEG, PNG, GIF or WebP")]
    Unsupported,
    /// A width or height of 0.
    #[error("the picture is {width} x {height}: a side is 0")]
    ZeroSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A side too short to judge.
    #[error("the picture is {width} x {height}: sides under {min_side} pixels can't be judged")]
    TooSmall {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit.
        min_side: u32,
    },
    /// More pixels than allowed.
    #[error("the picture is {width} x {height}: more than {max_pixels} pixels")]
    TooManyPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// Within the pixels allowed, but stored in a way that needs too much memory to decode.
    #[error("decoding needs {needed} bytes, more than {allowed}")]
    TooMuchMemory {
        /// Bytes needed.
        needed: u64,
        /// The limit.
        allowed: u64,
    },
    /// The file ends before the picture does.
    #[error("the file ends before the picture does")]
    Truncated,
    /// The file breaks the rules of its format.
    #[error("the file can't be decoded: {0}")]
    Corrupt(String),
}

impl PictureError {
    /// The stable code of this error.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Unsupported | Self::TooSmall { .. } => Reason::MediaUnsupported,
            Self::TooManyPixels { .. } | Self::TooMuchMemory { .. } => Reason::MediaTooManyPixels,
            Self::Empty | Self::ZeroSize { .. } | Self::Truncated | Self::Corrupt(_) => {
                Reason::MediaUndecodable
            }
        }
    }
}

/// A type of picture that is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureFormat {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG; of an APNG the default picture.
    Png,
    /// GIF; the first frame.
    Gif,
    /// WebP; the first frame.
    WebP,
}

/// A picture's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Type, by the file's first bytes.
    pub format: PictureFormat,
    /// Width in pixels, before any EXIF rotation.
    pub width: u32,
    /// Height in pixels, before any EXIF rotation.
    pub height: u32,
    /// An upper estimate of the memory that decoding needs beyond the file, in bytes.
    pub decode_bytes: u64,
}

impl Header {
    /// Reads the header of `file` and checks it against `limits`.
    ///
    /// # Errors
    /// [`PictureError`]; nothing was decoded then.
    pub fn read(file: &[u8], limits: &PictureLimits) -> Result<Self, PictureError> {
        let header = match file {
            [] => return Err(PictureError::Empty),
            [0xFF, 0xD8, 0xFF, ..] => jpeg::read(file),
            [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => png::read(file),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => gif::read(file),
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
                ..,
            ] => webp::read(file),
            _ => return Err(PictureError::Unsupported),
        }?;
        header.check(limits)?;
        Ok(header)
    }

    fn check(&self, limits: &PictureLimits) -> Result<(), PictureError> {
        let &Self { width, height, .. } = self;
        if width == 0 || height == 0 {
            return Err(PictureError::ZeroSize { width, height });
        }
        if u64::from(width) * u64::from(height) > limits.max_pixels {
            return Err(PictureError::TooManyPixels {
                width,
                height,
                max_pixels: limits.max_pixels,
            });
        }
        if self.decode_bytes > limits.max_decode_bytes {
            return Err(PictureError::TooMuchMemory {
                needed: self.decode_bytes,
                allowed: limits.max_decode_bytes,
            });
        }
        if width.min(height) < limits.min_side {
            return Err(PictureError::TooSmall {
                width,
                height,
                min_side: limits.min_side,
            });
        }
        Ok(())
    }
}

/// Width times height as bytes are counted.
fn area(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// `N` bytes at `offset`.
fn array<const N: usize>(file: &[u8], offset: usize) -> Result<[u8; N], PictureError> {
    offset
        .checked_add(N)
        .and_then(|end| file.get(offset..end))
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(PictureError::Truncated)
}

fn byte(file: &[u8], offset: usize) -> Result<u8, PictureError> {
    file.get(offset).copied().ok_or(PictureError::Truncated)
}

fn be16(file: &[u8], offset: usize) -> Result<u32, PictureError> {
    array(file, offset).map(|bytes| u32::from(u16::from_be_bytes(bytes)))
}

fn le16(file: &[u8], offset: usize) -> Result<u32, PictureError> {
    array(file, offset).map(|bytes| u32::from(u16::from_le_bytes(bytes)))
}

fn be32(file: &[u8], offset: usize) -> Result<u32, PictureError> {
    array(file, offset).map(u32::from_be_bytes)
}

fn le32(file: &[u8], offset: usize) -> Result<u32, PictureError> {
    array(file, offset).map(u32::from_le_bytes)
}

fn le24(file: &[u8], offset: usize) -> Result<u32, PictureError> {
    let [a, b, c] = array(file, offset)?;
    Ok(u32::from_le_bytes([a, b, c, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8]) -> Result<Header, PictureError> {
        Header::read(file, &PictureLimits::default())
    }

    #[test]
    fn the_first_bytes_decide_the_type() {
        assert_eq!(read(b""), Err(PictureError::Empty));
        for other in [
            &b"%PDF-1.7 \xFF\xD8\xFF"[..],
            b"\0\0\0\x18ftypmp42",
            b"RIFF\x10\0\0\0WAVEfmt ",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"GIF88a",
        ] {
            assert_eq!(read(other), Err(PictureError::Unsupported));
        }
    }

    #[test]
    fn a_cut_header_never_reads_as_another_picture() {
        let whole: [&[u8]; 4] = [
            include_bytes!("../tests/fixtures/baseline.jpg"),
            include_bytes!("../tests/fixtures/rgba.png"),
            include_bytes!("../tests/fixtures/animated.gif"),
            include_bytes!("../tests/fixtures/animated.webp"),
        ];
        for file in whole {
            let header = read(file).unwrap();
            assert!(read(&file[..20]).is_err());
            for cut in 0..file.len() {
                match read(&file[..cut]) {
                    Ok(cut) => assert_eq!(cut, header),
                    Err(error) => assert!(matches!(
                        error,
                        PictureError::Truncated | PictureError::Unsupported | PictureError::Empty
                    )),
                }
            }
        }
    }
}
