//! Seeded noise: the raw material of the scenes that look like photographs. It is asked for some hundred million times at
//! start, so its hash is a short one and it rounds down by casts.

/// A number from 0 to 1 that belongs to a grid point.
#[inline]
pub(super) fn at(seed: u32, x: i32, y: i32) -> f32 {
    let mut hash = (x as u32).wrapping_mul(0x85eb_ca6b)
        ^ (y as u32).wrapping_mul(0xc2b2_ae35)
        ^ seed.wrapping_mul(0x27d4_eb2f);
    hash = (hash ^ hash >> 15).wrapping_mul(0x2c1b_3c6d);
    hash = (hash ^ hash >> 12).wrapping_mul(0x297a_2d39);
    (hash >> 8) as f32 / (1 << 24) as f32
}

/// The greatest whole number that is not above `x`.
#[inline]
fn whole(x: f32) -> i32 {
    let towards_zero = x as i32;
    towards_zero - i32::from((towards_zero as f32) > x)
}

/// Value noise, 0 to 1: grid points joined by smooth curves.
#[inline]
pub(super) fn smooth(seed: u32, x: f32, y: f32) -> f32 {
    let (left, top) = (whole(x), whole(y));
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (ease(x - left as f32), ease(y - top as f32));
    let row = |y| {
        let (a, b) = (at(seed, left, y), at(seed, left + 1, y));
        a + (b - a) * u
    };
    let (upper, lower) = (row(top), row(top + 1));
    upper + (lower - upper) * v
}

/// Fractal noise, 0 to 1: octaves of value noise, each twice as fine and half as strong.
pub(super) fn fractal(seed: u32, x: f32, y: f32, octaves: u32) -> f32 {
    let (mut sum, mut weight, mut scale) = (0.0, 0.5, 1.0);
    for octave in 0..octaves {
        sum += weight * smooth(seed.wrapping_add(octave), x * scale, y * scale);
        weight *= 0.5;
        scale *= 2.0;
    }
    sum / (1.0 - weight * 2.0)
}
