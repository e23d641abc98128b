//! `make faults`: the fault table at full size, row by row, with figures. Ends with 1 when a row does not pass.
#![allow(clippy::print_stdout, reason = "a table for people is what it is for")]

use std::{future::Future, pin::Pin, process::ExitCode};

use clap::{Parser, builder::PossibleValuesParser};
use comfy_table::Table;
use tokio::time::Instant;
use trustcard_tests::faults::{
    Report, Size, letters, rescore, row01, row02, row03, row04, row05, row06, row07, row08, row09,
    row10, row11, row12, row19,
};

type Row = fn(Size) -> Pin<Box<dyn Future<Output = Report>>>;

const ROWS: [(&str, Row); 18] = [
    ("1", |size| Box::pin(async move { row01::run(&size).await })),
    ("2", |size| Box::pin(async move { row02::run(&size).await })),
    ("3", |size| {
        Box::pin(async move { row03::run(&size, row03::Protocol::Eager).await })
    }),
    ("3", |size| {
        Box::pin(async move { row03::run(&size, row03::Protocol::Cooperative).await })
    }),
    ("3", |size| {
        Box::pin(async move { row03::run(&size, row03::Protocol::Consumer).await })
    }),
    ("4", |size| Box::pin(async move { row04::run(&size).await })),
    ("5", |size| Box::pin(async move { row05::run(&size).await })),
    ("6", |size| {
        Box::pin(async move { row06::outage(&size).await })
    }),
    ("6", |size| {
        Box::pin(async move { row06::errors(&size).await })
    }),
    ("7", |size| Box::pin(async move { row07::run(&size).await })),
    ("8", |size| Box::pin(async move { row08::run(&size).await })),
    ("9", |size| Box::pin(async move { row09::run(&size).await })),
    ("10", |size| {
        Box::pin(async move { row10::run(&size).await })
    }),
    ("11", |size| {
        Box::pin(async move { row11::run(&size).await })
    }),
    ("12", |size| {
        Box::pin(async move { row12::run(&size).await })
    }),
    ("19", |size| {
        Box::pin(async move { row19::run(&size).await })
    }),
    ("dlq", |size| {
        Box::pin(async move { letters::run(&size).await })
    }),
    ("replay", |size| {
        Box::pin(async move { rescore::run(&size).await })
    }),
];

/// The fault table: what TrustCard survives, on real servers that run already, with figures. Ends with 1 when a row does not pass.
#[derive(Debug, Parser)]
#[command(name = "faults")]
struct Args {
    /// Rows by the first column; all without any.
    #[arg(value_parser = numbers())]
    rows: Vec<String>,
    /// Minutes instead of an hour, for a look at how it goes.
    #[arg(long)]
    small: bool,
}

/// Numbers of rows; some rows are done in more than one way.
fn numbers() -> PossibleValuesParser {
    let mut numbers = ROWS.map(|(number, _)| number).to_vec();
    numbers.dedup();
    PossibleValuesParser::new(numbers)
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { rows, small } = Args::parse();
    let size = if small { Size::small() } else { Size::full() };
    let mut table = Table::new();
    table.set_header(["row", "what is done", "figures", "passes"]);
    let mut passed = true;
    for (number, row) in ROWS {
        if !rows.is_empty() && !rows.iter().any(|wanted| wanted == number) {
            continue;
        }
        let began = Instant::now();
        let report = run(row, size).await;
        let took = format!("{:.0} s in all", began.elapsed().as_secs_f64());
        let figures = report
            .figures
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        let figures = figures.chain([took]).collect::<Vec<_>>().join("\n");
        println!("row {}: {}\n{figures}", report.row, verdict(&report));
        table.add_row([report.row, report.what, &figures, &verdict(&report)]);
        passed &= report.passes();
    }
    println!("{table}");
    ExitCode::from(u8::from(!passed))
}

/// A row of its own task: one that panics does not end the others.
async fn run(row: Row, size: Size) -> Report {
    let local = tokio::task::LocalSet::new();
    let task = local.run_until(async move { tokio::task::spawn_local(row(size)).await });
    match task.await {
        Ok(report) => report,
        Err(error) => Report::broken(error.to_string()),
    }
}

fn verdict(report: &Report) -> String {
    if report.passes() {
        "yes".to_owned()
    } else {
        format!("NO: {}", report.problems.join("; "))
    }
}
