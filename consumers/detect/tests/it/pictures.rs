//! Pictures, good and bad, on their way to the model's input.

use image::{
    DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
    metadata::Orientation,
};
use schemas::Reason;
use trustcard_detect::{
    header::{Header, PictureError, PictureLimits},
    preprocess::{self, Preprocessor},
    registry::{Filter, Fit, InputSpec, Layout},
};

use crate::common::{fixture, plain, png};

const SIDE: u32 = 64;

fn preprocessor() -> Preprocessor {
    let input = InputSpec {
        name: "picture".into(),
        shape: [1, 3, SIDE, SIDE],
        layout: Layout::Nchw,
        fit: Fit::CentreSquare,
        filter: Filter::CatmullRom,
        mean: [0.0; 3],
        std: [1.0; 3],
    };
    Preprocessor::new(&input)
}

fn tensor(file: &[u8]) -> Result<Vec<f32>, PictureError> {
    let (picture, orientation) = preprocess::open(file, &PictureLimits::default())?;
    preprocessor().tensor(&picture, orientation)
}

/// Red, green and blue of a place in the tensor, 0 to 255.
fn at(tensor: &[f32], x: u32, y: u32) -> [f32; 3] {
    let plane = (SIDE * SIDE) as usize;
    let place = (y * SIDE + x) as usize;
    std::array::from_fn(|channel| tensor[channel * plane + place] * 255.0)
}

fn is_red([red, green, blue]: [f32; 3]) -> bool {
    red > 150.0 && green < 90.0 && blue < 90.0
}

fn is_grey([red, green, blue]: [f32; 3]) -> bool {
    (red - green).abs() < 25.0 && (green - blue).abs() < 25.0
}

fn noise(width: u32, height: u32) -> RgbImage {
    let mut state = 1u32;
    RgbImage::from_fn(width, height, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 8) as u8])
    })
}

#[test]
fn every_format_and_kind_of_pixel_shows_the_same_scene() {
    // A red top left quarter on grey, 64 x 48: the centre square begins 8 pixels from the left.
    for name in [
        "baseline.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "turned.jpg",
        "lossy.webp",
        "rgba.png",
        "lossless.webp",
        "alpha.webp",
        "animated.gif",
        "animated.webp",
    ] {
        let tensor = tensor(&fixture(name)).unwrap();
        assert_eq!(tensor.len(), 3 * 64 * 64);
        assert!(
            is_red(at(&tensor, 10, 10)),
            "{name}: {:?}",
            at(&tensor, 10, 10)
        );
        assert!(
            is_red(at(&tensor, 24, 24)),
            "{name}: {:?}",
            at(&tensor, 24, 24)
        );
        for (x, y) in [(55, 10), (10, 55)] {
            assert!(
                is_grey(at(&tensor, x, y)),
                "{name}: {:?}",
                at(&tensor, x, y)
            );
        }
    }
    assert!(is_grey(at(&tensor(&fixture("grey.jpg")).unwrap(), 10, 10)));
}

#[test]
fn the_tensor_is_the_normalised_centre() {
    let input = InputSpec {
        name: "picture".into(),
        shape: [1, 3, 8, 8],
        layout: Layout::Nchw,
        fit: Fit::CentreSquare,
        filter: Filter::CatmullRom,
        mean: [0.5, 0.25, 0.0],
        std: [0.5, 0.25, 2.0],
    };
    // A square of one colour between two bars that the centre does not show.
    let picture = RgbImage::from_fn(96, 48, |x, _| {
        if (24..72).contains(&x) {
            Rgb([255, 51, 102])
        } else {
            Rgb([0, 0, 0])
        }
    });
    let tensor = Preprocessor::new(&input)
        .tensor(&picture.into(), Orientation::NoTransforms)
        .unwrap();
    for (plane, expected) in tensor.chunks(64).zip([1.0, (0.2 - 0.25) / 0.25, 0.2]) {
        // The bars shine into the outer columns, as they do when the whole picture is resized first.
        let inner = plane.chunks(8).flat_map(|row| &row[2..6]);
        assert!(
            inner
                .into_iter()
                .all(|value| (value - expected).abs() < 1e-5),
            "{plane:?}"
        );
    }
}

#[test]
fn transparency_is_laid_on_white_in_8_and_16_bits() {
    let half = RgbaImage::from_pixel(48, 48, Rgba([255, 0, 0, 128]));
    let picture = DynamicImage::from(half);
    let depths = [picture.clone(), DynamicImage::from(picture.to_rgba16())];
    for picture in depths {
        let mut file = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut file, ImageFormat::Png).unwrap();
        let [red, green, blue] = at(&tensor(file.get_ref()).unwrap(), 30, 30);
        assert!(red > 254.0 && (green - 127.0).abs() <= 1.0 && (blue - 127.0).abs() <= 1.0);
    }
    let hidden = DynamicImage::from(RgbaImage::from_pixel(48, 48, Rgba([9, 9, 9, 0])));
    for picture in [hidden.clone(), DynamicImage::from(hidden.to_luma_alpha8())] {
        let mut file = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut file, ImageFormat::Png).unwrap();
        assert_eq!(at(&tensor(file.get_ref()).unwrap(), 5, 5), [255.0; 3]);
    }
}

