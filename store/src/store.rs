//! A folder that holds a router in service.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll::{
    Event, JournalHeader, JournalWriter, Live, PolicyLoader, Recovered, Recovery, RecoveryReport,
};

use crate::error::StoreError;
use crate::names::{self, Found};
use crate::vfs::{Disk, Lock, Vfs, VfsFile};

/// Default of [`StoreOptions::generations_kept`].
pub const GENERATIONS_KEPT: usize = 2;
/// Bytes of a journal that are read at once.
const PIECE: usize = 1 << 16;

/// How a store keeps its files.
///
/// | field | default | range | effect |
/// |---|---|---|---|
/// | `generations_kept` | [`GENERATIONS_KEPT`] | 1.. | snapshots that are kept, each with its journal; with 1, a damaged snapshot is fatal |
/// | `vfs` | [`Disk`] | | the file system |
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Snapshots that are kept; 0 counts as 1.
    pub generations_kept: usize,
    /// The file system.
    pub vfs: Arc<dyn Vfs>,
}

/// A store, the state that was in it, and how it was recovered.
#[derive(Debug)]
pub struct Opened {
    /// The store, ready for events.
    pub store: Store,
    /// The state.
    pub live: Live,
    /// How it was recovered: log it.
    pub report: RecoveryReport,
}

/// A folder that holds a [`Live`] router, open for one writer.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    options: StoreOptions,
    generation: u64,
    journal: Box<dyn VfsFile>,
    writer: JournalWriter,
    broken: bool,
    _lock: Box<dyn Lock>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            generations_kept: GENERATIONS_KEPT,
            vfs: Arc::new(Disk),
        }
    }
}

impl Store {
    /// Makes a store in a folder that holds none.
    ///
    /// # Errors
    /// [`StoreError`] when the folder holds a state already, is open elsewhere, or cannot be
    /// written.
    pub fn create(
        folder: impl AsRef<Path>,
        options: &StoreOptions,
        live: &Live,
    ) -> Result<Self, StoreError> {
        let place = Place::new(folder.as_ref(), options);
        place.make()?;
        let lock = place.lock()?;
        let found = place.found()?;
        if !found.snapshots.is_empty() {
            return Err(StoreError::Exists {
                folder: place.folder.to_owned(),
            });
        }
        place.begin(&found, live, lock)
    }

    /// Opens a store: recovers its state and begins a new generation with it. Policies of your own
    /// need a `loader`, see [`Live::restore_with`].
    ///
    /// A snapshot that cannot be used is renamed to `*.damaged`, and the one before it is used with
    /// every event since; the report says so.
    ///
    /// # Errors
    /// [`StoreError`] when the folder is open elsewhere, holds no state, or one that cannot be
    /// recovered whole: then its files stay as they are.
    pub fn open(
        folder: impl AsRef<Path>,
        options: &StoreOptions,
        loader: &PolicyLoader<'_>,
    ) -> Result<Opened, StoreError> {
        let place = Place::new(folder.as_ref(), options);
        let found = place.found()?;
        if found.snapshots.is_empty() {
            // Asked before locking, so that no lock file appears in a folder that is none of ours.
            return Err(place.empty());
        }
        let lock = place.lock()?;
        let found = place.found()?;
        let Recovered { live, report } = place.recover(&found, loader)?;
        for (generation, _) in &report.refused {
            let name = names::snapshot(*generation);
            place.rename(&name, &format!("{name}.damaged"))?;
        }
        let store = place.begin(&found, &live, lock)?;
        Ok(Opened {
            store,
            live,
            report,
        })
    }

    /// Reads the state of a store without opening it: no lock is taken and nothing is written, so
    /// that a store may be read while another process writes it.
    ///
    /// # Errors
    /// [`StoreError`] when there is no state that can be recovered whole.
    pub fn read(
        folder: impl AsRef<Path>,
        options: &StoreOptions,
        loader: &PolicyLoader<'_>,
    ) -> Result<Recovered, StoreError> {
        let place = Place::new(folder.as_ref(), options);
        place.recover(&place.found()?, loader)
    }

