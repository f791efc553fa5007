//! From snapshots and journals to the state that was acknowledged, and a report of how.

use std::fmt;

use crate::journal::{JournalEnd, JournalError, JournalReader};
use crate::live::Live;
use crate::snapshot::{PolicyLoader, SnapshotError};

/// What is stored of one generation.
#[derive(Clone, Copy, Debug)]
pub struct Generation<'a> {
    /// Its number; newer is larger.
    pub number: u64,
    /// The state it began with; `None`: it was not stored.
    pub snapshot: Option<&'a [u8]>,
    /// The events since; `None`: there is no journal.
    pub journal: Option<&'a [u8]>,
}

/// A state that was recovered.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The state.
    pub live: Live,
    /// How it was recovered.
    pub report: RecoveryReport,
}

/// How a state was recovered; its `Display` says it in sentences.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// The generation whose snapshot was used.
    pub generation: u64,
    /// Newer snapshots that could not be used, newest first, and why.
    pub refused: Vec<(u64, SnapshotError)>,
    /// The journals that were replayed, oldest first.
    pub journals: Vec<JournalReport>,
    /// Number of the next event.
    pub sequence: u64,
}

/// What one journal gave.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JournalReport {
    /// Its generation.
    pub generation: u64,
    /// Events replayed.
    pub events: u64,
    /// Events that were refused as invalid, as they were at first.
    pub refused: u64,
    /// Where its last whole frame ends.
    pub offset: u64,
    /// Bytes after it: a group of events that was being written and was never acknowledged.
    pub dropped_bytes: u64,
}

/// Why no state was recovered. Nothing is lost that the files hold: they are as they were.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// No snapshot can be used.
    #[error("none of {} stored states can be used{}", .refused.len(), newest(.refused))]
    NoSnapshot {
        /// The snapshots, newest first, and why each cannot be used.
        refused: Vec<(u64, SnapshotError)>,
    },
    /// A journal cannot be read.
    #[error("generation {generation}: {error}")]
    Journal {
        /// Its generation.
        generation: u64,
        /// Why.
        error: JournalError,
    },
    /// Events are missing between a state and the journal after it.
    #[error("generation {generation}: event {expected} is missing, the journal begins with {got}")]
    Gap {
        /// Generation of the journal.
        generation: u64,
        /// Number of the event that comes next.
        expected: u64,
        /// Number of the journal's first event.
        got: u64,
    },
}

impl RecoveryError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSnapshot { .. } => "P0562",
            Self::Journal { error, .. } => error.code(),
            Self::Gap { .. } => "P0560",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::NoSnapshot { .. } => "restore a snapshot from a copy, or fit the router again",
            Self::Journal { error, .. } => error.help(),
            Self::Gap { .. } => "restore the missing journal from a copy",
        }
    }
}

/// Recovers a state piece by piece: offer snapshots, newest first, until one is taken; then feed
/// the journals from its generation on, oldest first.
#[derive(Debug, Default)]
pub struct Recovery {
    live: Option<Live>,
    report: RecoveryReport,
    reading: Option<(u64, JournalReader)>,
    /// Events replayed and refused of the journal that is being read.
    counts: (u64, u64),
}

impl Recovery {
    /// A recovery that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers the next older snapshot: whether it was taken. Policies of your own need a `loader`,
    /// see [`Live::restore_with`].
    pub fn snapshot(&mut self, generation: u64, bytes: &[u8], loader: &PolicyLoader<'_>) -> bool {
        match Live::restore_with(bytes, loader) {
            Ok(live) => {
                self.report.generation = generation;
                self.live = Some(live);
                true
            }
            Err(error) => {
                self.report.refused.push((generation, error));
                false
            }
        }
    }

    /// Begins the next journal.
    ///
    /// # Errors
    /// [`RecoveryError`] when the one before does not end as it should.
    pub fn journal(&mut self, generation: u64) -> Result<(), RecoveryError> {
        self.end_journal()?;
        self.reading = Some((generation, JournalReader::new()));
        Ok(())
    }

