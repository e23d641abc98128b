//! Videos: which frames are taken, what is refused, and that no file breaks it.

use image::{Rgb, RgbImage};
use proptest::prelude::*;
use schemas::Reason;
use trustcard_detect::{
    ComponentError,
    video::{Frame, VideoError, VideoLimits, frames},
};

use crate::film::film;

const LONGEST: u32 = 1280;
const COLOURS: [[u8; 3]; 4] = [[200, 40, 40], [40, 160, 60], [60, 60, 220], [230, 220, 90]];

/// A scene: a colour with stripes, so that there is something to encode.
fn scene(number: usize) -> RgbImage {
    let colour = COLOURS[number % COLOURS.len()];
    RgbImage::from_fn(160, 288, |x, y| {
        let shade = ((x / 16 + y / 16 + number as u32) % 2) as u8 * 20;
        Rgb(colour.map(|level| level - shade))
    })
}

/// `count` scenes of ten frames each.
fn scenes(count: usize) -> Vec<RgbImage> {
    (0..count * 10).map(|n| scene(n / 10)).collect()
}

fn taken(file: &[u8], limits: &VideoLimits) -> Result<Vec<Frame>, VideoError> {
    frames(file, limits, LONGEST).1
}

/// Why nothing was taken.
fn refused(file: &[u8], limits: &VideoLimits) -> VideoError {
    // Without the pixels of frames, should there be some.
    let taken = taken(file, limits).map(|frames| frames.len());
    taken.unwrap_err()
}

/// The scene a frame shows: the colour nearest to that of its middle.
fn shown(frame: &Frame) -> usize {
    let Rgb(seen) = *frame
        .picture
        .get_pixel(frame.picture.width() / 2, frame.picture.height() / 2);
    let distance = |colour: &[u8; 3]| -> u32 {
        let levels = colour.iter().zip(seen);
        levels.map(|(a, b)| u32::from(a.abs_diff(b))).sum()
    };
    (0..COLOURS.len())
        .min_by_key(|n| distance(&COLOURS[*n]))
        .unwrap()
}

#[test]
fn each_scene_is_taken_once_with_its_time_by_key_frames() {
    // A key frame each half second: more than are taken, so that nothing else is decoded.
    let keys: Vec<usize> = (0..40).step_by(5).collect();
    let file = film(&scenes(4), &keys).mp4();
    let (facts, found) = frames(&file, &VideoLimits::default(), LONGEST);
    assert_eq!(
        (facts.codec, facts.size, facts.duration_ms),
        (Some("h264"), Some((160, 288)), Some(4000))
    );
    let found = found.unwrap();
    let seen: Vec<_> = found.iter().map(|f| (f.at_ms, shown(f))).collect();
    assert_eq!(seen, [(0, 0), (1000, 1), (2000, 2), (3000, 3)]);
    assert_eq!(found[0].picture.dimensions(), (160, 288));
}

#[test]
fn with_one_key_frame_the_whole_stream_is_looked_through() {
    let file = film(&scenes(4), &[]).mp4();
    let found = taken(&file, &VideoLimits::default()).unwrap();
    let seen: Vec<_> = found.iter().map(|f| (f.at_ms, shown(f))).collect();
    assert_eq!(seen, [(0, 0), (1000, 1), (2000, 2), (3000, 3)]);
}

#[test]
fn a_picture_that_stands_still_is_taken_once() {
    let still = vec![scene(1); 30];
    for keys in [&[][..], &[5, 10, 15, 20, 25, 26, 27, 28, 29]] {
        let found = taken(&film(&still, keys).mp4(), &VideoLimits::default()).unwrap();
        assert_eq!(found.len(), 1, "{keys:?}");
    }
}

#[test]
fn no_more_frames_are_taken_and_no_more_pixels_decoded_than_allowed() {
    let file = film(&scenes(4), &[10, 20, 30]).mp4();
    let few = VideoLimits {
        max_frames: 2,
        ..VideoLimits::default()
    };
    assert_eq!(taken(&file, &few).unwrap().len(), 2);
    // Twelve frames in all, so three from each key frame on.
    let cheap = VideoLimits {
        max_decode_pixels: 12 * 160 * 288,
        ..VideoLimits::default()
    };
    let seen: Vec<_> = taken(&file, &cheap)
        .unwrap()
        .iter()
        .map(|f| f.at_ms)
        .collect();
    assert_eq!(seen, [0, 1000, 2000, 3000]);
}

