//! GET /: what there is, for programs and for people.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{error::ApiError, router::ENDPOINTS, state::AppState};

/// JSON for who asks for it, a page for everybody else.
pub async fn home(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let mut response = if wants_json(&headers) {
        Json(json!({
            "message": format!("{} scores how far to trust a post.", state.config.app_name),
            "status": "running",
            "version": state.version,
            "environment": state.config.environment.name(),
            "documentation": null,
            "endpoints": ENDPOINTS,
        }))
        .into_response()
    } else {
        state
            .pages
            .home(&state.config, state.version)?
            .into_response()
    };
    response
        .headers_mut()
        .insert(header::VARY, axum::http::HeaderValue::from_static("accept"));
    Ok(response)
}

/// The style of every page.
pub async fn style() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("../../templates/trustcard.css"))
}

/// Whether JSON is named in Accept, with a weight above that of HTML.
fn wants_json(headers: &HeaderMap) -> bool {
    let mut weights = (0.0, 0.0);
    let accept = headers.get_all(header::ACCEPT).iter();
    let ranges = accept
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
        if media_type.eq_ignore_ascii_case("application/json") {
            weights.0 = weight;
        } else if media_type.eq_ignore_ascii_case("text/html") {
            weights.1 = weight;
        }
    }
    weights.0 > weights.1
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

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
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wants_json(&headers), json, "{accept}");
        }
        assert!(!wants_json(&HeaderMap::new()));
    }
}
