//! Scenes shaded pixel by pixel: landscapes, skies and textures. x and y run from 0 to 1.

use std::f32::consts::TAU;

use super::canvas::{Canvas, Colour, mix, smoothstep};
use super::noise;

const WHITE: Colour = [1.0, 1.0, 1.0];
const BLACK: Colour = [0.0, 0.0, 0.0];

/// The grain of a sensor: a small random brightness for each pixel.
fn grained(colour: Colour, x: f32, y: f32, amount: f32) -> Colour {
    let grain = (noise::at(99, (x * 4096.0) as i32, (y * 4096.0) as i32) - 0.5) * amount;
    colour.map(|c| c + grain)
}

/// Sea under a low sun, with sand in front.
pub(super) fn coast(canvas: &mut Canvas) {
    canvas.shade(|x, y| {
        let horizon = 0.42;
        let colour = if y < horizon {
            let sky = mix(
                [0.25, 0.45, 0.75],
                [0.98, 0.80, 0.62],
                (y / horizon).powi(2),
            );
            let cloud = noise::fractal(11, x * 3.0, y * 14.0, 5);
            let sky = mix(sky, [1.0, 0.94, 0.90], smoothstep(0.52, 0.75, cloud) * 0.8);
            let distance = ((x - 0.68).powi(2) + (y - 0.34).powi(2)).sqrt();
            mix(sky, [1.0, 0.96, 0.82], smoothstep(0.09, 0.03, distance))
        } else {
            let depth = (y - horizon) / (1.0 - horizon);
            let ripple = noise::fractal(12, x * 6.0 / (depth + 0.08), 3.0 / (depth + 0.05), 4);
            let sea = mix([0.55, 0.62, 0.66], [0.05, 0.25, 0.36], depth * 1.2);
            let glitter = smoothstep(0.2, 0.0, (x - 0.68).abs()) * smoothstep(0.55, 0.8, ripple);
            let sea = mix(
                mix(sea, WHITE, glitter * 0.7),
                BLACK,
                (0.5 - ripple).max(0.0) * 0.5,
            );
            let shore = 0.78 + 0.05 * noise::smooth(13, x * 4.0, 0.0);
            let sand = mix(
                [0.80, 0.70, 0.52],
                [0.62, 0.52, 0.38],
                noise::fractal(14, x * 60.0, y * 60.0, 4),
            );
            let foam = smoothstep(0.012, 0.0, (y - shore).abs());
            mix(
                mix(sea, sand, smoothstep(shore, shore + 0.01, y)),
                WHITE,
                foam * 0.8,
            )
        };
        grained(colour, x, y, 0.04)
    });
}

/// Ridges one behind the other, paler with distance.
pub(super) fn hills(canvas: &mut Canvas) {
    const LAYERS: u32 = 7;
    let columns = canvas.width() as f32;
    let near = |layer: u32| layer as f32 / (LAYERS - 1) as f32;
    let ridge = |layer: u32, x: f32| {
        let height = noise::fractal(20 + layer, x * (2.0 + 2.0 * near(layer)), layer as f32, 5);
        0.30 + 0.60 * near(layer) - 0.22 * height
    };
    // A ridge has one height for each column, so they are worked out before the pixels are.
    let ridges: Vec<Vec<f32>> = (0..LAYERS)
        .map(|layer| {
            (0..canvas.width())
                .map(|x| ridge(layer, x as f32 / columns))
                .collect()
        })
        .collect();
    canvas.shade(|x, y| {
        let column = (x * columns).round() as usize;
        let colour = match (0..LAYERS)
            .rev()
            .find(|&layer| y > ridges[layer as usize][column])
        {
            Some(layer) => {
                let wood = noise::fractal(40 + layer, x * 30.0, y * 40.0, 4);
                let green = mix([0.10, 0.24, 0.12], [0.32, 0.42, 0.18], wood);
                mix([0.70, 0.78, 0.84], green, near(layer))
            }
            None => mix([0.62, 0.76, 0.90], [0.98, 0.90, 0.78], y * 1.6),
        };
        grained(colour, x, y, 0.05)
    });
}

