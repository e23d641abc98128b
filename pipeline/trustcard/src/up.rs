//! `trustcard up`: every role in one process, on embedded parts or on real servers, over the same topics and the same code.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use engine::{
    embedded::EmbeddedBroker,
    lifecycle::{Readiness, Shutdown},
};
use serde_json::json;

pub use folder::DataFolder;
use ground::Ground;

use crate::{
    cli::UpArgs,
    parts::Parts,
    roles::{self, Role, Tasks},
    settings::Settings,
    show::say,
};

mod dead_letters;
mod folder;
mod ground;
mod republish;
#[cfg(feature = "sample-site")]
mod site;

/// A running `up`.
pub struct Up {
    parts: Parts,
    /// The broker in this process; `None` on real servers.
    broker: Option<EmbeddedBroker>,
    api: SocketAddr,
    shutdown: Shutdown,
    tasks: Tasks,
    /// The inference runtime; `None` with models off.
    runtime: Option<String>,
    folder: DataFolder,
    #[cfg(feature = "sample-site")]
    site: Option<site::Site>,
}

/// Runs the command until a signal.
///
/// # Errors
/// When a part can't be started or breaks.
pub async fn run(args: UpArgs, settings: Settings) -> Result<()> {
    let folder = DataFolder::take(&args.data_dir)?;
    let up = Up::start(&args, folder, settings, None).await?;
    up.greet()?;
    up.run_until_signal().await
}

/// Where a running `up` says how it is reached, for commands that look for it.
#[must_use]
pub fn run_file(data_dir: &Path) -> PathBuf {
    data_dir.join("up.json")
}

/// The broker of the `up` that runs, or ran last, on `data_dir`.
#[must_use]
pub fn bootstrap_of(data_dir: &Path) -> Option<String> {
    let told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run_file(data_dir)).ok()?).ok()?;
    told["bootstrap"].as_str().map(str::to_owned)
}

impl Up {
    /// Starts every part on `folder`; `posts` is a folder of pictures for the sample site to show instead of its own posts.
    ///
    /// # Errors
    /// When a part can't be started.
    pub async fn start(
        args: &UpArgs,
        folder: DataFolder,
        mut settings: Settings,
        posts: Option<&Path>,
    ) -> Result<Self> {
        let listener = roles::api::bind(&settings.api).await?;
        settings.detect.models_enabled &= !args.no_ml;
        #[cfg(feature = "sample-site")]
        let site = if args.sample_site {
            Some(site::start(&mut settings, posts).await?)
        } else {
            None
        };
        #[cfg(not(feature = "sample-site"))]
        anyhow::ensure!(
            !args.sample_site && posts.is_none(),
            "this binary was built without the sample site"
        );

        let ground = if args.real {
            Ground::real(settings, folder.path()).await?
        } else {
            Ground::embedded(settings, folder.path()).await?
        };
        let parts = ground.parts;
        let (shutdown, mut tasks) = (Shutdown::new(), Tasks::new());
        parts.end_on_signal(&shutdown)?;
        for role in [Role::Record, Role::Scrape, Role::Score, Role::Webhook] {
            roles::start_stage(role, &parts, &shutdown, &mut tasks).await?;
        }
        let runtime = roles::start_detect(&parts, &shutdown, &mut tasks).await?;
        // No part of readiness: posts are taken whether or not lag is known.
        roles::monitor::start(
            &parts.kafka,
            &parts.settings.monitor,
            parts.clock.clone(),
            &parts.registry,
            None,
            &shutdown,
            &mut tasks,
        )?;
        republish::start(ground.unfinished, &parts, &shutdown, &mut tasks)?;
        let api = roles::api::start(listener, &parts, &shutdown, &mut tasks)?;
        let up = Self {
            parts,
            broker: ground.broker,
            api,
            shutdown,
            tasks,
            runtime,
            folder,
            #[cfg(feature = "sample-site")]
            site,
        };
        up.write_run_file()?;
        Ok(up)
    }

    fn write_run_file(&self) -> Result<()> {
        let data_dir = self.folder.path();
        let told = json!({ "api": self.api_url(), "bootstrap": self.bootstrap(), "pid": std::process::id() });
        // Renamed into place, so that whoever looks for it never reads half of it.
        let unfinished = data_dir.join("up.json.part");
        std::fs::write(&unfinished, told.to_string())
            .and_then(|()| std::fs::rename(&unfinished, run_file(data_dir)))
            .with_context(|| format!("{} can't be written", run_file(data_dir).display()))
    }

    fn greet(&self) -> Result<()> {
        say!("API      {}", self.api_url());
        let (bootstrap, embedded) = (self.bootstrap(), self.broker.is_some());
        if embedded {
            say!("broker   {bootstrap}  (in memory; try: kcat -b {bootstrap} -L)");
        } else {
            say!("broker   {bootstrap}");
        }
        say!("data     {}", self.folder.path().display());
        say!("models   {}", self.models_line());
        if embedded {
            say!(
                "Stages of other processes on this broker would escape its meter: scale out on a real Kafka."
            );
            say!(
                "Results and dead letters are rolling windows on their topics; every result is a row: `trustcard results`."
            );
        }
        Ok(())
    }

    /// Base address of the API.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Base address of the API of a later start with the same settings.
    #[cfg(feature = "sample-site")]
    #[must_use]
    pub fn usual_api_url(&self) -> String {
        let api = &self.parts.settings.api;
        format!("http://{}:{}", api.host, api.port)
    }

    /// Address of the broker.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        self.parts.kafka.bootstrap()
    }

    /// One line about the models.
    #[must_use]
    pub fn models_line(&self) -> String {
        match &self.runtime {
            Some(runtime) => format!("Models run on {runtime}."),
            None => "Models are off (--no-ml): pictures were not checked.".to_owned(),
        }
    }

    /// The posts of the sample site; none without it.
    #[cfg(feature = "sample-site")]
    #[must_use]
    pub fn sample_posts(&self) -> Vec<sample_site::SamplePost> {
        self.site
            .as_ref()
            .map(site::Site::posts)
            .unwrap_or_default()
    }

    /// Whether every part is ready.
    #[cfg(feature = "sample-site")]
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.parts.readiness.clone()
    }

    /// Does `work`, unless a part breaks before it is done.
    ///
    /// # Errors
    /// Those of the work, or that of the part.
    #[cfg(feature = "sample-site")]
    pub async fn unless_it_breaks<T>(
        &mut self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            done = work => done,
            Some(ended) = self.tasks.join_next() => {
                ended.context("a part of the process panicked")??;
                anyhow::bail!("interrupted")
            }
        }
    }

    /// Runs until a signal, or until a part breaks.
    ///
    /// # Errors
    /// The error of the part that broke.
    pub async fn run_until_signal(self) -> Result<()> {
        roles::finish(self.tasks, &self.shutdown).await
    }

    /// Drains and ends.
    ///
    /// # Errors
    /// The error of a part that broke.
    pub async fn stop(self) -> Result<()> {
        self.parts.readiness.fall();
        self.shutdown.begin();
        roles::finish(self.tasks, &self.shutdown).await
    }
}
