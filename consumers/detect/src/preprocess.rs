//! From a picture's bytes to a model's input.
//!
//! The order is what keeps it safe and cheap: the header is judged first, one buffer holds the decoded pixels, transparency
//! is laid on white within it, the centre square is cut out and resized in one step, and only the small result is turned
//! (EXIF), brought to 8-bit RGB and normalised. Training uses the same functions, so the two can't drift apart.

use std::io::Cursor;

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{
    DynamicImage, ImageDecoder, ImageError, Limits, RgbImage,
    codecs::{gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder},
    error::LimitErrorKind,
    metadata::Orientation,
};

use crate::{
    header::{Header, PictureError, PictureFormat, PictureLimits},
    registry::InputSpec,
};

/// Rows of a band, when a picture is made smaller.
const BAND: u32 = 64;
/// Rows beside a band that its edge depends on: Catmull-Rom reaches two pixels of what comes out.
const REACH: u32 = 2;

/// Turns pictures into the input tensor of one model. Holds the resizer's buffers, so each worker has its own.
pub struct Preprocessor {
    /// Side of the square the model sees, in pixels.
    side: u32,
    /// Normalised value of each 8-bit sample, per channel.
    normalised: [[f32; 256]; 3],
    resizer: Resizer,
}

impl Preprocessor {
    /// For the input that a registry entry describes.
    #[must_use]
    pub fn new(input: &InputSpec) -> Self {
        let channel = |channel: usize| {
            std::array::from_fn(|sample| {
                (sample as f32 / 255.0 - input.mean[channel]) / input.std[channel]
            })
        };
        Self {
            side: input.side(),
            normalised: std::array::from_fn(channel),
            resizer: Resizer::new(),
        }
    }

    /// The tensor `[1, 3, side, side]` of a decoded picture, channels red, green, blue, row by row: shortest side to the model's side, then the centre, as CLIP's own preprocessing
    /// does it (Radford et al. 2021), here in one step. Bicubic with a = -0.5 and the kernel widened when shrinking, which is
    /// what Pillow calls `BICUBIC`.
    ///
    /// # Errors
    /// [`PictureError`] for pixels of a kind that can't be resized.
    pub fn tensor(
        &mut self,
        picture: &DynamicImage,
        orientation: Orientation,
    ) -> Result<Vec<f32>, PictureError> {
        let square = picture.width().min(picture.height());
        let margin = |length: u32| f64::from(length - square) / 2.0;
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
            // The picture is opaque by now; multiplying by its alpha would copy it.
            .use_alpha(false)
            .crop(
                margin(picture.width()),
                margin(picture.height()),
                f64::from(square),
                f64::from(square),
            );
        let mut small = DynamicImage::new(self.side, self.side, picture.color());
        self.resizer
            .resize(picture, &mut small, &options)
            .map_err(|error| PictureError::Corrupt(error.to_string()))?;
        // The centre square of a turned picture is the turned centre square.
        small.apply_orientation(orientation);
        let small = small.into_rgb8();
        let mut tensor = Vec::with_capacity(small.as_raw().len());
        for (channel, normalised) in self.normalised.iter().enumerate() {
            tensor.extend(
                small
                    .as_raw()
                    .iter()
                    .skip(channel)
                    .step_by(3)
                    .map(|&sample| normalised[usize::from(sample)]),
            );
        }
        Ok(tensor)
    }
}

/// Decodes a picture file (of an animation the first frame), on white where it is transparent, and reads how EXIF wants it
/// turned.
///
/// # Errors
/// [`PictureError`]
pub fn open(
    file: &[u8],
    limits: &PictureLimits,
) -> Result<(DynamicImage, Orientation), PictureError> {
    let header = Header::read(file, limits)?;
    let (mut picture, orientation) = decode(file, &header, limits)?;
    lay_on_white(&mut picture);
    Ok((picture, orientation))
}

/// A copy for everything but the encoder: upright, 8-bit RGB, no side longer than `longest`. The picture itself may be several
/// times as large, and letters and faces need no more.
///
/// # Errors
/// [`PictureError`] for pixels of a kind that can't be resized.
pub fn working_copy(
    picture: &DynamicImage,
    orientation: Orientation,
    longest: u32,
) -> Result<RgbImage, PictureError> {
    let (width, height) = (picture.width(), picture.height());
    let scale = (f64::from(longest) / f64::from(width.max(height))).min(1.0);
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    let copy = if scale < 1.0 {
        shrunk(picture, side(width), side(height))?
    } else {
        picture.to_rgb8()
    };
    let mut copy = DynamicImage::from(copy);
    copy.apply_orientation(orientation);
    Ok(copy.into_rgb8())
}

