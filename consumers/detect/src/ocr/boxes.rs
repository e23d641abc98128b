//! From the finder's map to rectangles around lines of text: the post-processing of differentiable binarisation (Liao et al.
//! 2020). Regions above a threshold become the smallest rectangles around them, are scored by the map inside, and are grown,
//! because the model was trained to mark shrunken lines.

/// A point of the map, in its pixels.
pub(super) type Point = [f32; 2];

/// A rectangle, turned or not: its corners, clockwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quad(pub(super) [Point; 4]);

/// Above this a pixel belongs to text.
const PIXEL: f32 = 0.3;
/// Mean of the map inside a rectangle, below which it is dropped.
const SCORE: f32 = 0.5;
/// How much a region grows: area times this over its circumference.
const GROW: f32 = 1.6;
/// Shortest side of a region, in pixels of the map, before growing.
const MIN_SIDE: f32 = 3.0;
/// More regions than this are no text but texture; the largest are kept.
const MAX_REGIONS: usize = 500;

impl Quad {
    pub(super) fn width(&self) -> f32 {
        distance(self.0[0], self.0[1])
    }

    pub(super) fn height(&self) -> f32 {
        distance(self.0[1], self.0[2])
    }
}

fn distance(a: Point, b: Point) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// The rectangles in a `map` of probabilities, row by row.
pub(super) fn find(map: &[f32], width: usize, height: usize) -> Vec<Quad> {
    let mut regions = regions(map, width, height);
    regions.sort_by_key(|region| std::cmp::Reverse(region.len()));
    regions.truncate(MAX_REGIONS);
    regions
        .iter()
        .filter_map(|region| {
            let quad = smallest_rectangle(&hull(region))?;
            let short = quad.width().min(quad.height());
            (short >= MIN_SIDE && mean_inside(map, width, height, &quad) >= SCORE)
                .then(|| grow(&quad))
        })
        .collect()
}

/// Connected pixels above the threshold (8 neighbours): of each region the first and last pixel of every row, which is all
/// that its hull needs.
fn regions(map: &[f32], width: usize, height: usize) -> Vec<Vec<Point>> {
    let mut open: Vec<bool> = map.iter().map(|&p| p > PIXEL).collect();
    let (mut found, mut stack) = (Vec::new(), Vec::new());
    for start in 0..open.len().min(width * height) {
        if !std::mem::take(&mut open[start]) {
            continue;
        }
        stack.push(start);
        let mut region = Vec::new();
        while let Some(at) = stack.pop() {
            let (x, y) = (at % width, at / width);
            region.push([x as f32, y as f32]);
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    if std::mem::take(&mut open[ny * width + nx]) {
                        stack.push(ny * width + nx);
                    }
                }
            }
        }
        found.push(region);
    }
    found
}

/// Convex hull, counter-clockwise by the axes of a picture: Andrew's monotone chain (1979).
fn hull(points: &[Point]) -> Vec<Point> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let cross = |o: Point, a: Point, b: Point| {
        (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0])
    };
    let chain = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for p in points {
            while let [.., a, b] = chain[..]
                && cross(a, b, p) <= 0.0
            {
                chain.pop();
            }
            chain.push(p);
        }
        chain.pop();
        chain
    };
    let mut lower = chain(&mut points.iter().copied());
    lower.extend(chain(&mut points.iter().rev().copied()));
    lower
}

/// The smallest rectangle around a hull; one of its sides lies on a side of the hull (Freeman and Shapira 1975).
fn smallest_rectangle(hull: &[Point]) -> Option<Quad> {
    let mut best: Option<(f32, [f32; 2], [f32; 4])> = None;
    for (i, &a) in hull.iter().enumerate() {
        let b = hull[(i + 1) % hull.len()];
        let length = distance(a, b);
        if length == 0.0 {
            continue;
        }
        let axis = [(b[0] - a[0]) / length, (b[1] - a[1]) / length];
        let mut span = [f32::MAX, f32::MIN, f32::MAX, f32::MIN];
        for p in hull {
            let along = p[0] * axis[0] + p[1] * axis[1];
            let across = p[1] * axis[0] - p[0] * axis[1];
            span = [
                span[0].min(along),
                span[1].max(along),
                span[2].min(across),
                span[3].max(across),
            ];
        }
        let area = (span[1] - span[0]) * (span[3] - span[2]);
        if best.is_none_or(|(smallest, ..)| area < smallest) {
            best = Some((area, axis, span));
        }
    }
    let (_, axis, span) = best?;
    let at = |along: f32, across: f32| {
        [
            along * axis[0] - across * axis[1],
            along * axis[1] + across * axis[0],
        ]
    };
    let corners = [
        at(span[0], span[2]),
        at(span[1], span[2]),
        at(span[1], span[3]),
        at(span[0], span[3]),
    ];
    Some(Quad(upper_left_first(corners)))
}

