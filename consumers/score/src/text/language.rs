//! In which language is a text? Long ones are told by their trigrams, short ones by the words that every sentence of a language
//! needs. What can't be told counts as English.

use unicode_segmentation::UnicodeSegmentation;
use whatlang::{Lang, Script};

use super::patterns::Patterns;

/// Below so many letters of an alphabet shared by many languages, trigrams guess.
const ENOUGH_LETTERS: usize = 60;
/// So many different words of one language tell a short text, where no other language has as many.
const ENOUGH_WORDS: usize = 2;
pub(super) const ENGLISH: &str = "en";

/// ISO 639-3, as the detector names languages, and ISO 639-1, as results do.
const CODES: [(Lang, &str); 70] = [
    (Lang::Epo, "eo"),
    (Lang::Eng, "en"),
    (Lang::Rus, "ru"),
    (Lang::Cmn, "zh"),
    (Lang::Spa, "es"),
    (Lang::Por, "pt"),
    (Lang::Ita, "it"),
    (Lang::Ben, "bn"),
    (Lang::Fra, "fr"),
    (Lang::Deu, "de"),
    (Lang::Ukr, "uk"),
    (Lang::Kat, "ka"),
    (Lang::Ara, "ar"),
    (Lang::Hin, "hi"),
    (Lang::Jpn, "ja"),
    (Lang::Heb, "he"),
    (Lang::Yid, "yi"),
    (Lang::Pol, "pl"),
    (Lang::Amh, "am"),
    (Lang::Jav, "jv"),
    (Lang::Kor, "ko"),
    (Lang::Nob, "nb"),
    (Lang::Dan, "da"),
    (Lang::Swe, "sv"),
    (Lang::Fin, "fi"),
    (Lang::Tur, "tr"),
    (Lang::Nld, "nl"),
    (Lang::Hun, "hu"),
    (Lang::Ces, "cs"),
    (Lang::Ell, "el"),
    (Lang::Bul, "bg"),
    (Lang::Bel, "be"),
    (Lang::Mar, "mr"),
    (Lang::Kan, "kn"),
    (Lang::Ron, "ro"),
    (Lang::Slv, "sl"),
    (Lang::Hrv, "hr"),
    (Lang::Srp, "sr"),
    (Lang::Mkd, "mk"),
    (Lang::Lit, "lt"),
    (Lang::Lav, "lv"),
    (Lang::Est, "et"),
    (Lang::Tam, "ta"),
    (Lang::Vie, "vi"),
    (Lang::Urd, "ur"),
    (Lang::Tha, "th"),
    (Lang::Guj, "gu"),
    (Lang::Uzb, "uz"),
    (Lang::Pan, "pa"),
    (Lang::Aze, "az"),
    (Lang::Ind, "id"),
    (Lang::Tel, "te"),
    (Lang::Pes, "fa"),
    (Lang::Mal, "ml"),
    (Lang::Ori, "or"),
    (Lang::Mya, "my"),
    (Lang::Nep, "ne"),
    (Lang::Sin, "si"),
    (Lang::Khm, "km"),
    (Lang::Tuk, "tk"),
    (Lang::Aka, "ak"),
    (Lang::Zul, "zu"),
    (Lang::Sna, "sn"),
    (Lang::Afr, "af"),
    (Lang::Lat, "la"),
    (Lang::Slk, "sk"),
    (Lang::Cat, "ca"),
    (Lang::Tgl, "tl"),
    (Lang::Hye, "hy"),
    (Lang::Cym, "cy"),
];

fn code(lang: Lang) -> &'static str {
    CODES
        .iter()
        .find(|(known, _)| *known == lang)
        .map_or_else(|| lang.code(), |(_, code)| code)
}

/// Whether the detector can find this language, ISO 639-1.
pub(super) fn can_be_told(language: &str) -> bool {
    CODES.iter().any(|(_, code)| *code == language)
}

/// The language of a text, given its letters as written; `en` where it can't be told. ISO 639-1.
pub(super) fn language_of(prose: &str, known: &[Patterns]) -> String {
    let by_trigrams = whatlang::detect(prose);
    let letters = prose.chars().filter(|c| c.is_alphabetic()).count();
    if let Some(info) = by_trigrams {
        // A script other than this one tells even a short text from all languages with patterns.
        if info.script() != Script::Latin || (info.is_reliable() && letters >= ENOUGH_LETTERS) {
            return code(info.lang()).to_owned();
        }
    }
    by_function_words(prose, known)
        .unwrap_or(ENGLISH)
        .to_owned()
}

/// The language that most of the text's words belong to.
fn by_function_words<'a>(prose: &str, known: &'a [Patterns]) -> Option<&'a str> {
    let lower = prose.to_lowercase();
    let mut words: Vec<&str> = lower.unicode_words().collect();
    words.sort_unstable();
    words.dedup();
    let mut votes: Vec<(usize, &str)> = known
        .iter()
        .map(|patterns| {
            let belongs =
                |word: &&&str| patterns.function_words.iter().any(|known| known == **word);
            (
                words.iter().filter(belongs).count(),
                patterns.language.as_str(),
            )
        })
        .collect();
    votes.sort_by_key(|(votes, _)| std::cmp::Reverse(*votes));
    match votes.as_slice() {
        [(most, language), rest @ ..]
            if *most >= ENOUGH_WORDS && rest.first().is_none_or(|(next, _)| next < most) =>
        {
            Some(language)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::patterns::PatternFiles;
    use super::*;

    static KNOWN: LazyLock<Vec<Patterns>> =
        LazyLock::new(|| PatternFiles::read(None).unwrap().compile().unwrap());

    fn told(text: &str) -> String {
        language_of(text, &KNOWN)
    }

    #[test]
    fn english_captions_count_as_english() {
        for text in [
            "",
            "   ",
            "Sunset vibes",
            "Golden hour in Lisbon with the best crew, no filter needed",
            "OOTD + coffee = perfect morning",
            "New drop tomorrow 10am. Link in bio. Limited sizes, no restocks, worldwide shipping available",
            "travel wanderlust sunset photography nature instagood beach summer love adventure explore mountains",
            "Doctors don't want you to know this simple trick! Garlic cures cancer and every other disease in three days.",
            "The city council approved the budget for the new library on Monday, according to the published minutes.",
            "Happy birthday to my favorite human, love you to the moon and back, see you in Barcelona mi amor",
        ] {
            assert_eq!(told(text), "en", "{text}");
        }
    }

    #[test]
    fn other_languages_are_told_when_there_is_enough_text() {
        for (text, code) in [
            (
                "El gobierno anunció ayer que las escuelas permanecerán cerradas durante toda la semana por la tormenta que afecta al norte del país.",
                "es",
            ),
            (
                "Die Stadtverwaltung hat gestern mitgeteilt, dass die Brücke wegen dringender Bauarbeiten für mehrere Wochen gesperrt bleibt.",
                "de",
            ),
            (
                "Le maire a annoncé hier que la bibliothèque municipale restera fermée pendant plusieurs semaines pour des travaux importants.",
                "fr",
            ),
            (
                "Il sindaco ha annunciato ieri che la biblioteca comunale rimarrà chiusa per alcune settimane a causa di lavori importanti.",
                "it",
            ),
            (
                "Правительство сообщило вчера, что школы будут закрыты всю неделю из-за сильного шторма на севере страны.",
                "ru",
            ),
            ("今日は東京でとても美しい夕日を見ました", "ja"),
            ("오늘 서울에서 아름다운 노을을 보았습니다", "ko"),
        ] {
            assert_eq!(told(text), code, "{text}");
        }
    }
}
