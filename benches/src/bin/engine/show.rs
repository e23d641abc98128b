//! What the runs mean: ratios, a table, the conditions.

use std::{collections::BTreeMap, fs};

use anyhow::Result;
use benches::{Figure, Mark, Report, Spread};
use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::{Value, json};

use crate::{
    broker::Broker,
    input,
    leg::COMMIT_MS,
    peers::{BARE_ALO, BARE_EO, OURS_ALO, OURS_EO, RUSTSTREAM, STREAMS},
    run::{Args, Run},
};

/// Most memory a stage may need, MiB.
const MEMORY_MARK: f64 = 60.0;

/// Ratios of records per CPU-second with the mark of each.
const MARKED: [(&str, &str, &str, f64); 3] = [
    (
        "engine exactly-once / bare transactional loop",
        OURS_EO,
        BARE_EO,
        0.8,
    ),
    (
        "engine exactly-once / engine at-least-once",
        OURS_EO,
        OURS_ALO,
        0.95,
    ),
    (
        "engine exactly-once / Kafka Streams exactly_once_v2",
        OURS_EO,
        STREAMS,
        1.5,
    ),
];

/// The same without a mark.
const UNMARKED: [(&str, &str, &str); 3] = [
    (
        "engine at-least-once / bare at-least-once loop",
        OURS_ALO,
        BARE_ALO,
    ),
    (
        "bare transactional / bare at-least-once loop",
        BARE_EO,
        BARE_ALO,
    ),
    (
        "engine exactly-once / ruststream exactly-once",
        OURS_EO,
        RUSTSTREAM,
    ),
];

type Metric = fn(&Run) -> f64;
const PER_CPU: Metric = |run| run.records_per_cpu_second;
const PER_SECOND: Metric = |run| run.records_per_second;

/// The spread over the rounds of one leg by another, each pair from the same round; `None` when either did not run.
fn ratio(runs: &[Run], over: &str, under: &str, of: Metric) -> Option<Spread> {
    let find = |leg: &str, round| runs.iter().find(|r| r.leg == leg && r.round == round);
    let pairs = runs.iter().filter(|run| run.leg == over);
    Spread::of(pairs.filter_map(|run| Some(of(run) / of(find(under, run.round)?))))
}

/// What the runs come to.
pub fn report(runs: &[Run], settings: Value, measurement: bool) -> Report {
    let marked = MARKED.iter().filter_map(|(name, over, under, mark)| {
        let spread = ratio(runs, over, under, PER_CPU)?;
        Some(Mark::at_least(
            format!("{name}, records per CPU-second"),
            spread,
            *mark,
        ))
    });
    let peaks = runs
        .iter()
        .filter(|run| [OURS_ALO, OURS_EO].contains(&&*run.leg));
    let peak = peaks.map(|run| run.peak_mib).reduce(f64::max);
    let peak = peak.map(|peak| Mark::at_most("peak memory of the engine, MiB", peak, MEMORY_MARK));
    let unmarked = UNMARKED
        .iter()
        .map(|(name, over, under)| (name, over, under, PER_CPU, "CPU-second"));
    let wall = MARKED
        .iter()
        .map(|(name, over, under, _)| (name, over, under, PER_SECOND, "second"));
    let others = unmarked
        .chain(wall)
        .filter_map(|(name, over, under, of, per)| {
            Some(Figure {
                name: format!("{name}, records per {per}"),
                spread: ratio(runs, over, under, of)?,
            })
        });
    Report {
        name: "engine".to_owned(),
        measurement,
        ratios: marked.chain(peak).collect(),
        others: others.collect(),
        legs: json!({ "summary": summary(runs), "runs": runs }),
        settings,
    }
}

fn by_leg(runs: &[Run]) -> BTreeMap<&str, Vec<&Run>> {
    let mut legs: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        legs.entry(&run.leg).or_default().push(run);
    }
    legs
}

fn summary(runs: &[Run]) -> Value {
    let spread = |runs: &[&Run], of: Metric| Spread::of(runs.iter().map(|run| of(run)));
    let legs = by_leg(runs).into_iter().map(|(leg, runs)| {
        json!({
            "leg": leg,
            "records_per_second": spread(&runs, PER_SECOND),
            "records_per_cpu_second": spread(&runs, PER_CPU),
            "peak_mib": spread(&runs, |run| run.peak_mib),
        })
    });
    legs.collect()
}

