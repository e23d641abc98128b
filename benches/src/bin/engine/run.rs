//! The coordinator: starts one leg after the other, looks at it from outside, and judges.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ExitCode, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use benches::process::{cpu_seconds, peak_mib};
use clap::Args as ClapArgs;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    Delivery,
    broker::{Broker, Group},
    input,
    leg::{Place, Told},
    peers::{self, Leg},
    show,
};

/// What is run and how long.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The broker.
    #[arg(long)]
    pub bootstrap: String,
    /// One round with short windows, to see that it works.
    #[arg(long)]
    pub quick: bool,
    /// Input records.
    #[arg(long)]
    pub records: Option<u64>,
    /// Rounds.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Only these legs, by name.
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Class path of the Kafka Streams peer.
    #[arg(long)]
    pub streams: Option<String>,
    /// Binary of the ruststream peer.
    #[arg(long)]
    pub ruststream: Option<PathBuf>,
    /// Where the report and the logs of the legs go.
    #[arg(long, default_value = "target/bench")]
    pub out: PathBuf,
}

impl Args {
    /// How long a leg is measured.
    pub const fn window(&self) -> Duration {
        Duration::from_secs(if self.quick { 5 } else { 30 })
    }
}

/// One leg in one round.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// The leg.
    pub leg: String,
    /// The round, from 1.
    pub round: usize,
    /// Records done in the window.
    pub records: u64,
    /// Length of the window.
    pub seconds: f64,
    /// CPU-seconds of the process in the window.
    pub cpu_seconds: f64,
    /// Of those figures.
    pub records_per_second: f64,
    /// Of those figures.
    pub records_per_cpu_second: f64,
    /// Most memory the process ever had resident.
    pub peak_mib: f64,
    /// Inputs the group had committed when the process had ended.
    pub inputs_committed: u64,
    /// Outputs a read-committed reader finds.
    pub outputs: u64,
    /// Outputs that were written and aborted.
    pub outputs_aborted: u64,
    /// Commits, as the process counts them.
    pub commits: u64,
    /// Commits that failed or were aborted and done again, as the process counts them.
    pub commits_aborted: u64,
}

