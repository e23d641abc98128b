//! What a million clients take, in a process of its own, because it is the process that is weighed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use trustcard_ingest_api::rate_limit::{
    clients::{CLIENT_BYTES, Clients, Key},
    window::Limits,
};

const MILLION: usize = 1_000_000;
const LIMITS: Limits = Limits {
    per_minute: 10,
    per_hour: 100,
};

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

/// As random as a keyed hash, and no two alike.
fn key(number: usize) -> Key {
    let mixed = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    mixed.to_le_bytes()
}

#[test]
fn a_million_clients_take_no_more_than_is_told_and_the_bound_holds() {
    let mut clients = Clients::new(usize::MAX);
    let before = resident();
    for number in 0..MILLION {
        clients.admit(key(number), number as u64 / 1000, LIMITS);
    }
    let taken = resident() - before;
    println!(
        "a million clients: {taken} bytes taken, {} told ({CLIENT_BYTES} each)",
        clients.bytes()
    );
    assert_eq!(clients.known(), MILLION);
    assert!(taken <= clients.bytes(), "{taken} > {}", clients.bytes());
    assert!(taken <= 160_000_000, "{taken}");

    // An hour later they leave by themselves, a few with each request; the memory serves the next million.
    let hour = 3_600_000 + MILLION as u64;
    for number in 0..MILLION {
        clients.admit(key(MILLION + number), hour + number as u64 / 1000, LIMITS);
    }
    assert_eq!(clients.known(), MILLION);
    let later = resident() - before;
    assert!(later <= taken + taken / 10, "{later} after {taken}");
    drop(clients);

    let most = 16 << 20;
    let mut clients = Clients::new(most);
    let mut forgotten = 0;
    for number in 0..MILLION {
        forgotten += clients.admit(key(number), 0, LIMITS).1;
        assert!(clients.bytes() <= most);
    }
    assert_eq!(clients.known() + forgotten, MILLION);
    assert_eq!(clients.known(), most / CLIENT_BYTES);
}