#[test]
fn a_large_frame_is_made_smaller_and_says_by_how_much() {
    let file = film(&scenes(1), &[]).mp4();
    let (_, found) = frames(&file, &VideoLimits::default(), 144);
    let found = found.unwrap();
    assert_eq!(found[0].picture.dimensions(), (80, 144));
    assert_eq!(found[0].scale, 2.0);
}

#[test]
fn the_reel_of_the_sample_site_is_seen() {
    let found = taken(&sample_site::video::reel(), &VideoLimits::default()).unwrap();
    assert!(found.len() > 1);
}

#[test]
fn what_is_not_decoded_says_why() {
    let file = film(&scenes(1), &[]).mp4();
    let limits = VideoLimits::default();
    let other = |changes: &[(&[u8], &[u8; 4])]| {
        let mut other = file.clone();
        for (from, to) in changes {
            let at = file.windows(from.len()).position(|found| found == *from);
            let at = at.unwrap();
            other[at..at + 4].copy_from_slice(*to);
        }
        refused(&other, &limits)
    };
    // The entry of the codec, not the brand in the first box.
    let hevc = other(&[(b"avc1\0\0\0\0", b"hvc1"), (b"avcC", b"hvcC")]);
    assert_eq!(hevc, VideoError::Codec);
    assert_eq!(other(&[(b"stco", b"free")]), VideoError::Unsupported);
    assert_eq!(other(&[(b"moov", b"free")]), VideoError::Unsupported);
    assert!(matches!(
        other(&[(b"stsz", b"free")]),
        VideoError::Corrupt(_)
    ));
    assert_eq!(refused(&[], &limits), VideoError::Unsupported);

    let short = VideoLimits {
        max_seconds: 0,
        ..limits
    };
    assert_eq!(refused(&file, &short).reason(), Reason::MediaTooLong);
    let small = VideoLimits {
        max_pixels: 160 * 288 - 1,
        ..limits
    };
    assert_eq!(refused(&file, &small).reason(), Reason::MediaTooManyPixels);
    let light = VideoLimits {
        max_bytes: file.len() as u64 - 1,
        ..limits
    };
    assert_eq!(refused(&file, &light).reason(), Reason::MediaTooLarge);
}

#[test]
fn a_codec_and_a_length_are_left_out_and_a_broken_file_fails() {
    let skipped = ComponentError::from(VideoError::Codec);
    assert_eq!((skipped.is_skip(), skipped.reason()), (true, Reason::Codec));
    let broken = ComponentError::from(VideoError::Corrupt("x".into()));
    assert_eq!(
        (broken.is_skip(), broken.reason()),
        (false, Reason::MediaUndecodable)
    );
}

#[test]
fn a_stream_that_is_larger_than_its_container_says_is_not_decoded() {
    // The container says 16 x 16; the stream's own parameters count.
    let mut movie = film(&scenes(1), &[]);
    (movie.width, movie.height) = (16, 16);
    let limits = VideoLimits {
        max_pixels: 10_000,
        ..VideoLimits::default()
    };
    let error = refused(&movie.mp4(), &limits);
    assert_eq!(error.reason(), Reason::MediaTooManyPixels);
}

#[test]
fn a_table_that_promises_millions_of_frames_takes_no_memory_for_them() {
    let file = film(&scenes(1), &[]).mp4();
    let at = file.windows(4).position(|four| four == b"stsc").unwrap();
    let mut many = file.clone();
    many[at + 16..at + 20].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = refused(&many, &VideoLimits::default());
    assert!(matches!(error, VideoError::Corrupt(_)), "{error}");
}

#[test]
fn a_file_that_was_cut_short_is_undecodable() {
    let file = film(&scenes(1), &[]).mp4();
    let error = refused(&file[..file.len() * 3 / 5], &VideoLimits::default());
    assert_eq!(error.reason(), Reason::MediaUndecodable);
}

#[test]
fn a_broken_frame_costs_itself_and_what_is_made_from_it() {
    let mut movie = film(&scenes(4), &[10, 20, 30]);
    movie.samples[10].units = vec![vec![0x65, 0xFF, 0xFF, 0xFF]];
    let found = taken(&movie.mp4(), &VideoLimits::default()).unwrap();
    let seen: Vec<_> = found.iter().map(shown).collect();
    assert!(
        [0, 2, 3].iter().all(|scene| seen.contains(scene)),
        "{seen:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_change_to_a_file_breaks_it(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20), cut in any::<prop::sample::Index>()) {
        let mut file = film(&scenes(1), &[5]).mp4();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let _ = taken(&file, &VideoLimits::default());
        let cut = cut.index(file.len());
        let _ = taken(&file[..cut], &VideoLimits::default());
    }
}
