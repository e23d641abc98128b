//! A post's number and its shortcode are the same thing: the shortcode is the number in base 64, most significant digit first.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Private posts have longer shortcodes, of which the first 11 characters carry the number.
const DIGITS: usize = 11;

/// The number (`pk`) of a shortcode, or `None` if it has other characters. Eleven digits are 66 bits, so only shortcodes that
/// begin with A to P fit the 64 bits that real numbers have.
pub(crate) fn pk(shortcode: &str) -> Option<u128> {
    if shortcode.is_empty() {
        return None;
    }
    shortcode
        .bytes()
        .take(DIGITS)
        .try_fold(0_u128, |number, byte| {
            let digit = ALPHABET.iter().position(|&a| a == byte)?;
            Some(number << 6 | digit as u128)
        })
}

/// The shortcode of a number, without leading zeros (`A`).
pub(crate) fn from_pk(mut pk: u128) -> String {
    let mut digits = Vec::new();
    while pk > 0 {
        digits.push(char::from(ALPHABET[(pk & 63) as usize]));
        pk >>= 6;
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_pairs_convert_both_ways() {
        for (code, number) in [
            ("CHAIm2sHSQZ", 2_431_981_653_214_438_425),
            ("DAzDZ1-RCTB", 3_473_134_707_712_206_017),
        ] {
            assert_eq!(pk(code), Some(number));
            assert_eq!(from_pk(number), code);
        }
    }

    #[test]
    fn a_private_shortcode_is_read_from_its_first_eleven_characters() {
        assert_eq!(pk("CHAIm2sHSQZkQ0vX7Zt3mWb8_nLr2Hs5Yd"), pk("CHAIm2sHSQZ"));
        assert_eq!(pk("no!"), None);
        assert_eq!(pk(""), None);
    }
}
