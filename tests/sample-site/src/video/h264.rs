//! The smallest part of H.264 (ITU-T H.264) that makes a picture any decoder reads: constrained baseline, every frame an IDR
//! picture of one slice, every macroblock sent as plain samples (I_PCM). Section numbers are those of the recommendation.

/// A macroblock is 16 by 16 pixels.
const BLOCK: usize = 16;
/// Level 3, which allows more macroblocks than a small video needs.
const LEVEL: u8 = 30;

/// A picture in 4:2:0: full brightness, colour at half the size.
pub(super) struct Frame {
    width: usize,
    height: usize,
    /// Y, Cb, Cr of each pixel; the colour of a 2 by 2 group is that of its first pixel.
    pixels: Vec<(u8, u8, u8)>,
}

impl Frame {
    /// Width and height are multiples of 16. Samples are kept in the video range (16 and above), so that the plain samples
    /// never look like a start code.
    pub(super) fn new(
        width: usize,
        height: usize,
        at: impl Fn(usize, usize) -> (u8, u8, u8),
    ) -> Self {
        let clip = |(y, b, r): (u8, u8, u8)| (y.max(16), b.max(16), r.max(16));
        let pixels = (0..width * height)
            .map(|n| clip(at(n % width, n / width)))
            .collect();
        Self {
            width,
            height,
            pixels,
        }
    }
}

/// The sequence parameter set (7.3.2.1).
pub(super) fn sequence_parameters(width: u32, height: u32) -> Vec<u8> {
    let mut bits = Bits::new(0x67);
    bits.put(8, 66); // profile: baseline
    bits.put(8, 0xC0); // constraint sets 0 and 1: constrained baseline
    bits.put(8, u32::from(LEVEL));
    bits.golomb(0); // set 0
    bits.golomb(0); // frame numbers of 4 bits
    bits.golomb(2); // output order is decoding order
    bits.golomb(1); // reference frames
    bits.put(1, 0); // no gaps in frame numbers
    bits.golomb(width / BLOCK as u32 - 1);
    bits.golomb(height / BLOCK as u32 - 1);
    bits.put(1, 1); // frames, not fields
    bits.put(1, 1); // direct_8x8_inference
    bits.put(1, 0); // no cropping
    bits.put(1, 0); // no usability information
    bits.finish()
}

/// The picture parameter set (7.3.2.2).
pub(super) fn picture_parameters() -> Vec<u8> {
    let mut bits = Bits::new(0x68);
    bits.golomb(0); // set 0
    bits.golomb(0); // of sequence set 0
    bits.put(2, 0); // CAVLC, no field order
    bits.golomb(0); // one slice group
    bits.golomb(0); // one reference in list 0
    bits.golomb(0); // and in list 1
    bits.put(3, 0); // no weighted prediction
    bits.golomb(0); // initial QP 26
    bits.golomb(0); // initial QS 26
    bits.golomb(0); // chroma QP as luma
    bits.put(3, 0b100); // slices control deblocking; no constrained prediction, no redundant pictures
    bits.finish()
}

/// An IDR slice of the whole frame (7.3.3); `number` tells it from its neighbours.
pub(super) fn picture(frame: &Frame, number: u32) -> Vec<u8> {
    let mut bits = Bits::new(0x65);
    bits.golomb(0); // first macroblock
    bits.golomb(7); // all slices of the picture are I
    bits.golomb(0); // picture set 0
    bits.put(4, 0); // frame number
    bits.golomb(number % 2); // two IDR pictures in a row differ in this
    bits.put(2, 0); // reference marking: output all, short-term
    bits.golomb(0); // QP unchanged
    bits.golomb(1); // no deblocking
    for top in (0..frame.height).step_by(BLOCK) {
        for left in (0..frame.width).step_by(BLOCK) {
            bits.golomb(25); // I_PCM
            bits.align();
            let pixel = |x: usize, y: usize| frame.pixels[(top + y) * frame.width + left + x];
            for n in 0..BLOCK * BLOCK {
                bits.byte(pixel(n % BLOCK, n / BLOCK).0);
            }
            for n in 0..64 {
                bits.byte(pixel(n % 8 * 2, n / 8 * 2).1);
            }
            for n in 0..64 {
                bits.byte(pixel(n % 8 * 2, n / 8 * 2).2);
            }
        }
    }
    bits.finish()
}

/// A NAL unit being written bit by bit.
struct Bits {
    bytes: Vec<u8>,
    /// Bits still free in the last byte.
    free: u32,
}

impl Bits {
    fn new(header: u8) -> Self {
        Self {
            bytes: vec![header],
            free: 0,
        }
    }

    /// The lowest `count` bits of a value, the most significant first.
    fn put(&mut self, count: u32, value: u32) {
        for bit in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if let Some(last) = self.bytes.last_mut() {
                *last |= ((value >> bit & 1) as u8) << self.free;
            }
        }
    }

    /// An unsigned Exp-Golomb code (9.1); for zero it is the signed one too.
    fn golomb(&mut self, value: u32) {
        let length = (value + 1).ilog2();
        self.put(length, 0);
        self.put(length + 1, value + 1);
    }

    fn align(&mut self) {
        self.free = 0;
    }

    /// A byte at a byte's beginning.
    fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Ends the unit (7.3.2.11) and breaks up what would read as a start code (7.4.1).
    fn finish(mut self) -> Vec<u8> {
        self.put(1, 1);
        let mut unit = Vec::with_capacity(self.bytes.len());
        let mut zeros = 0;
        for byte in self.bytes {
            if zeros == 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            unit.push(byte);
        }
        unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_those_of_the_recommendation() {
        let mut bits = Bits::new(0);
        for value in 0..=3 {
            bits.golomb(value); // 1, 010, 011, 00100
        }
        assert_eq!(bits.bytes, [0, 0b1010_0110, 0b0100_0000]);
    }

    #[test]
    fn what_looks_like_a_start_code_is_broken_up() {
        let mut bits = Bits::new(0);
        for byte in [0, 1, 0, 0, 9] {
            bits.byte(byte);
        }
        assert_eq!(bits.finish(), [0, 0, 3, 1, 0, 0, 9, 0x80]);
    }

    #[test]
    fn a_macroblock_of_plain_samples_has_384_bytes() {
        let one = picture(&Frame::new(16, 16, |_, _| (100, 128, 128)), 0);
        let two = picture(&Frame::new(32, 16, |_, _| (100, 128, 128)), 0);
        // The second block adds its type (9 bits, padded to 2 bytes) and its samples.
        assert_eq!(two.len() - one.len(), 384 + 2);
    }
}
