//! Writes the JSON Schemas to `schemas/json` and the AsyncAPI document to `schemas/asyncapi.json`. With `--release` also the
//! schemas and the golden records to `schemas/json/released/VERSION`, which every later change is compared with: do that when a
//! release is cut, and only then.

use std::{fs, io, path::Path};

use trustcard_schemas::{asyncapi, json_schema};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    write(&root.join(asyncapi::FILE), &asyncapi::document())?;
    let current = root.join("json");
    schemas(&current)?;
    if std::env::args().any(|argument| argument == "--release") {
        let released = current.join("released").join(env!("CARGO_PKG_VERSION"));
        if released.exists() {
            let told = format!(
                "{} is there: what was released stays as it was; raise the version in Cargo.toml first",
                released.display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, told));
        }
        fs::create_dir_all(released.join("records"))?;
        schemas(&released)?;
        for (schema, _) in json_schema::files() {
            let name = schema.trim_end_matches(".json");
            for record in [format!("{name}.json"), format!("{name}.minimal.json")] {
                let golden = fs::read_to_string(root.join("fixtures").join(&record))?;
                write(&released.join("records").join(&record), &golden)?;
            }
        }
    }
    Ok(())
}

fn schemas(folder: &Path) -> io::Result<()> {
    for (name, text) in json_schema::files() {
        write(&folder.join(name), &text)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    println!("{}", path.display());
    Ok(())
}