#[test]
fn sixteen_bits_give_what_eight_bits_give() {
    let smooth = RgbImage::from_fn(90, 70, |x, y| {
        Rgb([x as u8 * 2, y as u8 * 3, (x + y) as u8])
    });
    let picture = DynamicImage::from(smooth);
    let grey = DynamicImage::from(picture.to_luma8());
    for (eight, sixteen) in [
        (picture.clone(), DynamicImage::from(picture.to_rgb16())),
        (grey.clone(), DynamicImage::from(grey.to_luma16())),
    ] {
        let [eight, sixteen] = [eight, sixteen].map(|picture| {
            let mut file = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut file, ImageFormat::Png).unwrap();
            tensor(file.get_ref()).unwrap()
        });
        let difference = eight
            .iter()
            .zip(&sixteen)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(difference * 255.0 <= 2.0, "{difference}");
    }
}

/// Files of a few bytes that claim to be 60000 x 60000.
fn huge() -> Vec<Vec<u8>> {
    let side = 60_000u16.to_be_bytes();
    let jpeg = [
        &[0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8][..],
        &side,
        &side,
        &[3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1],
        &[
            0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0, 1, 2, 3, 0xFF, 0xD9,
        ],
    ]
    .concat();
    let mut png_file = plain([1, 2, 3]);
    png_file[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    let mut gif = fixture("animated.gif");
    gif[6..10].copy_from_slice(&[0x60, 0xEA, 0x60, 0xEA]);
    let mut webp = fixture("animated.webp");
    webp[24..30].copy_from_slice(&[0x5F, 0xEA, 0, 0x5F, 0xEA, 0]);
    vec![jpeg, png_file, gif, webp]
}

#[test]
fn a_header_of_60000_x_60000_is_refused_before_decoding() {
    for file in huge() {
        let error = tensor(&file).unwrap_err();
        assert!(
            matches!(
                error,
                PictureError::TooManyPixels {
                    width: 60_000,
                    height: 60_000,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(error.reason(), Reason::MediaTooManyPixels);
    }
}

#[test]
fn the_pixel_cap_is_exact() {
    let limits = PictureLimits {
        max_pixels: 64 * 48,
        ..PictureLimits::default()
    };
    assert!(Header::read(&plain([0; 3]), &limits).is_ok());
    let limits = PictureLimits {
        max_pixels: 64 * 48 - 1,
        ..limits
    };
    assert!(matches!(
        Header::read(&plain([0; 3]), &limits),
        Err(PictureError::TooManyPixels { .. })
    ));
}

#[test]
fn what_decoding_would_cost_counts_beside_the_pixels() {
    // 15 million pixels are allowed, but not with 8 bytes each.
    let mut png_file = Vec::new();
    let mut header = |colour| {
        png_file.clear();
        PngEncoder::new(&mut png_file)
            .write_image(&[0; 8], 1, 1, colour)
            .unwrap();
        png_file[16..24].copy_from_slice(&[0, 0, 0x13, 0x88, 0, 0, 0x0B, 0xB8]);
        Header::read(&png_file, &PictureLimits::default())
    };
    assert!(matches!(
        header(ExtendedColorType::Rgba16),
        Err(PictureError::TooMuchMemory { .. })
    ));

    // A progressive JPEG keeps its coefficients.
    let mut jpeg = fixture("progressive.jpg");
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC2])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x0F, 0xA0, 0x0F, 0xA0]);
    let error = Header::read(&jpeg, &PictureLimits::default()).unwrap_err();
    assert!(
        matches!(error, PictureError::TooMuchMemory { .. }),
        "{error:?}"
    );
    assert_eq!(error.reason(), Reason::MediaTooManyPixels);
}

#[test]
fn inner_sizes_that_disagree_are_refused_before_decoding() {
    // A small canvas around a large bitstream, which is what a decoder would allocate for.
    let mut webp = fixture("alpha.webp");
    let chunk = webp.windows(4).position(|name| name == b"VP8 ").unwrap();
    webp[chunk + 14..chunk + 18].copy_from_slice(&[0xFF, 0x3F, 0xFF, 0x3F]);
    assert!(matches!(tensor(&webp), Err(PictureError::Corrupt(_))));

    let mut gif = fixture("animated.gif");
    gif[6..10].copy_from_slice(&[33, 0, 33, 0]);
    assert!(matches!(tensor(&gif), Err(PictureError::Corrupt(_))));
}

