//! Sums of what was leased, window by window, and what may still be.

use jiff::Timestamp;
use store::Lease;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The minute, the hour and the day of a moment, each counted from the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Windows {
    /// The minute; the others follow from it.
    pub minute: i64,
    /// The hour.
    pub hour: i64,
    /// The day.
    pub day: i64,
}

impl Windows {
    /// Those of a moment.
    #[must_use]
    pub fn of(now: Timestamp) -> Self {
        Self::of_minute(now.as_millisecond().div_euclid(MINUTE_MS))
    }

    const fn of_minute(minute: i64) -> Self {
        Self {
            minute,
            hour: minute.div_euclid(60),
            day: minute.div_euclid(24 * 60),
        }
    }

    /// These, or those of `minute` where it is later: another clock is ahead of ours.
    #[must_use]
    pub const fn not_before(self, minute: i64) -> Self {
        if minute > self.minute {
            Self::of_minute(minute)
        } else {
            self
        }
    }

    /// Seconds until each of them ends, at least 1.
    #[must_use]
    pub fn resets_s(self, now: Timestamp) -> [u32; 3] {
        let ends = [
            (self.minute + 1) * MINUTE_MS,
            (self.hour + 1) * HOUR_MS,
            (self.day + 1) * DAY_MS,
        ];
        ends.map(|end| {
            let left_ms = end.saturating_sub(now.as_millisecond()).max(1);
            u32::try_from((left_ms + 999) / 1000).unwrap_or(u32::MAX)
        })
    }

    /// `value` for each window that is the same in both.
    fn where_same(self, other: Self, value: u64) -> Sums {
        let same = [
            self.minute == other.minute,
            self.hour == other.hour,
            self.day == other.day,
        ];
        Sums(same.map(|same| if same { value } else { 0 }))
    }
}

/// URLs of a minute, an hour and a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums(pub [u64; 3]);

impl Sums {
    /// The sums that a lease has for these windows: none for one that it is not of.
    #[must_use]
    pub fn at(lease: Option<&Lease>, windows: Windows) -> Self {
        let Some(lease) = lease else {
            return Self::default();
        };
        Self([lease.minute_used, lease.hour_used, lease.day_used])
            .carried(Windows::of_minute(lease.minute), windows)
    }

    /// Sums of one moment's windows as those of another's.
    #[must_use]
    pub fn carried(self, from: Windows, to: Windows) -> Self {
        let kept = from.where_same(to, 1).0;
        Self(std::array::from_fn(|window| self.0[window] * kept[window]))
    }

    /// Less these, down to nothing.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(std::array::from_fn(|window| {
            self.0[window].saturating_sub(other.0[window])
        }))
    }

    /// And so many in each.
    #[must_use]
    pub fn plus(self, urls: u64) -> Self {
        Self(self.0.map(|sum| sum.saturating_add(urls)))
    }
}

/// URLs that may pass in a minute, an hour and a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits(pub [u32; 3]);

impl Limits {
    /// The usual size of a lease, where a minute's quota is leased in `parts`.
    #[must_use]
    pub fn part(self, parts: u32) -> u64 {
        let smallest = self.0.into_iter().min().unwrap_or(0);
        u64::from(smallest.div_euclid(parts.max(1)).max(1))
    }

    /// How much may be leased on top of `sums`.
    #[must_use]
    pub fn room(self, sums: Sums) -> u64 {
        let rooms = self.0.into_iter().zip(sums.0);
        let rooms = rooms.map(|(limit, sum)| u64::from(limit).saturating_sub(sum));
        rooms.min().unwrap_or(0)
    }
}

/// What one replica has leased for a holder and not let pass yet, and what it last saw of all leases.
#[derive(Debug, Default)]
pub struct Purse {
    /// Those of its lease.
    windows: Windows,
    /// URLs left of it.
    left: u64,
    /// Sums of all replicas, and the windows they are of.
    seen: (Windows, Sums),
}

impl Purse {
    /// The windows that count at `now`.
    #[must_use]
    pub fn windows(&self, now: Timestamp) -> Windows {
        Windows::of(now).not_before(self.windows.minute)
    }

    /// URLs that may pass in these windows without another lease.
    #[must_use]
    pub const fn usable(&self, windows: Windows) -> u64 {
        if windows.minute == self.windows.minute {
            self.left
        } else {
            0
        }
    }

    /// What was submitted in these windows, as far as it was seen: what is left of the own lease was not.
    #[must_use]
    pub fn used(&self, windows: Windows) -> Sums {
        let (of, sums) = self.seen;
        let unspent = self.windows.where_same(windows, self.left);
        sums.carried(of, windows).less(unspent)
    }

    /// Notes the newest lease of all replicas.
    pub fn saw(&mut self, newest: Option<&Lease>, windows: Windows) {
        self.seen = (windows, Sums::at(newest, windows));
    }

