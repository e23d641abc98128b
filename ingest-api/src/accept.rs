//! What a caller wants to be answered in, by its Accept header.

use axum::http::{HeaderMap, header};

/// Weight of a media type in Accept, 0 to 1: of its own entry only, so that `*/*` names nothing. 0 where it is not named.
#[must_use]
pub fn weight(headers: &HeaderMap, media_type: &str) -> f32 {
    let accept = headers.get_all(header::ACCEPT).iter();
    let ranges = accept
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    let weights = ranges.filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next()?.eq_ignore_ascii_case(media_type);
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(Some(1.0), |q| q.parse::<f32>().ok());
        named.then(|| weight.filter(|weight| (0.0..=1.0).contains(weight)))?
    });
    weights.fold(0.0, f32::max)
}

/// JSON, rather than a page.
#[must_use]
pub fn wants_json(headers: &HeaderMap) -> bool {
    weight(headers, "application/json") > weight(headers, "text/html")
}

/// A page, rather than anything for programs: only who names one, as browsers do.
#[must_use]
pub fn wants_page(headers: &HeaderMap) -> bool {
    let page = weight(headers, "text/html");
    page > 0.0
        && ["application/json", "application/problem+json"]
            .iter()
            .all(|other| page > weight(headers, other))
}

/// Errors as RFC 9457 has them, rather than in our own shape.
#[must_use]
pub fn wants_problem(headers: &HeaderMap) -> bool {
    let problem = weight(headers, "application/problem+json");
    problem > 0.0 && problem >= weight(headers, "application/json")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(accept: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        headers
    }

    #[test]
    fn json_goes_to_who_names_it_first() {
        for (accept, json) in [
            ("application/json", true),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                false,
            ),
            ("*/*", false),
            ("application/json;q=0.5, text/html", false),
            ("application/json, text/html;q=0.5", true),
            ("application/json;q=nonsense", false),
            ("application/json;q=2", false),
        ] {
            assert_eq!(wants_json(&headers(accept)), json, "{accept}");
        }
        assert!(!wants_json(&HeaderMap::new()));
    }

    #[test]
    fn pages_go_to_browsers() {
        for (accept, page) in [
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                true,
            ),
            ("text/html, application/json;q=0.5", true),
            ("text/html, application/json", false),
            ("text/html;q=0", false),
            ("*/*", false),
        ] {
            assert_eq!(wants_page(&headers(accept)), page, "{accept}");
        }
    }

    #[test]
    fn problems_go_to_who_asks_for_them() {
        for (accept, problem) in [
            ("application/problem+json", true),
            ("application/json, Application/Problem+JSON", true),
            ("application/problem+json;q=0.5, application/json", false),
            ("application/problem+json;q=0", false),
            ("application/*", false),
            ("application/json", false),
        ] {
            assert_eq!(wants_problem(&headers(accept)), problem, "{accept}");
        }
        assert!(!wants_problem(&HeaderMap::new()));
    }
}
