//! What is kept so that work is done once: scraped posts and detectors' answers.

use async_trait::async_trait;
use jiff::Timestamp;
use schemas::events::scraped::Post;
use serde_json::Value;

use super::{
    ScyllaStore,
    rows::{Work, all, ttl},
};
use crate::{
    Appearance, KeptAppearance, KeptPost, Result, Reuse,
    port::{ALIKE, each_once},
    values::{after, from_json, time, to_json},
};

/// The mark of the moment until which scraped posts are forgotten.
const POSTS_FORGOTTEN: &str = "posts_forgotten";

#[async_trait]
impl Reuse for ScyllaStore {
    async fn post(&self, post_id: &str, now: Timestamp) -> Result<Option<KeptPost>> {
        let row = self.row::<(Option<String>,)>(&self.statements.post, (post_id,));
        let (row, forgotten_at) = futures::try_join!(row, self.posts_forgotten_at())?;
        let Some((Some(text),)) = row else {
            return Ok(None);
        };
        let (scraped_at, content): (Timestamp, Post) = from_json("a scraped post", &text)?;
        let until = after(scraped_at.as_millisecond(), self.policy.post_reuse_s);
        let scraped_ms = scraped_at.as_millisecond();
        let forgotten = forgotten_at.is_some_and(|at| scraped_ms <= at.as_millisecond());
        Ok(
            (until > now.as_millisecond() && !forgotten).then_some(KeptPost {
                scraped_at,
                content,
            }),
        )
    }

    async fn keep_post(&self, post_id: &str, post: &KeptPost) -> Result<()> {
        // The time of the scrape is the timestamp: an earlier one never replaces a later.
        let values = (
            post_id,
            to_json(&(post.scraped_at, &post.content))?,
            ttl(self.policy.post_reuse_s),
            post.scraped_at.as_microsecond(),
        );
        self.write(&self.statements.put_post, values).await
    }

    async fn forget_post(&self, post_id: &str, now: Timestamp) -> Result<()> {
        // The last microsecond of the millisecond.
        let timestamp = now
            .as_millisecond()
            .saturating_mul(1000)
            .saturating_add(999);
        self.write(&self.statements.drop_post, (timestamp, post_id))
            .await
    }

    async fn forget_posts(&self, now: Timestamp) -> Result<()> {
        let now_ms = now.as_millisecond();
        let values = (POSTS_FORGOTTEN, now_ms, now_ms.saturating_mul(1000));
        self.write(&self.statements.put_mark, values).await
    }

    async fn posts_forgotten_at(&self) -> Result<Option<Timestamp>> {
        let key = (POSTS_FORGOTTEN,);
        let row: Option<(Option<i64>,)> = self.row(&self.statements.mark, key).await?;
        row.and_then(|(at_ms,)| at_ms).map(time).transpose()
    }

    async fn finding(&self, sha256: &str, detector: &str, now: Timestamp) -> Result<Option<Value>> {
        let row: Option<(Option<String>, Option<i64>)> = self
            .row(&self.statements.finding, (sha256, detector))
            .await?;
        let Some((Some(text), Some(kept_ms))) = row else {
            return Ok(None);
        };
        if after(kept_ms, self.policy.finding_reuse_s) <= now.as_millisecond() {
            return Ok(None);
        }
        from_json("a detector's answer", &text).map(Some)
    }

    async fn keep_finding(
        &self,
        sha256: &str,
        detector: &str,
        finding: &Value,
        now: Timestamp,
    ) -> Result<()> {
        let values = (
            sha256,
            detector,
            to_json(finding)?,
            now.as_millisecond(),
            ttl(self.policy.finding_reuse_s),
            now.as_microsecond(),
        );
        self.write(&self.statements.put_finding, values).await
    }

    async fn alike(
        &self,
        detector: &str,
        appearance: &Appearance,
        now: Timestamp,
    ) -> Result<Vec<KeptAppearance>> {
        type Columns = (String, Option<i64>, Option<Vec<u8>>, Option<i64>);
        let most = i32::try_from(ALIKE).unwrap_or(i32::MAX);
        let one = |band: i32| -> Work<'_, Vec<Columns>> {
            let key = (detector, band, most);
            Box::pin(async move { self.rows(&self.statements.appearances, key).await })
        };
        let bands = appearance.bands().into_iter();
        let rows = all(bands.map(one).collect()).await?.concat();
        let mut found = Vec::new();
        for (sha256, hash, cells, kept_ms) in rows {
            let (Some(hash), Some(cells), Some(kept_ms)) = (hash, cells, kept_ms) else {
                continue;
            };
            if after(kept_ms, self.policy.finding_reuse_s) > now.as_millisecond() {
                let hash = hash.cast_unsigned();
                let appearance = Appearance { hash, cells };
                found.push(KeptAppearance { sha256, appearance });
            }
        }
        Ok(each_once(found))
    }

    async fn keep_appearance(
        &self,
        detector: &str,
        kept: &KeptAppearance,
        now: Timestamp,
    ) -> Result<()> {
        let KeptAppearance { sha256, appearance } = kept;
        let one = |band: i32| -> Work<'_> {
            let values = (
                detector,
                band,
                sha256,
                appearance.hash.cast_signed(),
                &appearance.cells,
                now.as_millisecond(),
                ttl(self.policy.finding_reuse_s),
                now.as_microsecond(),
            );
            Box::pin(async move { self.write(&self.statements.put_appearance, values).await })
        };
        let bands = appearance.bands().into_iter();
        all(bands.map(one).collect()).await?;
        Ok(())
    }
}
