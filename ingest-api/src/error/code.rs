//! The closed list of error codes.

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $status:literal;)+) => {
        /// The closed list of error codes. A code is never renamed and never changes its status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in `error`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The HTTP status it is answered with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }
        }
    };
}

codes! {
    /// The post could not be read. Details: post_id.
    InstagramScrapingError = "INSTAGRAM_SCRAPING_ERROR", 502;
    /// An analysis broke. Details: analysis_id, stage.
    AnalysisError = "ANALYSIS_ERROR", 500;
    /// The cache does not answer. Details: operation.
    CacheError = "CACHE_ERROR", 503;
    /// Too many requests, or URLs of a partner. Details: retry_after, limit_per_minute, limit_per_hour, of a partner limit_per_day.
    RateLimitExceeded = "RATE_LIMIT_EXCEEDED", 429;
    /// The request is malformed (or, with status 400, well-formed but can't be done). Details: field and value of the first
    /// fault, and errors with one entry a field.
    InvalidInput = "INVALID_INPUT", 422;
    /// The store did not do as asked. Details: operation.
    DatabaseError = "DATABASE_ERROR", 500;
    /// There is no such thing. Details: resource_type, resource_id.
    ResourceNotFound = "RESOURCE_NOT_FOUND", 404;
    /// A background task broke. Details: task_id, task_name.
    TaskError = "TASK_ERROR", 500;
    /// The server is misconfigured. Details: config_key.
    ConfigurationError = "CONFIGURATION_ERROR", 500;
    /// Another service did not answer. Details: service.
    ExternalServiceError = "EXTERNAL_SERVICE_ERROR", 502;
    /// Something broke that should not. No details.
    InternalServerError = "INTERNAL_SERVER_ERROR", 500;
    /// The broker did not take the submission; send it again later.
    BrokerUnavailable = "BROKER_UNAVAILABLE", 503;
    /// A key is needed.
    Unauthorized = "UNAUTHORIZED", 401;
    /// The key does not allow this.
    Forbidden = "FORBIDDEN", 403;
    /// The path does not know this method; the Allow header names those it does.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", 405;
    /// The body is too large. Details: limit.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", 413;
    /// The body is of a type that is not read here.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", 415;
    /// It clashes with what is there.
    Conflict = "CONFLICT", 409;
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own_and_a_status_that_http_knows() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            let status = StatusCode::from_u16(code.status()).unwrap();
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{code:?}"
            );
        }
    }
}
