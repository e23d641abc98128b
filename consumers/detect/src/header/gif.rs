//! GIF (GIF89a): the logical screen and the first image descriptor.

use super::{Header, PictureError, PictureFormat, area, byte, le16};

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2C;

pub(super) fn read(file: &[u8]) -> Result<Header, PictureError> {
    let (width, height) = (le16(file, 6)?, le16(file, 8)?);
    let flags = byte(file, 10)?;
    let mut at = 13 + colour_table(flags);
    let (frame_width, frame_height) = loop {
        match byte(file, at)? {
            IMAGE => break (le16(file, at + 5)?, le16(file, at + 7)?),
            EXTENSION => {
                at += 2;
                // Sub-blocks, each with its length before it, end with an empty one.
                loop {
                    let length = usize::from(byte(file, at)?);
                    at += 1 + length;
                    if length == 0 {
                        break;
                    }
                }
            }
            _ => return Err(PictureError::Corrupt("no frame".into())),
        }
    };
    if frame_width > width || frame_height > height {
        return Err(PictureError::Corrupt(
            "a frame larger than the screen".into(),
        ));
    }
    // The screen in RGBA, and the frame in RGBA once more when it does not fill the screen.
    let (screen, frame) = (area(width, height), area(frame_width, frame_height));
    let extra = if frame == screen { 0 } else { frame * 4 };
    // A byte per pixel of the frame for the palette indices that the decoder holds.
    Ok(Header {
        format: PictureFormat::Gif,
        width,
        height,
        decode_bytes: screen * 4 + extra + frame,
    })
}

/// Bytes of the colour table that the packed field `flags` announces.
const fn colour_table(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}
