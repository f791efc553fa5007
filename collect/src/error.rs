//! Why nothing was collected.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use plimsoll::Usd;
use plimsoll_datasets::WriteError;

/// Why a collection did not begin, or could not go on.
///
/// What happens to one call is no error but a [`Failure`](crate::Failure), counted in the report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// An option is out of range.
    #[error("`{name}` must be {wanted}, got {got}")]
    Option {
        /// The option as it is called on the command line.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        got: String,
    },
    /// No request of the log can be asked again.
    #[error("none of the {requests} requests has a prompt, so no arm can be asked")]
    NoPrompts {
        /// Requests of the log.
        requests: u64,
    },
    /// An arm or the judge has no price now.
    #[error("`{arm}` has no price in the catalogue, and an unpriced call cannot be capped")]
    Unpriced {
        /// The arm.
        arm: String,
        /// A name of the catalogue like it.
        meant: Option<String>,
    },
    /// The endpoint's address cannot be used.
    #[error("the endpoint {why}")]
    Endpoint {
        /// What is wrong with it; never the address, which may hold a password.
        why: String,
    },
    /// The environment variable with the key is missing or no key.
    #[error("the environment variable {name} {why}")]
    Key {
        /// Name of the variable.
        name: String,
        /// What is wrong with it; never its value.
        why: &'static str,
    },
    /// The connection cannot be set up at all.
    #[error("no client can be set up: {message}")]
    Client {
        /// What the system said.
        message: String,
    },
    /// The folder of the journal cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another run uses the folder.
    #[error("{} is in use by another run", path.display())]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// The journal is damaged before its end, or is none.
    #[error("{}:{line}: {why}", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it; never its content.
        why: &'static str,
    },
    /// Answers are missing and not one could be had.
    #[error(
        "{missing} answers are missing, and not one could be had for {spent_usd} USD: {}",
        reasons(.why)
    )]
    Nothing {
        /// Answers that are missing.
        missing: u64,
        /// What trying was charged at.
        spent_usd: Usd,
        /// How often each reason stood in the way.
        why: BTreeMap<String, u64>,
    },
    /// The filled log was not written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

fn reasons(why: &BTreeMap<String, u64>) -> String {
    let each = why
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"));
    each.collect::<Vec<_>>().join(", ")
}

impl CollectError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Option { .. } => "P0901",
            Self::NoPrompts { .. } => "P0902",
            Self::Unpriced { .. } => "P0903",
            Self::Endpoint { .. } => "P0904",
            Self::Key { .. } => "P0905",
            Self::Client { .. } => "P0906",
            Self::Io { .. } => "P0907",
            Self::InUse { .. } => "P0908",
            Self::Journal { .. } => "P0909",
            Self::Nothing { .. } => "P0910",
            Self::Write(error) => error.code(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Option { name, wanted, .. } => format!("give --{name} as {wanted}"),
            Self::NoPrompts { .. } => {
                "log the text of each request in the column `prompt`, or join it by `request_id`"
                    .to_owned()
            }
            Self::Unpriced {
                meant: Some(meant), ..
            } => {
                format!("did you mean `{meant}`? Else add the arm to the file of --prices")
            }
            Self::Unpriced { .. } => {
                "give --prices FILE with an entry for the arm, or --prices built-in".to_owned()
            }
            Self::Endpoint { .. } => {
                "give the base address of an OpenAI-compatible service, for instance \
                 https://api.openai.com/v1 or http://127.0.0.1:8000/v1"
                    .to_owned()
            }
            Self::Key { name, .. } => {
                format!("set {name} to the service's key, or name another variable with --key-env")
            }
            Self::Client { .. } => "check the certificates of this system".to_owned(),
            Self::Io { .. } => {
                "check that the folder can be written and has room; what was journalled is safe, \
                 and the same command goes on from there"
                    .to_owned()
            }
            Self::InUse { .. } => "wait for the other run, or name another --cache".to_owned(),
            Self::Journal { .. } => {
                "the answers and the spending in this folder cannot be trusted: restore it, or \
                 begin another with --cache and a budget that is left"
                    .to_owned()
            }
            Self::Nothing { .. } => {
                "check --endpoint, the key, the arms' names and the budget; the answers that were \
                 had before are kept"
                    .to_owned()
            }
            Self::Write(error) => error.help(),
        }
    }
}
