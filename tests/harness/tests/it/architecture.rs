//! The shape of the workspace: dependencies point one way, each outside part has one room that names it, the sample site
//! depends on no room, and files stay short enough to hold one idea.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Every room with the rooms it may depend on:
/// `schemas ← engine, store, outbound ← ingest-api, scrape, detect, score, webhook ← trustcard ← tests`. Rooms of one rank never name each other. The
/// client is a caller's, and knows none of them.
const ROOMS: [(&str, &[&str]); 14] = [
    ("trustcard-schemas", &[]),
    ("trustcard-engine", &["trustcard-schemas"]),
    ("trustcard-store", &["trustcard-schemas"]),
    ("trustcard-ingest-api", WAY_OUT),
    ("trustcard-outbound", &[]),
    ("trustcard-scrape", WAY_OUT),
    ("trustcard-webhook", WAY_OUT),
    ("trustcard-detect", PIPELINE),
    ("trustcard-score", PIPELINE),
    ("trustcard-client", &[]),
    (
        "trustcard",
        &[
            "trustcard-schemas",
            "trustcard-engine",
            "trustcard-store",
            "trustcard-outbound",
            "trustcard-ingest-api",
            "trustcard-scrape",
            "trustcard-webhook",
            "trustcard-detect",
            "trustcard-score",
            "trustcard-client",
            "trustcard-sample-site",
        ],
    ),
    ("trustcard-tests", &[]),
    ("trustcard-benches", &[]),
    ("trustcard-sample-site", &[]),
];
const PIPELINE: &[&str] = &["trustcard-schemas", "trustcard-engine", "trustcard-store"];
/// Those that ask addresses of strangers.
const WAY_OUT: &[&str] = &[
    "trustcard-schemas",
    "trustcard-engine",
    "trustcard-store",
    "trustcard-outbound",
];

/// The rooms of the tests and the benches, which may name anything.
const TESTS: [&str; 2] = ["trustcard-tests", "trustcard-benches"];

/// Outside crates that only these rooms may name.
const OWNED: [(&str, &[&str]); 7] = [
    ("rdkafka", &["trustcard-engine"]),
    ("scylla", &["trustcard-store"]),
    ("openssl", &["trustcard-store"]),
    ("rusqlite", &["trustcard-store"]),
    ("ort", &["trustcard-detect"]),
    ("ort-tract", &["trustcard-detect"]),
    ("reqwest", &["trustcard-outbound", "trustcard-client"]),
];

/// Rooms that are linked only by a feature that can be turned off.
const OPTIONAL: [&str; 1] = ["trustcard-sample-site"];

const MAX_LINES: usize = 500;

/// One line of a `[dependencies]` table.
struct Dependency<'a> {
    room: &'a str,
    on: &'a str,
    /// Whether it is a dev-dependency.
    test: bool,
    optional: bool,
}

/// Every rule that a dependency breaks.
fn broken_rules(dependency: &Dependency<'_>) -> Vec<String> {
    let Dependency { room, on, .. } = *dependency;
    let test = dependency.test || TESTS.contains(&room);
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("{room} is not a room of the architecture")];
    };
    let on_room = ROOMS.iter().any(|(name, _)| *name == on);
    let mut broken = Vec::new();
    if on_room && room == "trustcard-sample-site" {
        broken.push(format!("{room} plays a stranger and must not know {on}"));
    } else if on_room && !test && !allowed.contains(&on) {
        broken.push(format!("{room} must not depend on {on}"));
    }
    if OPTIONAL.contains(&on) && !test && !dependency.optional {
        broken.push(format!("{room} must link {on} by a feature"));
    }
    let owners = OWNED.iter().find(|(name, _)| *name == on);
    if let Some((_, owners)) = owners
        && !test
        && !owners.contains(&room)
    {
        broken.push(format!("{room} must not name {on}: {owners:?} do"));
    }
    broken
}

fn dependencies(workspace: &Metadata) -> Vec<Dependency<'_>> {
    let packages = workspace.workspace_packages();
    let of = |package: &&cargo_metadata::Package| package.name.to_string();
    let mut names: Vec<String> = packages.iter().map(of).collect();
    names.sort();
    let mut rooms: Vec<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    rooms.sort_unstable();
    assert_eq!(names, rooms, "every room of the architecture and no other");
    workspace
        .packages
        .iter()
        .flat_map(|package| {
            package.dependencies.iter().map(|dependency| Dependency {
                room: package.name.as_str(),
                on: dependency.name.as_str(),
                test: dependency.kind == DependencyKind::Development,
                optional: dependency.optional,
            })
        })
        .collect()
}

fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

