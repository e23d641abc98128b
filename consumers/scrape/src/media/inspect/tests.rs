use image::{DynamicImage, ImageBuffer, Luma, Rgb, RgbImage, Rgba};

use super::*;

const MAX: u64 = 16_000_000;

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut bytes), format)
        .unwrap();
    bytes
}

fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixel = |x, y| Rgb([(x % 256) as u8, (y % 256) as u8, 90]);
    let rgb = DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel));
    match format {
        ImageFormat::Gif | ImageFormat::WebP => {
            encode(&DynamicImage::ImageRgba8(rgb.to_rgba8()), format)
        }
        _ => encode(&rgb, format),
    }
}

/// CRC-32 of PNG chunks (PNG specification, annex D).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// A small picture whose header claims another size.
fn claiming(width: u16, height: u16, format: ImageFormat) -> Vec<u8> {
    let mut bytes = picture(8, 8, format);
    match format {
        ImageFormat::Png => {
            bytes[16..20].copy_from_slice(&u32::from(width).to_be_bytes());
            bytes[20..24].copy_from_slice(&u32::from(height).to_be_bytes());
            let crc = crc32(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        }
        ImageFormat::Gif => {
            bytes[6..8].copy_from_slice(&width.to_le_bytes());
            bytes[8..10].copy_from_slice(&height.to_le_bytes());
        }
        ImageFormat::Jpeg => {
            let frame = bytes.windows(2).position(|b| b == [0xFF, 0xC0]).unwrap();
            bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
            bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
        }
        ImageFormat::WebP => {
            // VP8L: 14 bits of width - 1 and 14 of height - 1 behind the signature byte.
            assert_eq!(&bytes[12..16], b"VP8L");
            let size = u32::from(width - 1) & 0x3FFF | (u32::from(height - 1) & 0x3FFF) << 14;
            let flags = u32::from_le_bytes(bytes[21..25].try_into().unwrap()) & 0xF000_0000;
            bytes[21..25].copy_from_slice(&(flags | size).to_le_bytes());
        }
        _ => unreachable!(),
    }
    bytes
}

const FORMATS: [ImageFormat; 4] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::Gif,
    ImageFormat::WebP,
];

#[test]
fn pictures_of_every_allowed_type_are_known_by_their_bytes() {
    for format in FORMATS {
        let bytes = picture(33, 17, format);
        for kind in [MediaKind::Image, MediaKind::Thumbnail] {
            assert_eq!(inspect(&bytes, kind, MAX), Ok(format.to_mime_type()));
        }
        assert!(inspect(&picture(1, 1, format), MediaKind::Image, MAX).is_ok());
    }
}

#[test]
fn sixteen_bit_grey_and_transparent_pictures_are_pictures() {
    let deep = ImageBuffer::from_pixel(4, 4, Luma([40_000_u16]));
    let clear = ImageBuffer::from_pixel(4, 4, Rgba([1_u8, 2, 3, 0]));
    for image in [
        DynamicImage::ImageLuma16(deep),
        DynamicImage::ImageRgba8(clear),
    ] {
        let bytes = encode(&image, ImageFormat::Png);
        assert!(inspect(&bytes, MediaKind::Image, MAX).is_ok());
    }
}

#[test]
fn a_header_that_claims_too_many_pixels_is_refused_before_anything_decodes() {
    for format in FORMATS {
        let side = if format == ImageFormat::WebP {
            16_383
        } else {
            60_000
        };
        let bytes = claiming(side, side, format);
        let refused = inspect(&bytes, MediaKind::Image, MAX).unwrap_err();
        assert_eq!(refused, Reason::MediaTooManyPixels, "{format:?}");
    }
}

#[test]
fn the_pixel_cap_is_exact() {
    for format in FORMATS {
        let bytes = picture(40, 25, format);
        assert!(inspect(&bytes, MediaKind::Image, 1000).is_ok());
        let refused = inspect(&bytes, MediaKind::Image, 999).unwrap_err();
        assert_eq!(refused, Reason::MediaTooManyPixels, "{format:?}");
    }
}

#[test]
fn a_picture_without_pixels_or_without_a_whole_header_is_undecodable() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif] {
        let refused = inspect(&claiming(0, 0, format), MediaKind::Image, MAX).unwrap_err();
        assert_eq!(refused, Reason::MediaUndecodable, "{format:?} of 0x0");
    }
    for format in FORMATS {
        let bytes = picture(64, 64, format);
        let mut refused = 0;
        for length in 0..bytes.len().min(200) {
            match inspect(&bytes[..length], MediaKind::Image, MAX) {
                Ok(found) => assert_eq!(found, format.to_mime_type()),
                Err(Reason::MediaUnsupported | Reason::MediaUndecodable) => refused += 1,
                Err(other) => panic!("{format:?} cut at {length}: {other}"),
            }
        }
        assert!(refused >= 10, "{format:?}: {refused}");
    }
}

#[test]
fn a_file_is_what_it_begins_as_whatever_follows() {
    let mut polyglot = picture(8, 8, ImageFormat::Gif);
    polyglot.extend(b"PK\x03\x04<script>alert(1)</script>");
    assert_eq!(inspect(&polyglot, MediaKind::Image, MAX), Ok("image/gif"));
    for bytes in [
        &b""[..],
        b"<html>",
        b"%PDF-1.7",
        b"PK\x03\x04",
        b"BM\0\0\0\0",
        b"II*\0",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"\0\0\0\x18ftypheic",
        b"\0\0\0\x18ftypavif",
        b"\xFF\xD8",
        b"GIF88a",
        b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
    ] {
        assert_eq!(
            inspect(bytes, MediaKind::Image, MAX),
            Err(Reason::MediaUnsupported),
            "{bytes:?}"
        );
    }
}

#[test]
fn a_video_is_no_picture_and_a_picture_no_video() {
    let video = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42";
    assert_eq!(inspect(video, MediaKind::Video, MAX), Ok("video/mp4"));
    for kind in [MediaKind::Image, MediaKind::Thumbnail] {
        assert_eq!(inspect(video, kind, MAX), Err(Reason::MediaUnsupported));
    }
    let jpeg = picture(8, 8, ImageFormat::Jpeg);
    assert_eq!(
        inspect(&jpeg, MediaKind::Video, MAX),
        Err(Reason::MediaUnsupported)
    );
}
