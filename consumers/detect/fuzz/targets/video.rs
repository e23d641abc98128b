//! Container, stream and frames of a video file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trustcard_detect::video::{VideoLimits, frames};

/// Longest side of a frame that is looked at.
const WORKING_SIDE: u32 = 1280;

fuzz_target!(|file: &[u8]| {
    // Few pixels, so that there are many files in a second.
    let limits = VideoLimits {
        max_decode_pixels: 5_000_000,
        ..VideoLimits::default()
    };
    let _ = frames(file, &limits, WORKING_SIDE);
});
