//! A queue of small numbers in few bytes: the gaps between a client's requests, in milliseconds. Each takes 7 bits a byte (LEB128):
//! one byte below 128 ms, two below 16 s, three below 35 minutes, four up to an hour.

/// Bytes that were read may stay at the front until there are this many and they are more than a quarter.
const SLACK: u32 = 32;

/// The queue. Its places are counted from the first byte ever pushed since it was empty last, or since [`Gaps::compact`].
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    bytes: Vec<u8>,
    /// Place of the first gap that counts.
    start: u32,
}

impl Gaps {
    /// Adds a gap at the end.
    pub fn push(&mut self, mut gap: u32) {
        while gap >= 0x80 {
            self.bytes.push((gap & 0x7f) as u8 | 0x80);
            gap >>= 7;
        }
        self.bytes.push(gap as u8);
    }

    /// The gap at `place`, and the place of the one behind it; 0 beyond the end.
    pub fn read(&self, mut place: u32) -> (u32, u32) {
        let (mut gap, mut shift) = (0, 0);
        while let Some(byte) = self.bytes.get(place as usize) {
            place += 1;
            gap |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
        }
        (gap, place)
    }

    /// Takes the first gap.
    pub fn pop(&mut self) -> u32 {
        let (gap, next) = self.read(self.start);
        self.start = next;
        gap
    }

    /// The place where the next gap will be.
    pub fn end(&self) -> u32 {
        self.bytes.len() as u32
    }

    /// Forgets everything and gives its memory back.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Drops the bytes of taken gaps where they are many; gives by how much every place has moved.
    pub fn compact(&mut self) -> u32 {
        if self.start < SLACK || self.start * 4 < self.end() {
            return 0;
        }
        let moved = std::mem::take(&mut self.start);
        self.bytes.drain(..moved as usize);
        if self.bytes.capacity() > 4 * self.bytes.len() {
            self.bytes.shrink_to(2 * self.bytes.len());
        }
        moved
    }

    /// Bytes it holds on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gaps_take_the_bytes_that_are_told() {
        for (gap, bytes) in [
            (0, 1),
            (127, 1),
            (128, 2),
            (16_383, 2),
            (16_384, 3),
            (2_097_151, 3),
            (2_097_152, 4),
            (3_600_000, 4),
            (u32::MAX, 5),
        ] {
            let mut gaps = Gaps::default();
            gaps.push(gap);
            assert_eq!(gaps.end(), bytes, "{gap}");
            assert_eq!(gaps.read(0), (gap, bytes));
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order_and_taken_bytes_do_not_pile_up(
            steps in proptest::collection::vec((0_u32..4_000_000, any::<bool>()), 1..500),
        ) {
            let mut gaps = Gaps::default();
            let mut model = std::collections::VecDeque::new();
            for (gap, take) in steps {
                gaps.push(gap);
                model.push_back(gap);
                if take {
                    prop_assert_eq!(gaps.pop(), model.pop_front().unwrap());
                }
                gaps.compact();
                let unread = gaps.end() - gaps.start;
                prop_assert!(gaps.end() <= unread * 4 / 3 + SLACK + 4, "{} of {}", unread, gaps.end());
            }
            for expected in model {
                prop_assert_eq!(gaps.pop(), expected);
            }
        }
    }
}
