//! Writing a log: Parquet, CSV or JSONL, row by row, whole or not at all.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use serde_json::value::RawValue;
use tempfile::NamedTempFile;

use crate::column::Column;
use crate::log::OutcomeLog;
use crate::row::LogRow;
use crate::timestamp;
use crate::write_error::{WriteError, persist, temporary_beside};
use crate::write_parquet::ParquetSink;

/// Writes rows in the format that the file's name asks for; memory does not grow with the rows.
///
/// Costs are exact in CSV and JSONL; in Parquet they are 64-bit floats, which hold 15 digits.
///
/// ```
/// use plimsoll_datasets::{Input, LogRow, LogWriter, ReadOptions, read};
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("log.jsonl.zst");
/// let mut writer = LogWriter::create(&path, &["request_id", "model", "cost_usd"])?;
/// let cost = Some("0.0125".parse()?);
/// writer.write(&LogRow {
///     request_id: "r1".to_owned(),
///     model: "small".to_owned(),
///     cost,
///     ..LogRow::default()
/// })?;
/// writer.finish()?;
/// let read = read(&Input::Path(path), &ReadOptions::default())?;
/// assert_eq!(read.log.requests[0].outcomes[0].cost, cost);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LogWriter {
    path: PathBuf,
    temporary: NamedTempFile,
    columns: Columns,
    sink: Sink,
}

/// Which columns are written.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) known: Vec<Column>,
    pub(crate) extra: Vec<String>,
}

enum Sink {
    Parquet(Box<ParquetSink>),
    Csv(Box<csv::Writer<Encoder>>),
    Jsonl(Box<Encoder>),
}

impl LogWriter {
    /// Begins a file with these columns, known or not; nothing is at `path` before
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// [`WriteError`] when the name's ending is unknown or the folder cannot be written.
    pub fn create(path: &Path, columns: &[&str]) -> Result<Self, WriteError> {
        let known = Column::ALL
            .into_iter()
            .filter(|column| columns.contains(&column.name()));
        let extra = columns.iter().filter(|name| Column::named(name).is_none());
        let columns = Columns {
            known: known.collect(),
            extra: extra.map(|name| (*name).to_owned()).collect(),
        };
        let at = |source| WriteError::Io {
            path: path.to_owned(),
            source,
        };
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let (stem, compression) = match name.rsplit_once('.') {
            Some((stem, "gz")) => (stem, Compression::Gzip),
            Some((stem, "zst")) => (stem, Compression::Zstd),
            _ => (name.as_str(), Compression::None),
        };
        let ending = stem.rsplit_once('.').map_or("", |(_, ending)| ending);
        let unknown = || WriteError::UnknownFormat {
            path: path.to_owned(),
        };
        let is_known = matches!(
            (ending, compression),
            ("parquet", Compression::None) | ("csv" | "jsonl" | "ndjson", _)
        );
        if !is_known {
            return Err(unknown());
        }
        let temporary = temporary_beside(path)?;
        let file = temporary.as_file().try_clone().map_err(at)?;
        let sink = match ending {
            "parquet" => Sink::Parquet(Box::new(ParquetSink::new(path, file, &columns)?)),
            "csv" => {
                let encoder = Encoder::new(file, compression).map_err(at)?;
                let mut writer = csv::Writer::from_writer(encoder);
                let known = columns.known.iter().map(|column| column.name());
                let header = known.chain(columns.extra.iter().map(String::as_str));
                writer
                    .write_record(header)
                    .map_err(|error| at(error.into()))?;
                Sink::Csv(Box::new(writer))
            }
            _ => Sink::Jsonl(Box::new(Encoder::new(file, compression).map_err(at)?)),
        };
        Ok(Self {
            path: path.to_owned(),
            temporary,
            columns,
            sink,
        })
    }

