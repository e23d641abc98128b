//! Videos: H.264 in an MP4 file, and the reel of the site, both written here byte by byte.

mod h264;

use h264::Frame;

/// Pixels across.
pub(crate) const WIDTH: u32 = 96;
/// Pixels down.
pub(crate) const HEIGHT: u32 = 160;
/// Length of the video.
pub(crate) const SECONDS: f64 = 2.0;
const FRAMES: u32 = 8;
/// Ticks a second of a file's clock.
const TIMESCALE: u32 = 1000;

/// The file of the reel.
#[must_use]
pub fn reel() -> Vec<u8> {
    let frame = |n| Sample {
        units: vec![h264::picture(&wave(n), n)],
        key: true,
    };
    Movie {
        width: WIDTH,
        height: HEIGHT,
        frame_ms: 250,
        sequence_parameters: h264::sequence_parameters(WIDTH, HEIGHT),
        picture_parameters: h264::picture_parameters(),
        samples: (0..FRAMES).map(frame).collect(),
    }
    .mp4()
}

/// A video track of H.264.
#[derive(Debug, Clone)]
pub struct Movie {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Milliseconds that each frame is shown.
    pub frame_ms: u32,
    /// The sequence parameter set, a unit without start code.
    pub sequence_parameters: Vec<u8>,
    /// The picture parameter set.
    pub picture_parameters: Vec<u8>,
    /// The frames.
    pub samples: Vec<Sample>,
}

/// One frame.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its units, without start codes.
    pub units: Vec<Vec<u8>>,
    /// Whether it decodes alone.
    pub key: bool,
}

impl Movie {
    /// The file: its boxes, then its samples in one chunk.
    #[must_use]
    pub fn mp4(&self) -> Vec<u8> {
        let file_type = boxed(
            b"ftyp",
            &[b"isom", &0x200_u32.to_be_bytes()[..], b"isomiso2avc1mp41"],
        );
        let samples: Vec<Vec<u8>> = self.samples.iter().map(length_prefixed).collect();
        // The offset of the samples is after the boxes in front of them, whose size does not depend on it.
        let movie_size = self.boxes(&samples, 0).len();
        let offset = (file_type.len() + movie_size + 8) as u32;
        let data = boxed(b"mdat", &[&samples.concat()]);
        [file_type, self.boxes(&samples, offset), data].concat()
    }

    /// `moov`: one video track, its samples in one chunk at `offset`.
    fn boxes(&self, samples: &[Vec<u8>], offset: u32) -> Vec<u8> {
        let duration = samples.len() as u32 * self.frame_ms;
        let header = [
            &[0, 0, 0, TIMESCALE, duration, 0x1_0000, 0x0100_0000, 0, 0][..],
            &MATRIX,
            &[0, 0, 0, 0, 0, 0, 2],
        ]
        .concat();
        let size = [self.width << 16, self.height << 16];
        let track_header = [&[3, 0, 0, 1, 0, duration, 0, 0, 0, 0][..], &MATRIX, &size].concat();
        // 0x55C4 is the language code of "undetermined".
        let media_header = numbers(b"mdhd", &[0, 0, 0, TIMESCALE, duration, 0x55C4_0000]);
        let handler = boxed(b"hdlr", &[&words(&[0, 0]), b"vide", &[0; 12], b"video\0"]);
        let data_reference = boxed(b"dref", &[&words(&[0, 1]), &numbers(b"url ", &[1])]);
        let information = boxed(
            b"minf",
            &[
                &numbers(b"vmhd", &[1, 0, 0]),
                &boxed(b"dinf", &[&data_reference]),
                &self.sample_table(samples, offset),
            ],
        );
        let media = boxed(b"mdia", &[&media_header, &handler, &information]);
        let track = boxed(b"trak", &[&numbers(b"tkhd", &track_header), &media]);
        boxed(b"moov", &[&numbers(b"mvhd", &header), &track])
    }

