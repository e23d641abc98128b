//! `trustcard topics`: TrustCard's topics on a real Kafka, as they are and as the settings want them.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::{Args, Subcommand};
use engine::admin::{AdminError, Difference, Remedy, TopicSpec, Topics};
use serde_json::{Value, json};

use crate::{
    exit::Failure,
    settings::Settings,
    show::{numbers, say, table},
};

/// Commands about topics.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Create what is missing, add partitions where more are configured; never shrinks or deletes
    Create(CreateArgs),
    /// Name every difference between the topics and the configuration; exit code 1 when there is one
    Check(ShowArgs),
    /// Show the topics as they are
    Describe(ShowArgs),
}

/// Options of `topics create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Set retention, sizes and in-sync copies of existing topics as configured too; without it they are only named
    #[arg(long)]
    pub apply_config: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// How to show them.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs a command; `false` when the topics are not as configured.
///
/// # Errors
/// When the broker does not answer or refuses.
pub async fn run(command: TopicsCommand, settings: &Settings) -> Result<bool> {
    let specs = settings.topics.specs();
    let topics = Topics::new(&settings.kafka.cluster()).map_err(failed)?;
    match command {
        TopicsCommand::Create(args) => create(&topics, &specs, &args).await,
        TopicsCommand::Check(args) => check(&topics, &specs, args.json).await,
        TopicsCommand::Describe(args) => {
            describe(&topics, &specs, args.json).await?;
            Ok(true)
        }
    }
}

async fn create(topics: &Topics, specs: &[TopicSpec], args: &CreateArgs) -> Result<bool> {
    let found = topics.differences(specs).await.map_err(failed)?;
    let (wanted, kept): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| match one.remedy() {
        Remedy::Create | Remedy::AddPartitions => true,
        Remedy::SetConfig => args.apply_config,
        Remedy::Refuse => false,
    });
    let left = if args.dry_run || wanted.is_empty() {
        kept
    } else {
        topics.mend(specs, &wanted).await.map_err(failed)?
    };
    let done: Vec<&Difference> = wanted.iter().filter(|one| !left.contains(one)).collect();
    if args.json {
        let done: Vec<_> = done
            .iter()
            .map(|one| json!({ "topic": one.topic(), "was": one.to_string(), "action": action(one) }))
            .collect();
        say!(
            "{}",
            json!({ "dry_run": args.dry_run, "done": done, "left": left.iter().map(told).collect::<Vec<_>>() })
        );
        return Ok(left.is_empty());
    }
    let would = if args.dry_run { "would be " } else { "" };
    for one in &done {
        say!("{would}{}: {one}", action(one));
    }
    if done.is_empty() && left.is_empty() {
        say!("All {} topics are as configured.", specs.len());
    }
    if done.iter().any(|one| one.remedy() == Remedy::AddPartitions) {
        say!(
            "More partitions: keys move among them, so until what was written before is worked off, two records of one post may \
             be worked on at once and out of order. Results stay one per run; for strict order let lag fall to 0 first."
        );
    }
    name(&left)?;
    Ok(left.is_empty())
}

async fn check(topics: &Topics, specs: &[TopicSpec], as_json: bool) -> Result<bool> {
    let left = topics.differences(specs).await.map_err(failed)?;
    if as_json {
        let differences: Vec<Value> = left.iter().map(told).collect();
        say!(
            "{}",
            json!({ "topics": specs.len(), "differences": differences })
        );
    } else if left.is_empty() {
        say!("All {} topics are as configured.", specs.len());
    } else {
        name(&left)?;
    }
    Ok(left.is_empty())
}

async fn describe(topics: &Topics, specs: &[TopicSpec], as_json: bool) -> Result<()> {
    let names: Vec<String> = specs.iter().map(|spec| spec.name.clone()).collect();
    let found = topics.describe(&names).await.map_err(failed)?;
    // What any topic is configured with.
    let keys: BTreeSet<&String> = specs.iter().flat_map(|spec| spec.config.keys()).collect();
    if as_json {
        let all = names.iter().map(|name| {
            let state = found.get(name);
            let config = state.map(|state| {
                let pairs = keys.iter().filter_map(|key| {
                    Some((
                        (*key).clone(),
                        Value::from(state.config.get(*key)?.as_str()),
                    ))
                });
                Value::Object(pairs.collect())
            });
            json!({
                "topic": name,
                "exists": state.is_some(),
                "partitions": state.map(|state| state.partitions),
                "replication": state.map(|state| state.replication),
                "config": config,
            })
        });
        say!("{}", json!({ "topics": all.collect::<Vec<_>>() }));
        return Ok(());
    }
    let headings = ["topic", "partitions", "copies"].into_iter();
    let headings: Vec<&str> = headings
        .chain(keys.iter().map(|key| key.as_str()))
        .collect();
    let mut shown = table(&headings);
    for name in &names {
        let Some(state) = found.get(name) else {
            shown.add_row([name.as_str(), "missing"]);
            continue;
        };
        let own = [
            name.clone(),
            state.partitions.to_string(),
            state.replication.to_string(),
        ];
        let config = keys.iter().map(|key| {
            let value = state.config.get(*key);
            value.cloned().unwrap_or_else(|| "-".to_owned())
        });
        shown.add_row(own.into_iter().chain(config));
    }
    numbers(&mut shown, &[1, 2]);
    say!("{shown}");
    Ok(())
}

const fn action(difference: &Difference) -> &'static str {
    match difference.remedy() {
        Remedy::Create => "created",
        Remedy::AddPartitions => "partitions added",
        Remedy::SetConfig => "set",
        Remedy::Refuse => "refused",
    }
}

/// What a person may do about what is left.
const fn advice(difference: &Difference) -> &'static str {
    match difference {
        Difference::Missing { .. } => "run `trustcard topics create`",
        Difference::Config { .. } => "run `trustcard topics create --apply-config`",
        Difference::Replication { .. } => "move it with Kafka's own kafka-reassign-partitions",
        Difference::Partitions {
            compacted: true, ..
        } => {
            "a compacted topic keeps its partitions, or old results of a post would stay beside newer ones: set \
             topics.partitions_of to what it has"
        }
        Difference::Partitions { found, wanted, .. } if *found > *wanted => {
            "topics never shrink: set topics.partitions, or topics.partitions_of, to what it has"
        }
        Difference::Partitions { .. } => "run `trustcard topics create`",
    }
}

fn told(difference: &Difference) -> Value {
    json!({ "topic": difference.topic(), "difference": difference.to_string(), "advice": advice(difference) })
}

fn name(left: &[Difference]) -> Result<()> {
    for one in left {
        say!("{one}; {}", advice(one));
    }
    Ok(())
}

fn failed(error: AdminError) -> anyhow::Error {
    match error {
        AdminError::Kafka(_) => Failure::Unavailable(error.to_string()).into(),
        error => error.into(),
    }
}
