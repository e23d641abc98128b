//! The command line. Exit codes are listed in [`crate::exit`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;
use trustcard_client::Status;
use uuid::Uuid;

/// How far to trust a post: an event-driven pipeline from URLs to scores.
#[derive(Debug, Parser)]
#[command(name = "trustcard", version, after_help = crate::exit::HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands. The first ones run the pipeline, the rest speak to it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run every role in this process, by default on embedded parts: a broker in memory, SQLite, a folder of media
    Up(UpArgs),
    /// Run sample posts through the whole pipeline and show what came out
    #[cfg(feature = "sample-site")]
    Demo(DemoArgs),
    /// Run the HTTP API alone
    Api(RoleArgs),
    /// Run the projection of submissions into rows alone
    Record(RoleArgs),
    /// Run the scrape stage alone
    Scrape(RoleArgs),
    /// Run the detect stage alone
    Detect(RoleArgs),
    /// Run the score stage alone, or explain a score
    Score(crate::explain::args::ScoreArgs),
    /// Tell partners, alone, when their analyses and batches have ended
    Webhook(RoleArgs),
    /// Watch how far consumer groups are behind, as metrics; needs the broker and nothing else
    Monitor,
    /// Send posts for analysis
    Submit(SubmitArgs),
    /// Show how far a batch is
    Batch(BatchArgs),
    /// Show results, newest first
    Results(ResultsArgs),
    /// Show how far consumer groups are behind, in records and in time
    Lag(LagArgs),
    /// Create and check the topics on a real Kafka
    #[command(subcommand)]
    Topics(crate::topics::TopicsCommand),
    /// Create the tables of ScyllaDB or Cassandra, or bring them up to date
    Migrate(crate::migrate::MigrateArgs),
    /// Look at dead letters, send them back, let a halted stage go on
    #[command(subcommand)]
    Dlq(crate::dlq::args::DlqCommand),
    /// Score again what was detected between two times
    Replay(crate::replay::args::ReplayArgs),
    /// Make, show, rotate and revoke the keys of partners and admins
    #[command(subcommand)]
    Keys(crate::keys::KeysCommand),
    /// Fetch and check the models
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Look at local pictures with every detector, and show what was seen
    Inspect(crate::inspect::InspectArgs),
    /// Check the configuration and show every setting, its value and where that comes from, secrets hidden
    CheckConfig(CheckConfigArgs),
}

impl Command {
    /// Whether it runs until it is told to end; its logs are then what it shows.
    #[must_use]
    pub const fn serves(&self) -> bool {
        if let Self::Score(args) = self {
            return args.command.is_none();
        }
        matches!(
            self,
            Self::Up(_)
                | Self::Api(_)
                | Self::Record(_)
                | Self::Scrape(_)
                | Self::Detect(_)
                | Self::Webhook(_)
                | Self::Monitor
        )
    }

    /// Whether the settings of the HTTP API are part of it or of what it shows, its secret for one.
    #[must_use]
    pub const fn serves_api(&self) -> bool {
        #[cfg(feature = "sample-site")]
        if matches!(self, Self::Demo(_)) {
            return true;
        }
        matches!(
            self,
            Self::Up(_) | Self::Api(_) | Self::Webhook(_) | Self::CheckConfig(_)
        )
    }

    /// Its name, part of the service's name in traces.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            #[cfg(feature = "sample-site")]
            Self::Demo(_) => "demo",
            Self::Api(_) => "api",
            Self::Record(_) => "record",
            Self::Scrape(_) => "scrape",
            Self::Detect(_) => "detect",
            Self::Score(_) => "score",
            Self::Webhook(_) => "webhook",
            Self::Monitor => "monitor",
            Self::Submit(_) => "submit",
            Self::Batch(_) => "batch",
            Self::Results(_) => "results",
            Self::Lag(_) => "lag",
            Self::Topics(_) => "topics",
            Self::Migrate(_) => "migrate",
            Self::Dlq(_) => "dlq",
            Self::Replay(_) => "replay",
            Self::Keys(_) => "keys",
            Self::Models(_) => "models",
            Self::Inspect(_) => "inspect",
            Self::CheckConfig(_) => "check-config",
        }
    }
}

/// Where a role keeps its data.
#[derive(Debug, Args)]
pub struct RoleArgs {
    /// Folder of rows and media
    #[arg(long, default_value = "data")]
    pub data_dir: PathBuf,
}

/// Options of `up`.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// Scrape the built-in sample site instead of the real one
    #[arg(long)]
    pub sample_site: bool,
    /// On the configured Kafka and database instead of embedded parts; their topics and tables must be there
    #[arg(long)]
    pub real: bool,
    /// Leave the models out; their components say `skipped: models_off`
    #[arg(long)]
    pub no_ml: bool,
    /// Folder of rows and media; kept over restarts
    #[arg(long, default_value = "data")]
    pub data_dir: PathBuf,
}