#[test]
fn dependencies_point_one_way_and_outside_parts_have_one_owner() {
    let workspace = workspace();
    let dependencies = dependencies(&workspace);
    assert!(dependencies.len() > 50, "the manifests were read");
    let broken: Vec<String> = dependencies.iter().flat_map(broken_rules).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn each_rule_can_be_broken() {
    let found = |room, on, test, optional| {
        broken_rules(&Dependency {
            room,
            on,
            test,
            optional,
        })
    };
    // (room, what it depends on, in tests only, by a feature, rules broken)
    let cases = [
        // Up the stream, and down it.
        ("trustcard-schemas", "trustcard-engine", false, false, 1),
        ("trustcard-engine", "trustcard-scrape", false, false, 1),
        ("trustcard-store", "trustcard", false, false, 1),
        ("trustcard-score", "trustcard", false, false, 1),
        ("trustcard-engine", "trustcard-schemas", false, false, 0),
        ("trustcard-detect", "trustcard-store", false, false, 0),
        ("trustcard", "trustcard-score", false, false, 0),
        // Siblings.
        ("trustcard-scrape", "trustcard-detect", false, false, 1),
        ("trustcard-ingest-api", "trustcard-score", false, false, 1),
        ("trustcard-engine", "trustcard-store", false, false, 1),
        ("trustcard-store", "trustcard-engine", false, false, 1),
        // The tests name anything, and nobody names them.
        ("trustcard-tests", "trustcard-store", true, false, 0),
        ("trustcard-tests", "rdkafka", true, false, 0),
        ("trustcard-tests", "rdkafka", false, false, 0),
        ("trustcard-tests", "trustcard-sample-site", false, false, 0),
        ("trustcard", "trustcard-tests", false, false, 1),
        ("trustcard-benches", "rdkafka", false, false, 0),
        ("trustcard-benches", "trustcard-engine", false, false, 0),
        ("trustcard", "trustcard-benches", false, false, 1),
        // The sample site is a stranger, linked by a feature.
        (
            "trustcard-sample-site",
            "trustcard-schemas",
            false,
            false,
            1,
        ),
        ("trustcard-sample-site", "trustcard-scrape", true, false, 1),
        ("trustcard", "trustcard-sample-site", false, true, 0),
        ("trustcard", "trustcard-sample-site", false, false, 1),
        ("trustcard-scrape", "trustcard-sample-site", false, true, 1),
        // The client is a caller's; its examples read topics.
        ("trustcard", "trustcard-client", false, false, 0),
        ("trustcard-client", "trustcard-schemas", false, false, 1),
        ("trustcard-client", "trustcard-schemas", true, false, 0),
        ("trustcard-client", "rdkafka", true, false, 0),
        ("trustcard-ingest-api", "trustcard-client", false, false, 1),
        // Outside parts.
        ("trustcard-engine", "rdkafka", false, false, 0),
        ("trustcard-ingest-api", "rdkafka", false, false, 1),
        ("trustcard-store", "scylla", false, false, 0),
        ("trustcard", "scylla", false, false, 1),
        ("trustcard-score", "rusqlite", false, false, 1),
        ("trustcard-detect", "ort", false, false, 0),
        ("trustcard-score", "ort", false, true, 1),
        ("trustcard", "ort-tract", false, false, 1),
        ("trustcard-client", "reqwest", false, false, 0),
        ("trustcard", "reqwest", false, false, 1),
        ("trustcard-detect", "reqwest", false, false, 1),
        ("trustcard-detect", "reqwest", true, false, 0),
        // A room nobody planned.
        ("trustcard-utils", "serde", false, false, 1),
    ];
    for (room, on, test, optional, rules) in cases {
        let broken = found(room, on, test, optional);
        assert_eq!(broken.len(), rules, "{room} -> {on}: {broken:?}");
    }
}

/// Every `.rs` file below `folder`, build output left out.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// The files of more than `MAX_LINES` lines.
fn too_long(files: &[PathBuf]) -> Vec<String> {
    files
        .iter()
        .map(|path| (path, fs::read_to_string(path).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect()
}

#[test]
fn no_source_file_is_too_long() {
    let mut files = Vec::new();
    for room in workspace().workspace_packages() {
        let folder = room.manifest_path.parent().unwrap();
        sources(folder.as_std_path(), &mut files);
    }
    assert!(files.len() > ROOMS.len(), "the sources were found");
    let long = too_long(&files);
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:#?}");
}

#[test]
fn a_file_of_one_line_too_many_is_found_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: usize| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "// line\n".repeat(lines)).unwrap();
    };
    write("src/deep/in/long.rs", MAX_LINES + 1);
    write("src/fits.rs", MAX_LINES);
    write("src/data.csv", MAX_LINES * 2);
    write("target/debug/generated.rs", MAX_LINES * 2);
    write(".hidden/generated.rs", MAX_LINES * 2);
    let mut files = Vec::new();
    sources(folder.path(), &mut files);
    let long = too_long(&files);
    assert_eq!(files.len(), 2, "{files:?}");
    assert_eq!(long.len(), 1, "{long:?}");
    assert!(long[0].ends_with("long.rs: 501 lines"), "{long:?}");
}
