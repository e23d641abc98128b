//! How long whoever was asked wants to be left alone.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// What Retry-After says (RFC 9110, section 10.2.3): seconds, or a date, which is measured against the answer's own Date, so that
/// nobody's clock matters; one that has passed is zero. `None` where it says nothing that can be understood.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = header(headers, &RETRY_AFTER)?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = date(text)?.duration_since(date(header(headers, &DATE)?)?);
    Some(Duration::try_from(until).unwrap_or_default())
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn date(text: &str) -> Option<Timestamp> {
    rfc2822::parse(text).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_seconds_or_as_a_date() {
        let date = ("date", "Tue, 01 Sep 2026 12:00:00 GMT");
        for (told, expected) in [
            (vec![("retry-after", "7")], Some(7)),
            (vec![("retry-after", " 0 ")], Some(0)),
            (
                vec![("retry-after", "18446744073709551615")],
                Some(u64::MAX),
            ),
            (
                vec![("retry-after", "Tue, 01 Sep 2026 12:01:30 GMT"), date],
                Some(90),
            ),
            (
                vec![("retry-after", "Tue, 01 Sep 2026 11:00:00 GMT"), date],
                Some(0),
            ),
            (vec![("retry-after", "Tue, 01 Sep 2026 12:01:30 GMT")], None),
            (vec![("retry-after", "-5")], None),
            (vec![("retry-after", "soon")], None),
            (vec![], None),
        ] {
            let pairs = told
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            let headers = HeaderMap::from_iter(pairs);
            assert_eq!(
                retry_after(&headers),
                expected.map(Duration::from_secs),
                "{told:?}"
            );
        }
    }
}
