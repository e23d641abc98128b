//! Exit codes, one meaning each.

use std::process::ExitCode;

use engine::RunnerError;

/// Shown under `--help`.
pub const HELP: &str = "\
Exit codes:
    0  done
    1  not as it should be: a post of `demo --exit` ended otherwise, a URL or a request was refused, there is no such
       batch, topics differ, a key can't be made or revoked, a result has no score to explain, a role broke
    2  the command line is wrong
   66  a model or the inference runtime is missing, has another hash, or answers otherwise than on record
   69  the API, the broker or the database can't be reached
   71  fenced: another instance has the same name and has taken over
   75  not drained within the deadline; what was not committed will be redone
   78  the configuration is wrong
  130  ended by a second signal";

/// A failure with a code of its own.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 66.
    #[error("{0}")]
    Models(String),
    /// 69.
    #[error("{0}")]
    Unavailable(String),
    /// 78.
    #[error("{0}")]
    Configuration(String),
}

/// The exit code of an error.
#[must_use]
pub fn code(error: &anyhow::Error) -> ExitCode {
    if let Some(RunnerError::Fenced) = error.downcast_ref() {
        return ExitCode::from(71);
    }
    ExitCode::from(match error.downcast_ref::<Failure>() {
        Some(Failure::Models(_)) => 66,
        Some(Failure::Unavailable(_)) => 69,
        Some(Failure::Configuration(_)) => 78,
        None => 1,
    })
}

/// Whether standard output was closed by its reader.
#[must_use]
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_role_that_was_fenced_ends_with_the_number_of_that_whatever_is_said_around_it() {
        let error = Err::<(), _>(RunnerError::Fenced).context("the scrape stage broke");
        let error = error.context("the process").unwrap_err();
        assert_eq!(code(&error), ExitCode::from(71));
        assert!(HELP.contains("   71  fenced"));
        let other = anyhow::anyhow!("something else");
        assert_eq!(code(&other), ExitCode::from(1));
    }
}