#[test]
fn of_10000_frames_the_first_is_looked_at() {
    // Of an animation, everything after the headers up to the trailer, again and again.
    let gif = fixture("animated.gif");
    let begin = gif
        .windows(2)
        .position(|pair| pair == [0x21, 0xF9])
        .unwrap();
    let frames = &gif[begin..gif.len() - 1];
    let many = [&gif[..begin], &frames.repeat(5_000), &[0x3B][..]].concat();
    assert!(is_red(at(&tensor(&many).unwrap(), 10, 10)));

    let webp = fixture("animated.webp");
    let begin = webp.windows(4).position(|name| name == b"ANMF").unwrap();
    let mut many = [&webp[..begin], &webp[begin..].repeat(5_000)].concat();
    let length = (many.len() - 8) as u32;
    many[4..8].copy_from_slice(&length.to_le_bytes());
    assert!(is_red(at(&tensor(&many).unwrap(), 10, 10)));
}

#[test]
fn a_cut_file_is_an_error_and_never_a_half_picture() {
    let picture = noise(200, 160);
    let (width, height) = picture.dimensions();
    let raw = picture.as_raw();
    let mut files = vec![Vec::new(); 4];
    JpegEncoder::new(&mut files[0])
        .write_image(raw, width, height, ExtendedColorType::Rgb8)
        .unwrap();
    PngEncoder::new(&mut files[1])
        .write_image(raw, width, height, ExtendedColorType::Rgb8)
        .unwrap();
    WebPEncoder::new_lossless(&mut files[2])
        .write_image(raw, width, height, ExtendedColorType::Rgb8)
        .unwrap();
    GifEncoder::new(&mut files[3])
        .encode(raw, width, height, ExtendedColorType::Rgb8)
        .unwrap();
    files.push(fixture("lossy.webp"));
    files.push(fixture("progressive.jpg"));
    for file in files {
        assert!(tensor(&file).is_ok());
        for percent in [40, 60, 80, 90] {
            let cut = &file[..file.len() * percent / 100];
            let error = tensor(cut).unwrap_err();
            assert_eq!(
                error.reason(),
                Reason::MediaUndecodable,
                "{percent}%: {error:?}"
            );
        }
    }
}

#[test]
fn a_polyglot_is_what_its_first_bytes_say_or_nothing() {
    // A picture with an archive behind it is that picture.
    let jpeg = fixture("baseline.jpg");
    let with_tail = [
        &jpeg[..],
        b"PK\x03\x04 and a script <script>alert(1)</script>",
    ]
    .concat();
    assert_eq!(tensor(&with_tail).unwrap(), tensor(&jpeg).unwrap());
    // Anything with a picture behind it is not.
    let behind = [b"<!DOCTYPE html>", &jpeg[..]].concat();
    assert_eq!(tensor(&behind), Err(PictureError::Unsupported));
    // One format's signature on another's body breaks that format's rules.
    let mut mixed = plain([1, 2, 3]);
    mixed.splice(8.., jpeg.iter().copied());
    assert!(matches!(tensor(&mixed), Err(PictureError::Corrupt(_))));
}

#[test]
fn sides_of_0_and_1_are_refused() {
    let mut zero = plain([1, 2, 3]);
    zero[16..20].fill(0);
    assert!(matches!(
        tensor(&zero),
        Err(PictureError::ZeroSize {
            width: 0,
            height: 48
        })
    ));
    let mut jpeg = fixture("baseline.jpg");
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    jpeg[frame + 5..frame + 9].fill(0);
    assert!(matches!(
        tensor(&jpeg),
        Err(PictureError::ZeroSize {
            width: 0,
            height: 0
        })
    ));
    let mut gif = fixture("animated.gif");
    gif[6..10].fill(0);
    assert_eq!(tensor(&gif).unwrap_err().reason(), Reason::MediaUndecodable);

    let dot = png(&RgbImage::new(1, 1));
    assert!(matches!(
        tensor(&dot),
        Err(PictureError::TooSmall {
            width: 1,
            height: 1,
            ..
        })
    ));
    // Long and thin is no picture either, and not too large to say so.
    let line = png(&RgbImage::new(20_000, 1));
    assert!(matches!(tensor(&line), Err(PictureError::TooSmall { .. })));
}

#[test]
fn no_change_of_a_byte_makes_it_panic() {
    let mut state = 7u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for name in [
        "baseline.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "turned.jpg",
        "rgba.png",
        "animated.gif",
        "animated.webp",
        "alpha.webp",
        "lossless.webp",
    ] {
        let whole = fixture(name);
        for _ in 0..300 {
            let mut file = whole.clone();
            for _ in 0..=random(4) {
                let place = random(file.len());
                file[place] = random(256) as u8;
            }
            // Either answer is right; a panic is not.
            if let Ok(tensor) = tensor(&file) {
                assert!(tensor.iter().all(|value| value.is_finite()));
            }
        }
    }
}
