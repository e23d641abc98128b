//! What a caller is told of its limits, on every response that counts: the old application's four headers, and the pair of
//! draft-ietf-httpapi-ratelimit-headers-10.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Budget,
    window::{HOUR_MS, Limits, MINUTE_MS, Standing},
};

/// The headers, so that scripts of other origins may be allowed to read them.
pub const NAMES: [HeaderName; 6] = [
    HeaderName::from_static("x-ratelimit-limit-minute"),
    HeaderName::from_static("x-ratelimit-limit-hour"),
    HeaderName::from_static("x-ratelimit-remaining-minute"),
    HeaderName::from_static("x-ratelimit-remaining-hour"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("ratelimit"),
];

/// Writes them. `t` of `RateLimit` is when the oldest request leaves the window; there is then room for one more.
pub fn write(headers: &mut HeaderMap, budget: Budget, limits: Limits, standing: &Standing) {
    let name = budget.name();
    let policy = format!(
        "\"{name}-minute\";q={};w={}, \"{name}-hour\";q={};w={}",
        limits.per_minute,
        MINUTE_MS / 1000,
        limits.per_hour,
        HOUR_MS / 1000
    );
    let now = format!(
        "\"{name}-minute\";r={};t={}, \"{name}-hour\";r={};t={}",
        standing.minute_left, standing.minute_reset_s, standing.hour_left, standing.hour_reset_s
    );
    let values = [
        HeaderValue::from(limits.per_minute),
        limits.per_hour.into(),
        standing.minute_left.into(),
        standing.hour_left.into(),
    ];
    let texts = [policy, now]
        .into_iter()
        .filter_map(|text| text.parse().ok());
    for (name, value) in NAMES.into_iter().zip(values.into_iter().chain(texts)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_six_have_the_budgets_figures() {
        let limits = Limits {
            per_minute: 10,
            per_hour: 100,
        };
        let standing = Standing {
            minute_left: 7,
            hour_left: 93,
            minute_reset_s: 45,
            hour_reset_s: 3201,
        };
        let mut headers = HeaderMap::new();
        write(&mut headers, Budget::Writes, limits, &standing);
        let values = NAMES.map(|name| headers[name].to_str().unwrap().to_owned());
        assert_eq!(
            values,
            [
                "10",
                "100",
                "7",
                "93",
                r#""writes-minute";q=10;w=60, "writes-hour";q=100;w=3600"#,
                r#""writes-minute";r=7;t=45, "writes-hour";r=93;t=3201"#,
            ]
        );
    }
}
