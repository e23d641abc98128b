//! The log file: written by a thread of its own, so that a slow disk holds up nobody. When more lines wait than it may keep,
//! further ones are dropped and counted; standard error has them.

use std::{
    path::Path,
    sync::{Mutex, OnceLock, PoisonError},
};

use prometheus::{
    IntCounter, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tracing_appender::{
    non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard},
    rolling::{self, RollingFileAppender},
};

use super::{Rotation, TelemetryConfig, TelemetryError};

/// Lines that may wait for the disk.
const WAITING: usize = 65_536;

/// Waits for the writing thread when it is dropped; a process has one log.
static WRITING: Mutex<Option<WorkerGuard>> = Mutex::new(None);
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Opens the file that `config` names.
pub(super) fn open(config: &TelemetryConfig, path: &Path) -> Result<NonBlocking, TelemetryError> {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
    let rotation = match config.rotation {
        Rotation::Daily => rolling::Rotation::DAILY,
        Rotation::Hourly => rolling::Rotation::HOURLY,
        Rotation::Never => rolling::Rotation::NEVER,
    };
    let mut builder = RollingFileAppender::builder()
        .rotation(rotation)
        .filename_prefix(text(path.file_stem()).unwrap_or_default())
        .max_log_files(config.keep_files);
    if let Some(extension) = text(path.extension()) {
        builder = builder.filename_suffix(extension);
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let file = builder
        .build(folder.unwrap_or_else(|| Path::new(".")))
        .map_err(|error| TelemetryError::File(path.to_owned(), error.to_string()))?;
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING)
        .thread_name("log-file")
        .finish(file);
    let _ = DROPPED.set(writer.error_counter());
    *WRITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    Ok(writer)
}

/// Writes what waits, for about a second at most; later lines are on standard error alone. For the end of the process.
pub(crate) fn close() {
    let guard = WRITING
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    drop(guard);
}

/// Counts the lines that the file lacks; asked when metrics are read.
struct DroppedLines(IntCounter);

impl Collector for DroppedLines {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let dropped = DROPPED.get().map_or(0, ErrorCounter::dropped_lines) as u64;
        self.0.inc_by(dropped.saturating_sub(self.0.get()));
        self.0.collect()
    }
}

/// Shows how many lines were dropped.
pub(super) fn register(registry: &Registry) -> prometheus::Result<()> {
    registry.register(Box::new(DroppedLines(IntCounter::new(
        "trustcard_log_lines_dropped_total",
        "Lines that the log file lacks because the disk was too slow.",
    )?)))
}
