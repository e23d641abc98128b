//! Which frames of a video stay: those that look least like each other.

/// Cells along each side of a signature.
pub(super) const CELLS: usize = 16;
/// Mean difference of two signatures, in levels of 255, below which two frames show the same: the noise of an encoder stays
/// under 1, a cut is above 10, and what moves is between.
const ALIKE: f64 = 3.0;

/// Mean brightness of each cell of a frame, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature(pub(super) [u8; CELLS * CELLS]);

impl Signature {
    /// Mean difference of the cells, 0 to 255.
    fn distance(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        let sum: u32 = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        f64::from(sum) / self.0.len() as f64
    }
}

/// Frames that were kept so far, in the order they were offered.
pub(super) struct Choice<T> {
    most: usize,
    kept: Vec<(Signature, T)>,
}

impl<T> Choice<T> {
    /// Keeps `most` at most.
    pub(super) const fn of(most: usize) -> Self {
        let kept = Vec::new();
        Self { most, kept }
    }

    /// Takes what `make` gives if it looks unlike all that is kept. Once there are enough, the later one of the two most alike
    /// makes room, unless the new one is no more different than they are.
    pub(super) fn offer(&mut self, signature: Signature, make: impl FnOnce() -> Option<T>) {
        let nearest = self.kept.iter().map(|(kept, _)| kept.distance(&signature));
        let nearest = nearest.fold(f64::INFINITY, f64::min);
        if nearest < ALIKE {
            return;
        }
        if self.kept.len() >= self.most {
            match self.most_alike() {
                Some((distance, later)) if distance < nearest => {
                    self.kept.remove(later);
                }
                _ => return,
            }
        }
        if let Some(made) = make() {
            self.kept.push((signature, made));
        }
    }

    /// The smallest distance of two that are kept, and the place of the later one.
    fn most_alike(&self) -> Option<(f64, usize)> {
        let mut found: Option<(f64, usize)> = None;
        for (later, (signature, _)) in self.kept.iter().enumerate() {
            for (earlier, _) in &self.kept[..later] {
                let distance = earlier.distance(signature);
                if found.is_none_or(|(least, _)| distance < least) {
                    found = Some((distance, later));
                }
            }
        }
        found
    }

    /// All that was kept.
    pub(super) fn taken(self) -> Vec<T> {
        self.kept.into_iter().map(|(_, made)| made).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(most: usize, brightness: &[u8]) -> Vec<u8> {
        let mut choice = Choice::of(most);
        for &level in brightness {
            choice.offer(Signature([level; CELLS * CELLS]), || Some(level));
        }
        choice.taken()
    }

    #[test]
    fn what_stands_still_is_taken_once() {
        assert_eq!(taken(8, &[100, 101, 99, 100, 102]), [100]);
    }

    #[test]
    fn every_scene_is_taken_while_there_is_room() {
        assert_eq!(taken(8, &[10, 11, 60, 61, 120, 10]), [10, 60, 120]);
    }

    #[test]
    fn with_no_room_the_most_different_ones_stay() {
        // 20 is nearest to 10, so it goes when 200 comes; 205 is nearer to 200 than any two that are kept.
        assert_eq!(taken(3, &[10, 20, 100, 200, 205]), [10, 100, 200]);
    }

    #[test]
    fn one_that_can_not_be_made_is_passed_over() {
        let mut choice = Choice::of(2);
        choice.offer(Signature([0; CELLS * CELLS]), || None::<u8>);
        choice.offer(Signature([9; CELLS * CELLS]), || Some(9));
        assert_eq!(choice.taken(), [9]);
    }
}
