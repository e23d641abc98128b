//! The page that other sites embed: less of a post, but without a token. It never says that a post is gone, because it says the
//! same when it merely does not want to be embedded.

use std::sync::Arc;

use async_trait::async_trait;
use outbound::Method;
use schemas::{
    PostRef,
    events::scraped::{Author, MediaKind, Post, PostKind},
};

use super::{
    Adapter, FetchedPost, Upstream, UpstreamError,
    answers::{page, shape_changed},
    embed_page::{self, EmbedPage},
    media_shape::{Candidate, Caps, MediaList},
    site::Site,
};
use crate::circuit::Ticket;

/// The adapter.
pub struct Embed {
    pub site: Arc<Site>,
    pub caps: Caps,
}

#[async_trait]
impl Upstream for Embed {
    async fn fetch(&self, post: &PostRef, leave: &Ticket) -> Result<FetchedPost, UpstreamError> {
        let segments = ["p", &post.post_id, "embed", "captioned", ""];
        let request = self.site.request(Method::GET, &segments);
        let found = self
            .site
            .ask(Adapter::Embed, leave, request, |answer| {
                let found = embed_page::read(page(Adapter::Embed, answer)?);
                if found.picture.is_none() {
                    return Err(shape_changed(Adapter::Embed, "page without a picture"));
                }
                Ok(found)
            })
            .await?;
        convert(found, post, &self.caps)
    }
}

fn convert(found: EmbedPage, post: &PostRef, caps: &Caps) -> Result<FetchedPost, UpstreamError> {
    let (kind, picture) = match found.media_type.as_deref() {
        Some("GraphVideo") if post.url.contains("/reel/") => (PostKind::Reel, MediaKind::Thumbnail),
        Some("GraphVideo") => (PostKind::Video, MediaKind::Thumbnail),
        Some("GraphSidecar") => (PostKind::Carousel, MediaKind::Image),
        _ => (PostKind::Photo, MediaKind::Image),
    };
    let candidate = Candidate {
        url: found.picture.as_deref().unwrap_or_default(),
        ..Candidate::default()
    };
    let mut list = MediaList::default();
    list.add(0, picture, &[candidate], None, caps);
    list.complete(Post {
        caption: found.caption,
        author: found.username.map(|username| Author {
            username,
            full_name: None,
            is_verified: false,
        }),
        ..Post::bare(kind, Adapter::Embed.name())
    })
}
