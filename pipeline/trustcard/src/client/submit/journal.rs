//! What was sent of a file and what the API answered: a file of JSON lines beside the input, `INPUT.journal`. It is gone when all is
//! done; where it is there, the command was cut and goes on behind its last line.
//!
//! A request that was cut before its answer is in the journal is sent again under the same idempotency key, so the API makes no
//! second batch of it.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use trustcard_client::BatchAnswer;
use uuid::Uuid;

/// URLs in one request. Small enough that a refusal for want of room costs little.
const PER_REQUEST: usize = 500;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// Makes the idempotency keys of this sending differ from those of any other.
    journal: Uuid,
    /// The API it goes to.
    api: String,
    /// URLs in one request.
    per_request: usize,
}

/// Every other line: an answer.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    chunk: usize,
    round: u32,
    key: String,
    answer: BatchAnswer,
}

/// One request: a chunk of the input, and how often its remainder was sent before.
#[derive(Debug)]
pub struct Part {
    chunk: usize,
    round: u32,
    /// Its URLs.
    pub urls: Vec<String>,
}

impl Part {
    /// The request of these lines.
    pub fn new(chunk: usize, round: u32, lines: &[(usize, String)]) -> Self {
        Self {
            chunk,
            round,
            urls: lines.iter().map(|(_, url)| url.clone()).collect(),
        }
    }
}

/// A journal; one without a file remembers nothing longer than it lives.
#[derive(Debug)]
pub struct Journal {
    head: Head,
    file: Option<(PathBuf, File)>,
    answers: HashMap<(usize, u32), (String, BatchAnswer)>,
}

impl Journal {
    /// One without a file.
    pub fn none() -> Self {
        Self::new("", None)
    }

    fn new(api: &str, file: Option<(PathBuf, File)>) -> Self {
        let head = Head {
            journal: Uuid::new_v4(),
            api: api.to_owned(),
            per_request: PER_REQUEST,
        };
        Self {
            head,
            file,
            answers: HashMap::new(),
        }
    }

