//! A file system in memory that fails on demand, and forgets on a crash what was not synced.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use plimsoll_store::{Lock, Vfs, VfsFile};

/// What happens at one system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed before it.
    Kill,
    /// Half of what is written gets through, then the process is killed.
    KillHalf,
    /// It fails and does nothing; a failed fsync loses what it should have made durable.
    Fail,
    /// It does its work, and fails all the same.
    FailDone,
    /// Half of what is written gets through, then it fails, and so does every write after it.
    Full,
    /// Only half is written, which is no error.
    Short,
    /// A signal came first.
    Interrupted,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] = [
        Self::Kill,
        Self::KillHalf,
        Self::Fail,
        Self::FailDone,
        Self::Full,
        Self::Short,
        Self::Interrupted,
    ];
}

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Crash {
    /// Everything: only the process died.
    Process,
    /// Nothing.
    PowerLoss,
    /// Half of every file's new bytes; every second name.
    Half,
    /// The other names; files are as long as they should be, with zeros.
    Zeros,
    /// All names, none of the bytes.
    Names,
    /// All of the bytes, no names.
    Bytes,
}

impl Crash {
    pub(crate) const ALL: [Self; 6] = [
        Self::Process,
        Self::PowerLoss,
        Self::Half,
        Self::Zeros,
        Self::Names,
        Self::Bytes,
    ];
}

#[derive(Clone, Debug, Default)]
struct Inode {
    cached: Vec<u8>,
    durable: usize,
    /// An fsync failed: what it should have made durable never will be.
    lost: bool,
}

#[derive(Clone, Debug)]
struct Change {
    remove: Option<PathBuf>,
    put: Option<(PathBuf, usize)>,
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that are not durable.
    pending: Vec<Change>,
    calls: usize,
    fault: Option<(usize, Fault)>,
    dead: bool,
    full: bool,
    locked: bool,
}

/// The file system; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sim(Arc<Mutex<State>>);

impl Sim {
    /// Fails at call number `at`.
    pub(crate) fn failing(at: usize, fault: Fault) -> Self {
        let sim = Self::default();
        sim.state().fault = Some((at, fault));
        sim
    }

    /// The same one, failing at the call that is `at` calls from now.
    pub(crate) fn then_failing(self, at: usize, fault: Fault) -> Self {
        let mut state = self.state();
        state.calls = 0;
        state.fault = Some((at, fault));
        drop(state);
        self
    }

    pub(crate) fn calls(&self) -> usize {
        self.state().calls
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Space is free again.
    pub(crate) fn make_space(&self) {
        self.state().full = false;
    }

    /// Another machine after the crash: what was durable, and what the crash left of the rest.
    pub(crate) fn after(&self, crash: Crash) -> Self {
        let mut state = self.state().clone();
        for inode in &mut state.inodes {
            let new = inode.cached.len() - inode.durable;
            match crash {
                Crash::Process | Crash::Bytes if !inode.lost || matches!(crash, Crash::Process) => {
                }
                Crash::Half if !inode.lost => inode.cached.truncate(inode.durable + new / 2),
                Crash::Zeros => inode.cached[inode.durable..].fill(0),
                _ => inode.cached.truncate(inode.durable),
            }
            inode.durable = inode.cached.len();
            inode.lost = false;
        }
        let pending = std::mem::take(&mut state.pending);
        let mut names = std::mem::take(&mut state.durable_names);
        for (i, change) in pending.into_iter().enumerate() {
            let kept = match crash {
                Crash::Process | Crash::Names => true,
                Crash::PowerLoss | Crash::Bytes => false,
                Crash::Half => i % 2 == 0,
                Crash::Zeros => i % 2 == 1,
            };
            if kept {
                if let Some(name) = change.remove {
                    names.remove(&name);
                }
                names.extend(change.put);
            }
        }
        (state.names, state.durable_names) = (names.clone(), names);
        (state.fault, state.dead, state.full, state.locked) = (None, false, false, false);
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with it")
    }
}

/// What a call has to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Now {
    Work,
    Half,
    /// Work, and fail.
    FailDone,
    HalfFail,
}

