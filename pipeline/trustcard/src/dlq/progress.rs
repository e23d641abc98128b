//! Which letters of a stage were dealt with, as the offsets of the group `trustcard.dlq.{stage}` say.
//!
//! A replay of all letters moves the offset. One of a single code leaves the letters of others where they are: how far it has
//! come is written beside the offset, by code, so that no letter is sent twice whichever way it is met.

use std::collections::BTreeMap;

use engine::copy::{Mark, Marks};
use serde::{Deserialize, Serialize};

use super::letter::Letter;

/// What is written beside an offset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// Of letters with this code those before this offset are dealt with too.
    #[serde(default)]
    codes: BTreeMap<String, i64>,
}

/// How far the letters of a stage are dealt with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    partitions: BTreeMap<i32, (i64, Note)>,
}

impl Progress {
    /// As committed. A note that was not written by this program says nothing.
    #[must_use]
    pub fn of(marks: &Marks) -> Self {
        let partitions = marks.iter().map(|(partition, mark)| {
            let note = serde_json::from_str(&mark.note).unwrap_or_default();
            (*partition, (mark.offset, note))
        });
        Self {
            partitions: partitions.collect(),
        }
    }

    /// Whether nobody has dealt with a letter yet.
    #[must_use]
    pub fn is_open(&self, letter: &Letter) -> bool {
        let Some((offset, note)) = self.partitions.get(&letter.partition) else {
            return true;
        };
        let by_code = note.codes.get(letter.code()).unwrap_or(offset);
        letter.offset >= *offset.max(by_code)
    }

    /// Where a replay begins to read; `low` is where the partition does.
    #[must_use]
    pub fn start(&self, partition: i32, code: Option<&str>, low: i64) -> i64 {
        let Some((offset, note)) = self.partitions.get(&partition) else {
            return low;
        };
        let by_code = code.and_then(|code| note.codes.get(code)).unwrap_or(offset);
        *offset.max(by_code).max(&low)
    }

    /// The mark of a replay of `code`, or of all, that has come to `next`; `low` is where the partition begins.
    #[must_use]
    pub fn mark(&self, partition: i32, code: Option<&str>, low: i64, next: i64) -> Mark {
        let (offset, mut note) = self
            .partitions
            .get(&partition)
            .cloned()
            .unwrap_or((low, Note::default()));
        let offset = match code {
            Some(code) => {
                note.codes.insert(code.to_owned(), next);
                offset
            }
            None => next,
        };
        note.codes.retain(|_, next| *next > offset);
        Mark {
            offset,
            // A map of text to numbers is always JSON.
            note: serde_json::to_string(&note).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::{Reason, Record, dead_letter::DeadLetter};

    fn letter(offset: i64, code: Reason) -> Letter {
        let told = DeadLetter {
            topic: "t".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            stage: "score".to_owned(),
            code,
            attempts: 1,
            first_failure: jiff::Timestamp::UNIX_EPOCH,
            last_failure: jiff::Timestamp::UNIX_EPOCH,
        };
        let nothing = Record {
            topic: "t".into(),
            key: None,
            value: None,
            headers: Vec::new(),
        };
        Letter::new(0, offset, told.record(nothing), true)
    }

    fn after(progress: &Progress, code: Option<&str>, next: i64) -> Progress {
        Progress::of(&Marks::from([(0, progress.mark(0, code, 10, next))]))
    }

    #[test]
    fn a_replay_of_one_code_leaves_the_others_open_and_no_letter_is_met_twice() {
        let none = Progress::default();
        let (json, empty) = (Reason::InvalidJson, Reason::EmptyPayload);
        assert!(none.is_open(&letter(10, json)));
        let by_code = after(&none, Some(json.code()), 20);
        assert!(!by_code.is_open(&letter(19, json)));
        assert!(by_code.is_open(&letter(20, json)));
        assert!(by_code.is_open(&letter(19, empty)));
        assert_eq!(by_code.start(0, Some(json.code()), 10), 20);
        assert_eq!(by_code.start(0, Some(empty.code()), 10), 10);
        assert_eq!(by_code.start(0, None, 10), 10);
        assert_eq!(by_code.start(0, None, 12), 12, "older ones are gone");

        let all = after(&by_code, None, 15);
        assert!(!all.is_open(&letter(14, empty)));
        assert!(all.is_open(&letter(15, empty)));
        assert!(!all.is_open(&letter(19, json)));
        let further = after(&all, None, 30);
        assert_eq!(further.mark(0, None, 10, 30).note, r#"{"codes":{}}"#);
        assert!(!further.is_open(&letter(29, json)));
    }

    #[test]
    fn a_note_of_another_program_is_no_note() {
        for note in ["", "by hand", "[]"] {
            let mark = Mark {
                offset: 5,
                note: note.to_owned(),
            };
            let progress = Progress::of(&Marks::from([(0, mark)]));
            assert!(!progress.is_open(&letter(4, Reason::InvalidJson)));
            assert!(progress.is_open(&letter(5, Reason::InvalidJson)));
        }
    }

    #[test]
    fn a_note_with_every_code_fits_beside_an_offset() {
        let mut progress = Progress::default();
        for code in Reason::ALL {
            progress = after(&progress, Some(code.code()), i64::MAX);
        }
        assert!(progress.mark(0, None, 10, 11).note.len() < 4096);
    }
}
