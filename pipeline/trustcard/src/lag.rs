//! `trustcard lag`: what the monitor measures, for people and scripts.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use comfy_table::Table;
use engine::{
    SystemClock,
    lag::{GroupLag, Lag, LagError, Monitor, PartitionLag, State},
};
use serde_json::{Value, json};

use crate::{
    cli::LagArgs,
    exit::Failure,
    roles::monitor,
    settings::Settings,
    show::{numbers, say, table},
    up,
};

/// Time between two looks of `--watch`.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// When the broker can't be reached. With `--watch` only the first time: later it says so and looks again.
pub async fn run(args: LagArgs, settings: &Settings) -> Result<()> {
    let mut kafka = settings.kafka.clone();
    let running = || up::bootstrap_of(&args.data_dir);
    if let Some(bootstrap) = args.bootstrap.clone().or_else(running) {
        kafka.bootstrap = bootstrap;
    }
    let mut config = settings.monitor.clone();
    config.groups.extend(args.groups.iter().cloned());
    if let Some(problem) = config.problems().first() {
        return Err(Failure::Configuration(format!("monitor.{problem}")).into());
    }
    let kafka = kafka.cluster();
    let mut monitor = monitor::of(&kafka, &config.groups, Arc::new(SystemClock))?;
    let first = look(&mut monitor).await?;
    show(&first, &args)?;
    if !args.watch {
        return Ok(());
    }
    loop {
        tokio::time::sleep(AGAIN).await;
        match look(&mut monitor).await {
            Ok(lag) => show(&lag, &args)?,
            Err(Failure::Unavailable(why)) if args.json => say!("{}", json!({ "problem": why })),
            Err(Failure::Unavailable(why)) => say!("{why}"),
            Err(other) => return Err(other.into()),
        }
    }
}

async fn look(monitor: &mut Monitor) -> Result<Lag, Failure> {
    let lag = monitor.round().await.map_err(|error| match error {
        LagError::Settings(_) => Failure::Configuration(error.to_string()),
        LagError::Unreachable { .. } | LagError::Interrupted => Failure::Unavailable(format!(
            "{error}; start it, or name another with --bootstrap"
        )),
    })?;
    // Metadata comes from any broker; commits from the groups' own, which may be gone.
    match lag.groups.iter().find_map(|group| group.problem.as_ref()) {
        Some(problem) if lag.groups.iter().all(|group| group.problem.is_some()) => Err(
            Failure::Unavailable(format!("the commits of no group can be had: {problem}")),
        ),
        _ => Ok(lag),
    }
}

fn show(lag: &Lag, args: &LagArgs) -> std::io::Result<()> {
    if args.json {
        say!("{}", document(lag));
        return Ok(());
    }
    if args.watch && std::io::stdout().is_terminal() {
        // Clears the terminal and goes home.
        write!(std::io::stdout(), "\x1b[2J\x1b[H")?;
    }
    let table = if args.partitions {
        partitions(lag)
    } else {
        topics(lag)
    };
    say!("{table}");
    if let Some(problem) = &lag.problem {
        say!("{problem}");
    }
    if args.watch {
        say!("{}", lag.at.strftime("%H:%M:%S UTC"));
    }
    Ok(())
}

fn document(lag: &Lag) -> Value {
    let groups: Vec<Value> = lag
        .groups
        .iter()
        .map(|group| {
            let sum = Sum::of(&group.partitions);
            json!({
                "group": group.group,
                "complete": group.complete(),
                "problem": group.problem,
                "lag": sum.lag,
                "exact": sum.exact,
                "lag_seconds": sum.seconds,
                "partitions": group.partitions,
            })
        })
        .collect();
    let sum = Sum::of(lag.groups.iter().flat_map(|group| &group.partitions));
    json!({
        "at": lag.at,
        "complete": lag.complete(),
        "problem": lag.problem,
        "lag": sum.lag,
        "exact": sum.exact,
        "lag_seconds": sum.seconds,
        "groups": groups,
    })
}

/// Partitions taken together.
struct Sum {
    partitions: usize,
    lag: i64,
    exact: bool,
    /// The oldest; `None` when none is known.
    seconds: Option<f64>,
    states: BTreeMap<State, usize>,
}

impl Sum {
    fn of<'a>(partitions: impl IntoIterator<Item = &'a PartitionLag>) -> Self {
        let mut sum = Self {
            partitions: 0,
            lag: 0,
            exact: true,
            seconds: None,
            states: BTreeMap::new(),
        };
        for partition in partitions {
            sum.partitions += 1;
            sum.lag += partition.lag.unwrap_or_default();
            sum.exact &= partition.exact;
            sum.seconds = match (sum.seconds, partition.lag_seconds) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            };
            *sum.states.entry(partition.state).or_default() += 1;
        }
        sum
    }

    fn states(&self) -> String {
        let notable = self.states.iter().filter(|(state, _)| **state != State::Ok);
        let notable: Vec<String> = notable
            .map(|(state, count)| match count {
                1 => words(*state),
                _ => format!("{} ({count})", words(*state)),
            })
            .collect();
        if notable.is_empty() {
            "ok".to_owned()
        } else {
            notable.join(", ")
        }
    }
}

fn words(state: State) -> String {
    state.name().replace('_', " ")
}

