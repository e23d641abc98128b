//! `trustcard up`: every role in one process on embedded parts, over the same topics and the same code.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use engine::{
    embedded::{EmbeddedBroker, EmbeddedTopic},
    lifecycle::{Readiness, Shutdown},
};
use schemas::topics;
use serde_json::json;

use dead_letters::DeadLetterRows;
pub use folder::DataFolder;

use crate::{
    cli::UpArgs,
    parts::Parts,
    roles::{self, Role, Tasks},
    rows,
    settings::Settings,
    show::say,
};

mod dead_letters;
mod folder;
mod republish;
#[cfg(feature = "sample-site")]
mod site;

/// A running `up`.
pub struct Up {
    parts: Parts,
    broker: EmbeddedBroker,
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

        let broker = EmbeddedBroker::start(&embedded_topics(settings.embedded.partitions))
            .context("the embedded broker can't be started")?;
        let store = rows::embedded(&settings, folder.path())?;
        let kafka = broker.kafka().clone();
        let kafka = kafka.with_archive(Arc::new(DeadLetterRows(store.clone())));
        let parts = Parts::with_rows(store.clone().into(), settings, kafka, folder.path())?;
        let (shutdown, mut tasks) = (Shutdown::new(), Tasks::new());
        parts.end_on_signal(&shutdown)?;
        let unfinished = republish::unfinished(&store).await?;
        for role in [Role::Record, Role::Scrape, Role::Score] {
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
        republish::start(unfinished, &parts, &shutdown, &mut tasks)?;
        let api = roles::api::start(listener, &parts, &shutdown, &mut tasks)?;
        let up = Self {
            parts,
            broker,
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
        say!(
            "broker   {}  (in memory; try: kcat -b {} -L)",
            self.bootstrap(),
            self.bootstrap()
        );
        say!("data     {}", self.folder.path().display());
        say!("models   {}", self.models_line());
        say!(
            "Stages of other processes on this broker would escape its meter: scale out on a real Kafka."
        );
        say!(
            "Results and dead letters are rolling windows on their topics; every result is a row: `trustcard results`."
        );
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

    /// Address of the embedded broker.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        self.broker.kafka().bootstrap()
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

/// Every topic, and the groups that must have read a record before it may be forgotten. Results and dead letters have none:
/// there they are rolling windows.
fn embedded_topics(partitions: u32) -> Vec<EmbeddedTopic> {
    let required = |topic: &str| -> &[&str] {
        match topic {
            topics::SUBMISSIONS => &["record", "scrape"],
            topics::POSTS => &["detect"],
            topics::DETECTIONS => &["score"],
            _ => topics::STAGES
                .iter()
                .find(|stage| topics::retries(stage).iter().any(|retry| retry == topic))
                .map_or(&[], std::slice::from_ref),
        }
    };
    topics::all()
        .into_iter()
        .map(|topic| {
            let groups = required(&topic)
                .iter()
                .map(|stage| topics::group(stage))
                .collect();
            EmbeddedTopic {
                name: topic,
                partitions,
                required_groups: groups,
            }
        })
        .collect()
}