    /// The journal beside `input`, begun anew where there is none.
    ///
    /// # Errors
    /// When another process sends the same input, it was sent to another API, or it can't be read or written.
    pub fn open(input: &Path, api: &str) -> Result<Self> {
        let mut path = input.as_os_str().to_owned();
        path.push(".journal");
        let path = PathBuf::from(path);
        let mut options = File::options();
        let file = options.read(true).append(true).create(true).open(&path);
        let mut file = file.with_context(|| format!("{} can't be opened", path.display()))?;
        file.try_lock().map_err(|error| {
            anyhow!(
                "{} is in use ({error}): another `trustcard submit` sends this file",
                path.display()
            )
        })?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .with_context(|| format!("{} can't be read", path.display()))?;
        // A line that was cut in the middle was never written.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            file.set_len(whole as u64)?;
            file.seek(SeekFrom::End(0))?;
        }
        let mut lines = text.get(..whole).unwrap_or_default().lines();
        let Some(first) = lines.next() else {
            let mut journal = Self::new(api, Some((path, file)));
            let head = serde_json::to_string(&journal.head)?;
            journal.write(&head)?;
            return Ok(journal);
        };
        let strange = || {
            format!(
                "{} is no journal of this version; remove it to send the file from its beginning",
                path.display()
            )
        };
        let head: Head = serde_json::from_str(first).with_context(strange)?;
        ensure!(
            head.api == api && head.per_request > 0,
            "{} was begun with the API at {}; remove it to send the file from its beginning",
            path.display(),
            head.api
        );
        let mut answers = HashMap::new();
        for line in lines {
            let entry: Entry = serde_json::from_str(line).with_context(strange)?;
            answers.insert((entry.chunk, entry.round), (entry.key, entry.answer));
        }
        eprintln!(
            "trustcard: going on where an earlier sending was cut, see {}",
            path.display()
        );
        Ok(Self {
            head,
            file: Some((path, file)),
            answers,
        })
    }

    /// URLs in one request.
    pub const fn per_request(&self) -> usize {
        self.head.per_request
    }

    /// The name of a request: the same for the same URLs at the same place of the same sending.
    pub fn idempotency_key(&self, part: &Part) -> String {
        let told = format!("{} {} {}", part.chunk, part.round, part.urls.join("\n"));
        Uuid::new_v5(&self.head.journal, told.as_bytes()).to_string()
    }

    /// What was answered to a request, if it was.
    ///
    /// # Errors
    /// When the answer is one to other URLs: the input has changed.
    pub fn answer(&mut self, part: &Part) -> Result<Option<BatchAnswer>> {
        let Some((key, answer)) = self.answers.remove(&(part.chunk, part.round)) else {
            return Ok(None);
        };
        ensure!(
            key == self.idempotency_key(part),
            "the file has changed since a part of it was sent; remove {} to send it from its beginning",
            self.path()
        );
        Ok(Some(answer))
    }

    /// Keeps an answer.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep(&mut self, part: &Part, answer: &BatchAnswer) -> Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        let entry = Entry {
            chunk: part.chunk,
            round: part.round,
            key: self.idempotency_key(part),
            answer: answer.clone(),
        };
        self.write(&serde_json::to_string(&entry)?)
    }

    /// All is done: the file goes.
    ///
    /// # Errors
    /// When answers are left over, so the input is shorter than it was, or the file can't be removed.
    pub fn end(self) -> Result<()> {
        ensure!(
            self.answers.is_empty(),
            "the file is shorter than when a part of it was sent; remove {} to send it from its beginning",
            self.path()
        );
        match self.file {
            Some((path, _)) => fs::remove_file(&path)
                .with_context(|| format!("{} can't be removed", path.display())),
            None => Ok(()),
        }
    }

    fn path(&self) -> String {
        let path = self
            .file
            .as_ref()
            .map(|(path, _)| path.display().to_string());
        path.unwrap_or_default()
    }

    fn write(&mut self, line: &str) -> Result<()> {
        let Some((path, file)) = &mut self.file else {
            return Ok(());
        };
        file.write_all(format!("{line}\n").as_bytes())
            .and_then(|()| file.sync_data())
            .with_context(|| format!("{} can't be written", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(accepted: u32) -> BatchAnswer {
        BatchAnswer {
            batch_id: Uuid::from_u128(accepted.into()),
            accepted,
            duplicates: 0,
            rejected: Vec::new(),
            items: Vec::new(),
            retry_after: None,
        }
    }

    fn part(chunk: usize, round: u32, url: &str) -> Part {
        Part::new(chunk, round, &[(0, url.to_owned())])
    }

    #[test]
    fn what_was_kept_is_known_after_a_cut_and_a_torn_line_is_as_if_never_written() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("urls.txt");
        let mut journal = Journal::open(&input, "http://a").unwrap();
        journal.keep(&part(0, 0, "x"), &answer(1)).unwrap();
        let key = journal.idempotency_key(&part(0, 1, "y"));
        drop(journal);
        let path = folder.path().join("urls.txt.journal");
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"{\"chunk\":1,\"rou").unwrap();
        drop(file);

        let mut journal = Journal::open(&input, "http://a").unwrap();
        assert_eq!(journal.idempotency_key(&part(0, 1, "y")), key);
        let known = journal.answer(&part(0, 0, "x")).unwrap().unwrap();
        assert_eq!(known.accepted, 1);
        assert!(journal.answer(&part(1, 0, "z")).unwrap().is_none());
        journal.keep(&part(1, 0, "z"), &answer(2)).unwrap();
        drop(journal);
        let mut journal = Journal::open(&input, "http://a").unwrap();
        let known = journal.answer(&part(1, 0, "z")).unwrap().unwrap();
        assert_eq!(known.accepted, 2);
        assert!(journal.answer(&part(0, 0, "x")).unwrap().is_some());
        journal.end().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_changed_input_another_api_and_a_second_sender_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("urls.txt");
        let mut journal = Journal::open(&input, "http://a").unwrap();
        journal.keep(&part(0, 0, "x"), &answer(1)).unwrap();
        let second = Journal::open(&input, "http://a").unwrap_err().to_string();
        assert!(second.contains("another `trustcard submit`"), "{second}");
        drop(journal);

        let mut journal = Journal::open(&input, "http://a").unwrap();
        let changed = journal.answer(&part(0, 0, "y")).unwrap_err().to_string();
        assert!(changed.contains("has changed"), "{changed}");
        drop(journal);
        let shorter = Journal::open(&input, "http://a").unwrap().end();
        assert!(shorter.unwrap_err().to_string().contains("shorter"));
        let other = Journal::open(&input, "http://b").unwrap_err().to_string();
        assert!(other.contains("http://a"), "{other}");
    }

    #[test]
    fn keys_differ_by_place_round_and_sending() {
        let (one, two) = (Journal::none(), Journal::none());
        let keys = [
            one.idempotency_key(&part(0, 0, "x")),
            one.idempotency_key(&part(1, 0, "x")),
            one.idempotency_key(&part(0, 1, "x")),
            two.idempotency_key(&part(0, 0, "x")),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    }
}
