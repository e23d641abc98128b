//! `trustcard demo`: the sample posts, through every topic and stage, and a table of what came out.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use engine::lifecycle::Readiness;
use sample_site::{Expect, SamplePost};
use serde_json::{Value, json};
use trustcard_client::{Client, patient};

use crate::{
    cli::{DemoArgs, UpArgs},
    client::{
        submit::{self, journal::Journal},
        told,
    },
    settings::Settings,
    show::{numbers, reasons, say, score, table, text},
    up::{DataFolder, Up},
};

/// How long the parts may take until all of them are ready.
const START_DEADLINE: Duration = Duration::from_secs(180);
/// Delays of the retry topics, milliseconds: nobody who watches a demo waits for an hour.
const RETRY_TOPICS_MS: [u64; 3] = [1_000, 2_000, 4_000];

/// A post of the demo and what came out.
struct Row {
    post: SamplePost,
    result: Value,
}

impl Row {
    /// Whether the post ended as the sample site says it should.
    fn as_expected(&self) -> bool {
        match &self.post.expect {
            Expect::Completed => self.result["status"] == "completed",
            Expect::Failed(reason) => {
                self.result["status"] == "failed"
                    && self.result["error"]["code"].as_str() == Some(reason.as_str())
            }
        }
    }

    fn millis(&self) -> Option<f64> {
        self.result["processing_time"]
            .as_f64()
            .map(|seconds| seconds * 1000.0)
    }
}

/// Runs the command; `false` when a post ended otherwise than it should.
///
/// # Errors
/// When the pipeline can't be started or breaks.
pub async fn run(args: DemoArgs, mut settings: Settings) -> Result<bool> {
    settings.stages.retry_after(&RETRY_TOPICS_MS);
    // One person looks at it, and the command asks for every result.
    settings.api.rate_limit.enabled = false;
    let folder = fresh_folder(&args.data_dir)?;
    let data_dir = folder.path().to_owned();
    let up_args = UpArgs {
        sample_site: true,
        no_ml: args.no_ml,
        real: args.real,
        data_dir: data_dir.clone(),
    };
    let mut up = Up::start(&up_args, folder, settings, args.posts.as_deref()).await?;
    let work = analyse(up.api_url(), up.sample_posts(), up.readiness());
    let rows = up.unless_it_breaks(work).await;
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => {
            up.stop().await?;
            return Err(error);
        }
    };
    let good = rows.len() == up.sample_posts().len() && rows.iter().all(Row::as_expected);
    if args.json {
        say!(
            "{}",
            serde_json::to_string_pretty(&document(&rows, &up, good))?
        );
    } else {
        print(&rows, &up, &data_dir, &args)?;
    }
    if args.exit {
        up.stop().await?;
    } else {
        up.run_until_signal().await?;
    }
    Ok(good || !args.exit)
}

/// The demo's own folder, empty: results of an earlier demo would be reused and nothing would be seen to run.
fn fresh_folder(data_dir: &Path) -> Result<DataFolder> {
    let path = data_dir.join("demo");
    anyhow::ensure!(
        DataFolder::is_ours(&path)?,
        "{} holds no earlier demo; choose another --data-dir",
        path.display()
    );
    // Taken before it is emptied: an `up` may run on it.
    let folder = DataFolder::take(&path)?;
    folder.empty()?;
    Ok(folder)
}

async fn analyse(api: String, posts: Vec<SamplePost>, readiness: Readiness) -> Result<Vec<Row>> {
    let client = Client::new(&api, None).map_err(told)?;
    wait_until_ready(&readiness).await?;
    let urls: Vec<String> = posts.iter().map(|post| post.url.clone()).collect();
    let sent = submit::send(&client, &urls, &mut Journal::none()).await?;
    for refused in &sent.rejected {
        tracing::error!(
            url = refused.url,
            why = refused.error.message,
            "a sample post was refused"
        );
    }
    submit::wait(&client, &sent.batches).await?;
    let mut rows = Vec::with_capacity(posts.len());
    for item in &sent.items {
        let post = posts.iter().find(|post| post.shortcode == item.post_id);
        let post = post.with_context(|| {
            format!("the API answered for a post nobody sent: {}", item.post_id)
        })?;
        let asked = async || client.analysis(item.analysis_id).await;
        let result = patient(asked)
            .await
            .map_err(told)?
            .with_context(|| format!("no result of {}", item.post_id))?;
        rows.push(Row {
            post: post.clone(),
            result: serde_json::to_value(result)?,
        });
    }
    Ok(rows)
}

