//! Output files: whole at their final place, or not there at all.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::exit::Exit;
use crate::problem::Failure;

/// Folders to remove when a signal ends the process.
static STAGED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A file that is being written beside its final place.
///
/// Dropping it removes what was written; [`commit`](Self::commit) gives it its name.
pub(crate) struct Staging {
    folder: PathBuf,
    target: PathBuf,
    force: bool,
}

impl Staging {
    /// Begins a file that will be `target`.
    pub(crate) fn new(target: &Path, force: bool) -> Result<Self, Failure> {
        refuse_existing(target, force)?;
        let failed = |error: io::Error| cannot_write(target, &error);
        if target.file_name().is_none() {
            return Err(cannot_write(target, &"it names no file"));
        }
        // The lock is held until the folder is known, so that a signal finds every folder.
        let mut staged = registry();
        let folder = tempfile::Builder::new()
            .prefix(".plimsoll-")
            .tempdir_in(parent(target))
            .map_err(failed)?
            .keep();
        staged.insert(folder.clone());
        Ok(Self {
            folder,
            target: target.to_owned(),
            force,
        })
    }

    /// Where to write until then; the name is the final one, so that its ending tells the format.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder
            .join(self.target.file_name().unwrap_or_default())
    }

    /// Gives the file its name, in one step.
    pub(crate) fn commit(self) -> Result<(), Failure> {
        let failed = |error: io::Error| cannot_write(&self.target, &error);
        let path = self.path();
        File::open(&path)
            .and_then(|file| file.sync_all())
            .map_err(failed)?;
        let staged = registry();
        let renamed = if self.force {
            fs::rename(&path, &self.target).map_err(failed)
        } else {
            tempfile::TempPath::try_from_path(&path)
                .map_err(failed)?
                .persist_noclobber(&self.target)
                .map_err(|error| match error.error.kind() {
                    io::ErrorKind::AlreadyExists => exists(&self.target),
                    _ => cannot_write(&self.target, &error.error),
                })
        };
        drop(staged);
        renamed
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let mut staged = registry();
        // What cannot be removed is not worth hiding the actual result for.
        let _ = fs::remove_dir_all(&self.folder);
        staged.remove(&self.folder);
    }
}

/// Writes a whole file. Devices and pipes are written to as they are.
pub(crate) fn write_file(target: &Path, bytes: &[u8], force: bool) -> Result<(), Failure> {
    let failed = |error: io::Error| cannot_write(target, &error);
    if is_special(target) {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .open(target)
            .map_err(failed)?;
        return file
            .write_all(bytes)
            .and_then(|()| file.flush())
            .map_err(failed);
    }
    let staging = Staging::new(target, force)?;
    File::create(staging.path())
        .and_then(|mut file| file.write_all(bytes))
        .map_err(failed)?;
    staging.commit()
}

/// Fails early, before the work is done, when the target cannot be written.
pub(crate) fn refuse_existing(target: &Path, force: bool) -> Result<(), Failure> {
    if target.is_dir() {
        return Err(cannot_write(target, &"it is a folder"));
    }
    if !parent(target).is_dir() {
        let why = format!("there is no folder {}", parent(target).display());
        return Err(cannot_write(target, &why));
    }
    // A dangling link counts as existing: the user put it there.
    if !force && !is_special(target) && target.symlink_metadata().is_ok() {
        return Err(exists(target));
    }
    Ok(())
}

/// Removes every unfinished file and keeps the lock, so that none is begun or named afterwards.
pub(crate) fn abandon_all() -> impl Sized {
    let staged = registry();
    for folder in staged.iter() {
        let _ = fs::remove_dir_all(folder);
    }
    staged
}

fn registry() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A panic elsewhere leaves a usable set behind.
    STAGED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parent(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn is_special(target: &Path) -> bool {
    fs::metadata(target).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn exists(target: &Path) -> Failure {
    Failure::plain(
        Exit::Error,
        "P0702",
        format!("{} exists and is not overwritten", target.display()),
        "choose another name with -o, or pass --force",
    )
}

fn cannot_write(target: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::plain(
        Exit::Error,
        "P0703",
        format!("cannot write {}: {why}", target.display()),
        "check that the folder exists, may be written to and has room; nothing was left behind",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        };
        fs::read_dir(folder).expect("a folder").map(name).collect()
    }

    #[test]
    fn a_dropped_file_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("a.txt");
        let staging = Staging::new(&target, false).expect("staged");
        fs::write(staging.path(), "half").expect("written");
        assert_eq!(names(folder.path()).len(), 1);
        drop(staging);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn nothing_is_overwritten_without_force() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("a.txt");
        write_file(&target, b"one", false).expect("written");
        let error = write_file(&target, b"two", false).expect_err("exists");
        assert_eq!(error.problems[0].code, "P0702");
        assert_eq!(fs::read(&target).expect("read"), b"one");
        write_file(&target, b"two", true).expect("forced");
        assert_eq!(fs::read(&target).expect("read"), b"two");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("a.txt");
        let staging = Staging::new(&target, false).expect("staged");
        fs::write(staging.path(), "mine").expect("written");
        fs::write(&target, "theirs").expect("written");
        let error = staging.commit().expect_err("exists");
        assert_eq!(error.problems[0].code, "P0702");
        assert_eq!(fs::read(&target).expect("read"), b"theirs");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disc_is_an_error() {
        let error = write_file(Path::new("/dev/full"), b"x", false).expect_err("full");
        assert_eq!(error.problems[0].code, "P0703");
    }
}
