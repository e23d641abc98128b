//! How many files of a post are in memory at once, by the kernel's own count; a binary of its own, so that nothing else counts.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/posts.rs"]
mod posts;

use std::{fs, sync::Arc};

use common::{Setup, plain};
use engine::Stage;
use posts::{post, seen, stage};
use trustcard_detect::Detector;

const FILE: usize = 8 << 20;

#[tokio::test]
async fn the_files_of_a_post_are_not_all_in_memory_at_once() {
    let installed = Setup::default().install();
    let detector = Arc::new(Detector::start(&installed.config).unwrap());
    let (stage, blobs) = stage(installed.folder.path(), detector);
    let mut file = plain([9, 9, 9]);
    file.resize(FILE, 0);
    let blob = blobs.put(file.into(), "image/png").await.unwrap();
    let batch = [
        post("a", &vec![blob.clone(); 20]),
        post("b", &vec![blob; 20]),
    ];

    // Resets the peak that the kernel keeps.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:");
    let outcomes = stage.process(batch.to_vec()).await.unwrap();
    let grown = status("VmHWM:").saturating_sub(before);
    assert_eq!(
        outcomes.iter().map(|post| seen(post).len()).sum::<usize>(),
        40
    );
    // One worker: two files, and what the allocator has not given back. All would be 320 MiB.
    assert!(grown < 10 * FILE as u64, "grown by {grown} bytes");
}

/// A field of /proc/self/status, in bytes.
fn status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes << 10
}