    /// Writes one row; what is in no column of the file is left out.
    ///
    /// # Errors
    /// [`WriteError`] when the disc refuses.
    pub fn write(&mut self, row: &LogRow) -> Result<(), WriteError> {
        let at = |source| WriteError::Io {
            path: self.path.clone(),
            source,
        };
        match &mut self.sink {
            Sink::Parquet(sink) => sink.write(row.clone()),
            Sink::Csv(writer) => {
                let known = self
                    .columns
                    .known
                    .iter()
                    .map(|column| csv_field(row, *column));
                let extra = self.columns.extra.iter().map(|name| extra_field(row, name));
                let extra = extra.map(|value| value.unwrap_or_default().to_owned());
                writer
                    .write_record(known.chain(extra))
                    .map_err(|error| at(error.into()))
            }
            Sink::Jsonl(encoder) => {
                let line = json_line(row, &self.columns).map_err(|error| at(error.into()))?;
                encoder
                    .write_all(line.as_bytes())
                    .and_then(|()| encoder.write_all(b"\n"))
                    .map_err(at)
            }
        }
    }

    /// [`write`](Self::write) of a row that is not needed any more.
    pub(crate) fn write_owned(&mut self, row: LogRow) -> Result<(), WriteError> {
        match &mut self.sink {
            Sink::Parquet(sink) => sink.write(row),
            _ => self.write(&row),
        }
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// [`WriteError`] when the disc refuses; then nothing is left behind.
    pub fn finish(self) -> Result<(), WriteError> {
        let at = |source| WriteError::Io {
            path: self.path.clone(),
            source,
        };
        match self.sink {
            Sink::Parquet(sink) => sink.finish()?,
            Sink::Csv(writer) => {
                let encoder = writer
                    .into_inner()
                    .map_err(|error| at(error.into_error()))?;
                encoder.finish().map_err(at)?;
            }
            Sink::Jsonl(encoder) => encoder.finish().map_err(at)?,
        }
        persist(self.temporary, &self.path)
    }
}

/// Writes a whole log, with the columns it has values for.
///
/// # Errors
/// As [`LogWriter`].
pub fn write_log(path: &Path, log: &OutcomeLog) -> Result<(), WriteError> {
    write_rows(path, || {
        let requests = log.requests.iter();
        requests.flat_map(|request| request.outcomes.iter().map(|o| log.row(request, o)))
    })
}

/// Writes rows, with the columns they have values for; `rows` is called twice.
///
/// # Errors
/// As [`LogWriter`].
pub fn write_rows<R: Borrow<LogRow>, I: Iterator<Item = R>>(
    path: &Path,
    rows: impl Fn() -> I,
) -> Result<(), WriteError> {
    let mut present = BTreeSet::from([Column::RequestId, Column::Model]);
    let mut extra = BTreeSet::new();
    for row in rows() {
        let row = row.borrow();
        present.extend(Column::ALL.into_iter().filter(|column| has(row, *column)));
        for (name, _) in &row.extra {
            if !extra.contains(name) {
                extra.insert(name.clone());
            }
        }
    }
    let known = present.iter().map(|column| column.name());
    let names: Vec<_> = known.chain(extra.iter().map(String::as_str)).collect();
    let mut writer = LogWriter::create(path, &names)?;
    for row in rows() {
        writer.write(row.borrow())?;
    }
    writer.finish()
}

pub(crate) fn extra_field<'r>(row: &'r LogRow, name: &str) -> Option<&'r str> {
    row.extra
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

fn has(row: &LogRow, column: Column) -> bool {
    match column {
        Column::Embedding => row.embedding.is_some(),
        Column::Candidates => row.candidates.is_some(),
        // An empty text is a text.
        Column::Prompt => row.prompt.is_some(),
        Column::Task => row.task.is_some(),
        Column::Tenant => row.tenant.is_some(),
        Column::SessionId => row.session_id.is_some(),
        Column::Status => row.status.is_some(),
        _ => !csv_field(row, column).is_empty(),
    }
}

