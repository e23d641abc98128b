//! JPEG (ITU-T T.81, annex B): the markers up to the first scan, then whether an end of image follows.

use super::{Header, PictureError, PictureFormat, area, be16, byte};

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const TEM: u8 = 0x01;

/// What a frame header (SOF) says.
struct Frame {
    progressive: bool,
    width: u32,
    height: u32,
    components: u8,
    /// Samples of all components, each rounded up to whole minimum coded units.
    samples: u64,
}

pub(super) fn read(file: &[u8]) -> Result<Header, PictureError> {
    let mut at = 2;
    let mut frame = None;
    loop {
        if byte(file, at)? != 0xFF {
            return Err(PictureError::Corrupt("a marker was expected".into()));
        }
        let marker = byte(file, at + 1)?;
        match marker {
            0xFF => at += 1,
            SOI | TEM | 0xD0..=0xD7 => at += 2,
            EOI => return Err(PictureError::Truncated),
            _ => {
                let length = be16(file, at + 2)? as usize;
                if length < 2 {
                    return Err(PictureError::Corrupt("a segment of no length".into()));
                }
                if is_frame(marker) && frame.is_none() {
                    frame = Some(read_frame(file, marker, at + 4)?);
                }
                if marker == SOS {
                    let Some(frame) = frame else {
                        return Err(PictureError::Corrupt("a scan before its frame".into()));
                    };
                    if frame.width > 0 && frame.height > 0 && !has_end(file, at + 2 + length) {
                        return Err(PictureError::Truncated);
                    }
                    return Ok(frame.header(byte(file, at + 4)?));
                }
                at += 2 + length;
            }
        }
    }
}

/// SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC), which share the range.
const fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC)
}

fn read_frame(file: &[u8], marker: u8, at: usize) -> Result<Frame, PictureError> {
    // Baseline, extended sequential and progressive Huffman are what the decoder knows.
    if !matches!(marker, 0xC0..=0xC2) {
        return Err(PictureError::Corrupt(
            "lossless, hierarchical or arithmetic coding".into(),
        ));
    }
    if byte(file, at)? != 8 {
        return Err(PictureError::Corrupt("more than 8 bits a sample".into()));
    }
    let (height, width) = (be16(file, at + 1)?, be16(file, at + 3)?);
    let components = byte(file, at + 5)?;
    if !(1..=4).contains(&components) {
        return Err(PictureError::Corrupt(format!("{components} components")));
    }
    let mut factors = Vec::with_capacity(4);
    for component in 0..usize::from(components) {
        let sampling = byte(file, at + 6 + 3 * component + 1)?;
        let factor = (u32::from(sampling >> 4), u32::from(sampling & 15));
        if !(1..=4).contains(&factor.0) || !(1..=4).contains(&factor.1) {
            return Err(PictureError::Corrupt("a sampling factor beyond 4".into()));
        }
        factors.push(factor);
    }
    let unit = |side: u32, largest: u32| u64::from(side.div_ceil(8 * largest));
    let columns = unit(width, factors.iter().map(|f| f.0).max().unwrap_or(1));
    let rows = unit(height, factors.iter().map(|f| f.1).max().unwrap_or(1));
    let blocks: u64 = factors.iter().map(|f| u64::from(f.0 * f.1)).sum();
    Ok(Frame {
        progressive: marker == 0xC2,
        width,
        height,
        components,
        samples: columns * rows * blocks * 64,
    })
}

impl Frame {
    /// The header, given how many components the first scan holds. A frame in one interleaved scan is decoded row by row
    /// into its pixels; any other keeps every coefficient, 2 bytes each, until the last scan has been read. The file is
    /// copied once.
    fn header(&self, in_first_scan: u8) -> Header {
        let channels = if self.components == 1 { 1 } else { 3 };
        let pixels = area(self.width, self.height) * channels;
        let coefficients = if self.progressive || in_first_scan != self.components {
            self.samples * 2
        } else {
            0
        };
        Header {
            format: PictureFormat::Jpeg,
            width: self.width,
            height: self.height,
            decode_bytes: pixels + coefficients,
        }
    }
}

/// Whether an end-of-image marker follows `at`. Inside entropy-coded data 0xFF is always followed by 0, so the pair can't
/// occur there by chance; a decoder would fill the rest of a picture without it with grey and never say so.
fn has_end(file: &[u8], at: usize) -> bool {
    file.get(at..)
        .is_some_and(|rest| rest.windows(2).rev().any(|pair| pair == [0xFF, EOI]))
}
