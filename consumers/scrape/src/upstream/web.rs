//! The anonymous web: a query by shortcode, as the site's own pages make it.

use std::sync::Arc;

use async_trait::async_trait;
use outbound::Method;
use schemas::PostRef;
use serde_json::{Value, json};

use super::{
    Adapter, FetchedPost, Upstream, UpstreamError,
    answers::query_item,
    media_shape::{self, Caps},
    site::Site,
};
use crate::circuit::Ticket;

/// The adapter.
pub struct Web {
    pub site: Arc<Site>,
    pub caps: Caps,
    /// Id of the query.
    pub doc_id: String,
}

impl Web {
    async fn query(&self, post: &PostRef, leave: &Ticket) -> Result<Value, UpstreamError> {
        let variables = json!({
            "shortcode": post.post_id,
            "__relay_internal__pv__PolarisAIGMMediaWebLabelEnabledrelayprovider": false,
        });
        let form = [
            ("doc_id", self.doc_id.as_str()),
            ("variables", &variables.to_string()),
            ("server_timestamps", "true"),
        ];
        let mut refreshed = false;
        loop {
            let cookies = self.site.cookies(leave).await?;
            let request = self
                .site
                .request(Method::POST, &["graphql", "query"])
                .headers(self.site.headers(&cookies, None)?)
                .form(&form);
            match self
                .site
                .ask(Adapter::Web, leave, request, query_item)
                .await
            {
                // Perhaps the cookies have aged: once with fresh ones.
                Err(UpstreamError::LoginWall) if !refreshed => {
                    self.site.forget(&cookies).await;
                    refreshed = true;
                }
                result => return result,
            }
        }
    }
}

#[async_trait]
impl Upstream for Web {
    async fn fetch(&self, post: &PostRef, leave: &Ticket) -> Result<FetchedPost, UpstreamError> {
        let item = self.query(post, leave).await?;
        media_shape::read(Adapter::Web, &item, post, &self.caps)
    }
}
