//! The decoder: OpenH264, and where in a stream it is made to work.

use std::{cmp::Reverse, collections::BinaryHeap};

use image::RgbImage;
use openh264::{
    OpenH264API,
    decoder::{DecodeOptions, DecodedYUV, Decoder, DecoderConfig, Flush},
    formats::YUVSource,
};

use super::{
    VideoError, VideoLimits,
    choice::{CELLS, Signature},
    container::{Sample, Stream},
};

/// A frame as the decoder gives it.
pub(super) struct Seen<'a>(DecodedYUV<'a>);

impl Seen<'_> {
    /// Mean brightness of each cell, from every fourth sample of every fourth row.
    pub(super) fn signature(&self) -> Signature {
        const STEP: usize = 4;
        let (width, height) = self.0.dimensions();
        let (stride, ..) = self.0.strides();
        let mut sums = [(0_u32, 0_u32); CELLS * CELLS];
        let rows = self.0.y().chunks(stride.max(1)).take(height);
        for (y, row) in rows.enumerate().step_by(STEP) {
            for (x, level) in row.iter().take(width).enumerate().step_by(STEP) {
                let (sum, count) = &mut sums[y * CELLS / height * CELLS + x * CELLS / width];
                *sum += u32::from(*level);
                *count += 1;
            }
        }
        Signature(sums.map(|(sum, count)| (sum / count.max(1)) as u8))
    }

    /// Its colours.
    pub(super) fn rgb(&self) -> RgbImage {
        let (width, height) = self.0.dimensions();
        let mut picture = RgbImage::new(width as u32, height as u32);
        self.0.write_rgb8(&mut picture);
        picture
    }
}

/// Where the decoder works.
enum Plan<'a> {
    /// At these key frames, each alone.
    Keys(Vec<&'a Sample>),
    /// Through these runs, each from a key frame on; every `step`-th frame is looked at.
    Through {
        runs: Vec<&'a [Sample]>,
        step: usize,
    },
}

impl<'a> Plan<'a> {
    /// `considered` frames at most are looked at, and no more than `limits` allow are decoded.
    fn of(stream: &'a Stream, limits: &VideoLimits, considered: usize) -> Self {
        let samples = &stream.samples;
        let keys: Vec<usize> = (0..samples.len()).filter(|n| samples[*n].key).collect();
        if keys.len() >= limits.max_frames {
            let step = keys.len().div_ceil(considered.max(1)).max(1);
            return Self::Keys(keys.iter().step_by(step).map(|n| &samples[*n]).collect());
        }
        let affordable = limits.max_decode_pixels / stream.pixels.max(1);
        let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
        // Without a key frame at its beginning a stream is tried all the same.
        let mut begins = keys;
        if begins.first() != Some(&0) {
            begins.insert(0, 0);
        }
        let each = (affordable / begins.len()).max(1);
        let ends = begins.iter().skip(1).copied().chain([samples.len()]);
        let runs: Vec<&[Sample]> = begins
            .iter()
            .zip(ends)
            .map(|(&begin, end)| &samples[begin..end.min(begin + each)])
            .collect();
        let decoded: usize = runs.iter().map(|run| run.len()).sum();
        Self::Through {
            runs,
            step: decoded.div_ceil(considered.max(1)).max(1),
        }
    }
}

/// Shows frames of a stream, in order of time. What can't be decoded is passed over.
pub(super) fn watch(
    file: &[u8],
    stream: &Stream,
    limits: &VideoLimits,
    considered: usize,
    mut look: impl FnMut(u64, &Seen<'_>),
) -> Result<(), VideoError> {
    match Plan::of(stream, limits, considered) {
        Plan::Keys(samples) => {
            let mut decoder = decoder(stream)?;
            let alone = DecodeOptions::new().flush_after_decode(Flush::Flush);
            for sample in samples {
                let Some(units) = units(file, stream, sample)? else {
                    continue;
                };
                if let Ok(Some(frame)) = decoder.decode_with_options(&units, alone.clone()) {
                    look(sample.at_ms, &Seen(frame));
                }
            }
        }
        Plan::Through { runs, step } => {
            let mut shown = 0_usize;
            let mut every_step = |at_ms: u64, frame: DecodedYUV<'_>| {
                if shown.is_multiple_of(step) {
                    look(at_ms, &Seen(frame));
                }
                shown += 1;
            };
            for run in runs {
                through(file, stream, run, &mut every_step)?;
            }
        }
    }
    Ok(())
}

/// Decodes a run of samples. Frames come out in the order they are shown, which is not that of decoding, so that each has the
/// earliest time that is not given yet.
fn through(
    file: &[u8],
    stream: &Stream,
    run: &[Sample],
    look: &mut impl FnMut(u64, DecodedYUV<'_>),
) -> Result<(), VideoError> {
    let mut decoder = decoder(stream)?;
    let waiting = DecodeOptions::new().flush_after_decode(Flush::NoFlush);
    let mut times = BinaryHeap::new();
    let mut next = |times: &mut BinaryHeap<Reverse<u64>>, frame: DecodedYUV<'_>| {
        if let Some(Reverse(at_ms)) = times.pop() {
            look(at_ms, frame);
        }
    };
    for sample in run {
        let Some(units) = units(file, stream, sample)? else {
            continue;
        };
        if let Ok(frame) = decoder.decode_with_options(&units, waiting.clone()) {
            times.push(Reverse(sample.at_ms));
            if let Some(frame) = frame {
                next(&mut times, frame);
            }
        }
    }
    for frame in decoder.flush_remaining().unwrap_or_default() {
        next(&mut times, frame);
    }
    Ok(())
}

/// The units of a sample; none when they are broken, which is no reason not to look at the others.
fn units(file: &[u8], stream: &Stream, sample: &Sample) -> Result<Option<Vec<u8>>, VideoError> {
    match stream.units(file, sample) {
        Err(VideoError::Corrupt(_)) => Ok(None),
        units => units.map(Some),
    }
}

/// A decoder that knows a stream's parameters.
fn decoder(stream: &Stream) -> Result<Decoder, VideoError> {
    let broken = |error: openh264::Error| VideoError::Corrupt(error.to_string());
    let mut decoder = Decoder::with_api_config(OpenH264API::from_source(), DecoderConfig::new())
        .map_err(broken)?;
    decoder.decode(&stream.parameters).map_err(broken)?;
    Ok(decoder)
}
