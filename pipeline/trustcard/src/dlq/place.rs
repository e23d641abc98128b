//! Where dead letters are: on their topics, or, under a running `trustcard up`, in rows, because its topics are rolling
//! windows.

use std::{net::ToSocketAddrs, path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use engine::{
    Kafka,
    copy::{self, Marks, Ranges, Reader, Source},
};
use schemas::topics;
use store::{Operations, SqliteStore, Store};

use super::{args::PlaceArgs, letter::Letter, progress::Progress};
use crate::{exit::Failure, rows, settings::Settings, up};

/// For a connection to the broker of an `up` that may have ended.
const CONNECT: Duration = Duration::from_secs(1);
/// Records looked at in one go.
const PAGE: usize = 500;

/// Where letters are.
pub enum Place {
    /// On the topics of a cluster.
    Topics(Kafka),
    /// Rows of a running `up`, and its broker.
    Rows(Arc<SqliteStore>, Kafka),
}

impl PlaceArgs {
    /// The broker that was named, or the configured one.
    #[must_use]
    pub fn cluster(&self, settings: &Settings) -> Kafka {
        let mut kafka = settings.kafka.clone();
        if let Some(bootstrap) = &self.bootstrap {
            kafka.bootstrap.clone_from(bootstrap);
        }
        kafka.cluster()
    }
}

impl Place {
    /// The broker that was named, that of a running `up` on the data folder, or the configured one; and the store beside it.
    ///
    /// # Errors
    /// When the store can't be opened.
    pub async fn find(args: &PlaceArgs, settings: &Settings) -> Result<(Self, Arc<dyn Store>)> {
        if let (None, Some(bootstrap)) = (&args.bootstrap, running_up(&args.data_dir)) {
            let sqlite = rows::embedded(settings, &args.data_dir)?;
            let kafka = Kafka::new(bootstrap, settings.kafka.client.clone());
            return Ok((Self::Rows(Arc::clone(&sqlite), kafka), sqlite));
        }
        let store = rows::open(settings, &args.data_dir).await?.store;
        Ok((Self::Topics(args.cluster(settings)), store))
    }

    /// The letters of a stage, each with whether it is still open, handed to `see` in no order.
    ///
    /// # Errors
    /// When they can't be read.
    pub async fn letters(&self, stage: &str, mut see: impl FnMut(Letter, bool)) -> Result<()> {
        match self {
            Self::Rows(rows, _) => {
                for row in rows
                    .dead_letters(stage, u32::MAX)
                    .await
                    .map_err(rows::failed)?
                {
                    see(Letter::from(row), true);
                }
            }
            Self::Topics(kafka) => {
                let topic = topics::dead_letters(stage);
                let marks = marks(kafka, stage).await?;
                let progress = Progress::of(&marks);
                let ranges = copy::bounds(kafka, &topic).await.map_err(unreadable)?;
                read(kafka, &topic, &ranges, |source| {
                    let letter = Letter::from(source);
                    let open = progress.is_open(&letter);
                    see(letter, open);
                })
                .await?;
            }
        }
        Ok(())
    }

    /// The letter at a place; `None` when there is none.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn letter(
        &self,
        stage: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<(Letter, bool)>> {
        let mut found = None;
        match self {
            Self::Rows(..) => {
                let id = format!("{partition}:{offset}");
                self.letters(stage, |letter, open| {
                    if letter.id == id && found.is_none() {
                        found = Some((letter, open));
                    }
                })
                .await?;
            }
            Self::Topics(kafka) => {
                let topic = topics::dead_letters(stage);
                let bounds = copy::bounds(kafka, &topic).await.map_err(unreadable)?;
                if !bounds
                    .get(&partition)
                    .is_some_and(|bounds| bounds.contains(&offset))
                {
                    return Ok(None);
                }
                let marks = marks(kafka, stage).await?;
                let progress = Progress::of(&marks);
                let ranges = Ranges::from([(partition, offset..offset + 1)]);
                read(kafka, &topic, &ranges, |source| {
                    // Where only a mark of a transaction is, the next record is none of ours.
                    if source.offset == offset {
                        let letter = Letter::from(source);
                        let open = progress.is_open(&letter);
                        found = Some((letter, open));
                    }
                })
                .await?;
            }
        }
        Ok(found)
    }
}

/// How far letters of a stage were sent back.
async fn marks(kafka: &Kafka, stage: &str) -> Result<Marks> {
    let marks = copy::progress(kafka, &topics::dead_letters(stage), &super::group(stage)).await;
    Ok(marks.map_err(unreadable)?)
}

async fn read(
    kafka: &Kafka,
    topic: &str,
    ranges: &Ranges,
    mut see: impl FnMut(Source),
) -> Result<()> {
    let mut reader = Reader::open(kafka, topic, "trustcard.look", ranges).map_err(unreadable)?;
    loop {
        let batch = reader.batch(PAGE).await.map_err(unreadable)?;
        if batch.is_empty() {
            return Ok(());
        }
        batch.into_iter().for_each(&mut see);
    }
}

fn unreadable(error: copy::CopyError) -> Failure {
    Failure::Unavailable(format!("dead letters can't be read: {error}"))
}

/// The broker of the `up` that runs on the data folder.
pub fn running_up(data_dir: &Path) -> Option<String> {
    let bootstrap = up::bootstrap_of(data_dir)?;
    let first = bootstrap.split(',').next()?;
    let mut addresses = first.to_socket_addrs().ok()?;
    addresses
        .any(|address| std::net::TcpStream::connect_timeout(&address, CONNECT).is_ok())
        .then_some(bootstrap)
}
