//! From a shortcode to the number of its post.

/// Characters of a shortcode that carry the number; private shortcodes go on after them.
const CHARACTERS: usize = 11;

/// The number (`pk`) of a post: its shortcode's first 11 characters read as big-endian base-64 digits, alphabet A-Z a-z 0-9 - _.
/// `None` when it has other characters. 11 digits are 66 bits, hence 128.
pub fn pk(shortcode: &str) -> Option<u128> {
    if shortcode.is_empty() {
        return None;
    }
    shortcode
        .bytes()
        .take(CHARACTERS)
        .try_fold(0, |pk, byte| Some(pk << 6 | u128::from(digit(byte)?)))
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_examples() {
        assert_eq!(pk("CHAIm2sHSQZ"), Some(2_431_981_653_214_438_425));
        assert_eq!(pk("DAzDZ1-RCTB"), Some(3_473_134_707_712_206_017));
    }

    #[test]
    fn a_private_shortcode_carries_it_in_its_first_11_characters() {
        assert_eq!(
            pk("CHAIm2sHSQZabcdefghijklmnopqrstuvwxyz-_"),
            pk("CHAIm2sHSQZ")
        );
    }

    #[test]
    fn any_text_is_a_number_or_none() {
        assert_eq!(pk("A"), Some(0));
        assert_eq!(pk("BA"), Some(64));
        assert_eq!(pk("___________"), Some((1 << 66) - 1));
        for text in ["", "a b", "ä", "a/b", "CHAIm2s%SQZ"] {
            assert_eq!(pk(text), None, "{text}");
        }
    }
}