    /// Makes events durable, the first of which has number `first`: when this returns, they may be
    /// acknowledged. Events that are durable already are passed over. One call is one `fsync`,
    /// however many events it is given (one per MiB of them).
    ///
    /// The number of the next event is returned.
    ///
    /// # Errors
    /// [`StoreError`] when they are not known to be durable. Then the store takes no more.
    pub fn append(&mut self, first: u64, events: &[Event]) -> Result<u64, StoreError> {
        self.check_whole()?;
        let next = self.writer.next();
        let durable = next.checked_sub(first).map(usize::try_from);
        let Some(mut left) = durable.and_then(|durable| events.get(durable.ok()?..)) else {
            return Err(StoreError::OutOfStep {
                expected: next,
                got: first,
            });
        };
        while !left.is_empty() {
            let written = self.write_frame(left);
            self.broken = written.is_err();
            left = &left[written?..];
        }
        Ok(self.writer.next())
    }

    fn write_frame(&mut self, events: &[Event]) -> Result<usize, StoreError> {
        let (bytes, taken) = self.writer.frame(events)?;
        let path = self.folder.join(names::journal(self.generation));
        let wrote = self.journal.write_all(&bytes);
        wrote.map_err(io_error("write", &path))?;
        self.journal.sync().map_err(io_error("fsync", &path))?;
        Ok(taken)
    }

    /// Stores the state, and begins a new journal: recovery is short again. `live` has every event
    /// that was appended.
    ///
    /// The number of the new generation is returned.
    ///
    /// # Errors
    /// [`StoreError`] when the state is not durable under its name. Then the store takes no more;
    /// what was acknowledged is there when it is opened again.
    pub fn rotate(&mut self, live: &Live) -> Result<u64, StoreError> {
        self.check_whole()?;
        let (expected, got) = (self.writer.next(), live.sequence());
        if got != expected {
            return Err(StoreError::OutOfStep { expected, got });
        }
        self.broken = true;
        let place = Place::new(&self.folder, &self.options);
        let generation = self.generation + 1;
        (self.journal, self.writer) = place.write_generation(generation, live)?;
        self.generation = generation;
        self.broken = false;
        place.tidy();
        Ok(generation)
    }

    /// Number of the next event.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.writer.next()
    }

    /// Number of this generation.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn check_whole(&self) -> Result<(), StoreError> {
        if self.broken {
            Err(StoreError::Broken)
        } else {
            Ok(())
        }
    }
}

/// A folder on a file system.
#[derive(Clone, Copy)]
struct Place<'a> {
    folder: &'a Path,
    options: &'a StoreOptions,
    vfs: &'a dyn Vfs,
}

impl<'a> Place<'a> {
    fn new(folder: &'a Path, options: &'a StoreOptions) -> Self {
        Self {
            folder,
            options,
            vfs: options.vfs.as_ref(),
        }
    }

    fn make(&self) -> Result<(), StoreError> {
        let made = self.vfs.make_folder(self.folder);
        made.map_err(io_error("make", self.folder))?;
        // So that the folder itself is there after a crash.
        let above = self.folder.parent().filter(|p| !p.as_os_str().is_empty());
        let above = above.unwrap_or(Path::new("."));
        let synced = self.vfs.sync_folder(above);
        synced.map_err(io_error("fsync", above))
    }

    fn lock(&self) -> Result<Box<dyn Lock>, StoreError> {
        let path = self.folder.join("lock");
        let lock = self.vfs.lock(&path).map_err(io_error("lock", &path))?;
        lock.ok_or_else(|| StoreError::Locked {
            folder: self.folder.to_owned(),
        })
    }

    fn found(&self) -> Result<Found, StoreError> {
        match self.vfs.list(self.folder) {
            Ok(names) => Ok(Found::of(names)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.empty()),
            Err(error) => Err(io_error("list", self.folder)(error)),
        }
    }

    fn empty(&self) -> StoreError {
        StoreError::Empty {
            folder: self.folder.to_owned(),
        }
    }

