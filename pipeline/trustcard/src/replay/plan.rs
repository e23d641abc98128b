//! What a replay was begun with, kept beside its progress, so that every start of the same name goes on with the same.

use engine::copy::{Mark, Marks, Ranges};
use schemas::{Run, identity::RunCause};
use serde::{Deserialize, Serialize};

/// Written beside every offset of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// Start of the run, milliseconds since the Unix epoch.
    run_ms: i64,
    /// The times asked for, milliseconds since the Unix epoch.
    from_ms: i64,
    to_ms: i64,
    /// First offset not to read.
    end: i64,
}

/// What a replay was begun with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Start of its run, milliseconds since the Unix epoch.
    pub run_ms: i64,
    /// Records not older than this are copied, milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// And older than this.
    pub to_ms: i64,
    /// What is left to read.
    pub ranges: Ranges,
}

impl Plan {
    /// What the marks of a replay say; `None` when it has not begun.
    ///
    /// # Errors
    /// In words, when somebody else has moved its offsets.
    pub fn of(marks: &Marks) -> Result<Option<Self>, String> {
        let mut plan: Option<Self> = None;
        for (partition, mark) in marks {
            let note: Note = serde_json::from_str(&mark.note).map_err(|_| {
                "the offsets of this replay were moved by another program, so nobody knows what it was begun with; choose \
                 another --id"
                    .to_owned()
            })?;
            let plan = plan.get_or_insert_with(|| Self {
                run_ms: note.run_ms,
                from_ms: note.from_ms,
                to_ms: note.to_ms,
                ranges: Ranges::new(),
            });
            plan.ranges.insert(*partition, mark.offset..note.end);
        }
        Ok(plan)
    }

    /// The run.
    #[must_use]
    pub const fn run(&self) -> Run {
        Run {
            started_ms: self.run_ms,
            cause: RunCause::Rescore,
        }
    }

    /// The mark that says: of `partition` everything before `next` is done with.
    #[must_use]
    pub fn mark(&self, partition: i32, next: i64) -> Mark {
        let note = Note {
            run_ms: self.run_ms,
            from_ms: self.from_ms,
            to_ms: self.to_ms,
            end: self.ranges.get(&partition).map_or(next, |range| range.end),
        };
        Mark {
            offset: next,
            // Four numbers are always JSON.
            note: serde_json::to_string(&note).unwrap_or_default(),
        }
    }

    /// The marks of a replay that begins now.
    #[must_use]
    pub fn marks(&self) -> Marks {
        let ranges = self.ranges.iter();
        ranges
            .map(|(partition, range)| (*partition, self.mark(*partition, range.start)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_what_its_marks_say_however_far_they_have_come() {
        let plan = Plan {
            run_ms: 3,
            from_ms: 1,
            to_ms: 2,
            ranges: Ranges::from([(0, 10..20), (1, 5..5)]),
        };
        let mut marks = plan.marks();
        assert_eq!(Plan::of(&marks).unwrap().as_ref(), Some(&plan));
        marks.insert(0, plan.mark(0, 15));
        let further = Plan::of(&marks).unwrap().unwrap();
        assert_eq!(further.ranges, Ranges::from([(0, 15..20), (1, 5..5)]));
        assert_eq!(further.run(), plan.run());
        assert_eq!(Plan::of(&Marks::new()).unwrap(), None);
        let by_hand = Mark {
            offset: 7,
            note: String::new(),
        };
        marks.insert(1, by_hand);
        assert!(Plan::of(&marks).unwrap_err().contains("--id"));
    }
}
