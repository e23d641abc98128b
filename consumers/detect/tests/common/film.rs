//! Short films, encoded as a phone would: key frames here and there, and what has changed between them.

use image::RgbImage;
use openh264::{
    OpenH264API,
    encoder::{Encoder, EncoderConfig, IntraFramePeriod, RateControlMode},
    formats::{RgbSliceU8, YUVBuffer},
};
use sample_site::video::{Movie, Sample};

/// Types of unit (ITU-T H.264, table 7-1).
const KEY: u8 = 5;
const SEQUENCE_PARAMETERS: u8 = 7;
const PICTURE_PARAMETERS: u8 = 8;

/// Encodes frames of one size with even sides, each shown for 100 ms; a key frame comes first and at each of `keys`.
pub fn film(frames: &[RgbImage], keys: &[usize]) -> Movie {
    // Key frames come when they are asked for, and never by themselves.
    let config = EncoderConfig::new()
        .scene_change_detect(false)
        .skip_frames(false)
        .rate_control_mode(RateControlMode::Off)
        .intra_frame_period(IntraFramePeriod::from_num_frames(100_000));
    let mut encoder = Encoder::with_api_config(OpenH264API::from_source(), config).unwrap();
    let mut movie = Movie {
        width: frames[0].width(),
        height: frames[0].height(),
        frame_ms: 100,
        sequence_parameters: Vec::new(),
        picture_parameters: Vec::new(),
        samples: Vec::new(),
    };
    for (number, frame) in frames.iter().enumerate() {
        if keys.contains(&number) {
            encoder.force_intra_frame();
        }
        let size = (frame.width() as usize, frame.height() as usize);
        let source = YUVBuffer::from_rgb8_source(RgbSliceU8::new(frame.as_raw(), size));
        let stream = encoder.encode(&source).unwrap().to_vec();
        let mut sample = Sample {
            units: Vec::new(),
            key: false,
        };
        for unit in units(&stream) {
            match unit[0] & 0x1F {
                SEQUENCE_PARAMETERS => movie.sequence_parameters = unit.to_vec(),
                PICTURE_PARAMETERS => movie.picture_parameters = unit.to_vec(),
                kind => {
                    sample.key |= kind == KEY;
                    sample.units.push(unit.to_vec());
                }
            }
        }
        movie.samples.push(sample);
    }
    movie
}

/// The units of a stream with start codes of four bytes.
fn units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (0..stream.len())
        .filter(|at| stream[*at..].starts_with(&[0, 0, 0, 1]))
        .collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let units = starts.iter().zip(ends);
    units.map(|(start, end)| &stream[start + 4..end]).collect()
}
