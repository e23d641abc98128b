//! The container: an MP4 file (ISO/IEC 14496-12), read by `mp4parse`.

use std::ops::Range;

use h264_reader::{
    avcc::AvcDecoderConfigurationRecord,
    nal::sps::{FrameMbsFlags, SeqParameterSet},
    rbsp,
};
use image::metadata::Orientation;
use mp4parse::{
    CodecType, Error, SampleEntry, TrackHeaderBox, TrackType, VideoCodecSpecific,
    unstable::create_sample_table,
};

use super::{Facts, VideoError, VideoLimits};

/// Samples of a track that are listed, at most: three minutes at a thousand a second. Each costs 56 bytes of memory.
const MAX_SAMPLES: u64 = 180_000;
/// Type of a unit of H.264 that says how large pictures are (ITU-T H.264, table 7-1).
const SEQUENCE_PARAMETERS: u8 = 7;
/// What comes before each unit in the form that decoders read (annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The video track of a file.
pub(super) struct Track {
    /// What the container says of it.
    pub(super) facts: Facts,
    turned: Orientation,
    track: mp4parse::Track,
}

/// A track whose samples can be decoded.
pub(super) struct Stream {
    /// Width times height of a frame.
    pub(super) pixels: u64,
    /// How a frame must be turned to be upright.
    pub(super) turned: Orientation,
    /// What the decoder must know before the first sample.
    pub(super) parameters: Vec<u8>,
    /// Bytes of the length in front of each unit of a sample.
    length_bytes: usize,
    /// Samples in the order of decoding.
    pub(super) samples: Vec<Sample>,
    max_pixels: u64,
}

/// One frame as it is stored.
pub(super) struct Sample {
    /// Where it is in the file.
    bytes: Range<usize>,
    /// When it is shown, in milliseconds.
    pub(super) at_ms: u64,
    /// Whether it decodes alone.
    pub(super) key: bool,
}

/// Reads what a file says of its first video track.
pub(super) fn open(mut file: &[u8]) -> Result<Track, VideoError> {
    let media = mp4parse::read_mp4(&mut file).map_err(error_of)?;
    let mut tracks = media.tracks.into_iter();
    let track = tracks
        .find(|track| track.track_type == TrackType::Video)
        .ok_or(VideoError::Unsupported)?;
    let mut facts = Facts::default();
    if let Some(SampleEntry::Video(entry)) = entry(&track) {
        facts.codec = codec(entry.codec_type);
        facts.size = Some((u32::from(entry.width), u32::from(entry.height)));
    }
    let turned = track
        .tkhd
        .as_ref()
        .map_or(Orientation::NoTransforms, orientation);
    if matches!(turned, Orientation::Rotate90 | Orientation::Rotate270) {
        facts.size = facts.size.map(|(width, height)| (height, width));
    }
    if let (Some(duration), Some(scale)) = (&track.duration, &track.timescale) {
        facts.duration_ms = millis(i128::from(duration.0), scale.0);
    }
    Ok(Track {
        facts,
        turned,
        track,
    })
}

impl Track {
    /// The samples, once the track is seen to be one that is decoded.
    pub(super) fn stream(&self, file: &[u8], limits: &VideoLimits) -> Result<Stream, VideoError> {
        let Some(SampleEntry::Video(entry)) = entry(&self.track) else {
            return Err(VideoError::Codec);
        };
        let VideoCodecSpecific::AVCConfig(configuration) = &entry.codec_specific else {
            return Err(VideoError::Codec);
        };
        if entry.codec_type != CodecType::H264 {
            return Err(VideoError::Codec);
        }
        let seconds = self.facts.duration_ms.unwrap_or(0).div_ceil(1000);
        if seconds > limits.max_seconds {
            let max_seconds = limits.max_seconds;
            return Err(VideoError::TooLong {
                seconds,
                max_seconds,
            });
        }
        let max_pixels = limits.max_pixels;
        let pixels = within(u64::from(entry.width) * u64::from(entry.height), max_pixels)?;
        let (parameters, length_bytes) = parameters(configuration, max_pixels)?;
        Ok(Stream {
            pixels,
            turned: self.turned,
            parameters,
            length_bytes,
            samples: samples(&self.track, file.len())?,
            max_pixels,
        })
    }
}

impl Stream {
    /// The units of a sample as a decoder reads them.
    pub(super) fn units(&self, file: &[u8], sample: &Sample) -> Result<Vec<u8>, VideoError> {
        let mut rest = file.get(sample.bytes.clone()).unwrap_or_default();
        let mut units = Vec::with_capacity(rest.len() + 16);
        while let Some((length, after)) = rest.split_at_checked(self.length_bytes) {
            let length = length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            let (unit, after) = after
                .split_at_checked(length)
                .ok_or_else(|| VideoError::Corrupt("a unit is longer than its sample".into()))?;
            if unit
                .first()
                .is_some_and(|head| head & 0x1F == SEQUENCE_PARAMETERS)
            {
                small_enough(unit, self.max_pixels)?;
            }
            units.extend_from_slice(&START_CODE);
            units.extend_from_slice(unit);
            rest = after;
        }
        Ok(units)
    }
}

fn entry(track: &mp4parse::Track) -> Option<&SampleEntry> {
    track.stsd.as_ref()?.descriptions.first()
}

