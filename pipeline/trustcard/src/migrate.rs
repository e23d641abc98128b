//! `trustcard migrate`: the tables of the store on CQL.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::{
    rows::failed,
    settings::{Backend, Settings},
    show::{say, table},
};

/// Options of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Only show what would be applied
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON document on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the servers don't answer, refuse, or have other migrations than this binary.
pub async fn run(args: MigrateArgs, settings: &Settings) -> Result<()> {
    let database = &settings.database;
    if database.backend == Backend::Embedded {
        if args.json {
            say!(
                "{}",
                json!({ "backend": "embedded", "dry_run": args.dry_run, "migrations": [] })
            );
        } else {
            say!(
                "Nothing to do: the embedded store brings its tables along. For ScyllaDB or Cassandra set database.backend \
                 (TRUSTCARD__DATABASE__BACKEND=scylla)."
            );
        }
        return Ok(());
    }
    let migrations = if args.dry_run {
        store::plan(&database.scylla).await
    } else {
        store::migrate(&database.scylla).await
    };
    let migrations = migrations.map_err(failed)?;
    let state = |now| match (now, args.dry_run) {
        (false, _) => "applied before",
        (true, true) => "to apply",
        (true, false) => "applied now",
    };
    if args.json {
        let migrations = migrations
            .iter()
            .map(|one| json!({ "number": one.number, "name": one.name, "state": state(one.now) }));
        let migrations: Vec<_> = migrations.collect();
        say!(
            "{}",
            json!({ "backend": "scylla", "keyspace": database.scylla.keyspace, "dry_run": args.dry_run, "migrations": migrations })
        );
        return Ok(());
    }
    let mut shown = table(&["migration", "name", "state"]);
    for one in &migrations {
        shown.add_row([&format!("{:04}", one.number), &one.name, state(one.now)]);
    }
    say!("{shown}");
    Ok(())
}