/// Turns the corners, which are in clockwise order already, so that the first is the upper left one.
fn upper_left_first(mut corners: [Point; 4]) -> [Point; 4] {
    corners.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let [mut left, mut right] = [[corners[0], corners[1]], [corners[2], corners[3]]];
    for side in [&mut left, &mut right] {
        side.sort_by(|a, b| a[1].total_cmp(&b[1]));
    }
    [left[0], right[0], right[1], left[1]]
}

fn mean_inside(map: &[f32], width: usize, height: usize, quad: &Quad) -> f32 {
    let bounds = |axis: usize, end: usize| {
        let values = quad.0.map(|p| p[axis]);
        let low = values
            .iter()
            .copied()
            .fold(f32::MAX, f32::min)
            .floor()
            .max(0.0) as usize;
        let high = values.iter().copied().fold(0.0, f32::max).ceil() as usize;
        low..(high + 1).min(end)
    };
    let inside = |x: f32, y: f32| {
        (0..4).all(|i| {
            let (a, b) = (quad.0[i], quad.0[(i + 1) % 4]);
            // Half a pixel of slack keeps the region's own edge in.
            (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) >= -0.5 * distance(a, b)
        })
    };
    let (mut sum, mut count) = (0.0, 0_u32);
    for y in bounds(1, height) {
        for x in bounds(0, width) {
            if inside(x as f32, y as f32) {
                sum += map[y * width + x];
                count += 1;
            }
        }
    }
    if count == 0 { 0.0 } else { sum / count as f32 }
}

/// Moves every side outwards.
fn grow(quad: &Quad) -> Quad {
    let (width, height) = (quad.width(), quad.height());
    let by = width * height * GROW / (2.0 * (width + height));
    let [a, b, _, d] = quad.0;
    let unit = |from: Point, to: Point, length: f32| {
        [(to[0] - from[0]) / length, (to[1] - from[1]) / length]
    };
    let (along, down) = (unit(a, b, width), unit(a, d, height));
    let moved = |p: Point, right: f32, below: f32| {
        [
            p[0] + by * (right * along[0] + below * down[0]),
            p[1] + by * (right * along[1] + below * down[1]),
        ]
    };
    let [a, b, c, d] = quad.0;
    Quad([
        moved(a, -1.0, -1.0),
        moved(b, 1.0, -1.0),
        moved(c, 1.0, 1.0),
        moved(d, -1.0, 1.0),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(paint: impl Fn(f32, f32) -> bool) -> Vec<f32> {
        (0..100 * 80)
            .map(|i| {
                if paint((i % 100) as f32, (i / 100) as f32) {
                    0.9
                } else {
                    0.0
                }
            })
            .collect()
    }

    fn near(a: Point, b: Point) -> bool {
        distance(a, b) < 2.0
    }

    #[test]
    fn an_upright_line_gives_its_grown_rectangle() {
        let found = find(
            &map(|x, y| (20.0..=60.0).contains(&x) && (30.0..=40.0).contains(&y)),
            100,
            80,
        );
        let [quad] = found[..] else {
            panic!("{found:?}")
        };
        // 40 x 10 grows by 400 * 1.6 / 100 = 6.4.
        let expected = [[13.6, 23.6], [66.4, 23.6], [66.4, 46.4], [13.6, 46.4]];
        for (corner, expected) in quad.0.into_iter().zip(expected) {
            assert!(near(corner, expected), "{quad:?}");
        }
    }

    #[test]
    fn a_turned_line_gives_a_turned_rectangle() {
        // 60 along, 12 across, about (50, 40), turned by 30 degrees.
        let (sin, cos) = 30_f32.to_radians().sin_cos();
        let found = find(
            &map(|x, y| {
                let (x, y) = (x - 50.0, y - 40.0);
                (x * cos + y * sin).abs() < 30.0 && (y * cos - x * sin).abs() < 6.0
            }),
            100,
            80,
        );
        let [quad] = found[..] else {
            panic!("{found:?}")
        };
        let slope = (quad.0[1][1] - quad.0[0][1]).atan2(quad.0[1][0] - quad.0[0][0]);
        assert!((slope.to_degrees() - 30.0).abs() < 3.0, "{quad:?}");
        // 60 x 12 grows by 720 * 1.6 / 144 = 8 on every side.
        assert!((quad.width() - 76.0).abs() < 4.0 && (quad.height() - 28.0).abs() < 4.0);
    }

    #[test]
    fn specks_faint_regions_and_empty_maps_give_nothing() {
        assert!(find(&map(|x, y| x == 50.0 && y == 40.0), 100, 80).is_empty());
        let faint: Vec<f32> = map(|x, _| x > 50.0).iter().map(|p| p * 0.4).collect();
        assert!(find(&faint, 100, 80).is_empty());
        assert!(find(&[], 0, 0).is_empty());
    }
}
