//! Files that appear whole or not at all, and why they sometimes don't.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The disc, the folder or the stream refused.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file's name ends in none of the known ways.
    #[error("cannot tell the format of {} from its name", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The Parquet encoder refused.
    #[error("cannot encode {} as Parquet: {message}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the encoder said.
        message: String,
    },
}

impl WriteError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "P0241",
            Self::UnknownFormat { .. } => "P0242",
            Self::Parquet { .. } => "P0243",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Io { .. } => {
                "check that the folder exists, can be written and has room; nothing was left behind"
                    .to_owned()
            }
            Self::UnknownFormat { .. } => {
                "end the name in .parquet, .csv, .csv.gz, .csv.zst, .jsonl, .jsonl.gz or .jsonl.zst"
                    .to_owned()
            }
            Self::Parquet { .. } => "write .jsonl or .csv instead, and report this".to_owned(),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. } | Self::UnknownFormat { path } | Self::Parquet { path, .. } => {
                path
            }
        }
    }
}

/// A temporary file in the folder of `path`, removed unless it is persisted.
pub(crate) fn temporary_beside(path: &Path) -> Result<NamedTempFile, WriteError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".plimsoll-");
    // As for any new file, the umask decides who may read it.
    #[cfg(unix)]
    let permissions = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    builder
        .tempfile_in(folder)
        .map_err(|source| WriteError::Io {
            path: path.to_owned(),
            source,
        })
}

/// Syncs the temporary file and gives it its name.
pub(crate) fn persist(file: NamedTempFile, path: &Path) -> Result<(), WriteError> {
    let at = |source| WriteError::Io {
        path: path.to_owned(),
        source,
    };
    file.as_file().sync_all().map_err(at)?;
    file.persist(path)
        .map(drop)
        .map_err(|error| at(error.error))
}
