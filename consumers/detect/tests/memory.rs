//! What decoding costs in memory at the limits, by the kernel's own count. Every picture is decoded in a process of its own,
//! so that nothing else counts: this binary starts itself again for each.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use image::{
    ExtendedColorType, ImageEncoder,
    codecs::{
        png::{CompressionType, FilterType, PngEncoder},
        webp::WebPEncoder,
    },
};
use trustcard_detect::{
    Registry,
    header::PictureLimits,
    preprocess::{self, Preprocessor},
};

/// The pass mark, in bytes.
const ALLOWED: u64 = 64_000_000;
/// Names the picture that a child decodes.
const PICTURE: &str = "TRUSTCARD_TEST_PICTURE";

#[test]
fn decoding_costs_at_most_64_mb_at_the_limits_of_every_format() {
    let folder = tempfile::tempdir().unwrap();
    // 16 million pixels, or as many as the limit on memory leaves of a costly kind.
    let files = [
        ("jpeg", jpeg(4000, false)),
        ("progressive jpeg", jpeg(2832, true)),
        ("png", png(4000, 3, ExtendedColorType::Rgb8)),
        ("transparent png", png(3480, 4, ExtendedColorType::Rgba8)),
        ("16-bit png", png(2460, 8, ExtendedColorType::Rgba16)),
        ("png with a profile of 200 MB", profile_bomb()),
        ("webp", webp(2460, 3, ExtendedColorType::Rgb8)),
        ("transparent webp", webp(2460, 4, ExtendedColorType::Rgba8)),
        ("gif", gif(3060)),
    ];
    for (name, file) in &files {
        let path = folder.path().join("picture");
        fs::write(&path, file).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_child_decodes_one_picture", "--nocapture"])
            .env(PICTURE, &path)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(child.status.success(), "{name} could not be decoded");
        let said = String::from_utf8(child.stdout).unwrap();
        let grown = said.lines().find_map(|line| line.strip_prefix("grown by "));
        let grown: u64 = grown.unwrap().parse().unwrap();
        println!("{name}: {} MB", grown >> 20);
        // Less than a few megabytes would mean that nothing was measured.
        let least = if name.contains("profile") {
            0
        } else {
            20 << 20
        };
        assert!(
            (least..=ALLOWED).contains(&grown),
            "{name} took {grown} bytes"
        );
    }
}

#[test]
fn a_child_decodes_one_picture() {
    let Some(path) = std::env::var_os(PICTURE) else {
        return;
    };
    let file = fs::read(Path::new(&path)).unwrap();
    let registry = Registry::load(None).unwrap();
    let mut preprocessor = Preprocessor::new(&registry.models[0].input);
    // Resets the peak that the kernel keeps.
    fs::OpenOptions::new()
        .write(true)
        .open("/proc/self/clear_refs")
        .unwrap()
        .write_all(b"5")
        .unwrap();
    let before = status("VmRSS:");
    let (picture, orientation) = preprocess::open(&file, &PictureLimits::default()).unwrap();
    preprocessor.tensor(&picture, orientation).unwrap();
    preprocess::working_copy(&picture, orientation, 1280).unwrap();
    // On a line of its own, whatever the test runner has begun.
    println!("\ngrown by {}", status("VmHWM:").saturating_sub(before));
}

/// A field of /proc/self/status, in bytes.
fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}

fn texture(side: u32, bytes: usize) -> Vec<u8> {
    let length = side as usize * side as usize * bytes;
    let mut pixels: Vec<u8> = (0..=254u8).collect::<Vec<_>>().repeat(length / 255 + 1);
    pixels.truncate(length);
    pixels
}

fn png(side: u32, bytes: usize, colour: ExtendedColorType) -> Vec<u8> {
    encode(|file| {
        PngEncoder::new_with_quality(file, CompressionType::Fast, FilterType::NoFilter)
            .write_image(&texture(side, bytes), side, side, colour)
            .unwrap();
    })
}

fn webp(side: u32, bytes: usize, colour: ExtendedColorType) -> Vec<u8> {
    encode(|file| {
        WebPEncoder::new_lossless(file)
            .write_image(&texture(side, bytes), side, side, colour)
            .unwrap();
    })
}

/// A grey JPEG, `side` by `side`, colours at half resolution. Its Huffman tables have one code each, a single 0 bit, for "no
/// difference" and "no more coefficients", so all of its data is zeros. The progressive one ends after its first scan.
fn jpeg(side: u16, progressive: bool) -> Vec<u8> {
    let [high, low] = side.to_be_bytes();
    let mut file = vec![0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0];
    file.extend([1; 64]);
    for class in [0x00, 0x10] {
        file.extend([0xFF, 0xC4, 0, 20, class, 1]);
        file.extend([0; 15]);
        file.push(0);
    }
    // A scan of first coefficients only has one code for each of the six blocks of a unit, else there are two.
    let (frame, last, bits) = if progressive {
        (0xC2, 0, 6)
    } else {
        (0xC0, 63, 12)
    };
    file.extend([0xFF, frame, 0, 17, 8, high, low, high, low, 3]);
    file.extend([1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0]);
    file.extend([0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, last, 0]);
    let units = usize::from(side).div_ceil(16).pow(2);
    file.resize(file.len() + (units * bits).div_ceil(8), 0);
    file.extend([0xFF, 0xD9]);
    file
}

fn encode(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = Vec::new();
    write(&mut file);
    file
}

/// A small PNG whose colour profile unpacks to 200 MB.
fn profile_bomb() -> Vec<u8> {
    let small = encode(|file| {
        PngEncoder::new(file)
            .write_image(&[9; 64 * 64], 64, 64, ExtendedColorType::L8)
            .unwrap();
    });
    // A zlib stream of zeros, made by an encoder we have: the pixels of an empty picture.
    let blank = encode(|file| {
        PngEncoder::new(file)
            .write_image(&vec![0; 200 << 20], 20_480, 10_240, ExtendedColorType::L8)
            .unwrap();
    });
    let idat = blank.windows(4).position(|name| name == b"IDAT").unwrap();
    let length = u32::from_be_bytes(blank[idat - 4..idat].try_into().unwrap()) as usize;
    let body = [b"bomb\0\0", &blank[idat + 4..idat + 4 + length]].concat();
    let chunk = [b"iCCP", &body[..]].concat();
    let header_end = 33;
    let mut file = small[..header_end].to_vec();
    file.extend((body.len() as u32).to_be_bytes());
    file.extend(&chunk);
    file.extend(crc32(&chunk).to_be_bytes());
    file.extend(&small[header_end..]);
    file
}

/// CRC-32 as PNG has it (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

/// A GIF of one frame, `side` by `side`. With 7 bits a pixel a code takes a byte until the code table has grown by 126, and
/// a clear code (128) before that starts it again: no compression, so no encoder.
fn gif(side: u16) -> Vec<u8> {
    let mut file = b"GIF89a".to_vec();
    for _ in 0..2 {
        file.extend(side.to_le_bytes());
    }
    file.extend([0xF6, 0, 0]);
    file.extend((0..128u8).flat_map(|grey| [grey * 2; 3]));
    file.extend([0x2C, 0, 0, 0, 0]);
    for _ in 0..2 {
        file.extend(side.to_le_bytes());
    }
    file.extend([0, 7]);
    let row: Vec<u8> = std::iter::once(128).chain(0..120).collect();
    let pixels = usize::from(side) * usize::from(side);
    let mut codes = row.repeat(pixels / 120);
    codes.push(129);
    for block in codes.chunks(255) {
        file.push(block.len() as u8);
        file.extend(block);
    }
    file.extend([0, 0x3B]);
    file
}
