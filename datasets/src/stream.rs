//! Streaming: large Parquet logs as batches of columns, in memory that does not grow with the rows.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use polars::prelude::{FileMetadata, FileMetadataRef, ParallelStrategy, ParquetReader, SerReader};

use crate::assemble::{REJECTS_KEPT_MAX, Tally};
use crate::column::Column;
use crate::log::OutcomeLog;
use crate::parquet::{check_drift, check_types, guarded, is_parquet, plain, shape};
use crate::read::ReadOptions;
use crate::read_error::ReadError;
use crate::reject::Reject;
use crate::report::{FileSummary, ValidationReport};
use crate::row_bytes;
use crate::source::{self, Input, Meter, Place};
use crate::stream_batch::LoggedBatch;

/// Rows of a batch, at most; files with larger row groups are cut.
const BATCH_ROWS: usize = 1 << 17;

/// Row groups are joined until they have so many rows; joining copies.
const JOINED_ROWS: usize = 1 << 15;

/// What a streamed log may hold that is read.
const READ: [Column; 9] = [
    Column::RequestId,
    Column::Model,
    Column::Quality,
    Column::CostUsd,
    Column::InputTokens,
    Column::Timestamp,
    Column::Propensity,
    Column::Task,
    Column::Tenant,
];

/// Columns that change what a policy may do or see, and are not streamed.
const NOT_STREAMED: [Column; 2] = [Column::Candidates, Column::Embedding];

/// How a log is streamed.
///
/// | field | default | effect |
/// |---|---|---|
/// | `read` | [`ReadOptions::default`] | share of rejects, unit of times, cap on bytes |
/// | `prompts` | false | whether prompts are read |
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamOptions {
    /// As for [`read`](crate::read).
    pub read: ReadOptions,
    /// Whether prompts are read.
    pub prompts: bool,
}

/// A log in Parquet files, opened for streaming: footers are read, rows are not.
///
/// The rows come as [`LoggedBatch`]es, each of which any thread may read at any time. The rules of
/// [`read`](crate::read) hold for every column that is read: a row that cannot be used is a
/// [`Reject`] with its place and reason.
#[derive(Debug)]
pub struct LoggedFiles {
    files: Vec<ParquetFile>,
    parts: Vec<Part>,
    rows: u64,
    has_prompts: bool,
    options: StreamOptions,
    held: Mutex<Held>,
}

/// Bytes of the texts in the batches that were read.
#[derive(Debug, Default)]
struct Held {
    total: u64,
    /// Batches that were read before.
    is_counted: Vec<bool>,
}

pub(crate) struct ParquetFile {
    pub(crate) name: String,
    path: PathBuf,
    columns: Vec<String>,
    metadata: FileMetadataRef,
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile")
            .field("name", &self.name)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

/// Rows of one file that make one batch.
#[derive(Clone, Copy, Debug)]
struct Part {
    file: usize,
    offset: usize,
    rows: usize,
    /// Its first row group, and the row of the file at which that begins.
    group: usize,
    group_row: usize,
}

/// What became of the rows of a streamed log; merged batch by batch.
#[derive(Clone, Debug, Default)]
pub struct StreamTally {
    /// Rows read, rejected ones included.
    pub rows_read: u64,
    /// Rows rejected.
    pub rows_rejected: u64,
    /// Rejected rows by the name of their reason.
    pub by_reason: BTreeMap<String, u64>,
    /// The rejected rows with their places, at most 100,000.
    pub rejects: Vec<Reject>,
}

impl StreamTally {
    /// Adds what a batch, or another tally of later rows, found.
    pub fn merge(&mut self, other: Self) {
        self.rows_read += other.rows_read;
        self.rows_rejected += other.rows_rejected;
        for (reason, count) in other.by_reason {
            *self.by_reason.entry(reason).or_default() += count;
        }
        let room = REJECTS_KEPT_MAX.saturating_sub(self.rejects.len());
        self.rejects.extend(other.rejects.into_iter().take(room));
    }
}

impl LoggedFiles {
    /// Opens a log for streaming; `None` when it must be read whole.
    ///
    /// Streamed are files, folders and patterns of uncompressed Parquet with a `propensity`
    /// column and neither `candidates` nor `embedding`.
    ///
    /// # Errors
    /// [`ReadError`] when a file cannot be opened, a footer is damaged, or a column has a type
    /// that no log has.
    pub fn open(input: &Input, options: &StreamOptions) -> Result<Option<Self>, ReadError> {
        if matches!(input, Input::Stdin | Input::Bytes { .. }) {
            return Ok(None);
        }
        let sources = source::list(input)?;
        let mut opened = Self {
            files: Vec::with_capacity(sources.len()),
            parts: Vec::new(),
            rows: 0,
            has_prompts: false,
            options: options.clone(),
            held: Mutex::default(),
        };
        check_drift(&sources)?;
        let meter = Meter::new(options.read.byte_cap);
        for source in &sources {
            let path = match &source.place {
                Place::File(path) if is_parquet(path) => path,
                _ => return Ok(None),
            };
            let shape = shape(&source.name, path, &meter)?;
            check_types(&source.name, &shape.fields)?;
            let has = |column: Column| shape.fields.iter().any(|f| f.name == column.name());
            if !has(Column::Propensity) || NOT_STREAMED.into_iter().any(has) {
                return Ok(None);
            }
            opened.has_prompts |= has(Column::Prompt);
            let wanted = |name: &str| {
                Column::named(name).is_some_and(|column| {
                    READ.contains(&column)
                        || column == Column::SessionId
                        || (options.prompts && column == Column::Prompt)
                })
            };
            let names = shape.fields.iter().map(|field| field.name.clone());
            let columns = names.filter(|name| wanted(name)).collect();
            let groups = group_rows(&shape.metadata);
            opened.add_parts(&groups);
            opened.files.push(ParquetFile {
                name: source.name.clone(),
                path: path.clone(),
                columns,
                metadata: shape.metadata,
            });
        }
        let held = opened
            .held
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        held.is_counted = vec![false; opened.parts.len()];
        Ok(Some(opened))
    }