    /// `stbl`: what the samples are, how long, how large, where, and which are key frames.
    fn sample_table(&self, samples: &[Vec<u8>], offset: u32) -> Vec<u8> {
        let count = samples.len() as u32;
        let sizes = samples.iter().map(|s| s.len() as u32);
        let sizes: Vec<u32> = [0, 0, count].into_iter().chain(sizes).collect();
        let keys = (1..).zip(&self.samples).filter(|(_, sample)| sample.key);
        let keys: Vec<u32> = keys.map(|(number, _)| number).collect();
        let keys = [&[0, keys.len() as u32][..], &keys].concat();
        boxed(
            b"stbl",
            &[
                &boxed(b"stsd", &[&words(&[0, 1]), &self.sample_entry()]),
                &numbers(b"stts", &[0, 1, count, self.frame_ms]),
                &numbers(b"stss", &keys),
                &numbers(b"stsc", &[0, 1, 1, count, 1]),
                &numbers(b"stsz", &sizes),
                &numbers(b"stco", &[0, 1, offset]),
            ],
        )
    }

    /// `avc1` with the decoder's configuration, `avcC` (ISO/IEC 14496-15).
    fn sample_entry(&self) -> Vec<u8> {
        let (sequence, picture) = (&self.sequence_parameters, &self.picture_parameters);
        let length = |bytes: &[u8]| (bytes.len() as u16).to_be_bytes();
        let configuration = boxed(
            b"avcC",
            // Version 1, profile, constraints and level as in the sequence parameters, lengths of 4 bytes, one set of each.
            &[
                &[1],
                &sequence[1..4],
                &[0xFF, 0xE1],
                &length(sequence),
                sequence,
                &[1],
                &length(picture),
                picture,
            ],
        );
        let size = words(&[self.width << 16 | self.height, 0x48_0000, 0x48_0000, 0]);
        boxed(
            b"avc1",
            // Data reference 1, size, 72 dpi, one frame a sample, no compressor's name, 24 bits deep.
            &[
                &[0, 0, 0, 0, 0, 0, 0, 1],
                &[0; 16],
                &size,
                &[0, 1],
                &[0; 32],
                &[0, 0x18, 0xFF, 0xFF],
                &configuration,
            ],
        )
    }
}

/// One frame: a bright crest that moves down a blue slope.
fn wave(number: u32) -> Frame {
    Frame::new(WIDTH as usize, HEIGHT as usize, |x, y| {
        let slope = x as f64 / 16.0 + y as f64 / 10.0 - f64::from(number);
        let luma = 120.0 + 80.0 * slope.sin();
        (luma as u8, 150, 100)
    })
}

/// A box of ISO/IEC 14496-12: size, four-letter type, contents.
fn boxed(kind: &[u8; 4], contents: &[&[u8]]) -> Vec<u8> {
    let size = 8 + contents.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = u32::try_from(size)
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec();
    bytes.extend_from_slice(kind);
    bytes.extend(contents.iter().copied().flatten());
    bytes
}

/// A box whose contents are numbers of four bytes, of which the first is version and flags.
fn numbers(kind: &[u8; 4], values: &[u32]) -> Vec<u8> {
    boxed(kind, &[&words(values)])
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

/// The unit matrix of a picture that is not turned, 16.16 and 2.30 fixed point.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

fn length_prefixed(sample: &Sample) -> Vec<u8> {
    let units = sample.units.iter();
    let prefixed = units.flat_map(|unit| [&(unit.len() as u32).to_be_bytes()[..], unit].concat());
    prefixed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The boxes at one level: type and contents.
    fn boxes(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
            found.push((&bytes[4..8], &bytes[8..size]));
            bytes = &bytes[size..];
        }
        found
    }

    #[test]
    fn the_boxes_nest_and_the_samples_are_where_the_table_says() {
        let file = reel();
        let top = boxes(&file);
        assert_eq!(
            top.iter().map(|b| b.0).collect::<Vec<_>>(),
            [b"ftyp", b"moov", b"mdat"]
        );
        let mut inner = top[1].1;
        for name in [&b"trak"[..], b"mdia", b"minf", b"stbl"] {
            inner = boxes(inner).into_iter().find(|b| b.0 == name).unwrap().1;
        }
        let table = |name: &[u8]| boxes(inner).into_iter().find(|b| b.0 == name).unwrap().1;
        let word = |bytes: &[u8], n: usize| {
            u32::from_be_bytes(bytes[n * 4..n * 4 + 4].try_into().unwrap()) as usize
        };
        let mut at = word(table(b"stco"), 2);
        for n in 0..FRAMES as usize {
            let size = word(table(b"stsz"), 3 + n);
            assert_eq!(word(&file[at..], 0) + 4, size);
            assert_eq!(file[at + 4] & 0x1F, 5, "an IDR slice");
            at += size;
        }
        assert_eq!(at, file.len());
    }
}
