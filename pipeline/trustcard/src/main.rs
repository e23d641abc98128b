//! The one binary: a table of contents. Every command is a few lines of wiring around the rooms that do the work.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

mod cli;
mod client;
#[cfg(feature = "sample-site")]
mod demo;
mod dlq;
mod exit;
mod explain;
mod halts;
mod inspect;
mod keys;
mod lag;
mod migrate;
mod models;
mod parts;
mod replay;
mod roles;
mod rows;
mod settings;
mod show;
mod topics;
mod up;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let serves = cli.command.serves();
    let (ended, logged) = match start(cli) {
        Ok(ended) => (ended, serves),
        Err(error) => (Err(error), false),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        // The reader of standard output has seen enough.
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if !logged {
                eprintln!("trustcard: {error:#}");
            }
            exit::code(&error)
        }
    }
}

/// How the command ended. What serves has told of its failure in its log.
///
/// # Errors
/// When it could not be started, and there is no log yet.
fn start(cli: cli::Cli) -> Result<Result<bool>> {
    let (layers, loaded) = settings::load(cli.command.serves_api());
    if let cli::Command::CheckConfig(args) = &cli.command {
        settings::check(args, &layers, loaded)?;
        return Ok(Ok(true));
    }
    let wrong = |faults: engine::config::Faults| exit::Failure::Configuration(faults.to_string());
    let mut settings = loaded.map_err(wrong)?.settings;
    let serves = cli.command.serves();
    if !serves {
        // A table or a progress bar is what these show; their logs are for when something is wrong.
        settings.telemetry.file = None;
        if !settings::names_log_level() {
            settings.telemetry.level = "WARN".to_owned();
        }
    }
    // Everything that makes requests, the sender of traces included, uses this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let telemetry = engine::telemetry::init(&settings.telemetry, cli.command.name())
        .map_err(|error| exit::Failure::Configuration(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(run(cli.command, settings));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    if let Some(error) = ended.as_ref().err().filter(|_| serves) {
        tracing::error!(error = %format!("{error:#}"), "ended");
    }
    telemetry.flush();
    Ok(ended)
}

/// `Ok(false)` is a command that did its work and found something that is not as it should be.
async fn run(command: cli::Command, settings: settings::Settings) -> Result<bool> {
    use cli::Command;
    match command {
        Command::Up(args) => up::run(args, settings).await?,
        #[cfg(feature = "sample-site")]
        Command::Demo(args) => return demo::run(args, settings).await,
        Command::Api(args) => roles::run(roles::Role::Api, args, settings).await?,
        Command::Record(args) => roles::run(roles::Role::Record, args, settings).await?,
        Command::Scrape(args) => roles::run(roles::Role::Scrape, args, settings).await?,
        Command::Detect(args) => roles::run(roles::Role::Detect, args, settings).await?,
        Command::Score(args) => match args.command {
            Some(command) => return explain::run(command, &settings).await,
            None => roles::run(roles::Role::Score, args.role, settings).await?,
        },
        Command::Webhook(args) => roles::run(roles::Role::Webhook, args, settings).await?,
        Command::Monitor => roles::monitor::run(settings).await?,
        Command::Submit(args) => return client::submit::run(args).await,
        Command::Batch(args) => return client::batch::run(args).await,
        Command::Results(args) => client::results::run(args, &settings).await?,
        Command::Lag(args) => lag::run(args, &settings).await?,
        Command::Topics(command) => return topics::run(command, &settings).await,
        Command::Migrate(args) => migrate::run(args, &settings).await?,
        Command::Dlq(command) => return dlq::run(command, &settings).await,
        Command::Replay(args) => return replay::run(args, &settings).await,
        Command::Keys(command) => return keys::run(command, &settings).await,
        Command::Models(command) => models::run(command, &settings).await?,
        Command::Inspect(args) => inspect::run(args, &settings).await?,
        // Shown before anything is started.
        Command::CheckConfig(_) => {}
    }
    Ok(true)
}
