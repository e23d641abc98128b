//! Flat graphics: stripes, charts and posters with words on them.

use super::canvas::{Canvas, Colour, mix};
use super::noise;

const INK: Colour = [0.10, 0.11, 0.15];
const PAPER: Colour = [0.97, 0.96, 0.93];
const RED: Colour = [0.80, 0.13, 0.15];
const BLUE: Colour = [0.12, 0.36, 0.66];
const GREY: Colour = [0.80, 0.80, 0.80];

/// Diagonal stripes in four colours.
pub(super) fn stripes(canvas: &mut Canvas) {
    const COLOURS: [Colour; 4] = [
        [0.91, 0.77, 0.42],
        [0.16, 0.62, 0.56],
        [0.90, 0.44, 0.32],
        [0.15, 0.27, 0.33],
    ];
    canvas.shade(|x, y| COLOURS[((x * 7.0 + y * 5.0) as usize) % COLOURS.len()]);
}

/// The axes of a chart in a frame, and the frame: left, top, width and height in pixels.
fn axes(canvas: &mut Canvas, title: &str) -> (i32, i32, i32, i32) {
    let (width, height) = (canvas.width(), canvas.height());
    canvas.rect(0, 0, width, height, PAPER);
    canvas.text(width / 20, height / 20, 4, INK, title);
    let (left, top, inner_width, inner_height) =
        (width / 8, height / 5, width * 4 / 5, height * 13 / 20);
    for line in 0..=5 {
        let y = top + inner_height * line / 5;
        canvas.rect(left, y, inner_width, 2, if line == 5 { INK } else { GREY });
        canvas.text(
            width / 40,
            y - 10,
            3,
            INK,
            &format!("{:>2}%", (5 - line) * 5),
        );
    }
    canvas.rect(left, top, 3, inner_height, INK);
    (left, top, inner_width, inner_height)
}

/// Bars that fall over the years.
pub(super) fn chart_bars(canvas: &mut Canvas) {
    let (left, top, width, height) = axes(canvas, "ENERGY USE, CHANGE BY YEAR");
    let values = [22, 20, 21, 17, 14, 12];
    for (n, value) in values.into_iter().enumerate() {
        let n = n as i32;
        let bar = height * value / 25;
        let x = left + width * (2 * n + 1) / 13;
        canvas.rect(
            x,
            top + height - bar,
            width / 13,
            bar,
            if n == 5 { RED } else { BLUE },
        );
        canvas.text(x - 6, top + height + 14, 3, INK, &(2021 + n).to_string());
    }
}

/// Two lines that cross.
pub(super) fn chart_line(canvas: &mut Canvas) {
    const POINTS: i32 = 48;
    let (left, top, width, height) = axes(canvas, "CASES AND DOSES, 2000 - 2023");
    let point = |n: i32, seed: u32, from: f32, to: f32| {
        let t = n as f32 / POINTS as f32;
        let level = from + (to - from) * t + 0.10 * (noise::smooth(seed, t * 12.0, 0.0) - 0.5);
        (
            left as f32 + t * width as f32,
            top as f32 + (1.0 - level) * height as f32,
        )
    };
    for n in 0..POINTS {
        canvas.stroke(
            point(n, 200, 0.85, 0.15),
            point(n + 1, 200, 0.85, 0.15),
            6,
            RED,
        );
        canvas.stroke(
            point(n, 201, 0.20, 0.80),
            point(n + 1, 201, 0.20, 0.80),
            6,
            BLUE,
        );
    }
}

/// A poster for a remedy that does not exist.
pub(super) fn miracle(canvas: &mut Canvas) {
    canvas.shade(|x, y| {
        mix(
            [0.99, 0.93, 0.55],
            [0.97, 0.62, 0.20],
            (x - 0.5).hypot(y - 0.5) * 1.3,
        )
    });
    canvas.rect(0, 60, canvas.width(), 190, RED);
    canvas.centred(100, 16, PAPER, "MIRACLE");
    canvas.centred(330, 24, INK, "CURE");
    canvas.centred(590, 10, INK, "100% EFFECTIVE!");
    canvas.centred(720, 10, INK, "NO SIDE EFFECTS");
    canvas.rect(90, 870, canvas.width() - 180, 120, INK);
    canvas.centred(900, 8, PAPER, "DOCTORS DON'T WANT");
}

/// A poster that asks to be passed on.
pub(super) fn share(canvas: &mut Canvas) {
    canvas.shade(|x, y| {
        mix(
            [0.08, 0.02, 0.05],
            [0.45, 0.03, 0.08],
            noise::fractal(210, x * 3.0, y * 3.0, 4),
        )
    });
    canvas.centred(140, 20, PAPER, "SHARE");
    canvas.centred(370, 20, PAPER, "BEFORE");
    canvas.centred(600, 10, [0.98, 0.82, 0.20], "THEY DELETE THIS");
    canvas.rect(140, 780, canvas.width() - 280, 12, [0.98, 0.82, 0.20]);
    canvas.centred(850, 7, PAPER, "WAKE UP! TELL EVERYONE");
}
