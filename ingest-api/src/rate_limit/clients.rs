//! Every client's window, within a bound of memory.
//!
//! Clients stand in a list ordered by their newest admitted request, so those whose window is empty again are always at its front
//! and are dropped there, a few with each request. A client whose window still counts is dropped only when the bound is met, and
//! then it is the one that has been idle longest: its window would be empty soonest anyway. It begins anew when it comes back.
//! The other choice, refusing newcomers while the table is full, would let whoever has many addresses shut everybody else out.

use std::collections::HashMap;

use super::window::{Decision, HOUR_MS, Limits, Window};

/// Who: a part of a keyed hash, so that nobody can choose one.
pub type Key = [u8; 16];

/// What one client costs beside its gaps, in bytes: its slot, with a quarter of spare ones, and its place in the index, which
/// is between 7/16 and 7/8 full and has a byte of its own for each place. `tests/rate_limit_memory.rs` holds it against what the process takes.
pub const CLIENT_BYTES: usize = size_of::<Slot>() * 5 / 4 + (size_of::<(Key, u32)>() + 1) * 16 / 7;

/// Most clients dropped with one request, so that nobody waits while many leave at once.
const SWEEP: usize = 64;

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    key: Key,
    window: Window,
    before: u32,
    behind: u32,
}

/// The table.
#[derive(Debug)]
pub struct Clients {
    most_bytes: usize,
    slots: Vec<Slot>,
    index: HashMap<Key, u32>,
    /// The client idle longest.
    first: u32,
    /// The client admitted last.
    last: u32,
    /// A chain of empty slots.
    empty: u32,
    heap_bytes: usize,
}