    /// Counts what a batch holds, once however often it is read.
    fn hold(&self, index: usize, bytes: u64) -> Result<(), ReadError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut held.is_counted[index], true) {
            held.total = held.total.saturating_add(bytes);
        }
        let cap = self.options.read.byte_cap;
        if held.total <= cap {
            return Ok(());
        }
        Err(ReadError::ByteCap {
            file: self.files[self.parts[index].file].name.clone(),
            cap,
        })
    }

    /// Cuts the row groups of the next file into parts: small ones together, large ones in pieces.
    fn add_parts(&mut self, groups: &[usize]) {
        let file = self.files.len();
        let mut part = Part {
            file,
            offset: 0,
            rows: 0,
            group: 0,
            group_row: 0,
        };
        let mut group_row = 0;
        for (group, &rows) in groups.iter().enumerate() {
            self.rows += rows as u64;
            if part.rows >= JOINED_ROWS || (part.rows > 0 && part.rows + rows > BATCH_ROWS) {
                self.parts.push(part);
                part = part.next(0);
            }
            if part.rows == 0 {
                (part.group, part.group_row) = (group, group_row);
            }
            part.rows += rows;
            while part.rows > BATCH_ROWS {
                let rest = part.rows - BATCH_ROWS;
                part.rows = BATCH_ROWS;
                self.parts.push(part);
                part = part.next(rest);
                (part.group, part.group_row) = (group, group_row);
            }
            group_row += rows;
        }
        if part.rows > 0 {
            self.parts.push(part);
        }
    }

    /// Rows, as the footers count them.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Batches.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.parts.len()
    }

    /// Whether the log has a column of prompts, read or not.
    #[must_use]
    pub const fn has_prompts(&self) -> bool {
        self.has_prompts
    }

    /// Whether prompts are read.
    #[must_use]
    pub const fn reads_prompts(&self) -> bool {
        self.has_prompts && self.options.prompts
    }

    /// The files, in the order in which they are read.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.files.iter().map(|file| file.name.clone()).collect()
    }

    /// Reads a batch; `index` is below [`batches`](Self::batches).
    ///
    /// # Errors
    /// [`ReadError`] when the file is damaged, holds more than is allowed, or holds integer times
    /// and no unit was named.
    pub fn batch(&self, index: usize) -> Result<LoggedBatch, ReadError> {
        let part = self.parts[index];
        let file = &self.files[part.file];
        let handle = File::open(&file.path).map_err(|source| ReadError::Io {
            file: file.name.clone(),
            source,
        })?;
        let frame = guarded(&file.name, || {
            let mut reader = ParquetReader::new(handle)
                .with_columns(Some(file.columns.clone()))
                .with_slice(Some((part.offset - part.group_row, part.rows)))
                .read_parallel(ParallelStrategy::None);
            reader.set_metadata(file.groups(part).into());
            plain(reader.finish()?)
        })?;
        if frame.height() != part.rows {
            let got = part.offset + frame.height();
            return Err(ReadError::Parquet {
                file: file.name.clone(),
                message: format!("it ends after {got} rows, its footer promises more"),
            });
        }
        let options = &self.options.read;
        let offset = part.offset as u64;
        self.hold(
            index,
            row_bytes::held(&file.name, &frame, offset, options.line_cap)?,
        )?;
        LoggedBatch::decode(&file.name, offset, &frame, options.timestamp_unit)
    }

    /// BLAKE3 digest (hex) of the files' bytes, as [`read`](crate::read) computes it.
    ///
    /// # Errors
    /// [`ReadError::Io`] when a file cannot be read.
    pub fn digest(&self) -> Result<String, ReadError> {
        let mut hasher = blake3::Hasher::new();
        for file in &self.files {
            File::open(&file.path)
                .and_then(|handle| hasher.update_reader(handle).map(drop))
                .map_err(|source| ReadError::Io {
                    file: file.name.clone(),
                    source,
                })?;
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// Judges the rejects of the whole log.
    ///
    /// # Errors
    /// [`ReadError::TooManyRejects`] above the share allowed, [`ReadError::NoRows`] without rows.
    pub fn check(&self, tally: &StreamTally) -> Result<(), ReadError> {
        if tally.rows_read == 0 {
            let file = self.files.first().map(|file| file.name.clone());
            return Err(ReadError::NoRows {
                file: file.unwrap_or_default(),
            });
        }
        let max_reject = self.options.read.max_reject;
        #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
        let is_too_bad = tally.rows_rejected as f64 > max_reject * tally.rows_read as f64;
        if !is_too_bad && tally.rows_rejected < tally.rows_read {
            return Ok(());
        }
        let counts = Tally {
            rows_read: tally.rows_read,
            rows_rejected: tally.rows_rejected,
            by_reason: tally.by_reason.clone(),
            ..Tally::default()
        };
        let files = self.files.iter().enumerate().map(|(index, file)| {
            let parts = self.parts.iter().filter(|part| part.file == index);
            FileSummary {
                name: file.name.clone(),
                format: "parquet",
                rows: parts.map(|part| part.rows as u64).sum(),
            }
        });
        let report = ValidationReport::new(&OutcomeLog::default(), &counts, files.collect());
        Err(ReadError::TooManyRejects {
            max_reject,
            report: Box::new(report),
            rejects: tally.rejects.clone(),
        })
    }

    /// The error for request ids that stand on several rows, given the hashes of all batches'
    /// requests.
    ///
    /// # Errors
    /// [`ReadError::RepeatedRequests`] with the first two places of one of them; any [`ReadError`]
    /// of a batch read to find them.
    pub fn check_unique(&self, hashes: Vec<Vec<u64>>) -> Result<(), ReadError> {
        let mut repeated = crate::stream_unique::repeated(hashes);
        if repeated.is_empty() {
            return Ok(());
        }
        let count = repeated.len() as u64;
        repeated.dedup();
        let mut seen: BTreeMap<u64, (String, u64)> = BTreeMap::new();
        for index in 0..self.batches() {
            let file = &self.files[self.parts[index].file].name;
            let batch = self.batch(index)?;
            for (hash, row) in batch.request.iter().zip(&batch.row) {
                if repeated.binary_search(hash).is_err() {
                    continue;
                }
                if let Some((first_file, first_row)) = seen.get(hash) {
                    return Err(ReadError::RepeatedRequests {
                        count,
                        first_file: first_file.clone(),
                        first_row: *first_row,
                        file: file.clone(),
                        row: u64::from(*row) + batch.first_row,
                    });
                }
                seen.insert(*hash, (file.clone(), u64::from(*row) + batch.first_row));
            }
        }
        Ok(())
    }
}

/// Rows of each row group.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the type of a row group has no public name"
)]
fn group_rows(metadata: &FileMetadata) -> Vec<usize> {
    let groups = metadata.row_groups.iter();
    groups.map(|group| group.num_rows()).collect()
}

impl ParquetFile {
    /// The footer as if the file held the part's row groups alone: a slice of the whole would look
    /// into every group before it.
    fn groups(&self, part: Part) -> FileMetadata {
        let mut metadata = FileMetadata::clone(&self.metadata);
        let mut left = part.offset - part.group_row + part.rows;
        metadata.row_groups.drain(..part.group);
        metadata.row_groups.retain(|group| {
            let is_used = left > 0;
            left = left.saturating_sub(group.num_rows());
            is_used
        });
        metadata.num_rows = group_rows(&metadata).iter().sum();
        metadata
    }
}

impl Part {
    const fn next(self, rows: usize) -> Self {
        Self {
            file: self.file,
            offset: self.offset + self.rows,
            rows,
            ..self
        }
    }
}
