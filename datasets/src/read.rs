//! Reading a log: from whatever the input means to requests, a report and the rejects.

use crate::assemble::Assembler;
use crate::log::OutcomeLog;
use crate::parquet;
use crate::read_error::ReadError;
use crate::reject::Reject;
use crate::report::{FileSummary, ValidationReport};
use crate::source::{self, Format, Input, Meter, Source};
use crate::timestamp::TimestampUnit;
use crate::{csv_log, jsonl};

/// How a log is read.
///
/// | field | default | effect |
/// |---|---|---|
/// | `max_reject` | [`MAX_REJECT`](Self::MAX_REJECT) | share of rows that may be malformed before the whole read fails; rows that contradict each other do not count |
/// | `timestamp_unit` | none | unit of integer times; without it they are an error |
/// | `byte_cap` | [`BYTE_CAP`](Self::BYTE_CAP) | most decompressed bytes, all files together; of Parquet the bytes of its file, of its pages or of its rows, whichever are more |
/// | `line_cap` | [`LINE_CAP`](Self::LINE_CAP) | most bytes of one line of JSONL, record of CSV or row of Parquet |
#[derive(Clone, Debug, PartialEq)]
pub struct ReadOptions {
    /// Share of rows that may be malformed, in [0, 1].
    pub max_reject: f64,
    /// Unit of integer times.
    pub timestamp_unit: Option<TimestampUnit>,
    /// Most decompressed bytes, all files together.
    pub byte_cap: u64,
    /// Most bytes of one line.
    pub line_cap: usize,
}

impl ReadOptions {
    /// One row in a hundred.
    pub const MAX_REJECT: f64 = 0.01;
    /// 64 GiB.
    pub const BYTE_CAP: u64 = 64 << 30;
    /// 64 MiB.
    pub const LINE_CAP: usize = 64 << 20;
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            max_reject: Self::MAX_REJECT,
            timestamp_unit: None,
            byte_cap: Self::BYTE_CAP,
            line_cap: Self::LINE_CAP,
        }
    }
}

/// A log that was read.
#[derive(Clone, Debug)]
pub struct ReadLog {
    /// The log.
    pub log: OutcomeLog,
    /// What is in it, and what was wrong with it.
    pub report: ValidationReport,
    /// The rows left out, at most 100,000 of them; the report has the exact number.
    pub rejects: Vec<Reject>,
}

/// Reads an outcome log.
///
/// # Errors
/// A [`ReadError`] when a file cannot be read as a whole, or too many of its rows cannot.
///
/// ```
/// use plimsoll_datasets::{Input, ReadOptions, read};
/// let rows = "request_id,model,quality,cost_usd\nr1,small,1,0.002\nr1,large,1,0.05\n";
/// let read = read(&Input::bytes("rows.csv", rows.as_bytes()), &ReadOptions::default())?;
/// assert_eq!(read.log.requests.len(), 1);
/// assert_eq!(read.log.arms.len(), 2);
/// # Ok::<(), plimsoll_datasets::ReadError>(())
/// ```
pub fn read(input: &Input, options: &ReadOptions) -> Result<ReadLog, ReadError> {
    read_with_progress(input, options, &|_| ())
}

/// [`read`], with a function that is told the number of rows read so far, now and then.
///
/// # Errors
/// As [`read`].
pub fn read_with_progress(
    input: &Input,
    options: &ReadOptions,
    progress: &dyn Fn(u64),
) -> Result<ReadLog, ReadError> {
    let sources = source::list(input)?;
    parquet::check_drift(&sources)?;
    let meter = Meter::new(options.byte_cap);
    let mut into = Assembler::new(options, progress);
    let mut files = Vec::with_capacity(sources.len());
    for source in &sources {
        let rows_before = into.tally.rows_read;
        let format = read_source(source, &meter, &mut into)?;
        let rows = into.tally.rows_read - rows_before;
        files.push(FileSummary {
            name: source.name.clone(),
            format,
            rows,
        });
    }
    if into.tally.rows_read == 0 {
        let file = sources
            .first()
            .map(|source| source.name.clone())
            .unwrap_or_default();
        return Err(ReadError::NoRows { file });
    }
    let (log, tally, rejects) = into.finish(meter.digest());
    let report = ValidationReport::new(&log, &tally, files);
    // Rows that contradict each other are well formed: they are a matter of trust in the log, and
    // the report warns of them.
    let malformed = tally.rows_rejected - tally.rows_conflicting;
    #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
    let is_too_bad = malformed as f64 > options.max_reject * tally.rows_read as f64;
    if is_too_bad || log.requests.is_empty() {
        return Err(ReadError::TooManyRejects {
            max_reject: options.max_reject,
            report: Box::new(report),
            rejects,
        });
    }
    Ok(ReadLog {
        log,
        report,
        rejects,
    })
}

fn read_source(
    source: &Source,
    meter: &Meter,
    into: &mut Assembler<'_>,
) -> Result<&'static str, ReadError> {
    into.begin_file(&source.name);
    let left = meter.left();
    let opened = source::open(source, meter)?;
    let mut rest = opened.rest;
    let format = match opened.format {
        Format::Jsonl => {
            jsonl::read(&source.name, opened.reader, into)?;
            "jsonl"
        }
        Format::Csv { delimiter } => {
            csv_log::read(&source.name, opened.reader, delimiter, into)?;
            "csv"
        }
        Format::JsonArray => {
            return Err(ReadError::UnknownFormat {
                file: source.name.clone(),
                found: "it looks like a JSON array",
            });
        }
        Format::Parquet => {
            let file = source::on_disk(source, opened.reader, opened.is_plain, meter)?;
            meter.rewind(left);
            parquet::read(&source.name, file.path(), meter, into)?;
            "parquet"
        }
    };
    // Bytes the decoder had no use for still belong to the digest.
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(|error| ReadError::Io {
        file: source.name.clone(),
        source: error,
    })?;
    Ok(format)
}