impl Clients {
    /// An empty table that takes at most `most_bytes`; one client always fits.
    #[must_use]
    pub fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            slots: Vec::new(),
            index: HashMap::new(),
            first: NONE,
            last: NONE,
            empty: NONE,
            heap_bytes: 0,
        }
    }

    /// Decides about a request of `key` now; also how many clients were forgotten before their time.
    pub fn admit(&mut self, key: Key, now_ms: u64, limits: Limits) -> (Decision, usize) {
        self.forget_idle(now_ms);
        let slot = match self.index.get(&key) {
            Some(slot) => *slot,
            None => self.add(key),
        };
        let window = &mut self.slots[slot as usize].window;
        let before = window.heap_bytes();
        let decision = window.admit(now_ms, limits);
        self.heap_bytes = self.heap_bytes + window.heap_bytes() - before;
        if matches!(decision, Decision::Admitted(_)) {
            self.unlink(slot);
            self.link_last(slot);
        }
        (decision, self.keep_within_bound(slot))
    }

    /// Clients it knows.
    #[must_use]
    pub fn known(&self) -> usize {
        self.index.len()
    }

    /// Bytes it takes, by [`CLIENT_BYTES`] and what the windows hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.known() * CLIENT_BYTES + self.heap_bytes
    }

    fn forget_idle(&mut self, now_ms: u64) {
        for _ in 0..SWEEP {
            let Some(slot) = self.slots.get(self.first as usize) else {
                return;
            };
            if slot.window.newest_ms() + HOUR_MS > now_ms {
                return;
            }
            self.remove(self.first);
        }
    }

    fn keep_within_bound(&mut self, newest: u32) -> usize {
        let mut forgotten = 0;
        while self.bytes() > self.most_bytes && self.first != newest && self.first != NONE {
            self.remove(self.first);
            forgotten += 1;
        }
        forgotten
    }

    fn add(&mut self, key: Key) -> u32 {
        let fresh = Slot {
            key,
            window: Window::default(),
            before: NONE,
            behind: NONE,
        };
        let number = match self.slots.get_mut(self.empty as usize) {
            Some(slot) => {
                let number = self.empty;
                self.empty = slot.behind;
                *slot = fresh;
                number
            }
            None => {
                if self.slots.len() == self.slots.capacity() {
                    // Doubling would leave up to half of them unused.
                    self.slots.reserve_exact(self.slots.len() / 4 + 16);
                }
                self.slots.push(fresh);
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert(key, number);
        self.link_last(number);
        number
    }

    fn remove(&mut self, number: u32) {
        self.unlink(number);
        let empty = self.empty;
        let slot = &mut self.slots[number as usize];
        self.heap_bytes -= slot.window.heap_bytes();
        slot.window = Window::default();
        slot.behind = empty;
        self.index.remove(&slot.key);
        self.empty = number;
    }

    fn unlink(&mut self, number: u32) {
        let (before, behind) = {
            let slot = &self.slots[number as usize];
            (slot.before, slot.behind)
        };
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.behind = behind,
            None => self.first = behind,
        }
        match self.slots.get_mut(behind as usize) {
            Some(slot) => slot.before = before,
            None => self.last = before,
        }
    }

    fn link_last(&mut self, number: u32) {
        let last = std::mem::replace(&mut self.last, number);
        let slot = &mut self.slots[number as usize];
        (slot.before, slot.behind) = (last, NONE);
        match self.slots.get_mut(last as usize) {
            Some(slot) => slot.behind = number,
            None => self.first = number,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{
        super::window::tests::{Naive, steps},
        *,
    };

    const LIMITS: Limits = Limits {
        per_minute: 3,
        per_hour: 7,
    };

    fn key(number: u8) -> Key {
        [number; 16]
    }

    /// The clients in the list's order.
    fn order(clients: &Clients) -> Vec<u8> {
        let (mut found, mut at) = (Vec::new(), clients.first);
        while at != NONE {
            let slot = &clients.slots[at as usize];
            found.push(slot.key[0]);
            at = slot.behind;
        }
        found
    }

    proptest! {
        #[test]
        fn within_the_bound_nobody_is_forgotten_whose_window_counts_and_nobody_else_is_kept(
            steps in steps(300),
            whose in proptest::collection::vec(0_u8..9, 300),
        ) {
            let mut clients = Clients::new(usize::MAX);
            let mut naive: BTreeMap<u8, Naive> = BTreeMap::new();
            let mut now = 0;
            for (step, who) in steps.into_iter().zip(whose) {
                now += step;
                let (decision, forgotten) = clients.admit(key(who), now, LIMITS);
                prop_assert_eq!(forgotten, 0);
                prop_assert_eq!(decision, naive.entry(who).or_default().admit(now, LIMITS));
                naive.retain(|_, times| times.counts(now));
                let mut known = order(&clients);
                known.sort_unstable();
                prop_assert_eq!(known, naive.keys().copied().collect::<Vec<_>>());
                prop_assert_eq!(clients.known(), naive.len());
                let held: usize = clients.slots.iter().map(|slot| slot.window.heap_bytes()).sum();
                prop_assert_eq!(clients.heap_bytes, held);
            }
        }

        #[test]
        fn at_the_bound_the_one_idle_longest_goes_and_the_bound_holds(
            whose in proptest::collection::vec(0_u8..9, 1..200),
        ) {
            let most = 4 * CLIENT_BYTES + 40;
            let mut clients = Clients::new(most);
            for (now, who) in whose.into_iter().enumerate() {
                let before = order(&clients);
                let (_, forgotten) = clients.admit(key(who), now as u64, LIMITS);
                prop_assert!(clients.bytes() <= most);
                let after = order(&clients);
                let gone: Vec<u8> = before.iter().copied().filter(|one| !after.contains(one)).collect();
                prop_assert_eq!(gone.len(), forgotten);
                let idle = before.iter().copied().filter(|one| *one != who);
                prop_assert_eq!(gone, idle.take(forgotten).collect::<Vec<_>>());
                if forgotten > 0 {
                    prop_assert!(clients.bytes() + CLIENT_BYTES + 40 > most, "no more than needed");
                }
            }
        }
    }

    #[test]
    fn one_client_always_fits_and_slots_are_used_again() {
        let mut clients = Clients::new(0);
        for number in 0..200 {
            let (decision, forgotten) = clients.admit(key(number), 0, LIMITS);
            assert!(matches!(decision, Decision::Admitted(_)));
            assert_eq!(forgotten, usize::from(number > 0));
        }
        assert_eq!(clients.known(), 1);
        assert!(clients.slots.len() <= 2, "{}", clients.slots.len());
    }
}
