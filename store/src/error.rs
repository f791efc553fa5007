//! Why a store was not opened or written.

use std::io;
use std::path::PathBuf;

use plimsoll::{JournalError, RecoveryError};

/// Why a store was not opened or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refused.
    #[error("cannot {doing} {}: {error}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another store has the folder open.
    #[error("{} is open in another process or thread", .folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no state in the folder.
    #[error("{} holds no stored state", .folder.display())]
    Empty {
        /// The folder.
        folder: PathBuf,
    },
    /// There is a state in the folder already.
    #[error("{} holds a stored state already", .folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// A write or `fsync` failed before: what the file holds is not known.
    #[error("the store is closed: an earlier write or fsync failed")]
    Broken,
    /// The events or the state are not the next ones.
    #[error("event {got} was given where event {expected} comes next")]
    OutOfStep {
        /// Number of the next event.
        expected: u64,
        /// Number given.
        got: u64,
    },
    /// The journal that continues a snapshot is not there.
    #[error("the journal of generation {generation} is missing")]
    MissingJournal {
        /// The generation.
        generation: u64,
    },
    /// The stored state cannot be recovered.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// An event cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl StoreError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "P0566",
            Self::Locked { .. } => "P0567",
            Self::Broken | Self::OutOfStep { .. } => "P0568",
            Self::Empty { .. } | Self::Exists { .. } => "P0569",
            Self::MissingJournal { .. } => "P0560",
            Self::Recovery(error) => error.code(),
            Self::Journal(error) => error.code(),
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Io { .. } => {
                "check free space, permissions and the disk, then open the store again"
            }
            Self::Locked { .. } => "stop the other process, or use a folder of its own",
            Self::Empty { .. } => "check the path, or make a store there with `Store::create`",
            Self::Exists { .. } => "open it with `Store::open`, or choose an empty folder",
            Self::Broken => "open the store again: whatever was acknowledged is there",
            Self::OutOfStep { .. } => "append every event once, in order, before it is applied",
            Self::MissingJournal { .. } => "restore the missing file from a copy",
            Self::Recovery(error) => error.help(),
            Self::Journal(error) => error.help(),
        }
    }
}
