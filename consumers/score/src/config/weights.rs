//! The weights and thresholds, with the published defaults. Points are points of the score unless said otherwise.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

macro_rules! weights {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $field:ident: $value:expr,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: f64,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $value,)+ }
            }
        }
    };
}

weights! {
    /// The penalty is `highest probability x points x factor`.
    AiWeights {
        /// Points at a probability of 1.
        points: 30.0,
        /// Multiplies the points.
        factor: 1.0,
        /// Probability above which a picture counts as generated, where its model brought no threshold of its own. Exclusive.
        threshold: 0.5,
    }
}

weights! {
    /// Taken once a post.
    DeepfakeWeights {
        /// Points.
        points: 40.0,
    }
}

weights! {
    /// The Fact-Checking rows, and when a person should look.
    FactCheckWeights {
        /// Credibility below this is low.
        low_below: 50.0,
        /// Points per point of credibility below `low_below`.
        low_factor: 0.8,
        /// Credibility below this, and not low, is questionable.
        questionable_below: 70.0,
        /// Points per point of credibility below `questionable_below`.
        questionable_factor: 0.5,
        /// Credibility from here on is high.
        high_from: 80.0,
        /// Points gained per point of credibility above `high_from`.
        high_factor: 0.2,
        /// Points for medical claims.
        medical_claims: 15.0,
        /// Points for conspiracy language.
        conspiracy_language: 12.0,
        /// Points for unverified sources.
        unverified_sources: 10.0,
        /// Points for urgent language.
        urgent_language: 8.0,
        /// Points for emotional manipulation.
        emotional_manipulation: 7.0,
        /// Points for absolutist claims.
        absolutist_claims: 6.0,
        /// Points for sensationalism.
        sensationalism: 5.0,
        /// Credibility below this asks for a person's review.
        review_below: 40.0,
        /// So many distinct flags ask for a person's review.
        review_flags: 3.0,
    }
}

/// The Source Credibility rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceWeights {
    /// Points for a linked source of very low reliability.
    pub very_low: f64,
    /// Points for a linked source of low reliability.
    pub low: f64,
    /// Points for a linked satire site.
    pub satire: f64,
    /// Average reliability (0 to 1) below this costs points.
    pub low_average_below: f64,
    /// Points per 1.0 of average below `low_average_below`.
    pub low_average_factor: f64,
    /// Average reliability (0 to 1) above this gains points.
    pub high_average_above: f64,
    /// Points gained per 1.0 of average above `high_average_above`.
    pub high_average_factor: f64,
    /// Links rated, in text order.
    pub links_rated: usize,
    /// Average of a post without links by a verified account.
    pub verified_account: f64,
    /// Average of a post without links by any other account.
    pub unverified_account: f64,
    /// Reliabilities as numbers.
    pub reliability: ReliabilityNumbers,
    /// CSV file of publishers that extend or replace the built-in list: `domain,name,bias,reliability` and, if need be, `accounts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

impl Default for SourceWeights {
    fn default() -> Self {
        Self {
            very_low: 25.0,
            low: 20.0,
            satire: 15.0,
            low_average_below: 0.5,
            low_average_factor: 20.0,
            high_average_above: 0.7,
            high_average_factor: 10.0,
            links_rated: 5,
            verified_account: 0.6,
            unverified_account: 0.4,
            reliability: ReliabilityNumbers::default(),
            file: None,
        }
    }
}

weights! {
    /// Reliabilities as numbers, 0 to 1.
    ReliabilityNumbers {
        /// Very high.
        very_high: 1.0,
        /// High.
        high: 0.8,
        /// Mixed.
        mixed: 0.5,
        /// Low.
        low: 0.3,
        /// Very low.
        very_low: 0.1,
        /// Satire.
        satire: 0.0,
        /// Not in the list.
        unknown: 0.5,
    }
}

weights! {
    /// The credibility of a text, 0 to 100: points here are points of credibility.
    TextWeights {
        /// Shortest text analysed, in characters after trimming.
        min_characters: 10.0,
        /// Where every text starts.
        start: 70.0,
        /// Per red flag.
        red_flag: 5.0,
        /// At most, for red flags.
        red_flag_max: 30.0,
        /// Per unverifiable claim.
        unverifiable: 5.0,
        /// At most, for unverifiable claims.
        unverifiable_max: 20.0,
        /// More unverifiable claims than this raise MULTIPLE_UNVERIFIABLE.
        unverifiable_allowed: 2.0,
        /// Per vague source.
        vague_source: 7.0,
        /// At most, for vague sources.
        vague_source_max: 25.0,
        /// Per high-risk claim.
        high_risk: 15.0,
        /// At most, for high-risk claims.
        high_risk_max: 40.0,
        /// For a clickbait opening.
        clickbait: 15.0,
        /// For too many shouted words.
        excessive_caps: 10.0,
        /// More shouted words than this are too many.
        caps_allowed: 3.0,
        /// For pressure to share.
        viral_pressure: 10.0,
        /// For too many runs of exclamation marks.
        exclamations: 8.0,
        /// More runs than this are too many.
        exclamations_allowed: 2.0,
        /// For subjective wording.
        subjective: 12.0,
        /// Subjectivity (0 to 1) above this is subjective.
        subjective_above: 0.7,
        /// Gained per link.
        link: 5.0,
        /// At most, for links.
        link_max: 15.0,
        /// Gained by objective wording.
        objective: 8.0,
        /// Subjectivity (0 to 1) below this is objective.
        objective_below: 0.3,
        /// Gained by claims without a red flag.
        clean_claims: 10.0,
        /// Credibility from here on reads "highly credible".
        highly_credible_from: 80.0,
        /// Credibility from here on reads "generally credible".
        generally_credible_from: 65.0,
        /// Credibility from here on reads "questionable".
        questionable_from: 50.0,
        /// Credibility from here on reads "low credibility", below it "very low credibility".
        low_credibility_from: 30.0,
        /// Credibility below this is a high risk.
        high_risk_below: 30.0,
        /// Credibility below this, and no high risk, is a medium one.
        medium_risk_below: 50.0,
        /// Credibility below this, and no medium risk, is a low one.
        low_risk_below: 70.0,
    }
}
