//! Writes the API's description to `ingest-api/openapi.json`.

use std::{fs, io, path::Path};

use trustcard_ingest_api::{openapi, router};

fn main() -> io::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    fs::write(&path, openapi::text(&router::document(true))?)?;
    println!("{}", path.display());
    Ok(())
}
