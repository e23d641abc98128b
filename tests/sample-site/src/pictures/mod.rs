//! The media files of the site: pictures drawn by the code below, their previews, and one video. All are the project's own
//! work, the same on every start, and made once a process.

mod canvas;
mod font;
mod noise;
mod posters;
mod scenes;

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::OnceLock;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, RgbImage, imageops};

use crate::{load, video};
use canvas::Canvas;

const JPEG_QUALITY: u8 = 85;
/// Pictures wider than this have a preview of this width, as the upstream offers smaller sizes.
const PREVIEW_WIDTH: u32 = 480;
const LOAD_SIZE: u32 = 192;

/// A picture to draw: name (which says the format), width and height in pixels, and the drawing.
struct Picture(&'static str, u32, u32, fn(&mut Canvas));

const PICTURES: [Picture; 17] = [
    Picture("coast.jpg", 1080, 1080, scenes::coast),
    Picture("hills.jpg", 864, 1080, scenes::hills),
    Picture("clouds.jpg", 960, 640, scenes::clouds),
    Picture("night.jpg", 810, 810, scenes::night),
    Picture("marble.jpg", 720, 720, scenes::marble),
    Picture("mosaic.jpg", 810, 810, scenes::mosaic),
    Picture("rings.jpg", 640, 640, scenes::rings),
    Picture("bokeh.jpg", 810, 810, scenes::bokeh),
    Picture("contours.jpg", 810, 810, scenes::contours),
    Picture("halftone.webp", 640, 640, scenes::halftone),
    Picture("stripes.png", 640, 640, posters::stripes),
    Picture("chart-bars.png", 800, 640, posters::chart_bars),
    Picture("chart-line.jpg", 960, 720, posters::chart_line),
    Picture("poster-miracle.jpg", 1080, 1080, posters::miracle),
    Picture("poster-share.jpg", 1080, 1080, posters::share),
    Picture("reel-cover.jpg", 540, 960, scenes::coast),
    Picture("avatar.jpg", 150, 150, scenes::rings),
];

/// A file ready to be sent.
pub(crate) struct File {
    pub bytes: Bytes,
    pub content_type: &'static str,
    /// Width and height in pixels.
    size: (u32, u32),
}

/// Every file by name.
pub(crate) struct Library(HashMap<String, File>);

impl Library {
    pub(crate) fn get(&self, name: &str) -> Option<&File> {
        self.0.get(name)
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self, name: &str) -> Option<(u32, u32)> {
        self.0.get(name).map(|file| file.size)
    }
}

/// The library, drawn at the first call (blocks for some hundred milliseconds).
pub(crate) fn library() -> &'static Result<Library, String> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(draw_all)
}

/// Name of the smaller version of a picture.
pub(crate) fn preview_name(name: &str) -> String {
    format!("small-{name}")
}

fn draw_all() -> Result<Library, String> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mut files = HashMap::new();
    std::thread::scope(|scope| {
        // Dealt out like cards: neighbours in the list cost about the same.
        let share = |worker: usize| PICTURES.iter().skip(worker).step_by(workers);
        let hands: Vec<_> = (0..workers)
            .map(|w| scope.spawn(move || share(w).map(draw).collect::<Vec<_>>()))
            .collect();
        for hand in hands {
            let drawn = hand
                .join()
                .map_err(|_| "a picture could not be drawn".to_owned())?;
            for named in drawn {
                files.extend(named?);
            }
        }
        Ok::<_, String>(())
    })?;
    for index in 0..load::PICTURES {
        let mut canvas = Canvas::new(LOAD_SIZE, LOAD_SIZE);
        scenes::load(&mut canvas, index as u32);
        let name = load::picture(index);
        let file = encode(&name, canvas.into_image())?;
        files.insert(name, file);
    }
    let reel = File {
        bytes: video::reel().into(),
        content_type: "video/mp4",
        size: (video::WIDTH, video::HEIGHT),
    };
    files.insert("reel.mp4".to_owned(), reel);
    Ok(Library(files))
}

/// A picture and, if it is large, its preview.
fn draw(Picture(name, width, height, scene): &Picture) -> Result<Vec<(String, File)>, String> {
    let mut canvas = Canvas::new(*width, *height);
    scene(&mut canvas);
    let image = canvas.into_image();
    let mut files = Vec::new();
    if *width > PREVIEW_WIDTH {
        let small = imageops::thumbnail(&image, PREVIEW_WIDTH, height * PREVIEW_WIDTH / width);
        files.push((preview_name(name), encode(name, small)?));
    }
    files.push(((*name).to_owned(), encode(name, image)?));
    Ok(files)
}

fn encode(name: &str, image: RgbImage) -> Result<File, String> {
    let size = image.dimensions();
    let format = ImageFormat::from_path(name).map_err(|e| format!("{name}: {e}"))?;
    let mut bytes = Vec::new();
    let written = match format {
        ImageFormat::Jpeg => {
            JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(&image)
        }
        other => DynamicImage::from(image).write_to(&mut Cursor::new(&mut bytes), other),
    };
    written.map_err(|e| format!("{name}: {e}"))?;
    Ok(File {
        bytes: bytes.into(),
        content_type: format.to_mime_type(),
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posts::posts;

    #[test]
    fn every_file_is_readable_has_its_size_and_shows_something() {
        let library = library().as_ref().unwrap();
        for (name, file) in library.0.iter().filter(|(name, _)| *name != "reel.mp4") {
            let image = image::load_from_memory(&file.bytes)
                .unwrap_or_else(|e| panic!("{name}: {e}"))
                .to_rgb8();
            assert_eq!(image.dimensions(), file.size, "{name}");
            let first = image.get_pixel(0, 0);
            let differing = image.pixels().filter(|p| *p != first).count();
            assert!(
                differing * 10 > image.pixels().len(),
                "{name} is nearly one colour"
            );
        }
    }

    #[test]
    fn no_two_pictures_are_the_same_and_a_second_drawing_is_equal() {
        let library = library().as_ref().unwrap();
        let distinct: std::collections::HashSet<_> = library.0.values().map(|f| &f.bytes).collect();
        assert_eq!(distinct.len(), library.0.len());
        for (name, file) in draw(&PICTURES[0]).unwrap() {
            assert_eq!(library.get(&name).unwrap().bytes, file.bytes, "{name}");
        }
    }

    #[test]
    fn every_picture_is_used_by_a_post_or_the_site() {
        let catalogue = crate::posts::catalogue().as_ref().unwrap();
        let used: Vec<_> = posts()
            .iter()
            .filter_map(|p| catalogue.post(&p.shortcode))
            .flat_map(|p| &p.media)
            .collect();
        for Picture(name, ..) in &PICTURES {
            let by_site = [crate::shape::AVATAR, crate::shape::COVER].contains(name);
            assert!(by_site || used.iter().any(|u| u == name), "{name}");
        }
    }
}
