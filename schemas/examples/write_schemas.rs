//! Writes the JSON Schemas to `schemas/json`. With `--release` also to `schemas/json/released`, the set that the next change
//! is compared with: do that when a release is cut, and only then.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let current = Path::new(env!("CARGO_MANIFEST_DIR")).join("json");
    let mut folders = vec![current.clone()];
    if std::env::args().any(|argument| argument == "--release") {
        folders.push(current.join("released"));
    }
    for folder in folders {
        fs::create_dir_all(&folder)?;
        for (name, text) in trustcard_schemas::json_schema::files() {
            fs::write(folder.join(&name), text)?;
            println!("{}", folder.join(&name).display());
        }
    }
    Ok(())
}