/// One row for each leg: medians with their range.
pub fn table(runs: &[Run]) -> Table {
    let mut table = Table::new();
    let line = TableStyle::new().header_separator(LineStyle::new(' ', '─', ' ', ' '));
    table
        .load_style(line)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header([
            "leg",
            "records/s",
            "records/CPU-s",
            "cores",
            "peak MiB",
            "commits/s",
            "aborted commits",
            "aborted outputs",
        ]);
    for (leg, runs) in by_leg(runs) {
        let spread = |digits: usize, of: Metric| {
            let spread = Spread::of(runs.iter().map(|run| of(run)));
            spread.map_or_else(String::new, |spread| format!("{spread:.digits$}"))
        };
        let sum = |of: fn(&Run) -> u64| runs.iter().map(|run| of(run)).sum::<u64>().to_string();
        table.add_row([
            leg.to_owned(),
            spread(0, PER_SECOND),
            spread(0, PER_CPU),
            spread(2, |run| run.cpu_seconds / run.seconds),
            spread(1, |run| run.peak_mib),
            spread(1, commits_per_second),
            sum(|run| run.commits_aborted),
            sum(|run| run.outputs_aborted),
        ]);
    }
    table
}

/// Commits of the whole life by the time that life would have taken at the pace of the window.
#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn commits_per_second(run: &Run) -> f64 {
    run.commits as f64 * run.records_per_second / run.inputs_committed.max(1) as f64
}

/// A run in a line, as it ends.
pub fn line(run: &Run) -> String {
    format!(
        "round {} {:<30} {:>8.0} records/s {:>8.0} records/CPU-s {:>6.1} MiB, {} commits, {} outputs, aborted {} and {}",
        run.round,
        run.leg,
        run.records_per_second,
        run.records_per_cpu_second,
        run.peak_mib,
        run.commits,
        run.outputs,
        run.commits_aborted,
        run.outputs_aborted,
    )
}

/// The conditions.
pub fn settings(broker: &Broker, args: &Args) -> Result<Value> {
    let load = fs::read_to_string("/proc/loadavg")?;
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    Ok(json!({
        "load_before": load.split(' ').next(),
        "processors": std::thread::available_parallelism()?.get(),
        "processor": model.map(|model| model.trim_start_matches(['\t', ' ', ':'])),
        "librdkafka": librdkafka,
        "commit_interval_ms": COMMIT_MS,
        "partitions": input::PARTITIONS,
        "window_s": args.window().as_secs(),
        "broker": broker.settings()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(leg: &str, round: usize, per_cpu: f64) -> Run {
        Run {
            leg: leg.to_owned(),
            round,
            records: 300,
            seconds: 30.0,
            cpu_seconds: 300.0 / per_cpu,
            records_per_second: 10.0,
            records_per_cpu_second: per_cpu,
            peak_mib: 50.0 + per_cpu / 100.0,
            inputs_committed: 400,
            outputs: 400,
            outputs_aborted: 0,
            commits: 40,
            commits_aborted: 0,
        }
    }

    #[test]
    fn a_ratio_is_the_median_of_pairs_of_the_same_round() {
        let runs = [
            run(OURS_EO, 1, 90.0),
            run(BARE_EO, 1, 100.0),
            run(OURS_EO, 2, 200.0),
            run(BARE_EO, 2, 400.0),
            run(OURS_EO, 3, 70.0),
            run(BARE_EO, 3, 100.0),
            run(OURS_ALO, 1, 1_100.0),
        ];
        let report = report(&runs, json!({}), true);
        let bare = &report.ratios[0];
        assert_eq!((bare.value, bare.ok), (0.7, false));
        let spread = bare.spread.unwrap();
        assert_eq!((spread.min, spread.max), (0.5, 0.9));
        let memory = report.ratios.last().unwrap();
        assert_eq!((memory.value, memory.ok), (61.0, false));
        assert!(
            report
                .ratios
                .iter()
                .all(|ratio| !ratio.name.contains("Streams")),
            "what did not run has no ratio"
        );
        assert!((commits_per_second(&runs[0]) - 1.0).abs() < 1e-9);
        assert!(table(&runs).to_string().contains("engine_exactly_once"));
    }
}