const fn codec(kind: CodecType) -> Option<&'static str> {
    match kind {
        CodecType::H264 => Some("h264"),
        CodecType::AV1 => Some("av1"),
        CodecType::VP9 => Some("vp9"),
        CodecType::VP8 => Some("vp8"),
        CodecType::MP4V => Some("mpeg4"),
        CodecType::H263 => Some("h263"),
        CodecType::EncryptedVideo => Some("encrypted"),
        _ => None,
    }
}

/// How a frame must be turned, by the matrix of the track's header: quarter turns are all that cameras write.
const fn orientation(header: &TrackHeaderBox) -> Orientation {
    const ONE: i32 = 0x1_0000;
    let matrix = &header.matrix;
    match (matrix.a, matrix.b, matrix.c, matrix.d) {
        (0, ONE, _, 0) => Orientation::Rotate90,
        (a, 0, 0, d) if a == -ONE && d == -ONE => Orientation::Rotate180,
        (0, b, ONE, 0) if b == -ONE => Orientation::Rotate270,
        _ => Orientation::NoTransforms,
    }
}

/// The parameter sets of an `avcC` box (ISO/IEC 14496-15, 5.3.3) as a decoder reads them, and the bytes of each unit's length.
fn parameters(configuration: &[u8], max_pixels: u64) -> Result<(Vec<u8>, usize), VideoError> {
    let broken = |error: &dyn std::fmt::Debug| VideoError::Corrupt(format!("avcC: {error:?}"));
    let record = AvcDecoderConfigurationRecord::try_from(configuration).map_err(|e| broken(&e))?;
    let mut units = Vec::new();
    for unit in record.sequence_parameter_sets() {
        let unit = unit.map_err(|e| broken(&e))?;
        small_enough(unit, max_pixels)?;
        units.extend_from_slice(&START_CODE);
        units.extend_from_slice(unit);
    }
    for unit in record.picture_parameter_sets() {
        units.extend_from_slice(&START_CODE);
        units.extend_from_slice(unit.map_err(|e| broken(&e))?);
    }
    Ok((units, usize::from(record.length_size_minus_one()) + 1))
}

/// What a decoder takes memory by is the stream's own size of pictures, whatever the container says.
fn small_enough(sequence_parameters: &[u8], max_pixels: u64) -> Result<u64, VideoError> {
    let broken = |error: &dyn std::fmt::Debug| VideoError::Corrupt(format!("SPS: {error:?}"));
    let bits = rbsp::decode_nal(sequence_parameters).map_err(|e| broken(&e))?;
    let read = SeqParameterSet::from_bits(rbsp::BitReader::new(&bits[..]));
    let set = read.map_err(|e| broken(&e))?;
    let fields = match set.frame_mbs_flags {
        FrameMbsFlags::Frames => 1,
        FrameMbsFlags::Fields { .. } => 2,
    };
    // A macroblock is 16 by 16; the last ones may reach beyond the picture.
    let blocks = |minus_one: u32| u64::from(minus_one) + 1;
    let (across, down) = (
        blocks(set.pic_width_in_mbs_minus1),
        blocks(set.pic_height_in_map_units_minus1),
    );
    let beyond = 15 * 16 * (across + down * fields);
    let pixels = across.saturating_mul(down).saturating_mul(256 * fields);
    within(pixels.saturating_sub(beyond), max_pixels)
}

const fn within(pixels: u64, max_pixels: u64) -> Result<u64, VideoError> {
    if pixels > max_pixels {
        return Err(VideoError::TooManyPixels { pixels, max_pixels });
    }
    Ok(pixels)
}

/// The samples that lie in the file.
fn samples(track: &mp4parse::Track, file_bytes: usize) -> Result<Vec<Sample>, VideoError> {
    let (Some(chunks), Some(per_chunk)) = (&track.stco, &track.stsc) else {
        return Err(VideoError::Unsupported);
    };
    let most = per_chunk.samples.iter().map(|run| run.samples_per_chunk);
    let most = u64::from(most.max().unwrap_or(0));
    if most.saturating_mul(chunks.offsets.len() as u64) > MAX_SAMPLES {
        return Err(VideoError::Corrupt("too many samples".into()));
    }
    let scale = track.timescale.as_ref().map_or(0, |scale| scale.0);
    let table = create_sample_table(track, 0.into())
        .ok_or_else(|| VideoError::Corrupt("its tables disagree".into()))?;
    let begin = table.iter().map(|sample| sample.start_composition.0).min();
    let samples = table.iter().filter_map(|sample| {
        let place = |offset: u64| usize::try_from(offset).ok().filter(|at| *at <= file_bytes);
        let shown = i128::from(sample.start_composition.0) - i128::from(begin.unwrap_or(0));
        Some(Sample {
            bytes: place(sample.start_offset.0)?..place(sample.end_offset.0)?,
            at_ms: millis(shown, scale)?,
            key: sample.sync,
        })
    });
    let samples: Vec<Sample> = samples.collect();
    if samples.is_empty() {
        return Err(VideoError::Unsupported);
    }
    Ok(samples)
}

/// Ticks of a clock that makes `scale` a second, in milliseconds.
fn millis(ticks: i128, scale: u64) -> Option<u64> {
    u64::try_from((ticks * 1000).checked_div(i128::from(scale))?).ok()
}

fn error_of(error: Error) -> VideoError {
    match error {
        Error::Unsupported(_) | Error::MoovMissing => VideoError::Unsupported,
        other => VideoError::Corrupt(other.to_string()),
    }
}
