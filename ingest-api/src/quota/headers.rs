//! What a partner is told of its quota with every answer to a submission: the headers of [`crate::rate_limit::headers`], in URLs, with
//! the day beside them.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::Standing;
use crate::rate_limit::headers::NAMES;

/// The day's, so that scripts of other origins may be allowed to read them.
pub const DAY: [HeaderName; 2] = [
    HeaderName::from_static("x-ratelimit-limit-day"),
    HeaderName::from_static("x-ratelimit-remaining-day"),
];

/// Names of the windows and their lengths in seconds.
const WINDOWS: [(&str, u32); 3] = [
    ("urls-minute", 60),
    ("urls-hour", 3_600),
    ("urls-day", 86_400),
];

/// Writes them. `t` of `RateLimit` is when the window ends.
pub fn write(headers: &mut HeaderMap, standing: &Standing) {
    let ([minute, hour, day], left) = (standing.limits.0, standing.left());
    let list = |entry: &dyn Fn(usize) -> String| {
        let entries =
            (0..WINDOWS.len()).map(|window| format!("\"{}\";{}", WINDOWS[window].0, entry(window)));
        entries.collect::<Vec<_>>().join(", ")
    };
    let policy = list(&|window| format!("q={};w={}", standing.limits.0[window], WINDOWS[window].1));
    let now = list(&|window| format!("r={};t={}", left[window], standing.resets_s[window]));
    let numbers = [
        HeaderValue::from(minute),
        hour.into(),
        left[0].into(),
        left[1].into(),
    ];
    let texts = [policy, now]
        .into_iter()
        .filter_map(|text| text.parse().ok());
    for (name, value) in NAMES.into_iter().zip(numbers.into_iter().chain(texts)) {
        headers.insert(name, value);
    }
    for (name, value) in DAY
        .into_iter()
        .zip([HeaderValue::from(day), left[2].into()])
    {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::ledger::{Limits, Sums};

    #[test]
    fn all_of_them_have_the_quotas_figures() {
        let standing = Standing {
            limits: Limits([10, 100, 1_000]),
            used: Sums([10, 30, 30]),
            resets_s: [45, 3_201, 40_000],
        };
        assert_eq!(standing.retry_after_s(), 45);
        let mut headers = HeaderMap::new();
        write(&mut headers, &standing);
        let values = NAMES
            .into_iter()
            .chain(DAY)
            .map(|name| headers[name].to_str().unwrap().to_owned());
        assert_eq!(
            values.collect::<Vec<_>>(),
            [
                "10",
                "100",
                "0",
                "70",
                r#""urls-minute";q=10;w=60, "urls-hour";q=100;w=3600, "urls-day";q=1000;w=86400"#,
                r#""urls-minute";r=0;t=45, "urls-hour";r=70;t=3201, "urls-day";r=970;t=40000"#,
                "1000",
                "970",
            ]
        );
    }
}