/// Runs everything; fails when a mark is missed.
pub fn run(args: &Args) -> Result<ExitCode> {
    let legs = peers::all(
        args.streams.as_deref(),
        args.ruststream.as_ref(),
        args.quick,
    );
    let wanted = |leg: &Leg| args.only.is_empty() || args.only.iter().any(|name| name == leg.name);
    let legs: Vec<Leg> = legs.into_iter().filter(wanted).collect();
    ensure!(!legs.is_empty(), "no such leg");
    let broker = Broker::new(&args.bootstrap)?;
    let settings = show::settings(&broker, args)?;
    println!("{}", serde_json::to_string_pretty(&settings)?);
    let records = args
        .records
        .unwrap_or(if args.quick { 1_500_000 } else { 10_000_000 });
    let records = input::fill(&broker, records)?;
    let rounds = args.rounds.unwrap_or(if args.quick { 1 } else { 3 });
    let logs = args.out.join("engine-logs");
    fs::create_dir_all(&logs)?;
    let mut runs = Vec::new();
    for round in 1..=rounds {
        for turn in 0..legs.len() {
            // Each round begins with another leg, so that none always follows the same one.
            let Some(leg) = legs.get((turn + round - 1) % legs.len()) else {
                continue;
            };
            let run =
                measure(leg, round, &broker, records, args.window(), &logs).with_context(|| {
                    format!(
                        "{} in round {round}; its log is in {}",
                        leg.name,
                        logs.display()
                    )
                })?;
            eprintln!("{}", show::line(&run));
            runs.push(run);
        }
    }
    let report = show::report(&runs, settings, !args.quick && rounds >= 3);
    println!("\n{}\n{}", report.summary(), show::table(&runs));
    let path = report.write(&args.out)?;
    println!("{}", path.display());
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A leg at one moment.
struct Sample {
    at: Instant,
    done: u64,
    cpu: f64,
}

/// A leg under way.
struct Working {
    child: Child,
    /// Closed to end it.
    stdin: Option<ChildStdin>,
    group: Group,
}

impl Working {
    fn sample(&mut self) -> Result<Sample> {
        if let Some(status) = self.child.try_wait()? {
            bail!("it has ended by itself: {status}");
        }
        let done = self.group.done()?;
        Ok(Sample {
            at: Instant::now(),
            done,
            cpu: cpu_seconds(self.child.id())?,
        })
    }

    /// Ends it and returns what it tells of itself.
    fn stop(&mut self) -> Result<Told> {
        drop(self.stdin.take());
        let mut text = String::new();
        if let Some(mut out) = self.child.stdout.take() {
            out.read_to_string(&mut text)?;
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}");
        let last = text.lines().last().context("it told nothing at its end")?;
        serde_json::from_str(last).with_context(|| format!("it told {last:?}"))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn measure(
    leg: &Leg,
    round: usize,
    broker: &Broker,
    input: u64,
    window: Duration,
    logs: &Path,
) -> Result<Run> {
    let name = format!("bench.{}.{}.{round}", leg.name, std::process::id());
    let place = Place {
        bootstrap: broker.bootstrap().to_owned(),
        input: input::TOPIC.to_owned(),
        output: format!("{name}.out"),
        name,
    };
    broker.create(&place.output, input::PARTITIONS)?;
    let run = observe(leg, round, broker, &place, input, window, logs);
    broker.delete(&[&place.output])?;
    run
}

fn observe(
    leg: &Leg,
    round: usize,
    broker: &Broker,
    place: &Place,
    input: u64,
    window: Duration,
    logs: &Path,
) -> Result<Run> {
    let mut command = leg.command()?;
    place.tell(&mut command);
    let log = File::create(logs.join(format!("{}.{round}.log", leg.name)))?;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log);
    let mut child = command.spawn()?;
    let mut working = Working {
        stdin: child.stdin.take(),
        child,
        group: broker.group(&place.group(), &place.input)?,
    };
    let started = Instant::now();
    while working.sample()?.done == 0 {
        ensure!(
            started.elapsed() < Duration::from_secs(60),
            "it did nothing in a minute"
        );
        pause(Duration::from_millis(50));
    }
    pause(leg.warm_up);
    let begin = working.sample()?;
    pause(window);
    let end = working.sample()?;
    let peak = peak_mib(working.child.id())?;
    ensure!(
        end.done < input,
        "the input was used up: start with more --records than {input}"
    );
    let told = working.stop()?;
    let inputs = working.group.done()?;
    let outputs = broker.count(&place.output, "read_committed")?;
    let aborted = match leg.delivery {
        Delivery::AtLeastOnce => 0,
        Delivery::ExactlyOnce => broker.count(&place.output, "read_uncommitted")? - outputs,
    };
    match leg.delivery {
        Delivery::ExactlyOnce => ensure!(
            outputs == inputs,
            "{outputs} outputs of {inputs} committed inputs: not exactly once"
        ),
        Delivery::AtLeastOnce => ensure!(
            outputs >= inputs,
            "{outputs} outputs of {inputs} committed inputs: some are lost"
        ),
    }
    let records = end.done - begin.done;
    let seconds = (end.at - begin.at).as_secs_f64();
    let cpu = end.cpu - begin.cpu;
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52 records")]
    let count = records as f64;
    Ok(Run {
        leg: leg.name.to_owned(),
        round,
        records,
        seconds,
        cpu_seconds: cpu,
        records_per_second: count / seconds,
        records_per_cpu_second: count / cpu,
        peak_mib: peak,
        inputs_committed: inputs,
        outputs,
        outputs_aborted: aborted,
        commits: told.commits,
        commits_aborted: told.aborted,
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "the coordinator has one thread and nothing else to do"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
