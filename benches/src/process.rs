//! What the kernel says of a process.

use std::{fs, io};

/// Ticks of `/proc/PID/stat` in a second: `USER_HZ`, which is 100 on every architecture TrustCard is built for (proc(5)).
const TICKS: f64 = 100.0;

/// CPU-seconds a process has used so far, in user and kernel mode, by all its threads.
///
/// # Errors
/// When there is no such process.
pub fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    ticks(&stat)
        .map(|ticks| ticks / TICKS)
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat can't be read: {stat}")))
}

/// The sum of utime and stime, fields 14 and 15; the second field, the name, may hold spaces and parentheses.
#[allow(
    clippy::cast_precision_loss,
    reason = "a process does not live for 2^52 ticks"
)]
fn ticks(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some((next()? + next()?) as f64)
}

/// Most memory a process has had resident in its life, MiB.
///
/// # Errors
/// When there is no such process.
pub fn peak_mib(pid: u32) -> io::Result<f64> {
    memory_mib(pid, "VmHWM:")
}

/// Memory a process has resident now, MiB.
///
/// # Errors
/// When there is no such process.
pub fn resident_mib(pid: u32) -> io::Result<f64> {
    memory_mib(pid, "VmRSS:")
}

fn memory_mib(pid: u32, field: &str) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    kib(&status, field)
        .map(|kib| kib / 1024.0)
        .ok_or_else(|| io::Error::other(format!("process {pid} has ended")))
}

fn kib(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 900 0 0 0 1234 66 0 0 20 0 9 0 5 1000 200 0 0";
        assert_eq!(ticks(stat), Some(1300.0));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn memory_is_read_and_a_process_without_any_has_none() {
        let status = "Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 10 kB\n";
        assert_eq!(kib(status, "VmHWM:"), Some(2048.0));
        assert_eq!(kib(status, "VmRSS:"), Some(10.0));
        assert_eq!(kib("Name:\tx\nState:\tZ (zombie)\n", "VmRSS:"), None);
    }

    #[test]
    fn this_process_has_used_both() {
        let pid = std::process::id();
        let before = cpu_seconds(pid).unwrap();
        while cpu_seconds(pid).unwrap() < before + 0.02 {}
        let (peak, now) = (peak_mib(pid).unwrap(), resident_mib(pid).unwrap());
        assert!(now > 0.1 && peak >= now * 0.5, "{now} {peak}");
    }
}
