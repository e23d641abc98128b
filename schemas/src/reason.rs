//! The closed list of reasons: why a record was skipped, retried or rejected, why an analysis failed, why a component of it
//! did not run. A code is a metric label, a result field and a dead-letter header at once, so none is ever renamed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $(#[schemars($hidden:ident)])? $variant:ident = $code:literal),+ $(,)?) => {
        /// A stable reason code. Serialised as its snake_case name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum Reason {
            $($(#[doc = $doc])+ $(#[schemars($hidden)])? #[serde(rename = $code)] $variant,)+
        }

        impl PartialSchema for Reason {
            fn schema() -> RefOr<Schema> {
                let codes = Self::ALL.iter().map(|reason| reason.code());
                let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
                schema.description(Some("A stable reason code.")).into()
            }
        }

        impl ToSchema for Reason {}

        impl Reason {
            /// Every reason, in the order of this list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => reasons!(@first $($doc)+)),+ }
            }

            /// The reason a code stands for, if it is one of the list.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }
        }
    };
    (@first $first:literal $($rest:literal)*) => { $first.trim_ascii() };
}

reasons! {
    // Records that can't be read.
    /// The record has no value.
    EmptyPayload = "empty_payload",
    /// A required header is missing.
    MissingHeader = "missing_header",
    /// The record's type is not one this topic carries.
    UnknownType = "unknown_type",
    /// The record's version is newer than this reader.
    UnknownVersion = "unknown_version",
    /// The value is not JSON in UTF-8.
    InvalidJson = "invalid_json",
    /// The value is JSON of another shape than its type says.
    SchemaMismatch = "schema_mismatch",
    /// An output was larger than its topic allows.
    OutputTooLarge = "output_too_large",
    /// The stage broke down on this record.
    StagePanicked = "stage_panicked",

    // Webhooks. In no event: readers of those need not know it.
    /// The webhook did not take the message.
    #[schemars(skip)]
    WebhookFailed = "webhook_failed",

    // Submissions with nothing left to do.
    /// Another submission is already doing this work.
    DuplicateSubmission = "duplicate_submission",
    /// The analysis has its result already.
    AlreadyFinished = "already_finished",
    /// The analysis was deleted.
    Deleted = "deleted",
    /// A newer run of the analysis has begun.
    Superseded = "superseded",

    // The upstream.
    /// The post is deleted, private or blocked.
    PostUnavailable = "post_unavailable",
    /// The post was read but holds nothing that can be analysed.
    PostUndecodable = "post_undecodable",
    /// The upstream did not answer in time.
    UpstreamTimeout = "upstream_timeout",
    /// The upstream can't be reached.
    UpstreamUnreachable = "upstream_unreachable",
    /// The upstream answered with an error of its own.
    UpstreamError = "upstream_error",
    /// The upstream asked us to slow down.
    UpstreamRateLimited = "upstream_rate_limited",
    /// The upstream's answer has a shape this version does not know.
    UpstreamShapeChanged = "upstream_shape_changed",
    /// The upstream is failing for every post, so requests are paused.
    CircuitOpen = "circuit_open",
    /// The operator's session is no longer valid.
    SessionInvalid = "session_invalid",
    /// The operator's account must be confirmed by its owner.
    SessionChallenge = "session_challenge",

    // Media.
    /// The media file is larger than allowed.
    MediaTooLarge = "media_too_large",
    /// The picture has more pixels than allowed.
    MediaTooManyPixels = "media_too_many_pixels",
    /// The media file is of a type that is not analysed.
    MediaUnsupported = "media_unsupported",
    /// The media file ends too early or can't be decoded.
    MediaUndecodable = "media_undecodable",
    /// The media file did not arrive in time.
    MediaTimeout = "media_timeout",
    /// The media file's signed address has expired.
    MediaExpired = "media_expired",
    /// The media file could not be fetched.
    MediaUnavailable = "media_unavailable",
    /// The media address is not one that may be fetched.
    AddressNotAllowed = "address_not_allowed",

    // Components of an analysis.
    /// The post has no picture.
    NoImages = "no_images",
    /// The post has no text, or less than ten characters of it.
    NoText = "no_text",
    /// The post names no author.
    NoAuthor = "no_author",
    /// The text is in a language without patterns.
    Language = "language",
    /// The model was not verified on the runtime in use.
    Runtime = "runtime",
    /// Models are switched off.
    ModelsOff = "models_off",
    /// No model for this component is installed.
    NotInstalled = "not_installed",
    /// There is no face in it.
    NoFaces = "no_faces",
    /// The video is in a codec that is not decoded.
    Codec = "codec",
    /// The video is longer than allowed.
    MediaTooLong = "media_too_long",
    /// A model answered with something that is no score.
    ModelOutputInvalid = "model_output_invalid",
    /// A model could not be run on this input.
    InferenceFailed = "inference_failed",
    /// No component of the analysis could be completed.
    NothingCompleted = "nothing_completed",

    // Storage.
    /// The store did not answer.
    StoreUnavailable = "store_unavailable",
    /// The media store did not answer, or has lost a file.
    BlobUnavailable = "blob_unavailable",
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_leads_back_to_its_reason_and_is_what_serde_writes() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.code());
            assert!(reason.sentence().ends_with('.'), "{reason}");
        }
        assert_eq!(Reason::from_code("no_such_reason"), None);
    }
}
