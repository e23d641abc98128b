//! From the recogniser's scores to characters: connectionist temporal classification (Graves et al. 2006), decoded greedily but for
//! spaces.

/// Least score at which the space between two words is taken though "no character" has more. The model was trained on much Chinese, which
/// has none, and rarely prefers it: by the best class alone 1.6% of the characters of 220 rendered lines were wrong, nearly all of
/// them spaces; from this score on 0.04%, and 0.04 to 0.2% in strips that are wider or cut closer (`training/ocr_eval.py` has the lines).
const SPACE: f32 = 0.07;

/// What was read in one strip.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decoded {
    pub(super) text: String,
    /// Mean score of the characters kept, 0 to 1; 0 when there is none.
    pub(super) confidence: f64,
}

/// Decodes `scores`, a row of `classes` per step: class 0 is "no character", the others are `characters` in order. The best
/// class of each step is taken; repetitions without a "no character" between them are one character. The last character is the space.
pub(super) fn decode(scores: &[f32], classes: usize, characters: &[String]) -> Decoded {
    let (mut text, mut sum, mut count, mut last) = (String::new(), 0.0, 0_u32, 0);
    for step in scores.chunks_exact(classes.max(1)) {
        let (best, score) = step
            .iter()
            .enumerate()
            .fold((0, f32::MIN), |best, (class, &score)| {
                if score > best.1 { (class, score) } else { best }
            });
        if best == 0 {
            let space = step.get(characters.len());
            if space.is_some_and(|&score| score >= SPACE) && !text.ends_with(' ') {
                text.push(' ');
            }
        } else if best != last
            && let Some(character) = characters.get(best - 1)
            && !(character == " " && text.ends_with(' '))
        {
            text.push_str(character);
            sum += f64::from(score);
            count += 1;
        }
        last = best;
    }
    Decoded {
        text,
        confidence: if count == 0 {
            0.0
        } else {
            (sum / f64::from(count)).clamp(0.0, 1.0)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_likely_space_parts_words_once() {
        let characters = ["a", "b", " "].map(str::to_owned);
        let step = |a: f32, b: f32, space: f32| [1.0 - a - b - space, a, b, space];
        let scores = [
            step(0.9, 0.0, 0.0),
            // Too little, enough, enough again behind a step without.
            step(0.0, 0.0, 0.01),
            step(0.0, 0.0, 0.1),
            step(0.0, 0.0, 0.0),
            step(0.0, 0.0, 0.1),
            step(0.0, 0.9, 0.0),
            step(0.0, 0.0, 0.01),
            step(0.0, 0.9, 0.0),
        ]
        .concat();
        assert_eq!(decode(&scores, 4, &characters).text, "a bb");
        let taken = [
            step(0.9, 0.0, 0.0),
            step(0.0, 0.0, 0.1),
            step(0.0, 0.0, 0.9),
            step(0.0, 0.9, 0.0),
        ];
        let decoded = decode(&taken.concat(), 4, &characters);
        assert_eq!(decoded.text, "a b");
        assert!((decoded.confidence - 0.9).abs() < 1e-6, "{decoded:?}");
    }

    #[test]
    fn repetitions_are_one_character_and_a_blank_parts_them() {
        let characters = ["a", "b"].map(str::to_owned);
        let step = |class: usize, score: f32| {
            let mut row = [0.0; 3];
            row[class] = score;
            row
        };
        let scores = [
            step(1, 0.9),
            step(1, 0.8),
            step(0, 1.0),
            step(1, 0.7),
            step(2, 0.8),
            step(0, 1.0),
        ]
        .concat();
        let decoded = decode(&scores, 3, &characters);
        assert_eq!(decoded.text, "aab");
        assert!((decoded.confidence - 0.8).abs() < 1e-6);
        assert_eq!(decode(&step(0, 1.0), 3, &characters).confidence, 0.0);
        assert_eq!(decode(&[], 3, &characters).text, "");
        // A class without a character is none.
        assert_eq!(decode(&step(2, 1.0), 3, &characters[..1]).text, "");
    }
}