fn csv_field(row: &LogRow, column: Column) -> String {
    fn show<T: ToString>(value: Option<&T>) -> String {
        value.map(ToString::to_string).unwrap_or_default()
    }
    match column {
        Column::RequestId => row.request_id.clone(),
        Column::Model => row.model.clone(),
        Column::Quality => show(row.quality.map(plimsoll::Quality::get).as_ref()),
        Column::CostUsd => show(row.cost.as_ref()),
        Column::InputTokens => show(row.input_tokens.as_ref()),
        Column::OutputTokens => show(row.output_tokens.as_ref()),
        Column::CachedInputTokens => show(row.cached_input_tokens.as_ref()),
        Column::ReasoningTokens => show(row.reasoning_tokens.as_ref()),
        Column::Timestamp => row.timestamp_us.map(timestamp::to_text).unwrap_or_default(),
        Column::Propensity => show(row.propensity.map(plimsoll::Propensity::get).as_ref()),
        Column::Served => show(row.served.as_ref()),
        Column::Prompt => show(row.prompt.as_ref()),
        Column::Embedding => row.embedding.as_ref().map(json_text).unwrap_or_default(),
        Column::Task => show(row.task.as_ref()),
        Column::Tenant => show(row.tenant.as_ref()),
        Column::SessionId => show(row.session_id.as_ref()),
        Column::Candidates => row.candidates.as_ref().map(json_text).unwrap_or_default(),
        Column::LatencyMs => show(row.latency_ms.as_ref()),
        Column::Status => show(row.status.as_ref()),
    }
}

fn json_text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("lists of texts and finite numbers are JSON")
}

/// The row as a JSON object without nulls; the cost keeps all its digits.
fn json_line(row: &LogRow, columns: &Columns) -> serde_json::Result<String> {
    use serde::ser::{SerializeMap, Serializer};
    let mut out = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::new(&mut out);
    let mut map = serializer.serialize_map(None)?;
    for column in &columns.known {
        let name = column.name();
        macro_rules! put {
            ($value:expr) => {
                if let Some(value) = $value {
                    map.serialize_entry(name, value)?;
                }
            };
        }
        match column {
            Column::RequestId => put!(Some(&row.request_id)),
            Column::Model => put!(Some(&row.model)),
            Column::Quality => put!(&row.quality),
            Column::CostUsd => {
                if let Some(cost) = row.cost {
                    let digits = RawValue::from_string(cost.to_string())?;
                    map.serialize_entry(name, &digits)?;
                }
            }
            Column::InputTokens => put!(&row.input_tokens),
            Column::OutputTokens => put!(&row.output_tokens),
            Column::CachedInputTokens => put!(&row.cached_input_tokens),
            Column::ReasoningTokens => put!(&row.reasoning_tokens),
            Column::Timestamp => put!(&row.timestamp_us.map(timestamp::to_text)),
            Column::Propensity => put!(&row.propensity),
            Column::Served => put!(&row.served),
            Column::Prompt => put!(&row.prompt),
            Column::Embedding => put!(&row.embedding),
            Column::Task => put!(&row.task),
            Column::Tenant => put!(&row.tenant),
            Column::SessionId => put!(&row.session_id),
            Column::Candidates => put!(&row.candidates),
            Column::LatencyMs => put!(&row.latency_ms),
            Column::Status => put!(&row.status),
        }
    }
    for name in &columns.extra {
        if let Some(value) = extra_field(row, name) {
            map.serialize_entry(name, value)?;
        }
    }
    map.end()?;
    Ok(String::from_utf8(out).expect("JSON is UTF-8"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

/// Slow enough to be small, fast enough for a million rows.
const ZSTD_LEVEL: i32 = 9;

enum Encoder {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl Encoder {
    fn new(file: File, compression: Compression) -> io::Result<Self> {
        let out = BufWriter::with_capacity(1 << 16, file);
        Ok(match compression {
            Compression::None => Self::Plain(out),
            // The header holds no time and no name, so that equal rows give equal bytes.
            Compression::Gzip => Self::Gzip(GzEncoder::new(out, flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(out, ZSTD_LEVEL)?),
        })
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }?
        .flush()
    }
}

impl Write for Encoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}
