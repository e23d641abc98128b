//! PNG (W3C PNG third edition, 11.2.1 and 11.3.1.1): the IHDR chunk, which is always the first, and whether a tRNS chunk makes
//! some colour transparent, which adds a channel.

use super::{Header, PictureError, PictureFormat, area, array, be32, byte};

pub(super) fn read(file: &[u8]) -> Result<Header, PictureError> {
    if &array::<4>(file, 12)? != b"IHDR" {
        return Err(PictureError::Corrupt("IHDR is not the first chunk".into()));
    }
    let (width, height) = (be32(file, 16)?, be32(file, 20)?);
    let depth = byte(file, 24)?;
    let transparent = u64::from(has_transparent_colour(file)?);
    let channels = match byte(file, 25)? {
        0 => 1 + transparent,
        2 | 3 => 3 + transparent,
        4 => 2,
        6 => 4,
        other => return Err(PictureError::Corrupt(format!("colour type {other}"))),
    };
    let bytes = channels * if depth == 16 { 2 } else { 1 };
    Ok(Header {
        format: PictureFormat::Png,
        width,
        height,
        decode_bytes: area(width, height).saturating_mul(bytes),
    })
}

/// Whether a tRNS chunk comes before the first IDAT.
fn has_transparent_colour(file: &[u8]) -> Result<bool, PictureError> {
    let mut at = 8usize;
    loop {
        let length = be32(file, at)? as usize;
        match &array::<4>(file, at + 4)? {
            b"tRNS" => return Ok(true),
            b"IDAT" => return Ok(false),
            // Length, name, data, checksum.
            _ => {
                at = at
                    .checked_add(length)
                    .and_then(|at| at.checked_add(12))
                    .ok_or(PictureError::Truncated)?
            }
        }
    }
}