impl State {
    /// Counts a call and says how it goes.
    fn call(&mut self, write: bool) -> io::Result<Now> {
        if self.dead {
            return Err(io::Error::other("killed"));
        }
        self.calls += 1;
        let fault = self.fault.filter(|(at, _)| *at + 1 == self.calls);
        match fault.map(|(_, fault)| fault) {
            Some(Fault::Kill) => {
                self.dead = true;
                Err(io::Error::other("killed"))
            }
            Some(Fault::KillHalf) => {
                self.dead = true;
                if write {
                    Ok(Now::HalfFail)
                } else {
                    Ok(Now::FailDone)
                }
            }
            Some(Fault::Fail) => Err(io::Error::other("input/output error")),
            Some(Fault::FailDone) => Ok(Now::FailDone),
            Some(Fault::Full) if write => {
                self.full = true;
                Ok(Now::HalfFail)
            }
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Short) if write => Ok(Now::Half),
            Some(Fault::Interrupted) if write => Err(io::ErrorKind::Interrupted.into()),
            _ if write && self.full => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(Now::Work),
        }
    }

    fn change(&mut self, change: Change) {
        if let Some(name) = &change.remove {
            self.names.remove(name);
        }
        self.names.extend(change.put.clone());
        self.pending.push(change);
    }
}

fn done(now: Now) -> io::Result<()> {
    if now == Now::FailDone {
        Err(io::Error::other("input/output error"))
    } else {
        Ok(())
    }
}

impl Vfs for Sim {
    fn make_folder(&self, _: &Path) -> io::Result<()> {
        let now = self.state().call(false)?;
        done(now)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        let now = state.call(false)?;
        done(now)?;
        let names = state
            .names
            .keys()
            .filter(|path| path.parent() == Some(folder));
        let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into());
        Ok(names.filter_map(name).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let mut state = self.state();
        let now = state.call(false)?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change(Change {
            remove: None,
            put: Some((path.to_owned(), inode)),
        });
        done(now)?;
        Ok(Box::new(SimFile(self.clone(), inode)))
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn Read>> {
        let mut state = self.state();
        let now = state.call(false)?;
        done(now)?;
        let inode = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(io::Cursor::new(
            state.inodes[*inode].cached.clone(),
        )))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let now = state.call(false)?;
        let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.change(Change {
            remove: Some(from.to_owned()),
            put: Some((to.to_owned(), inode)),
        });
        done(now)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let now = state.call(false)?;
        state.change(Change {
            remove: Some(path.to_owned()),
            put: None,
        });
        done(now)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        let now = state.call(false)?;
        state.durable_names = state.names.clone();
        state.pending.clear();
        done(now)
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut state = self.state();
        let now = state.call(false)?;
        done(now)?;
        if std::mem::replace(&mut state.locked, true) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock(self.clone()))))
    }
}

#[derive(Debug)]
struct SimFile(Sim, usize);

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        let now = state.call(true)?;
        let half = now == Now::Half || now == Now::HalfFail;
        let n = if half { bytes.len() / 2 } else { bytes.len() };
        state.inodes[self.1].cached.extend_from_slice(&bytes[..n]);
        if now == Now::HalfFail {
            return Err(io::ErrorKind::StorageFull.into());
        }
        done(now)?;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl VfsFile for SimFile {
    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.0.state();
        let now = state.call(false);
        let inode = &mut state.inodes[self.1];
        match now {
            Ok(now) => {
                if !inode.lost {
                    inode.durable = inode.cached.len();
                }
                done(now)
            }
            Err(error) => {
                // The kernel marks the pages clean: no later fsync brings them back.
                inode.lost = true;
                Err(error)
            }
        }
    }
}

#[derive(Debug)]
struct SimLock(Sim);

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.state().locked = false;
    }
}
