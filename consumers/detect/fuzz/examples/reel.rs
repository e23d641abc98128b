//! Writes the sample site's reel to standard output: what fuzzing of videos begins with.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(&trustcard_sample_site::video::reel())
}
