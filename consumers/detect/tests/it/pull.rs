//! Pulling with the real pip, from a folder of wheels instead of an index.

use std::{
    cell::RefCell,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use trustcard_detect::{
    Registry,
    pull::{PullError, PullProgress, pull_with},
};

use crate::common::{Installed, Setup};

/// Makes a wheel that holds one file: zip archive, metadata and all, as pip wants it.
const MAKE_WHEEL: &str = r#"
import sys, zipfile
folder, member, content = sys.argv[1:]
with zipfile.ZipFile(f"{folder}/means-1-py3-none-any.whl", "w") as wheel:
    wheel.write(content, member)
    wheel.writestr("means-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: means\nVersion: 1\n")
    wheel.writestr("means-1.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("means-1.dist-info/RECORD", "")
"#;

#[derive(Default)]
struct Told(RefCell<Vec<(String, u64, u64)>>);

impl PullProgress for Told {
    fn progress(&self, name: &str, bytes: u64, total: u64) {
        self.0.borrow_mut().push((name.to_owned(), bytes, total));
    }
}

struct Site {
    installed: Installed,
    /// Python that finds packages in this site's folder only.
    python: PathBuf,
    cache: PathBuf,
}

/// A folder of one wheel with `content` in it, and an empty cache.
fn site(content: &[u8]) -> Site {
    let installed = Setup::default().install();
    let root = installed.folder.path();
    let wheels = root.join("index");
    fs::create_dir(&wheels).unwrap();
    publish(&wheels, content);
    let python = root.join("python3");
    let count = root.join("downloads");
    fs::write(
        &python,
        format!(
            "#!/bin/sh\n[ \"$1\" = -m ] && echo x >> {count}\n\
             PIP_NO_INDEX=1 PIP_FIND_LINKS={wheels} exec python3 \"$@\"\n",
            count = count.display(),
            wheels = wheels.display()
        ),
    )
    .unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let cache = root.join("cache");
    Site {
        python,
        cache,
        installed,
    }
}

fn publish(wheels: &Path, content: &[u8]) {
    let file = wheels.join("content");
    fs::write(&file, content).unwrap();
    let made = Command::new("python3")
        .args(["-c", MAKE_WHEEL])
        .arg(wheels)
        .arg("means.onnx")
        .arg(&file)
        .status()
        .unwrap();
    assert!(made.success());
}

impl Site {
    fn pull(&self, told: &Told) -> Result<Vec<bool>, PullError> {
        let registry = Registry::load(self.installed.config.registry.as_deref()).unwrap();
        let pulled = pull_with(&self.python, &registry, &self.cache, told)?;
        assert!(pulled.iter().all(|pulled| pulled.name == "means@1"));
        Ok(pulled.into_iter().map(|pulled| pulled.fetched).collect())
    }

    fn downloads(&self) -> usize {
        let lines = fs::read_to_string(self.installed.folder.path().join("downloads"));
        lines.map_or(0, |lines| lines.lines().count())
    }

    fn file(&self) -> PathBuf {
        self.cache.join("means-1/means.onnx")
    }
}

fn right() -> Vec<u8> {
    Setup::default().model
}

#[test]
fn a_pull_puts_the_file_in_its_place_and_the_next_one_has_nothing_to_do() {
    let site = site(&right());
    let told = Told::default();
    assert_eq!(site.pull(&told).unwrap(), [true]);
    assert_eq!(fs::read(site.file()).unwrap(), right());
    let told = told.0.into_inner();
    let total = right().len() as u64;
    assert_eq!(told.first().unwrap(), &("means@1".to_owned(), 0, total));
    assert_eq!(told.last().unwrap(), &("means@1".to_owned(), total, total));
    assert!(told.is_sorted_by_key(|(_, bytes, _)| *bytes), "{told:?}");

    assert_eq!(site.pull(&Told::default()).unwrap(), [false]);
    assert_eq!(site.downloads(), 1);
}

#[test]
fn a_file_that_broke_is_unpacked_again_from_the_wheel_that_was_kept() {
    let site = site(&right());
    site.pull(&Told::default()).unwrap();
    fs::write(site.file(), b"broken").unwrap();
    assert_eq!(site.pull(&Told::default()).unwrap(), [true]);
    assert_eq!(fs::read(site.file()).unwrap(), right());
    assert_eq!(site.downloads(), 1);
}

#[test]
fn a_wheel_that_was_cut_is_fetched_again() {
    let site = site(&right());
    site.pull(&Told::default()).unwrap();
    fs::remove_file(site.file()).unwrap();
    let wheel = site.cache.join("wheels/means-1/means-1-py3-none-any.whl");
    let whole = fs::read(&wheel).unwrap();
    fs::write(&wheel, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(site.pull(&Told::default()).unwrap(), [true]);
    assert_eq!(fs::read(site.file()).unwrap(), right());
    assert_eq!(site.downloads(), 2);
}

#[test]
fn another_file_under_the_same_name_is_not_taken() {
    let mut other = right();
    *other.last_mut().unwrap() ^= 1;
    let longer = [right(), vec![0; 1 << 20]].concat();
    for content in [other, longer] {
        let site = site(&content);
        let error = site.pull(&Told::default()).unwrap_err();
        assert!(matches!(error, PullError::WrongFile { .. }), "{error:?}");
        let left: Vec<_> = fs::read_dir(site.cache.join("means-1")).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_package_that_can_not_be_had_is_an_error_that_says_so() {
    let site = site(&right());
    fs::remove_dir_all(site.installed.folder.path().join("index")).unwrap();
    let error = site.pull(&Told::default()).unwrap_err();
    assert!(matches!(error, PullError::Download { .. }), "{error:?}");
    let message = error.to_string();
    assert!(
        message.contains("means==1") && message.contains("No matching distribution"),
        "{message}"
    );
}

#[test]
fn a_machine_without_python_is_told_what_to_install() {
    let mut site = site(&right());
    site.python = "/nonexistent/python3".into();
    let error = site.pull(&Told::default()).unwrap_err();
    assert!(matches!(error, PullError::NoPython { .. }), "{error:?}");
    assert!(error.to_string().contains("install Python 3"));
}