/// Waits until every part is ready.
async fn wait_until_ready(readiness: &Readiness) -> Result<()> {
    let ready = async {
        while !readiness.missing().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(START_DEADLINE, ready)
        .await
        .map_err(|_| anyhow::anyhow!("not ready after three minutes: {:?}", readiness.missing()))
}

/// The value below which `share` of the sorted `values` lie (nearest rank).
fn percentile(values: &[f64], share: f64) -> f64 {
    let rank = (values.len() as f64 * share).ceil() as usize;
    values
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

fn times(rows: &[Row]) -> (f64, f64) {
    let mut millis: Vec<f64> = rows.iter().filter_map(Row::millis).collect();
    millis.sort_by(f64::total_cmp);
    (percentile(&millis, 0.5), percentile(&millis, 0.99))
}

fn document(rows: &[Row], up: &Up, good: bool) -> Value {
    let (p50, p99) = times(rows);
    let posts: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({ "shortcode": row.post.shortcode, "title": row.post.title, "as_expected": row.as_expected(),
                "milliseconds": row.millis(), "result": row.result })
        })
        .collect();
    json!({ "as_expected": good, "models": up.models_line(), "p50_ms": p50, "p99_ms": p99, "posts": posts })
}

fn print(rows: &[Row], up: &Up, data_dir: &Path, args: &DemoArgs) -> Result<()> {
    let mut shown = table(&[
        "post",
        "what it is",
        "score",
        "grade",
        "strongest reasons",
        "not checked",
        "ms",
    ]);
    numbers(&mut shown, &[2, 6]);
    for row in rows {
        let mark = if row.as_expected() {
            ""
        } else {
            " (NOT AS EXPECTED)"
        };
        shown.add_row([
            row.post.shortcode.clone(),
            format!("{}{mark}", row.post.title),
            score(&row.result),
            text(&row.result["grade"]).to_owned(),
            reasons(&row.result, 2),
            not_checked(&row.result),
            row.millis()
                .map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}")),
        ]);
    }
    say!("{shown}\n");
    let (p50, p99) = times(rows);
    say!(
        "{} posts, submit to result: p50 {p50:.0} ms, p99 {p99:.0} ms. {}",
        rows.len(),
        up.models_line()
    );
    if args.real && args.exit {
        say!(
            "\nWithout --exit it keeps running on {}, to look around: the report of each post, the topics, /status.",
            up.bootstrap()
        );
    } else {
        next_steps(rows, up, data_dir, args.exit)?;
    }
    Ok(())
}

/// Where a reader of the table can look.
fn next_steps(rows: &[Row], up: &Up, data_dir: &Path, ends: bool) -> Result<()> {
    say!("\nWhere to look next:");
    if ends {
        let program = std::env::args_os()
            .next()
            .unwrap_or_else(|| "trustcard".into());
        say!(
            "  {} up --sample-site --data-dir {}",
            program.display(),
            data_dir.display()
        );
        say!("      serves these results again at the addresses below");
    } else {
        say!("  kcat -b {} -t trustcard.results -C -e", up.bootstrap());
        say!("      the same results as the services downstream read them");
    }
    let base = if ends {
        up.usual_api_url()
    } else {
        up.api_url()
    };
    if let Some(row) = rows.iter().find(|row| row.result["status"] == "completed") {
        say!("  {base}/api/reports/{}", text(&row.result["analysis_id"]));
        say!("      the report of {}", row.post.shortcode);
    }
    say!("  {base}/status and {base}/metrics");
    say!("  docs/decisions");
    say!("      why it is built this way");
    if !ends {
        say!("\nStill running; Ctrl-C ends it.");
    }
    Ok(())
}

/// Components that did not run, short; the extraction that failed says so under the reasons already.
fn not_checked(result: &Value) -> String {
    let entries = result["coverage"].as_array().into_iter().flatten();
    let skipped: Vec<&str> = entries
        .filter(|entry| entry["status"] == "skipped" || entry["status"] == "failed")
        .filter_map(|entry| entry["component"].as_str())
        .map(|component| {
            component
                .trim_end_matches("_detection")
                .trim_end_matches("_credibility")
        })
        .collect();
    if skipped.is_empty() {
        "-".to_owned()
    } else {
        skipped.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            (percentile(&values, 0.5), percentile(&values, 0.99)),
            (50.0, 99.0)
        );
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
    }
}