/// Cumulus on blue.
pub(super) fn clouds(canvas: &mut Canvas) {
    canvas.shade(|x, y| {
        let warp = noise::fractal(51, x * 4.0, y * 4.0, 4);
        let cover = noise::fractal(50, x * 4.0 + warp, y * 3.0 + warp, 6);
        let light = noise::fractal(50, x * 4.0 + warp - 0.1, y * 3.0 + warp - 0.15, 6);
        let sky = mix([0.16, 0.40, 0.78], [0.60, 0.78, 0.94], y);
        let cloud = mix([0.72, 0.75, 0.80], WHITE, 0.5 + (cover - light) * 6.0);
        grained(mix(sky, cloud, smoothstep(0.46, 0.64, cover)), x, y, 0.03)
    });
}

/// Stars and a moon over dark hills.
pub(super) fn night(canvas: &mut Canvas) {
    canvas.shade(|x, y| {
        let mut colour = mix([0.01, 0.02, 0.08], [0.10, 0.12, 0.26], y);
        let haze = noise::fractal(60, x * 3.0 + y * 2.0, y * 3.0 - x, 5);
        colour = mix(colour, [0.45, 0.40, 0.60], smoothstep(0.5, 0.8, haze) * 0.4);
        let (cell_x, cell_y) = ((x * 90.0).floor(), (y * 90.0).floor());
        let chance = noise::at(61, cell_x as i32, cell_y as i32);
        if chance > 0.9 {
            let offset = |seed| 0.2 + 0.6 * noise::at(seed, cell_x as i32, cell_y as i32);
            let distance = (x * 90.0 - cell_x - offset(62)).hypot(y * 90.0 - cell_y - offset(63));
            colour = mix(
                colour,
                WHITE,
                smoothstep(0.16, 0.04, distance) * (chance - 0.85) * 7.0,
            );
        }
        let moon = (x - 0.27).hypot(y - 0.24);
        let crater = noise::fractal(64, x * 40.0, y * 40.0, 3);
        colour = mix(
            colour,
            mix([0.95, 0.93, 0.85], [0.70, 0.68, 0.62], crater),
            smoothstep(0.072, 0.068, moon),
        );
        let ridge = 0.82 - 0.12 * noise::fractal(65, x * 5.0, 0.0, 4);
        grained(
            if y > ridge {
                [0.01, 0.01, 0.02]
            } else {
                colour
            },
            x,
            y,
            0.03,
        )
    });
}

/// Veined stone.
pub(super) fn marble(canvas: &mut Canvas) {
    canvas.shade(|x, y| {
        let warp = noise::fractal(70, x * 5.0, y * 5.0, 6);
        let vein = (1.0 - ((x * 5.0 + y * 3.0 + warp * 6.0) * TAU / 2.0).sin().abs()).powi(6);
        mix(
            mix([0.93, 0.92, 0.90], [0.80, 0.80, 0.82], warp),
            [0.30, 0.32, 0.38],
            vein,
        )
    });
}

/// Irregular tiles: each pixel belongs to the nearest of a jittered grid of points.
pub(super) fn mosaic(canvas: &mut Canvas) {
    canvas.shade(|x, y| {
        let (u, v) = (x * 18.0, y * 18.0);
        let (mut nearest, mut second, mut tile) = (f32::MAX, f32::MAX, (0, 0));
        for dy in -1..=1 {
            for dx in -1..=1 {
                let cell = (u.floor() as i32 + dx, v.floor() as i32 + dy);
                let point = |seed, c: i32| c as f32 + noise::at(seed, cell.0, cell.1);
                let distance = (u - point(80, cell.0)).hypot(v - point(81, cell.1));
                if distance < nearest {
                    (second, nearest, tile) = (nearest, distance, cell);
                } else {
                    second = second.min(distance);
                }
            }
        }
        let hue = |offset: f32| {
            0.5 + 0.45 * ((noise::at(82, tile.0, tile.1) + offset + x * 0.4) * TAU).sin()
        };
        mix(
            [0.15, 0.14, 0.13],
            [hue(0.0), hue(0.3), hue(0.6)],
            smoothstep(0.02, 0.09, second - nearest),
        )
    });
}