    /// The sums after a lease on top of what was seen, and its size: what is missing of `wanted` or the usual `part`, as far as
    /// there is room. `None` where there is none. What is left of an earlier minute goes back to its hour and day.
    #[must_use]
    pub fn next(
        &self,
        windows: Windows,
        limits: Limits,
        wanted: u64,
        part: u64,
    ) -> Option<(Sums, u64)> {
        let usable = self.usable(windows);
        let (of, sums) = self.seen;
        let sums = match usable {
            0 => sums
                .carried(of, windows)
                .less(self.windows.where_same(windows, self.left)),
            _ => sums.carried(of, windows),
        };
        let amount = limits
            .room(sums)
            .min(part.max(wanted.saturating_sub(usable)));
        (amount > 0).then(|| (sums.plus(amount), amount))
    }

    /// Takes a lease that was added.
    pub fn took(&mut self, windows: Windows, sums: Sums, amount: u64) {
        self.left = self.usable(windows).saturating_add(amount);
        self.windows = windows;
        self.seen = (windows, sums);
    }

    /// Lets at most `wanted` pass, and says how many.
    pub fn spend(&mut self, windows: Windows, wanted: u64) -> u64 {
        let spent = self.usable(windows).min(wanted);
        self.left -= spent;
        spent
    }

    /// Takes back what was let pass and not submitted.
    pub const fn give_back(&mut self, urls: u64) {
        self.left = self.left.saturating_add(urls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits([100, 1_000, 5_000]);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_760_000_400 + second).unwrap()
    }

    /// Leases as a replica does, on top of `newest`.
    fn lease(purse: &mut Purse, newest: &mut Option<Lease>, second: i64, wanted: u64) -> u64 {
        let windows = purse.windows(at(second));
        purse.saw(newest.as_ref(), windows);
        let Some((sums, amount)) = purse.next(windows, LIMITS, wanted, LIMITS.part(10)) else {
            return 0;
        };
        *newest = Some(Lease {
            number: newest.as_ref().map_or(1, |lease| lease.number + 1),
            lease_id: uuid::Uuid::nil(),
            minute: windows.minute,
            minute_used: sums.0[0],
            hour: windows.hour,
            hour_used: sums.0[1],
            day_used: sums.0[2],
        });
        purse.took(windows, sums, amount);
        amount
    }

    #[test]
    fn a_lease_is_a_part_or_what_is_missing_and_never_beyond_a_limit() {
        let (mut purse, mut newest) = (Purse::default(), None);
        assert_eq!(lease(&mut purse, &mut newest, 0, 1), 10, "a part");
        let windows = purse.windows(at(0));
        assert_eq!(purse.spend(windows, 1), 1);
        assert_eq!(purse.used(windows), Sums([1, 1, 1]));
        assert_eq!(lease(&mut purse, &mut newest, 1, 50), 41, "what is missing");
        let mut other = Purse::default();
        assert_eq!(
            lease(&mut other, &mut newest, 2, 1_000),
            49,
            "what there is"
        );
        assert_eq!(lease(&mut other, &mut newest, 3, 1), 0);
        assert_eq!(lease(&mut other, &mut newest, 60, 1), 10, "another minute");
    }

    #[test]
    fn what_a_minute_left_goes_back_to_its_hour_and_day_once() {
        let (mut purse, mut newest) = (Purse::default(), None);
        lease(&mut purse, &mut newest, 0, 1);
        let windows = purse.windows(at(0));
        purse.spend(windows, 3);
        lease(&mut purse, &mut newest, 60, 1);
        let sums = newest
            .as_ref()
            .map(|lease| (lease.minute_used, lease.hour_used, lease.day_used));
        assert_eq!(sums, Some((10, 13, 13)));
        lease(&mut purse, &mut newest, 61, 12);
        let sums = newest
            .as_ref()
            .map(|lease| (lease.minute_used, lease.hour_used, lease.day_used));
        assert_eq!(sums, Some((20, 23, 23)));
        assert_eq!(purse.used(purse.windows(at(61))), Sums([0, 3, 3]));
    }

    #[test]
    fn a_clock_that_is_behind_goes_by_the_one_that_is_ahead() {
        let (mut ahead, mut behind, mut newest) = (Purse::default(), Purse::default(), None);
        lease(&mut ahead, &mut newest, 60, 100);
        let windows = behind
            .windows(at(59))
            .not_before(newest.as_ref().unwrap().minute);
        behind.saw(newest.as_ref(), windows);
        assert_eq!(
            behind.next(windows, LIMITS, 1, 1),
            None,
            "its minute is used up"
        );
    }

    #[test]
    fn windows_end_when_the_clock_says() {
        // 08:59:59.5 of a day.
        let now = Timestamp::from_millisecond(1_760_000_399_500).unwrap();
        let midnight = 1_760_054_400;
        let day = u32::try_from(midnight - 1_760_000_399).unwrap();
        assert_eq!(Windows::of(now).resets_s(now), [1, 1, day]);
    }
}
