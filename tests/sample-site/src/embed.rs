//! The page that other sites embed: caption, author and one picture, in HTML.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::counters::Route;
use crate::faults::{self, PostFault, Way};
use crate::shape::{self, AVATAR};
use crate::site::Site;

pub(crate) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/p/{shortcode}/embed/captioned/", get(captioned))
        .route("/reel/{shortcode}/embed/captioned/", get(captioned))
}

async fn captioned(State(site): State<Arc<Site>>, Path(shortcode): Path<String>) -> Response {
    site.counters.add(Route::Embed, &shortcode);
    if let Some(fault) = site.post_fault(Way::Embed).await {
        return fault;
    }
    if let Some(post) = site.load.post(&shortcode) {
        return Html(page(&site, &post, false)).into_response();
    }
    let Some(turn) = site.turn(&shortcode) else {
        return faults::broken_embed();
    };
    if let Some(answer) = site.bad_answer(&turn, Way::Embed).await {
        return answer;
    }
    if turn.faulty && turn.post.fault == Some(PostFault::OldShape) {
        return faults::shell();
    }
    Html(page(&site, turn.post, turn.expired)).into_response()
}

fn page(site: &Site, post: &crate::posts::Post, expired: bool) -> String {
    let writer = site.writer(expired);
    let user = site
        .catalogue
        .authors
        .get(&post.author)
        .map_or("", |a| &a.username);
    let kind = match post.media.as_slice() {
        [_] if post.is_reel() => "GraphVideo",
        [_] => "GraphImage",
        _ => "GraphSidecar",
    };
    let address = |path: &str| format!("{}/{path}/?utm_source=ig_embed", site.base_url);
    let mut html = String::from(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Instagram</title></head><body>",
    );
    let _ = write!(
        html,
        "<div class=\"Embed \" data-media-type=\"{kind}\"><div class=\"Header\"><a class=\"Avatar\" href=\"{profile}\">\
         <img src=\"{avatar}\" alt=\"{user}\"></a><a class=\"Username\" href=\"{profile}\"><span class=\"UsernameText\">{user}\
         </span></a></div>",
        profile = escape(&address(user)),
        avatar = escape(&writer.url(AVATAR)),
        user = escape(user),
    );
    if let Some(first) = post.media.first() {
        let picture = escape(&writer.url(shape::still(first)));
        let _ = write!(
            html,
            "<div class=\"Content EmbedFrame\"><a class=\"EmbeddedMedia\" href=\"{link}\"><img class=\"EmbeddedMediaImage\" \
             alt=\"Instagram post shared by &#064;{user}\" src=\"{picture}\" srcset=\"{picture} 1080w\"></a></div>",
            link = escape(&address(&format!("p/{}", post.shortcode))),
            user = escape(user),
        );
    }
    if let Some(caption) = &post.caption {
        let _ = write!(
            html,
            "<div class=\"Caption\"><a class=\"CaptionUsername\" href=\"{profile}\">{user}</a><br /><br />{caption}\
             <div class=\"CaptionComments\"><a href=\"{profile}\">View all {comments} comments</a></div></div>",
            profile = escape(&address(user)),
            user = escape(user),
            caption = escape(caption).replace('\n', "<br />"),
            comments = post.comments,
        );
    }
    html.push_str("</div></body></html>");
    html
}

/// Text as HTML writes it, with the numeric reference that the real page uses for `@`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#039;"),
            '@' => out.push_str("&#064;"),
            c => out.push(c),
        }
    }
    out
}