    fn recover(&self, found: &Found, loader: &PolicyLoader<'_>) -> Result<Recovered, StoreError> {
        if found.snapshots.is_empty() {
            return Err(self.empty());
        }
        let mut recovery = Recovery::new();
        let mut used = None;
        for &generation in found.snapshots.iter().rev() {
            let bytes = self.contents(&names::snapshot(generation))?;
            if recovery.snapshot(generation, &bytes, loader) {
                used = Some(generation);
                break;
            }
        }
        if let Some(used) = used {
            if let Some(&generation) = found
                .snapshots
                .range(used..)
                .find(|generation| !found.journals.contains(generation))
            {
                return Err(StoreError::MissingJournal { generation });
            }
            for &generation in found.journals.range(used..) {
                recovery.journal(generation)?;
                self.pieces(&names::journal(generation), |piece| {
                    Ok(recovery.feed(piece)?)
                })?;
            }
        }
        Ok(recovery.finish()?)
    }

    fn contents(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.folder.join(name);
        let mut bytes = Vec::new();
        let file = self.vfs.read(&path);
        file.and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(io_error("read", &path))?;
        Ok(bytes)
    }

    fn pieces(
        &self,
        name: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        let mut file = self.vfs.read(&path).map_err(io_error("read", &path))?;
        let mut piece = vec![0; PIECE];
        loop {
            match file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(n) => take(&piece[..n])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("read", &path)(error)),
            }
        }
    }

    /// Begins a generation, whatever is there.
    fn begin(&self, found: &Found, live: &Live, lock: Box<dyn Lock>) -> Result<Store, StoreError> {
        for name in &found.unfinished {
            let path = self.folder.join(name);
            let removed = self.vfs.remove(&path);
            removed.map_err(io_error("remove", &path))?;
        }
        let generation = found.next();
        let (journal, writer) = self.write_generation(generation, live)?;
        self.tidy();
        Ok(Store {
            folder: self.folder.to_owned(),
            options: self.options.clone(),
            generation,
            journal,
            writer,
            broken: false,
            _lock: lock,
        })
    }

    /// Journal first: should the snapshot fail, the older snapshot and both journals are the state.
    /// The other way round, events in the older journal could be passed over.
    fn write_generation(
        &self,
        generation: u64,
        live: &Live,
    ) -> Result<(Box<dyn VfsFile>, JournalWriter), StoreError> {
        let header = JournalHeader {
            generation,
            first: live.sequence(),
        };
        let (writer, bytes) = JournalWriter::new(header);
        let journal = self.put(&names::journal(generation), &bytes)?;
        self.put(&names::snapshot(generation), &live.snapshot())?;
        Ok((journal, writer))
    }

    /// Makes a file appear whole and durable under its name, in one step.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<Box<dyn VfsFile>, StoreError> {
        let unfinished = format!("{name}{}", names::NEW);
        let path = self.folder.join(&unfinished);
        let mut file = self.vfs.create(&path).map_err(io_error("make", &path))?;
        file.write_all(bytes).map_err(io_error("write", &path))?;
        file.sync().map_err(io_error("fsync", &path))?;
        self.rename(&unfinished, name)?;
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let from = self.folder.join(from);
        let renamed = self.vfs.rename(&from, &self.folder.join(to));
        renamed.map_err(io_error("rename", &from))?;
        let synced = self.vfs.sync_folder(self.folder);
        synced.map_err(io_error("fsync", self.folder))
    }

    /// Removes what is older than the generations to keep. What cannot be removed now will be
    /// tried again after the next rotation: it does no harm.
    fn tidy(&self) {
        let Ok(found) = self.found() else { return };
        let kept = self.options.generations_kept.max(1);
        let Some(&oldest) = found.snapshots.iter().rev().nth(kept - 1) else {
            return;
        };
        let snapshots = found
            .snapshots
            .range(..oldest)
            .copied()
            .map(names::snapshot);
        let journals = found.journals.range(..oldest).copied().map(names::journal);
        for name in snapshots.chain(journals) {
            let _ = self.vfs.remove(&self.folder.join(name));
        }
    }
}

fn io_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |error| StoreError::Io {
        doing,
        path: path.to_owned(),
        error,
    }
}