/// A line for each topic of each group.
fn topics(lag: &Lag) -> Table {
    let mut table = table(&["group", "topic", "partitions", "lag", "oldest", "state"]);
    for group in &lag.groups {
        for some in group.partitions.chunk_by(|a, b| a.topic == b.topic) {
            let Some(first) = some.first() else { continue };
            let sum = Sum::of(some);
            table.add_row([
                group.group.clone(),
                first.topic.clone(),
                sum.partitions.to_string(),
                records(sum.lag, sum.exact),
                age(sum.seconds),
                sum.states(),
            ]);
        }
        add_empty(&mut table, group);
    }
    let sum = Sum::of(lag.groups.iter().flat_map(|group| &group.partitions));
    table.add_row([
        "all".to_owned(),
        String::new(),
        sum.partitions.to_string(),
        records(sum.lag, sum.exact),
        age(sum.seconds.or((sum.partitions == 0).then_some(0.0))),
        String::new(),
    ]);
    numbers(&mut table, &[2, 3, 4]);
    table
}

/// A line for each partition of each group.
fn partitions(lag: &Lag) -> Table {
    let mut table = table(&[
        "group",
        "topic",
        "partition",
        "committed",
        "end",
        "lag",
        "oldest",
        "state",
    ]);
    for group in &lag.groups {
        for one in &group.partitions {
            table.add_row([
                group.group.clone(),
                one.topic.clone(),
                one.partition.to_string(),
                number(one.committed),
                number(one.end),
                one.lag
                    .map_or_else(|| "?".to_owned(), |lag| records(lag, one.exact)),
                age(one.lag_seconds),
                words(one.state),
            ]);
        }
        add_empty(&mut table, group);
    }
    numbers(&mut table, &[2, 3, 4, 5, 6]);
    table
}

/// A line for a group without partitions, which says why.
fn add_empty(table: &mut Table, group: &GroupLag) {
    if group.partitions.is_empty() {
        let why = group.problem.as_deref();
        let why = why.unwrap_or("no commits, and none of its topics exist");
        let columns = table.column_count();
        let mut row = vec![group.group.clone()];
        row.resize(columns.saturating_sub(1), String::new());
        row.push(why.to_owned());
        table.add_row(row);
    }
}

/// A count; `~` where markers of transactions may be in it.
fn records(lag: i64, exact: bool) -> String {
    format!("{}{lag}", if exact { "" } else { "~" })
}

fn number(offset: Option<i64>) -> String {
    offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string())
}

/// An age in its two largest units.
fn age(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else {
        return "?".to_owned();
    };
    let whole = Duration::try_from_secs_f64(seconds).map_or(u64::MAX, |age| age.as_secs());
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{minutes} min {} s", whole % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(
        number: i32,
        lag: Option<i64>,
        seconds: Option<f64>,
        state: State,
    ) -> PartitionLag {
        PartitionLag {
            topic: "t".to_owned(),
            partition: number,
            committed: None,
            log_start: Some(0),
            last_stable: Some(10),
            end: Some(10),
            lag,
            exact: lag != Some(500),
            lag_seconds: seconds,
            state,
        }
    }

    fn lag() -> Lag {
        let group = |name: &str, partitions: Vec<PartitionLag>, problem: Option<&str>| GroupLag {
            group: name.to_owned(),
            problem: problem.map(str::to_owned),
            partitions,
        };
        Lag {
            at: "2026-09-01T10:20:30Z".parse().unwrap(),
            groups: vec![
                group("empty", vec![], None),
                group("lost", vec![], Some("no coordinator")),
                group(
                    "work",
                    vec![
                        partition(0, Some(500), Some(75.0), State::Ok),
                        partition(1, Some(2), Some(0.25), State::NoCommit),
                        partition(2, None, None, State::Unavailable),
                    ],
                    None,
                ),
            ],
            problem: None,
        }
    }

    #[test]
    fn a_topic_is_one_line_with_sums_the_oldest_and_what_is_to_be_said() {
        let text = topics(&lag()).to_string();
        let line = |word: &str| {
            let line = text.lines().find(|line| line.contains(word));
            line.unwrap_or_else(|| panic!("{word} in\n{text}"))
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            line("work"),
            "work t 3 ~502 1 min 15 s no commit, unavailable"
        );
        assert_eq!(line("all"), "all 3 ~502 1 min 15 s");
        assert!(line("lost").ends_with("no coordinator"));
        assert!(line("empty").contains("no commits"));
    }

    #[test]
    fn what_is_not_known_is_a_question_mark_and_never_a_number() {
        let text = partitions(&lag()).to_string();
        let last = text.lines().find(|line| line.contains("unavailable"));
        let words: Vec<&str> = last.unwrap().split_whitespace().collect();
        assert_eq!(
            words,
            ["work", "t", "2", "-", "10", "?", "?", "unavailable"]
        );
    }

    #[test]
    fn the_document_has_sums_and_every_partition() {
        let document = document(&lag());
        assert_eq!(document["lag"], 502);
        assert_eq!(document["lag_seconds"], 75.0);
        assert_eq!(document["complete"], false);
        let work = &document["groups"][2];
        assert_eq!(
            (&work["group"], &work["exact"]),
            (&json!("work"), &json!(false))
        );
        assert_eq!(work["partitions"][1]["state"], "no_commit");
        assert_eq!(work["partitions"][2]["lag"], Value::Null);
        assert_eq!(document["groups"][1]["problem"], "no coordinator");
    }

    #[test]
    fn ages_have_two_units() {
        let ages = [
            (0.0, "0.0 s"),
            (9.94, "9.9 s"),
            (59.9, "59 s"),
            (61.0, "1 min 1 s"),
            (7_260.0, "2 h 1 min"),
            (180_000.0, "2 d 2 h"),
        ];
        for (seconds, text) in ages {
            assert_eq!(age(Some(seconds)), text);
        }
        assert_eq!(age(None), "?");
        assert!(age(Some(f64::INFINITY)).ends_with(" h"));
    }
}
