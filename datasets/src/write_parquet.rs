//! The Parquet side of writing: rows are gathered into row groups.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use polars::io::parquet::write::BatchedWriter;
use polars::prelude::{
    Column as Column_, DataFrame, DataType, NamedFrom, ParquetWriter, PolarsError, PolarsResult,
    Schema, Series, TimeUnit,
};

use crate::column::Column;
use crate::row::LogRow;
use crate::write::{Columns, extra_field};
use crate::write_error::WriteError;

/// Rows of one row group, at most.
const GROUP_ROWS: usize = 1 << 16;
/// Bytes of text held back for one row group, at most.
const GROUP_BYTES: usize = 64 << 20;

pub(crate) struct ParquetSink {
    path: PathBuf,
    columns: Columns,
    rows: Vec<LogRow>,
    bytes: usize,
    writer: BatchedWriter<BufWriter<File>>,
}

impl ParquetSink {
    pub(crate) fn new(path: &Path, file: File, columns: &Columns) -> Result<Self, WriteError> {
        let known = columns
            .known
            .iter()
            .map(|column| (column.name().into(), dtype(*column)));
        let extra = columns
            .extra
            .iter()
            .map(|name| (name.as_str().into(), DataType::String));
        let schema: Schema = known.chain(extra).collect();
        let writer = ParquetWriter::new(BufWriter::with_capacity(1 << 16, file))
            .batched(&schema)
            .map_err(|error| failed(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            columns: columns.clone(),
            rows: Vec::new(),
            bytes: 0,
            writer,
        })
    }

    pub(crate) fn write(&mut self, row: LogRow) -> Result<(), WriteError> {
        let embedding = row.embedding.as_ref().map_or(0, |values| values.len() * 4);
        self.bytes += row.prompt.as_ref().map_or(0, String::len) + embedding;
        self.bytes += row
            .extra
            .iter()
            .map(|(_, value)| value.len())
            .sum::<usize>();
        self.rows.push(row);
        if self.rows.len() >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(), WriteError> {
        self.flush()?;
        self.writer
            .finish()
            .map(drop)
            .map_err(|error| failed(&self.path, &error))
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        frame(&rows, &self.columns)
            .and_then(|frame| self.writer.write_batch(&frame))
            .map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &PolarsError) -> WriteError {
    WriteError::Parquet {
        path: path.to_owned(),
        message: error.to_string(),
    }
}

fn dtype(column: Column) -> DataType {
    match column {
        Column::Quality | Column::CostUsd | Column::Propensity | Column::LatencyMs => {
            DataType::Float64
        }
        Column::InputTokens
        | Column::OutputTokens
        | Column::CachedInputTokens
        | Column::ReasoningTokens => DataType::UInt64,
        Column::Timestamp => DataType::Datetime(TimeUnit::Microseconds, None),
        Column::Served => DataType::Boolean,
        Column::Embedding => DataType::List(Box::new(DataType::Float32)),
        Column::Candidates => DataType::List(Box::new(DataType::String)),
        _ => DataType::String,
    }
}

fn frame(rows: &[LogRow], columns: &Columns) -> PolarsResult<DataFrame> {
    let mut series = Vec::with_capacity(columns.known.len() + columns.extra.len());
    for column in &columns.known {
        series.push(Column_::from(known(rows, *column)?));
    }
    for name in &columns.extra {
        let values: Vec<_> = rows.iter().map(|row| extra_field(row, name)).collect();
        series.push(Column_::from(Series::new(name.as_str().into(), values)));
    }
    DataFrame::new(rows.len(), series)
}

fn known(rows: &[LogRow], column: Column) -> PolarsResult<Series> {
    fn collect<'r, T>(
        rows: &'r [LogRow],
        cell: impl Fn(&'r LogRow) -> Option<T>,
    ) -> Vec<Option<T>> {
        rows.iter().map(cell).collect()
    }
    let name = column.name();
    let floats = |cell: fn(&LogRow) -> Option<f64>| Series::new(name.into(), collect(rows, cell));
    let counts = |cell: fn(&LogRow) -> Option<u64>| Series::new(name.into(), collect(rows, cell));
    let texts = |cell: fn(&LogRow) -> Option<&str>| Series::new(name.into(), collect(rows, cell));
    let series = match column {
        Column::RequestId => texts(|row| Some(&row.request_id)),
        Column::Model => texts(|row| Some(&row.model)),
        Column::Quality => floats(|row| row.quality.map(plimsoll::Quality::get)),
        Column::CostUsd => floats(|row| row.cost.map(plimsoll::Usd::as_f64)),
        Column::InputTokens => counts(|row| row.input_tokens),
        Column::OutputTokens => counts(|row| row.output_tokens),
        Column::CachedInputTokens => counts(|row| row.cached_input_tokens),
        Column::ReasoningTokens => counts(|row| row.reasoning_tokens),
        Column::Timestamp => Series::new(name.into(), collect(rows, |row| row.timestamp_us)),
        Column::Propensity => floats(|row| row.propensity.map(plimsoll::Propensity::get)),
        Column::Served => Series::new(name.into(), collect(rows, |row| row.served)),
        Column::Prompt => texts(|row| row.prompt.as_deref()),
        Column::Embedding => {
            let list = |values: &Vec<f32>| Series::new("".into(), values.as_slice());
            Series::new(
                name.into(),
                collect(rows, |row| row.embedding.as_ref().map(list)),
            )
        }
        Column::Task => texts(|row| row.task.as_deref()),
        Column::Tenant => texts(|row| row.tenant.as_deref()),
        Column::SessionId => texts(|row| row.session_id.as_deref()),
        Column::Candidates => {
            let list = |names: &Vec<String>| Series::new("".into(), names.as_slice());
            Series::new(
                name.into(),
                collect(rows, |row| row.candidates.as_ref().map(list)),
            )
        }
        Column::LatencyMs => floats(|row| row.latency_ms),
        Column::Status => texts(|row| row.status.as_deref()),
    };
    // Groups without a single value would otherwise differ in type from the others.
    series.cast(&dtype(column))
}
