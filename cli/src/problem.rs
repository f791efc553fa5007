//! Errors as people read them: what, where, what it means, how to fix it.

use std::fmt::{self, Write as _};

use plimsoll_datasets::{ImportError, ReadError, SimulateError, WriteError};
use plimsoll_harness::EvidenceError;
use plimsoll_harness::stream::StreamError;
use plimsoll_reports::ReportError;

use crate::console::printable;
use crate::excerpt::Excerpt;
use crate::exit::Exit;

/// Why a command did not do what was asked: one or several problems.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// At least one.
    pub(crate) problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Problem {
    /// The stable code that `plimsoll explain` knows.
    pub(crate) code: &'static str,
    /// What is wrong.
    pub(crate) what: String,
    /// `file`, `file:line` or `file:line:column`.
    pub(crate) at: Option<String>,
    /// The line at fault.
    pub(crate) excerpt: Option<Excerpt>,
    /// What follows from it.
    pub(crate) impact: Option<String>,
    /// How to fix it.
    pub(crate) help: String,
}

impl Failure {
    /// One problem.
    pub(crate) fn new(exit: Exit, problem: Problem) -> Self {
        Self {
            exit,
            problems: vec![problem],
        }
    }

    /// One problem of the command line or the machine, without a place.
    pub(crate) fn plain(
        exit: Exit,
        code: &'static str,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let (what, help) = (what.into(), help.into());
        Self::new(
            exit,
            Problem {
                code,
                what,
                help,
                ..Problem::default()
            },
        )
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let at = error.location().map(|location| {
            let mut at = location.file;
            if let Some(line) = location.line {
                let _ = write!(at, ":{line}");
            }
            if let Some(column) = location.column {
                let _ = write!(at, ", column `{column}`");
            }
            at
        });
        let impact = match &error {
            ReadError::TooManyRejects { rejects, .. } => rejects_impact(rejects),
            _ => "nothing was read".to_owned(),
        };
        Self::new(
            Exit::Data,
            Problem {
                code: error.code(),
                what: with_sources(&error),
                at,
                excerpt: None,
                impact: Some(impact),
                help: error.help(),
            },
        )
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let (exit, impact) = match &error {
            ImportError::Option { .. } | ImportError::Expression { .. } => (Exit::Usage, None),
            ImportError::TooManyRejects { rejects, .. }
            | ImportError::NothingLeft { rejects, .. }
                if !rejects.is_empty() =>
            {
                (Exit::Data, Some(rejects_impact(rejects)))
            }
            _ => (Exit::Data, None),
        };
        match error {
            ImportError::Read(error) => error.into(),
            ImportError::Write(error) => error.into(),
            error => Self::new(
                exit,
                Problem {
                    code: error.code(),
                    what: error.to_string(),
                    help: error.help(),
                    impact: impact.or_else(|| Some("no log was written".to_owned())),
                    ..Problem::default()
                },
            ),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::new(
            Exit::Error,
            Problem {
                code: error.code(),
                what: with_sources(&error),
                help: error.help(),
                impact: Some("no file was written".to_owned()),
                ..Problem::default()
            },
        )
    }
}

impl From<SimulateError> for Failure {
    fn from(error: SimulateError) -> Self {
        match error {
            SimulateError::Write(error) => error.into(),
            other => Self::plain(Exit::Usage, other.code(), other.to_string(), other.help()),
        }
    }
}

impl From<EvidenceError> for Failure {
    fn from(error: EvidenceError) -> Self {
        let exit = Exit::of_refusal(&error);
        let impact =
            (exit == Exit::Evidence).then(|| "no savings are stated: not enough evidence".into());
        Self::new(
            exit,
            Problem {
                code: error.code(),
                what: error.to_string(),
                help: error.help(),
                impact,
                ..Problem::default()
            },
        )
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Read(error) => error.into(),
            StreamError::Evidence(error) => error.into(),
            other => {
                let exit = match &other {
                    StreamError::Options { .. } => Exit::Usage,
                    _ => Exit::Evidence,
                };
                Self::plain(exit, other.code(), other.to_string(), other.help())
            }
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        let exit = match &error {
            ReportError::UnsupportedFormat { .. } => Exit::Usage,
            ReportError::Renderer { .. } => Exit::Error,
            _ => Exit::Data,
        };
        Self::plain(exit, error.code(), error.to_string(), error.help())
    }
}

/// The error and its causes, as far as the error does not name them itself.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The first rejected rows: their places and reasons, never their content.
fn rejects_impact(rejects: &[plimsoll_datasets::Reject]) -> String {
    let mut text = "the log is not used; the first rejected rows:".to_owned();
    for reject in rejects.iter().take(5) {
        let _ = write!(text, "\n    {reject}");
    }
    text
}

impl fmt::Display for Failure {
    /// One block per problem, an empty line between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    /// File names and columns may come from a log, so control characters are shown as escapes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error[{}]: {}", self.code, printable(&self.what))?;
        if let Some(at) = &self.at {
            writeln!(f, " --> {}", printable(at))?;
        }
        if let Some(excerpt) = &self.excerpt {
            write!(f, "{excerpt}")?;
        }
        if let Some(impact) = &self.impact {
            writeln!(f, " impact: {}", printable(impact))?;
        }
        writeln!(f, " help: {}", printable(&self.help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_top_down() {
        let problem = Problem {
            code: "P0203",
            what: "nothing \u{1b}[31mto read".to_owned(),
            at: Some("logs/".to_owned()),
            impact: Some("nothing was read".to_owned()),
            help: "name a file".to_owned(),
            excerpt: None,
        };
        assert_eq!(
            problem.to_string(),
            "error[P0203]: nothing \\u{1b}[31mto read\n --> logs/\n impact: nothing was read\n \
             help: name a file\n"
        );
    }
}
