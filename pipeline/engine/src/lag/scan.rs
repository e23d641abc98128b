//! What is known of a partition's log behind a group's committed offset, and what lag follows from it. No I/O.

use tokio::time::Instant;

use super::State;

/// Records are counted one by one while a group is at most this many offsets behind in a partition.
pub const COUNT_UP_TO: i64 = 256;

/// Where a partition's log begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Offset of the oldest record.
    pub(super) low: i64,
    /// Last stable offset: the first of an open transaction, else the end.
    pub(super) stable: i64,
    /// High watermark.
    pub(super) high: i64,
}

/// A record that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) offset: i64,
    /// When it was written, milliseconds since the Unix epoch; 0 or less is unknown.
    pub(super) timestamp_ms: i64,
    /// When it may be processed, for a retry; milliseconds since the Unix epoch.
    pub(super) due_ms: Option<i64>,
    /// When it was first seen here.
    pub(super) seen: Instant,
}

impl Head {
    /// How long it waits, in seconds, at `now` by the wall clock (milliseconds) and by the steady one.
    pub(super) fn age(&self, now_ms: i64, now: Instant) -> f64 {
        match self.due_ms {
            Some(due) if due > self.timestamp_ms => seconds(now_ms.saturating_sub(due)),
            _ => {
                let seen = now.saturating_duration_since(self.seen).as_secs_f64();
                if self.timestamp_ms <= 0 {
                    return seen;
                }
                seconds(now_ms.saturating_sub(self.timestamp_ms)).max(seen)
            }
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds of any age fit a double"
)]
fn seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1000.0
}

/// Where a group goes on in a partition, and what is to be said about that.
pub(super) fn start(committed: Option<i64>, bounds: Bounds) -> (i64, State) {
    match committed {
        None => (bounds.low, State::NoCommit),
        Some(offset) if offset < bounds.low => (bounds.low, State::BehindLogStart),
        Some(offset) if offset > bounds.high => (bounds.high, State::BeyondEnd),
        Some(offset) => (offset, State::Ok),
    }
}

/// What was read of a log from a group's offset on, as a read-committed consumer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    /// The group's offset.
    from: i64,
    /// Everything before this was read.
    to: i64,
    /// The first record at or after `from`.
    head: Option<Head>,
    /// Records from `from` to `to`.
    records: i64,
    /// The first record of the open transaction that stops readers, with the last stable offset at which it was found.
    open: Option<(i64, Head)>,
}

/// What a read has to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// The first record from `from` on, and how many there are up to `to` if `count`.
    Committed { from: i64, to: i64, count: bool },
    /// The first record from `from` on, committed or not.
    Uncommitted { from: i64, to: i64 },
}

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// The first record.
    pub(super) head: Option<Head>,
    /// How many were read.
    pub(super) records: i64,
    /// Everything before this was read.
    pub(super) to: i64,
}

/// Lag of a partition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measure {
    pub(super) records: i64,
    pub(super) exact: bool,
    /// The record whose age is the lag in seconds.
    pub(super) head: Option<Head>,
    /// Only records of open transactions, and what lies behind them, are left.
    pub(super) blocked: bool,
}

impl Scan {
    pub(super) fn at(start: i64) -> Self {
        Self {
            from: start,
            to: start,
            head: None,
            records: 0,
            open: None,
        }
    }

    /// Keeps what still holds for a group that goes on at `start`, and forgets the rest.
    pub(super) fn move_to(&mut self, start: i64, bounds: Bounds) {
        let holds = match self.head {
            Some(head) => start <= head.offset,
            None => start <= self.to,
        };
        if start < self.from || !holds || self.to > bounds.high {
            *self = Self::at(start);
        }
        self.from = start;
        let stands = |(at, head): &(i64, Head)| *at == bounds.stable && head.offset >= start;
        self.open = self.open.filter(stands);
    }

    /// What has to be read before [`Scan::measure`] can tell all.
    pub(super) fn want(&self, bounds: Bounds) -> Option<Want> {
        let count = bounds.high - self.from <= COUNT_UP_TO;
        if self.to < bounds.stable && (self.head.is_none() || count) {
            return Some(Want::Committed {
                from: self.to,
                to: bounds.stable,
                count,
            });
        }
        let blocked = self.head.is_none() && self.open.is_none();
        // A group may have committed beyond the first record of the transaction, if it reads uncommitted.
        let from = bounds.stable.max(self.from);
        (blocked && from < bounds.high).then_some(Want::Uncommitted {
            from,
            to: bounds.high,
        })
    }