/// A smaller picture, made band by band: the resizer's own copy of as many rows as go in would be a third of a large picture.
fn shrunk(picture: &DynamicImage, width: u32, height: u32) -> Result<RgbImage, PictureError> {
    let rows = f64::from(picture.height()) / f64::from(height);
    let mut resizer = Resizer::new();
    let mut shrunk = Vec::with_capacity(width as usize * height as usize * 3);
    for top in (0..height).step_by(BAND as usize) {
        let bottom = (top + BAND).min(height);
        let above = top.saturating_sub(REACH);
        let below = (bottom + REACH).min(height);
        let mut band = DynamicImage::new(width, below - above, picture.color());
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
            .use_alpha(false)
            .crop(
                0.0,
                f64::from(above) * rows,
                f64::from(picture.width()),
                f64::from(below - above) * rows,
            );
        resizer
            .resize(picture, &mut band, &options)
            .map_err(|error| PictureError::Corrupt(error.to_string()))?;
        let band = band.into_rgb8();
        let row = 3 * width as usize;
        let within = (top - above) as usize * row..(bottom - above) as usize * row;
        shrunk.extend_from_slice(&band.as_raw()[within]);
    }
    RgbImage::from_raw(width, height, shrunk)
        .ok_or_else(|| PictureError::Corrupt("it can't be made smaller".into()))
}

/// Decodes the picture and reads how EXIF wants it turned.
fn decode(
    file: &[u8],
    header: &Header,
    limits: &PictureLimits,
) -> Result<(DynamicImage, Orientation), PictureError> {
    let mut memory = Limits::no_limits();
    memory.max_alloc = Some(limits.max_decode_bytes);
    let file = Cursor::new(file);
    match header.format {
        PictureFormat::Jpeg => run(JpegDecoder::new(file).map_err(error_of)?, header, memory),
        PictureFormat::Png => run(
            PngDecoder::with_limits(file, metadata_limits()).map_err(error_of)?,
            header,
            memory,
        ),
        PictureFormat::Gif => run(GifDecoder::new(file).map_err(error_of)?, header, memory),
        PictureFormat::WebP => run(WebPDecoder::new(file).map_err(error_of)?, header, memory),
    }
}

/// What a PNG's colour profile and texts may unpack to: they come compressed and are no part of the picture.
fn metadata_limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(4 << 20);
    limits
}

fn run(
    mut decoder: impl ImageDecoder,
    header: &Header,
    memory: Limits,
) -> Result<(DynamicImage, Orientation), PictureError> {
    if decoder.dimensions() != (header.width, header.height) {
        return Err(PictureError::Corrupt("sizes that disagree".into()));
    }
    decoder.set_limits(memory).map_err(error_of)?;
    // Broken EXIF data is no reason not to look at the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(error_of)?;
    Ok((picture, orientation))
}

fn error_of(error: ImageError) -> PictureError {
    if ends_early(&error) {
        return PictureError::Truncated;
    }
    match error {
        ImageError::Limits(limit) if limit.kind() == LimitErrorKind::InsufficientMemory => {
            PictureError::Corrupt("it needs more memory than its header says".into())
        }
        other => PictureError::Corrupt(other.to_string()),
    }
}

/// Whether an unexpected end of file is anywhere in the chain of causes.
fn ends_early(error: &ImageError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Composes a transparent picture over white, in place: `c * a + white * (1 - a)`, rounded. Its alpha channel is left as it
/// was and not looked at again.
fn lay_on_white(picture: &mut DynamicImage) {
    match picture {
        DynamicImage::ImageLumaA8(p) => p.chunks_exact_mut(2).for_each(blend8),
        DynamicImage::ImageRgba8(p) => p.chunks_exact_mut(4).for_each(blend8),
        DynamicImage::ImageLumaA16(p) => p.chunks_exact_mut(2).for_each(blend16),
        DynamicImage::ImageRgba16(p) => p.chunks_exact_mut(4).for_each(blend16),
        _ => {}
    }
}

fn blend8(pixel: &mut [u8]) {
    let Some((alpha, colours)) = pixel.split_last_mut() else {
        return;
    };
    let alpha = u32::from(*alpha);
    for colour in colours {
        *colour = ((u32::from(*colour) * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
    }
}

fn blend16(pixel: &mut [u16]) {
    let Some((alpha, colours)) = pixel.split_last_mut() else {
        return;
    };
    let alpha = u64::from(*alpha);
    for colour in colours {
        *colour =
            ((u64::from(*colour) * alpha + 65_535 * (65_535 - alpha) + 32_767) / 65_535) as u16;
    }
}