/// Options of `demo`.
#[cfg(feature = "sample-site")]
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End after the table; the exit code is 0 only if every post ended as it should
    #[arg(long)]
    pub exit: bool,
    /// One JSON document on standard output instead of the table
    #[arg(long)]
    pub json: bool,
    /// Analyse the pictures of this folder instead: each picture is a post, a text file of the same name its caption, each
    /// subfolder a carousel
    #[arg(long, value_name = "DIR")]
    pub posts: Option<PathBuf>,
    /// On the configured Kafka and database instead of embedded parts; their topics and tables must be there
    #[arg(long)]
    pub real: bool,
    /// Leave the models out
    #[arg(long)]
    pub no_ml: bool,
    /// Folder for the demo's data; its subfolder `demo` is made anew each time
    #[arg(long, default_value = "data")]
    pub data_dir: PathBuf,
}

/// Where the API is.
#[derive(Debug, Args)]
pub struct ApiArgs {
    /// Address of the API
    #[arg(long, env = "TRUSTCARD_URL", default_value = "http://127.0.0.1:8000")]
    pub api: String,
    /// Key to send; batches and listings need one outside development
    #[arg(long, env = "TRUSTCARD_KEY", hide_env_values = true)]
    pub key: Option<SecretString>,
}

/// Options of `submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// URLs of posts
    #[arg(required_unless_present = "file")]
    pub urls: Vec<String>,
    /// File with one URL a line; `-` reads standard input. What was sent of a file is kept in FILE.journal until all is done: after a
    /// cut the same command goes on there
    #[arg(long, conflicts_with = "urls")]
    pub file: Option<PathBuf>,
    /// Wait until every post has its result
    #[arg(long)]
    pub wait: bool,
    /// Wait, then write what became of every URL to this file, a JSON document on a line
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
    /// Where the API is.
    #[command(flatten)]
    pub api: ApiArgs,
}

/// Options of `batch`.
#[derive(Debug, Args)]
pub struct BatchArgs {
    /// The batch, as `submit` or the API told its id
    #[arg(value_name = "ID")]
    pub batch_id: Uuid,
    /// Look again until every post has ended
    #[arg(long)]
    pub watch: bool,
    /// One JSON document on a line, with --watch one for every change
    #[arg(long)]
    pub json: bool,
    /// Where the API is.
    #[command(flatten)]
    pub api: ApiArgs,
}

/// Where an analysis stands, as it is typed.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum StatusName {
    /// Accepted, not begun
    Pending,
    /// Begun
    Processing,
    /// Ended with a score
    Completed,
    /// Ended without one
    Failed,
}

impl From<StatusName> for Status {
    fn from(status: StatusName) -> Self {
        match status {
            StatusName::Pending => Self::Pending,
            StatusName::Processing => Self::Processing,
            StatusName::Completed => Self::Completed,
            StatusName::Failed => Self::Failed,
        }
    }
}

/// Options of `results`.
#[derive(Debug, Args)]
pub struct ResultsArgs {
    /// Keep printing results and deletions as they come, read from the results topic
    #[arg(long)]
    pub follow: bool,
    /// Only those that stand there
    #[arg(long, value_enum, conflicts_with = "follow")]
    pub status: Option<StatusName>,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,
    /// Broker for --follow; by default the one that `trustcard up` wrote into the data folder, else the configured one
    #[arg(long)]
    pub bootstrap: Option<String>,
    /// Data folder of the running `trustcard up`
    #[arg(long, default_value = "data")]
    pub data_dir: PathBuf,
    /// One JSON line per result
    #[arg(long)]
    pub json: bool,
    /// Where the API is.
    #[command(flatten)]
    pub api: ApiArgs,
}

/// Options of `lag`.
#[derive(Debug, Args)]
pub struct LagArgs {
    /// Another group to show beside TrustCard's own and those of `monitor.groups`; `name*` is every group that begins so
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// A line for each partition
    #[arg(short = 'v', long)]
    pub partitions: bool,
    /// Look again every second
    #[arg(long)]
    pub watch: bool,
    /// One JSON document on a line, with every partition
    #[arg(long)]
    pub json: bool,
    /// Broker; by default the one that `trustcard up` wrote into the data folder, else the configured one
    #[arg(long)]
    pub bootstrap: Option<String>,
    /// Data folder of the running `trustcard up`
    #[arg(long, default_value = "data")]
    pub data_dir: PathBuf,
}

/// Options of `check-config`.
#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// One JSON document on standard output: the settings, or the faults
    #[arg(long)]
    pub json: bool,
}

/// Commands about models.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Fetch what is missing, check every file
    Pull,
    /// Show the registry and what is installed
    Ls {
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
}
