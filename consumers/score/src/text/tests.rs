use std::sync::LazyLock;

use serde_json::Value;

use super::report::LISTED;
use super::*;

static RULES: LazyLock<TextRules> = LazyLock::new(|| TextRules::load(None).unwrap());

/// The first of these texts is a caption, the others stand in pictures.
fn analyse(texts: &[&str]) -> Result<TextSignals, Reason> {
    let parts: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(at, &text)| {
            let picture = at.wrapping_sub(1);
            let media_index = u32::try_from(picture).unwrap_or_default();
            let place = if at == 0 {
                Place::Caption
            } else {
                Place::Picture {
                    picture,
                    media_index,
                }
            };
            TextPart { place, text }
        })
        .collect();
    RULES
        .analyse(&parts, 0, &TextWeights::default())
        .map_err(|unread| unread.reason)
}

fn codes(parts: &[&str]) -> Vec<String> {
    analyse(parts)
        .unwrap()
        .flags
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_text_needs_ten_characters_after_trimming() {
    assert_eq!(analyse(&[]).unwrap_err(), Reason::NoText);
    assert_eq!(analyse(&["   123456789   "]).unwrap_err(), Reason::NoText);
    assert!(analyse(&["1234567890"]).is_ok());
    assert!(
        analyse(&["1234", "5678"]).is_ok(),
        "the blank line between parts counts"
    );
}

#[test]
fn a_language_without_patterns_is_not_judged_and_says_which_it_is() {
    let italian = "Il sindaco ha annunciato ieri che la biblioteca comunale rimarrà chiusa per alcune settimane a causa di lavori.";
    let part = TextPart {
        place: Place::Caption,
        text: italian,
    };
    let unread = RULES
        .analyse(&[part], 0, &TextWeights::default())
        .unwrap_err();
    assert_eq!(
        (unread.reason, unread.language.as_deref()),
        (Reason::Language, Some("it"))
    );
    assert_eq!(unread.to_json()["language"], "it");
}

#[test]
fn a_plain_text_without_a_known_word_gains_for_objectivity() {
    let found = analyse(&["qwertyuiop asdfgh"]).unwrap();
    assert_eq!((found.credibility, found.flags.len()), (78.0, 0));
}

#[test]
fn a_miracle_cure_pays_for_every_trick_it_uses() {
    let found = analyse(&[
        "You won't believe this! DOCTORS WON'T TELL YOU: garlic cures CANCER!!! Experts say it never fails!! \
         Share this before they delete it!! #WAKEUP",
    ])
    .unwrap();
    let codes: Vec<_> = found.flags.iter().map(ToString::to_string).collect();
    for code in [
        "CONSPIRACY_LANGUAGE",
        "SENSATIONALISM",
        "ABSOLUTIST_CLAIMS",
        "URGENT_LANGUAGE",
        "CLICKBAIT_DETECTED",
        "VIRAL_PRESSURE",
        "MEDICAL_CLAIMS:1",
    ] {
        assert!(codes.iter().any(|c| c == code), "{code} of {codes:?}");
    }
    assert!(found.credibility < 20.0, "{}", found.credibility);
}

#[test]
fn a_sober_report_is_highly_credible() {
    let found = analyse(&["The city council approved the budget on Monday. The library of Utrecht will open in March 2026."]).unwrap();
    assert_eq!(found.flags, []);
    assert_eq!(
        found.credibility, 88.0,
        "70 + 8 objective + 10 claims without a red flag"
    );
}

#[test]
fn clickbait_counts_at_the_start_of_the_caption_or_of_one_picture() {
    let bait = "You won't believe what happened here";
    assert_eq!(codes(&[bait]), ["CLICKBAIT_DETECTED"]);
    assert_eq!(
        codes(&["A quiet walk by the sea", bait]),
        ["CLICKBAIT_DETECTED"]
    );
    assert_eq!(
        codes(&["\u{1F631} \n You  won't\nbelieve what happened"]),
        ["CLICKBAIT_DETECTED"]
    );
    assert_eq!(
        codes(&["A quiet walk. You won't believe what happened here"]),
        [""; 0]
    );
}

#[test]
fn capitals_are_excessive_from_the_fourth_shouted_word_on() {
    assert_eq!(codes(&["HELLO WORLD AGAIN my dear"]), ["SENSATIONALISM"]);
    assert_eq!(
        codes(&["HELLO WORLD AGAIN MYDEAR"]),
        ["SENSATIONALISM", "EXCESSIVE_CAPS"]
    );
    assert_eq!(
        codes(&["HELLO WORLD.\nHELLO WORLD.\nhello world.\n"]),
        ["SENSATIONALISM"],
        "once each"
    );
}

#[test]
fn unverifiable_claims_are_counted() {
    let text = "Studies show it works. Experts say so too. Scientists agree on that.";
    assert_eq!(codes(&[text]), ["MULTIPLE_UNVERIFIABLE:3"]);
    let found = analyse(&[text]).unwrap();
    assert_eq!(
        found.credibility, 44.0,
        "70 - 15 - 21, and 10 for claims without a red flag"
    );
}

#[test]
fn words_in_links_and_account_names_are_not_read() {
    assert_eq!(
        codes(&["Look at https://example.org/garlic-cures-cancer and @miracle_cure today"]),
        [""; 0]
    );
}

#[test]
fn lists_in_the_result_are_bounded_and_counts_are_not() {
    let text: String = (0..200)
        .map(|i| format!("Drug number {i} cures everyone!!!\n"))
        .collect();
    let found = analyse(&[&text]).unwrap();
    let json = found.to_json(true, &TextWeights::default());
    assert_eq!(json["claim_counts"]["health_medical"], 200);
    assert_eq!(json["claims"].as_array().unwrap().len(), LISTED);
    assert_eq!(json["red_flags"].as_array().unwrap().len(), LISTED);
}

fn quoted(list: &Value) -> Vec<(&str, &str)> {
    let entries = list.as_array().unwrap().iter();
    entries
        .map(|entry| {
            (
                entry["kind"].as_str().or(entry["family"].as_str()).unwrap(),
                entry["text"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn findings_are_told_where_the_author_wrote_them() {
    let caption = "😍 Studies show it works — gаrlic ｃｕｒｅｓ cancer, see https://a.example/x.\nShare this with everyone!!! #wakeup";
    let picture = "Act\u{200b} now, 90% of c4ncer is c\u{336}ured";
    let json = analyse(&[caption, picture])
        .unwrap()
        .to_json(true, &TextWeights::default());
    let sentence = "😍 Studies show it works — gаrlic ｃｕｒｅｓ cancer, see https://a.example/x.";
    assert_eq!(
        quoted(&json["claims"]),
        [
            ("health_medical", sentence),
            ("authority_citation", sentence),
            ("statistical", picture),
            ("health_medical", picture),
            ("factual", picture),
        ]
    );
    assert_eq!(
        quoted(&json["red_flags"]),
        [
            ("medical_red_flags", "ｃｕｒｅｓ"),
            ("sensationalism", "!!!"),
            ("urgent_language", "Act\u{200b} now")
        ]
    );
    assert_eq!(
        quoted(&json["signs"]),
        [("pressure_to_share", "Share this with everyone")]
    );
    for list in ["claims", "red_flags", "signs"] {
        for entry in json[list].as_array().unwrap() {
            let text = if entry["where"]["part"] == "caption" {
                caption
            } else {
                picture
            };
            let span =
                entry["start"].as_u64().unwrap() as usize..entry["end"].as_u64().unwrap() as usize;
            assert_eq!(entry["text"].as_str(), text.get(span), "{entry}");
        }
    }
    assert_eq!(
        json["claims"][0]["where"],
        serde_json::json!({ "part": "caption" })
    );
    assert_eq!(
        json["claims"][2]["where"],
        serde_json::json!({ "part": "picture", "picture": 0, "media_index": 0 })
    );
    assert_eq!(
        (
            &json["claims"][1]["vague"],
            &json["claims"][1]["verifiable"]
        ),
        (&false.into(), &true.into())
    );
}

#[test]
fn disguised_words_are_read_as_what_they_look_like() {
    for disguised in [
        "G\u{430}rli\u{441} \u{441}ur\u{435}s c\u{430}ncer in a week",
        "Ｇａｒｌｉｃ ｃｕｒｅｓ ｃａｎｃｅｒ in a week",
        "Garlic c\u{200b}u\u{200b}r\u{200b}e\u{200b}s cancer in a week",
        "Garlic cur3s c4nc3r in a week",
        "𝗚𝗮𝗿𝗹𝗶𝗰 𝗰𝘂𝗿𝗲𝘀 𝗰𝗮𝗻𝗰𝗲𝗿 in a week",
    ] {
        let found = analyse(&[disguised]).unwrap();
        assert_eq!(found.counts.red_flags, 1, "{disguised}");
        assert_eq!(codes(&[disguised]), ["MEDICAL_CLAIMS:1"], "{disguised}");
    }
}

#[test]
fn texts_in_other_languages_are_judged_by_their_own_patterns() {
    for (language, caption) in [
        (
            "es",
            "¡Urgente! Los médicos no quieren que sepas esto: el ajo cura el cáncer y todas las enfermedades. Compártelo con todos tus amigos antes de que lo borren.",
        ),
        (
            "pt",
            "Urgente! Os médicos não querem que você saiba disto: o alho cura o câncer e todas as doenças. Compartilhe com todos os seus amigos antes que apaguem.",
        ),
        (
            "fr",
            "Urgent ! Les médecins ne veulent pas que vous sachiez cela : l'ail guérit le cancer et toutes les maladies. Partagez avec tous vos amis avant que ce soit supprimé.",
        ),
        (
            "de",
            "Dringend! Die Ärzte wollen nicht, dass ihr das wisst: Knoblauch heilt Krebs und alle Krankheiten. Teilt das mit allen Freunden, bevor es gelöscht wird.",
        ),
    ] {
        let found = analyse(&[caption]).unwrap();
        assert_eq!(found.language, language);
        let codes: Vec<_> = found.flags.iter().map(ToString::to_string).collect();
        for code in [
            "URGENT_LANGUAGE",
            "CONSPIRACY_LANGUAGE",
            "VIRAL_PRESSURE",
            "MEDICAL_CLAIMS:1",
        ] {
            assert!(
                codes.iter().any(|c| c == code),
                "{code} of {codes:?} in {language}"
            );
        }
        assert!(
            found
                .red_flags
                .iter()
                .any(|flag| flag.family == Family::MedicalRedFlags),
            "{language}"
        );
    }
}

#[test]
fn runs_of_exclamation_marks_cost_from_the_third_on() {
    let runs = |caption: &'static str| {
        let found = analyse(&[caption]).unwrap();
        found
            .steps
            .iter()
            .any(|step| step.reason == "runs of exclamation marks")
    };
    assert!(!runs("What a day!! What a night!! Good night!"));
    assert!(runs("What a day!! What a night!! Good night!!"));
    assert!(
        !runs("What a day!!\nWhat a day!!\nWhat a day!!"),
        "once each"
    );
}
