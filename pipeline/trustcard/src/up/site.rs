//! The sample site in the place of the upstream.

use std::path::Path;

use anyhow::{Context, Result};
use sample_site::{SamplePost, SampleSite, SiteConfig};

use crate::settings::Settings;

/// Requests a minute against the sample site: as many as come.
const NO_LIMIT: u32 = 10_000_000;

/// The running site.
pub struct Site(SampleSite);

impl Site {
    /// The posts to submit, with how each must end.
    #[must_use]
    pub fn posts(&self) -> Vec<SamplePost> {
        self.0.posts().to_vec()
    }
}

/// Starts the site and points the scraper at it.
///
/// # Errors
/// When it can't be started, or the folder holds nothing to show.
pub async fn start(settings: &mut Settings, posts: Option<&Path>) -> Result<Site> {
    let config = SiteConfig {
        folder: posts.map(Path::to_owned),
        ..SiteConfig::default()
    };
    let site = SampleSite::start(config)
        .await
        .context("the sample site can't be started")?;
    let scrape = &mut settings.scrape;
    scrape.upstream.base_url = site.base_url().to_owned();
    scrape.network.allow_loopback = true;
    scrape.network.media_hosts = vec!["127.0.0.1".to_owned()];
    scrape.budget.egress_per_minute = NO_LIMIT;
    Ok(Site(site))
}
