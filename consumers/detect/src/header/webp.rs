//! WebP (RFC 9649): the canvas, and the bitstream of the picture or the first frame.

use super::{Header, PictureError, PictureFormat, area, array, byte, le16, le24, le32};

/// Bytes per pixel that decoding needs at most, by kind of bitstream. Lossy: planes of 1.5 and pixels of 3, or of 4 and
/// two alpha planes. Lossless: pixels of 4 and, when the file has no alpha, of 3 again; its transforms are small.
const LOSSY: u64 = 5;
const LOSSY_WITH_ALPHA: u64 = 8;
const LOSSLESS: u64 = 8;
/// An animation is composed on a canvas of 4 bytes and copied out of it.
const CANVAS: u64 = 8;

struct Bitstream {
    width: u32,
    height: u32,
    lossless: bool,
}

pub(super) fn read(file: &[u8]) -> Result<Header, PictureError> {
    let (mut canvas, mut alpha) = (None, false);
    let mut at = 12;
    loop {
        let name: [u8; 4] = array(file, at)?;
        let length = le32(file, at + 4)? as usize;
        let body = at + 8;
        match &name {
            b"VP8X" => {
                alpha = byte(file, body)? & 0x10 != 0;
                canvas = Some((le24(file, body + 4)? + 1, le24(file, body + 7)? + 1));
            }
            b"ANMF" => {
                let frame = (le24(file, body + 6)? + 1, le24(file, body + 9)? + 1);
                let inner = first_bitstream(file, body + 16, &mut alpha)?;
                let Some(canvas) = canvas else {
                    return Err(PictureError::Corrupt("a frame without a canvas".into()));
                };
                if (inner.width, inner.height) != frame || frame.0 > canvas.0 || frame.1 > canvas.1
                {
                    return Err(PictureError::Corrupt("sizes that disagree".into()));
                }
                return Ok(header(canvas, &inner, alpha, CANVAS));
            }
            b"VP8 " | b"VP8L" => {
                let inner = bitstream(file, &name, body)?;
                let size = (inner.width, inner.height);
                if canvas.is_some_and(|canvas| canvas != size) {
                    return Err(PictureError::Corrupt("sizes that disagree".into()));
                }
                return Ok(header(size, &inner, alpha, 0));
            }
            b"ALPH" => alpha = true,
            _ => {}
        }
        at = next_chunk(body, length)?;
    }
}

/// Chunks are padded to even lengths.
fn next_chunk(body: usize, length: usize) -> Result<usize, PictureError> {
    body.checked_add(length)
        .and_then(|end| end.checked_add(length & 1))
        .ok_or(PictureError::Truncated)
}

fn first_bitstream(
    file: &[u8],
    mut at: usize,
    alpha: &mut bool,
) -> Result<Bitstream, PictureError> {
    loop {
        let name: [u8; 4] = array(file, at)?;
        match &name {
            b"VP8 " | b"VP8L" => return bitstream(file, &name, at + 8),
            b"ALPH" => *alpha = true,
            _ => {}
        }
        at = next_chunk(at + 8, le32(file, at + 4)? as usize)?;
    }
}

fn bitstream(file: &[u8], name: &[u8; 4], body: usize) -> Result<Bitstream, PictureError> {
    if name == b"VP8L" {
        // A signature byte, then 14 bits of width - 1 and 14 of height - 1.
        let bits = le32(file, body + 1)?;
        return Ok(Bitstream {
            width: (bits & 0x3FFF) + 1,
            height: (bits >> 14 & 0x3FFF) + 1,
            lossless: true,
        });
    }
    // A frame tag of 3 bytes, a start code of 3, then 14 bits of width and of height with 2 bits of scale above each.
    Ok(Bitstream {
        width: le16(file, body + 6)? & 0x3FFF,
        height: le16(file, body + 8)? & 0x3FFF,
        lossless: false,
    })
}

fn header((width, height): (u32, u32), inner: &Bitstream, alpha: bool, canvas: u64) -> Header {
    let per_pixel = match (inner.lossless, alpha) {
        (true, _) => LOSSLESS,
        (false, true) => LOSSY_WITH_ALPHA,
        (false, false) => LOSSY,
    };
    Header {
        format: PictureFormat::WebP,
        width,
        height,
        decode_bytes: area(width, height) * canvas + area(inner.width, inner.height) * per_pixel,
    }
}
