//! Flag codes: what an analysis of a text raises, each kind at most once.

use std::fmt;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $code:literal,)+) => {
        /// Kinds of flags.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FlagKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl FlagKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            const fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)+ }
            }
        }
    };
}

kinds! {
    /// Urges to hurry.
    UrgentLanguage = "URGENT_LANGUAGE",
    /// Knows no exception.
    AbsolutistClaims = "ABSOLUTIST_CLAIMS",
    /// Rests on hearsay.
    UnverifiedSources = "UNVERIFIED_SOURCES",
    /// Tells of hidden powers.
    ConspiracyLanguage = "CONSPIRACY_LANGUAGE",
    /// Plays on fear, anger and guilt.
    EmotionalManipulation = "EMOTIONAL_MANIPULATION",
    /// Shouts.
    Sensationalism = "SENSATIONALISM",
    /// Opens as clickbait does.
    ClickbaitDetected = "CLICKBAIT_DETECTED",
    /// Wants to be passed on.
    ViralPressure = "VIRAL_PRESSURE",
    /// Too many words in capitals.
    ExcessiveCaps = "EXCESSIVE_CAPS",
    /// Too many claims that nobody can look up; counted.
    MultipleUnverifiable = "MULTIPLE_UNVERIFIABLE",
    /// Claims about health; counted.
    MedicalClaims = "MEDICAL_CLAIMS",
}

/// A flag raised. Written as its code, and `:n` where its claims are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// What was raised.
    pub kind: FlagKind,
    count: usize,
}

impl Flag {
    /// A flag raised by `count` claims or signs.
    #[must_use]
    pub const fn new(kind: FlagKind, count: usize) -> Self {
        Self { kind, count }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            FlagKind::MultipleUnverifiable | FlagKind::MedicalClaims => {
                write!(f, "{}:{}", self.kind.code(), self.count)
            }
            kind => f.write_str(kind.code()),
        }
    }
}