/// A wound spiral, warm in the middle.
pub(super) fn rings(canvas: &mut Canvas) {
    canvas.shade(|x, y| {
        let (dx, dy) = (x - 0.5, y - 0.5);
        let radius = dx.hypot(dy);
        let wobble = noise::fractal(90, x * 8.0, y * 8.0, 4) * 0.12;
        let band = 0.5 + 0.5 * ((radius * 9.0 - dy.atan2(dx) / TAU + wobble * 3.0) * TAU).sin();
        let roll = mix(
            [0.88, 0.70, 0.44],
            [0.40, 0.20, 0.08],
            smoothstep(0.35, 0.8, band),
        );
        mix(
            roll,
            [0.93, 0.92, 0.88],
            smoothstep(0.45, 0.46, radius + wobble * 0.2),
        )
    });
}

/// Lights out of focus.
pub(super) fn bokeh(canvas: &mut Canvas) {
    let discs: Vec<_> = (0..40)
        .map(|n| {
            let random = |seed| noise::at(seed, n, 0);
            let tint = [0.9, 0.5 + 0.4 * random(103), 0.2 + 0.6 * random(104)];
            (random(100), random(101), 0.02 + 0.07 * random(102), tint)
        })
        .collect();
    canvas.shade(|x, y| {
        let mut colour = mix(
            [0.05, 0.04, 0.10],
            [0.20, 0.10, 0.14],
            noise::fractal(105, x * 2.0, y * 2.0, 3),
        );
        for &(cx, cy, radius, tint) in &discs {
            let (dx, dy) = (x - cx, y - cy);
            if dx * dx + dy * dy < radius * radius {
                let distance = dx.hypot(dy);
                let rim = 0.55 + 0.45 * smoothstep(radius * 0.8, radius, distance);
                let strength = smoothstep(radius, radius * 0.94, distance) * rim * 0.5;
                colour = std::array::from_fn(|i| colour[i] + tint[i] * strength);
            }
        }
        grained(colour, x, y, 0.03)
    });
}

/// A map of heights with its contour lines.
pub(super) fn contours(canvas: &mut Canvas) {
    canvas.shade(|x, y| {
        let height = noise::fractal(110, x * 3.0, y * 3.0, 5);
        let land = mix(
            [0.62, 0.76, 0.52],
            [0.86, 0.78, 0.58],
            smoothstep(0.45, 0.7, height),
        );
        let ground = if height < 0.40 {
            mix([0.30, 0.55, 0.78], [0.62, 0.80, 0.92], height * 2.5)
        } else {
            land
        };
        let line = (height * 24.0).fract();
        mix(
            ground,
            [0.35, 0.25, 0.18],
            smoothstep(0.10, 0.0, line.min(1.0 - line)),
        )
    });
}

/// A portrait-like shape in printer's dots.
pub(super) fn halftone(canvas: &mut Canvas) {
    canvas.shade(|x, y| {
        let (u, v) = ((x + y) * 40.0, (x - y) * 40.0);
        let tone = smoothstep(0.75, 0.1, (x - 0.5).hypot(y - 0.45))
            * (0.6 + 0.6 * noise::fractal(120, x * 4.0, y * 4.0, 3));
        let dot = (u.fract() - 0.5).hypot(v.rem_euclid(1.0) - 0.5);
        if dot < tone * 0.6 {
            [0.82, 0.16, 0.22]
        } else {
            [0.98, 0.95, 0.88]
        }
    });
}

/// One of the small pictures of the load posts: two colours mixed by a field of noise.
pub(super) fn load(canvas: &mut Canvas, index: u32) {
    let tint = |seed| std::array::from_fn(|i| noise::at(seed, index as i32, i as i32));
    let (from, to): (Colour, Colour) = (tint(130), tint(131));
    let scale = 2.0 + (index % 5) as f32;
    canvas.shade(|x, y| {
        mix(
            from,
            to,
            smoothstep(
                0.3,
                0.7,
                noise::fractal(132 + index, x * scale, y * scale, 4),
            ),
        )
    });
}