    /// Takes in what was read.
    pub(super) fn learn(&mut self, want: Want, found: Found, bounds: Bounds) {
        match want {
            Want::Committed { from, .. } if from == self.to => {
                self.head = self.head.or(found.head);
                self.records += found.records;
                self.to = found.to;
            }
            Want::Uncommitted { .. } => {
                self.open = found.head.map(|head| (bounds.stable, head));
            }
            Want::Committed { .. } => {}
        }
    }

    /// Lag, as far as it is known.
    pub(super) fn measure(&self, bounds: Bounds) -> Measure {
        if let Some(head) = self.head {
            return Measure {
                records: self.records + bounds.high - self.to,
                exact: self.to >= bounds.high,
                head: Some(head),
                blocked: false,
            };
        }
        let unread = bounds.high - self.to.max(self.from);
        let blocked = unread > 0 && self.to >= bounds.stable;
        Measure {
            records: unread,
            exact: unread == 0,
            head: self.open.map(|(_, head)| head).filter(|_| blocked),
            blocked,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn bounds(low: i64, stable: i64, high: i64) -> Bounds {
        Bounds { low, stable, high }
    }

    fn head(offset: i64) -> Head {
        Head {
            offset,
            timestamp_ms: 1_000,
            due_ms: None,
            seen: Instant::now(),
        }
    }

    /// A log as a test sees it: `r` a committed record, `m` a marker, `a` an aborted record, `o` a record of an open
    /// transaction. Its first letter has offset `low`.
    struct Log {
        low: i64,
        text: &'static str,
    }

    impl Log {
        fn bounds(&self) -> Bounds {
            let high = self.low + self.text.len() as i64;
            let stable = self.text.find('o').map_or(high, |at| self.low + at as i64);
            bounds(self.low, stable, high)
        }

        /// As the reader in `read.rs` answers; without `count` it stops at the first record.
        fn answer(&self, want: Want) -> Found {
            let (from, to, count, visible) = match want {
                Want::Committed { from, to, count } => (from, to, count, "r"),
                Want::Uncommitted { from, to } => (from, to, false, "rao"),
            };
            let mut found = Found {
                head: None,
                records: 0,
                to,
            };
            for offset in from..to {
                let letter = &self.text[(offset - self.low) as usize..][..1];
                if visible.contains(letter) {
                    found.head = found.head.or(Some(head(offset)));
                    found.records += 1;
                    if !count {
                        found.to = offset + 1;
                        break;
                    }
                }
            }
            found
        }

        /// Reads all that is wanted; how often that was.
        fn read(&self, scan: &mut Scan) -> usize {
            let mut reads = 0;
            while let Some(want) = scan.want(self.bounds()) {
                scan.learn(want, self.answer(want), self.bounds());
                reads += 1;
                assert!(reads < 10, "it never ends: {scan:?}");
            }
            reads
        }

        /// Records, offset of the head, whether blocked, for a group that committed `committed`.
        fn lag(&self, committed: i64) -> (i64, Option<i64>, bool) {
            let (start, _) = start(Some(committed), self.bounds());
            let mut scan = Scan::at(start);
            self.read(&mut scan);
            let measure = scan.measure(self.bounds());
            (
                measure.records,
                measure.head.map(|head| head.offset),
                measure.blocked,
            )
        }
    }

    #[test]
    fn markers_and_aborted_records_are_no_lag() {
        let log = |text| Log { low: 10, text };
        assert_eq!(log("rrm").lag(12), (0, None, false), "a marker alone");
        assert_eq!(log("rrmaam").lag(12), (0, None, false), "an aborted tail");
        assert_eq!(log("rrm").lag(10), (2, Some(10), false));
        assert_eq!(log("rrmamrm").lag(12), (1, Some(15), false));
        assert_eq!(log("rmrmrm").lag(10), (3, Some(10), false));
        assert_eq!(log("rr").lag(12), (0, None, false), "all read");
        assert_eq!(log("").lag(10), (0, None, false), "an empty log");
    }

    #[test]
    fn behind_an_open_transaction_its_records_and_those_behind_it_are_lag() {
        let log = |text| Log { low: 0, text };
        assert_eq!(log("rmoo").lag(2), (2, Some(2), true));
        assert_eq!(
            log("rmoo").lag(1),
            (2, Some(2), true),
            "a marker stands before it"
        );
        assert_eq!(
            log("rmoo").lag(0),
            (3, Some(0), false),
            "something can be read"
        );
        assert_eq!(
            log("orm").lag(0),
            (3, Some(0), true),
            "a committed record and its marker wait behind it"
        );
        assert_eq!(
            log("rmoo").lag(3),
            (1, Some(3), true),
            "a group that reads uncommitted"
        );
    }

    #[test]
    fn where_a_group_goes_on_is_clamped_to_the_log_and_said() {
        let bounds = bounds(10, 20, 20);
        assert_eq!(start(None, bounds), (10, State::NoCommit));
        assert_eq!(start(Some(3), bounds), (10, State::BehindLogStart));
        assert_eq!(start(Some(10), bounds), (10, State::Ok));
        assert_eq!(start(Some(20), bounds), (20, State::Ok));
        assert_eq!(start(Some(21), bounds), (20, State::BeyondEnd));
    }

    #[test]
    fn nothing_is_read_again_while_the_commit_stands_still() {
        let mut scan = Scan::at(0);
        let log = |text| Log { low: 0, text };
        assert_eq!(log("rrm").read(&mut scan), 1);
        scan.move_to(0, log("rrm").bounds());
        assert_eq!(log("rrm").read(&mut scan), 0);
        // What is new is counted, and only that.
        let longer = log("rrmrmam");
        scan.move_to(0, longer.bounds());
        assert_eq!(
            scan.want(longer.bounds()),
            Some(Want::Committed {
                from: 3,
                to: 7,
                count: true
            })
        );
        longer.read(&mut scan);
        let measure = scan.measure(longer.bounds());
        assert_eq!((measure.records, measure.exact), (3, true));
    }

    #[test]
    fn far_behind_one_record_is_read_and_offsets_are_counted() {
        let far = bounds(0, 100_000, 100_000);
        let mut scan = Scan::at(7);
        let want = scan.want(far).unwrap();
        assert_eq!(
            want,
            Want::Committed {
                from: 7,
                to: 100_000,
                count: false
            }
        );
        let found = Found {
            head: Some(head(9)),
            records: 1,
            to: 10,
        };
        scan.learn(want, found, far);
        assert_eq!(scan.want(far), None);
        let farther = bounds(0, 200_000, 200_000);
        scan.move_to(7, farther);
        assert_eq!(
            scan.want(farther),
            None,
            "its head is known and it did not move"
        );
        let measure = scan.measure(farther);
        assert_eq!((measure.records, measure.exact), (200_000 - 9, false));
    }

    #[test]
    fn what_is_known_is_kept_until_the_commit_passes_the_head_or_goes_back() {
        let log = Log {
            low: 0,
            text: "mmrrm",
        };
        let mut scan = Scan::at(0);
        log.read(&mut scan);
        scan.move_to(2, log.bounds());
        assert_eq!(log.read(&mut scan), 0, "only markers were skipped");
        assert_eq!(scan.measure(log.bounds()).records, 2);
        scan.move_to(3, log.bounds());
        assert_eq!(log.read(&mut scan), 1);
        assert_eq!(scan.measure(log.bounds()).records, 1);
        scan.move_to(0, log.bounds());
        assert_eq!(log.read(&mut scan), 1, "the group was set back");
        assert_eq!(scan.measure(log.bounds()).records, 2);
        let anew = Log { low: 0, text: "r" };
        scan.move_to(0, anew.bounds());
        assert_eq!(anew.read(&mut scan), 1, "the topic was made anew");
        assert_eq!(scan.measure(anew.bounds()).records, 1);
    }

    #[test]
    fn an_open_transaction_that_moved_on_is_looked_at_again() {
        let mut scan = Scan::at(0);
        let open = Log { low: 0, text: "oo" };
        assert_eq!(open.read(&mut scan), 1);
        scan.move_to(0, open.bounds());
        assert_eq!(open.read(&mut scan), 0);
        let aborted = Log {
            low: 0,
            text: "aamo",
        };
        scan.move_to(0, aborted.bounds());
        aborted.read(&mut scan);
        let measure = scan.measure(aborted.bounds());
        assert_eq!((measure.records, measure.head.unwrap().offset), (1, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn age_counts_from_the_later_of_timestamp_and_due_time_and_is_never_negative() {
        let seen = Instant::now();
        let age = |timestamp_ms, due_ms, now_ms| {
            let head = Head {
                offset: 0,
                timestamp_ms,
                due_ms,
                seen,
            };
            head.age(now_ms, Instant::now())
        };
        assert_eq!(age(1_000, None, 3_500), 2.5);
        assert_eq!(age(1_000, Some(3_000), 3_500), 0.5);
        assert_eq!(age(1_000, Some(9_000), 3_500), 0.0, "not due yet");
        assert_eq!(
            age(1_000, Some(500), 3_500),
            2.5,
            "due before it was written"
        );
        assert_eq!(age(9_000, None, 3_500), 0.0, "written in the future");
        assert_eq!(age(1_000, None, i64::MIN), 0.0);
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(age(9_000, None, 3_500), 4.0, "it was seen for so long");
        assert_eq!(age(-1, None, 3_500), 4.0, "it has no timestamp");
        assert_eq!(age(1_000, Some(9_000), 3_500), 0.0, "still not due");
    }
}
