//! Is there a set of patterns for this text's language? A text that is too short or too mixed to tell counts as English.

use whatlang::{Lang, Script};

/// Below so many letters of an alphabet shared by many languages, trigrams guess.
const ENOUGH_LETTERS: usize = 60;

/// The ISO 639-3 code of the language, if it can be told and is not English.
pub(crate) fn foreign_language(masked: &str) -> Option<&'static str> {
    // Marks, digits and emoji say nothing about a language.
    let prose: String = masked
        .chars()
        .map(|c| {
            if c.is_alphabetic() || c == '\'' {
                c
            } else {
                ' '
            }
        })
        .collect();
    let info = whatlang::detect(&prose)?;
    let letters = prose.chars().filter(|c| c.is_alphabetic()).count();
    // Only few languages share a script other than these, so a short text tells.
    let shared_script = matches!(info.script(), Script::Latin | Script::Cyrillic);
    let can_tell = info.is_reliable() && (!shared_script || letters >= ENOUGH_LETTERS);
    let foreign_script = info.script() != Script::Latin;
    ((can_tell || foreign_script) && info.lang() != Lang::Eng).then(|| info.lang().code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_captions_count_as_english() {
        for text in [
            "",
            "😍😍😍 🔥🔥🔥!!!",
            "Sunset vibes",
            "Golden hour in Lisbon with the best crew, no filter needed",
            "OOTD + coffee = perfect morning",
            "New drop tomorrow 10am. Link in bio. Limited sizes, no restocks, worldwide shipping available",
            "travel wanderlust sunset photography nature instagood beach summer love adventure explore mountains",
            "Doctors don't want you to know this simple trick! Garlic cures cancer and every other disease in three days.",
            "The city council approved the budget for the new library on Monday, according to the published minutes.",
            "Happy birthday to my favorite human, love you to the moon and back, see you in Barcelona mi amor",
        ] {
            assert_eq!(foreign_language(text), None, "{text}");
        }
    }

    #[test]
    fn other_languages_are_told_when_there_is_enough_text() {
        for (text, code) in [
            (
                "El gobierno anunció ayer que las escuelas permanecerán cerradas durante toda la semana por la tormenta que afecta al norte del país.",
                "spa",
            ),
            (
                "Die Stadtverwaltung hat gestern mitgeteilt, dass die Brücke wegen dringender Bauarbeiten für mehrere Wochen gesperrt bleibt.",
                "deu",
            ),
            (
                "Le maire a annoncé hier que la bibliothèque municipale restera fermée pendant plusieurs semaines pour des travaux importants.",
                "fra",
            ),
            (
                "Правительство сообщило вчера, что школы будут закрыты всю неделю из-за сильного шторма на севере страны.",
                "rus",
            ),
            ("今日は東京でとても美しい夕日を見ました", "jpn"),
            ("오늘 서울에서 아름다운 노을을 보았습니다", "kor"),
        ] {
            assert_eq!(foreign_language(text), Some(code), "{text}");
        }
    }

    #[test]
    fn a_short_text_in_a_shared_script_counts_as_english() {
        assert_eq!(foreign_language("Hola a todos, buenos días"), None);
    }
}
