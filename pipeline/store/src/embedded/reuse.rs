//! What is kept so that work is done once: scraped posts and detectors' answers.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use schemas::events::scraped::Post;
use serde_json::Value;

use super::SqliteStore;
use crate::{
    Appearance, KeptAppearance, KeptPost, Result, Reuse,
    port::{ALIKE, each_once},
    values::{after, from_json, time, to_json},
};

#[async_trait]
impl Reuse for SqliteStore {
    async fn post(&self, post_id: &str, now: Timestamp) -> Result<Option<KeptPost>> {
        let post_id = post_id.to_owned();
        self.readers
            .run(move |connection| {
                let found: Option<String> = connection
                    .prepare_cached(
                        "SELECT post FROM posts WHERE post_id = ?1 AND expires_ms > ?2 AND scraped_us / 1000 > COALESCE(
                             (SELECT value FROM settings WHERE name = 'posts_forgotten_ms'), ?3)",
                    )?
                    .query_row(params![post_id, now.as_millisecond(), i64::MIN], |row| {
                        row.get(0)
                    })
                    .optional()?;
                found
                    .map(|text| {
                        let (scraped_at, content): (Timestamp, Post) =
                            from_json("a scraped post", &text)?;
                        Ok(KeptPost {
                            scraped_at,
                            content,
                        })
                    })
                    .transpose()
            })
            .await
    }

    async fn keep_post(&self, post_id: &str, post: &KeptPost) -> Result<()> {
        let (post_id, scraped_at) = (post_id.to_owned(), post.scraped_at);
        let expires_ms = after(scraped_at.as_millisecond(), self.policy.post_reuse_s);
        let text = to_json(&(scraped_at, &post.content))?;
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO posts (post_id, scraped_us, post, expires_ms) VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT (post_id) DO UPDATE
                         SET scraped_us = excluded.scraped_us, post = excluded.post, expires_ms = excluded.expires_ms
                         WHERE excluded.scraped_us > posts.scraped_us",
                    )?
                    .execute(params![
                        post_id,
                        scraped_at.as_microsecond(),
                        text,
                        expires_ms
                    ])?;
                Ok(())
            })
            .await
    }

    async fn forget_post(&self, post_id: &str, now: Timestamp) -> Result<()> {
        let post_id = post_id.to_owned();
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "DELETE FROM posts WHERE post_id = ?1 AND scraped_us / 1000 <= ?2",
                    )?
                    .execute(params![post_id, now.as_millisecond()])?;
                Ok(())
            })
            .await
    }

    async fn forget_posts(&self, now: Timestamp) -> Result<()> {
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT INTO settings (name, value) VALUES ('posts_forgotten_ms', ?1)
                         ON CONFLICT (name) DO UPDATE SET value = MAX(value, excluded.value)",
                    )?
                    .execute(params![now.as_millisecond()])?;
                Ok(())
            })
            .await
    }

    async fn posts_forgotten_at(&self) -> Result<Option<Timestamp>> {
        self.readers
            .run(|connection| {
                let forgotten: Option<i64> = connection
                    .prepare_cached("SELECT value FROM settings WHERE name = 'posts_forgotten_ms'")?
                    .query_row([], |row| row.get(0))
                    .optional()?;
                forgotten.map(time).transpose()
            })
            .await
    }

    async fn finding(&self, sha256: &str, detector: &str, now: Timestamp) -> Result<Option<Value>> {
        let (sha256, detector) = (sha256.to_owned(), detector.to_owned());
        self.readers
            .run(move |connection| {
                let found: Option<String> = connection
                    .prepare_cached(
                        "SELECT finding FROM findings WHERE sha256 = ?1 AND detector = ?2 AND expires_ms > ?3",
                    )?
                    .query_row(params![sha256, detector, now.as_millisecond()], |row| {
                        row.get(0)
                    })
                    .optional()?;
                found
                    .map(|text| from_json("a detector's answer", &text))
                    .transpose()
            })
            .await
    }

    async fn keep_finding(
        &self,
        sha256: &str,
        detector: &str,
        finding: &Value,
        now: Timestamp,
    ) -> Result<()> {
        let (sha256, detector, text) = (sha256.to_owned(), detector.to_owned(), to_json(finding)?);
        let expires_ms = after(now.as_millisecond(), self.policy.finding_reuse_s);
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO findings (sha256, detector, finding, expires_ms) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![sha256, detector, text, expires_ms])?;
                Ok(())
            })
            .await
    }

    async fn alike(
        &self,
        detector: &str,
        appearance: &Appearance,
        now: Timestamp,
    ) -> Result<Vec<KeptAppearance>> {
        let (detector, bands) = (detector.to_owned(), appearance.bands());
        self.readers
            .run(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT sha256, hash, cells FROM appearances WHERE detector = ?1 AND band = ?2 AND expires_ms > ?3 LIMIT ?4",
                )?;
                let mut found = Vec::new();
                for band in bands {
                    let key = params![detector, band, now.as_millisecond(), ALIKE];
                    let mut rows = statement.query(key)?;
                    while let Some(row) = rows.next()? {
                        let hash: i64 = row.get(1)?;
                        let appearance = Appearance {
                            hash: hash.cast_unsigned(),
                            cells: row.get(2)?,
                        };
                        let sha256 = row.get(0)?;
                        found.push(KeptAppearance { sha256, appearance });
                    }
                }
                Ok(each_once(found))
            })
            .await
    }

    async fn keep_appearance(
        &self,
        detector: &str,
        kept: &KeptAppearance,
        now: Timestamp,
    ) -> Result<()> {
        let (detector, kept) = (detector.to_owned(), kept.clone());
        let expires_ms = after(now.as_millisecond(), self.policy.finding_reuse_s);
        self.writer
            .run(move |connection| {
                let KeptAppearance { sha256, appearance } = kept;
                let mut statement = connection.prepare_cached(
                    "INSERT OR REPLACE INTO appearances (detector, band, sha256, hash, cells, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                for band in appearance.bands() {
                    let hash = appearance.hash.cast_signed();
                    statement.execute(params![
                        detector,
                        band,
                        sha256,
                        hash,
                        appearance.cells,
                        expires_ms
                    ])?;
                }
                Ok(())
            })
            .await
    }
}