    /// Replays the next bytes of the journal.
    ///
    /// # Errors
    /// [`RecoveryError`] when they are damaged, or do not follow the state.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), RecoveryError> {
        let (Some(live), Some((generation, reader))) = (&mut self.live, &mut self.reading) else {
            return Ok(());
        };
        let generation = *generation;
        let fed = reader.feed(bytes);
        if let Some(header) = reader.header()
            && self.counts == (0, 0)
            && header.first != live.sequence()
        {
            return Err(RecoveryError::Gap {
                generation,
                expected: live.sequence(),
                got: header.first,
            });
        }
        while let Some(batch) = reader.batch() {
            for event in &batch.events {
                let refused = live.apply(event).is_err();
                self.counts.0 += 1;
                self.counts.1 += u64::from(refused);
            }
        }
        fed.map_err(|error| RecoveryError::Journal { generation, error })
    }

    /// The recovered state.
    ///
    /// # Errors
    /// [`RecoveryError`] when no snapshot was taken, or the last journal does not end as it should.
    pub fn finish(mut self) -> Result<Recovered, RecoveryError> {
        self.end_journal()?;
        let Self {
            live, mut report, ..
        } = self;
        let Some(live) = live else {
            let refused = report.refused;
            return Err(RecoveryError::NoSnapshot { refused });
        };
        report.sequence = live.sequence();
        Ok(Recovered { live, report })
    }

    fn end_journal(&mut self) -> Result<(), RecoveryError> {
        let Some((generation, reader)) = self.reading.take() else {
            return Ok(());
        };
        let JournalEnd {
            offset,
            dropped_bytes,
            ..
        } = reader
            .finish()
            .map_err(|error| RecoveryError::Journal { generation, error })?;
        let (events, refused) = std::mem::take(&mut self.counts);
        self.report.journals.push(JournalReport {
            generation,
            events,
            refused,
            offset,
            dropped_bytes,
        });
        Ok(())
    }
}

/// Recovers the newest state of `generations`, newest first: the newest snapshot that can be used,
/// and every journal since.
///
/// # Errors
/// [`RecoveryError`] when no snapshot can be used, or a journal that is needed is damaged or
/// missing: then no state is made that would pretend to be whole.
pub fn recover(
    generations: &[Generation<'_>],
    loader: &PolicyLoader<'_>,
) -> Result<Recovered, RecoveryError> {
    let mut recovery = Recovery::new();
    let used = generations.iter().position(|generation| {
        let bytes = generation.snapshot;
        bytes.is_some_and(|bytes| recovery.snapshot(generation.number, bytes, loader))
    });
    for generation in used
        .iter()
        .flat_map(|&used| generations[..=used].iter().rev())
    {
        if let Some(journal) = generation.journal {
            recovery.journal(generation.number)?;
            recovery.feed(journal)?;
        }
    }
    recovery.finish()
}

impl RecoveryReport {
    /// Whether everything was as a clean shutdown or a plain crash leaves it.
    #[must_use]
    pub fn is_newest(&self) -> bool {
        self.refused.is_empty()
    }

    /// Events replayed from journals.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.journals.iter().map(|journal| journal.events).sum()
    }

    /// Bytes of groups that were being written when the writer stopped.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.journals
            .iter()
            .map(|journal| journal.dropped_bytes)
            .sum()
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (generation, error) in &self.refused {
            writeln!(
                f,
                "warning[{}]: generation {generation} cannot be used: {error}",
                error.code()
            )?;
        }
        let (generation, events) = (self.generation, self.events());
        let fallback = if self.is_newest() {
            ""
        } else {
            "fell back to "
        };
        write!(
            f,
            "{fallback}generation {generation}, {events} events replayed, next is event {}",
            self.sequence
        )?;
        for journal in &self.journals {
            if journal.dropped_bytes > 0 {
                write!(
                    f,
                    "\nwarning: the journal of generation {} ends in {} bytes, from byte {}, that are \
                     no whole group of events; a crash leaves only unacknowledged ones so",
                    journal.generation, journal.dropped_bytes, journal.offset
                )?;
            }
        }
        Ok(())
    }
}

fn newest(refused: &[(u64, SnapshotError)]) -> String {
    refused.first().map_or_else(String::new, |(number, error)| {
        format!("; the newest, generation {number}: {error}")
    })
}
