//! Exports in Parquet: each row as the JSON object that it is, nested columns and all.

use std::path::Path;

use polars::prelude::{DataFrame, JsonFormat, JsonWriter, SerWriter};

use super::source_files::{BATCH_BYTES, Reader};
use crate::parquet::{Allowance, check_bounded, ends_early, guarded, shape, slice};
use crate::read_error::ReadError;
use crate::row_bytes;
use crate::source::Meter;

/// Rows decoded at a time.
const SLICE_ROWS: u32 = 1 << 13;

pub(super) fn read(path: &Path, meter: &Meter, reader: &mut Reader<'_>) -> Result<(), ReadError> {
    let file = reader.file;
    let shape = shape(file, path, meter)?;
    check_bounded(file, &shape.fields)?;
    let mut allowance = Allowance::new(meter, file, &shape);
    let names: usize = shape.fields.iter().map(|field| field.name.len()).sum();
    let mut offset = 0;
    while offset < shape.rows {
        let frame = slice(file, path, offset, SLICE_ROWS)?;
        if frame.height() == 0 {
            return Err(ends_early(file, offset, shape.rows));
        }
        let line_cap = reader.options.line_cap;
        allowance.hold(row_bytes::held(file, &frame, offset, line_cap)?)?;
        for rows in pieces(file, &frame, names as u64)? {
            for line in lines(file, frame.slice(rows.0, rows.1))?.split(|byte| *byte == b'\n') {
                if line.is_empty() {
                    continue;
                }
                offset += 1;
                if line.len() > line_cap {
                    return Err(ReadError::RowCap {
                        file: file.to_owned(),
                        row: offset,
                        cap: line_cap,
                    });
                }
                if !reader.add_line(line, offset)? {
                    return Ok(());
                }
            }
        }
    }
    reader.end()
}

/// Rows to write at a time, each piece as its begin and length: as text they repeat what they hold,
/// and the names of their columns.
fn pieces(file: &str, frame: &DataFrame, names: u64) -> Result<Vec<(i64, usize)>, ReadError> {
    let height = frame.height();
    let total = guarded(file, || row_bytes::total(frame))?;
    let most = BATCH_BYTES as u64;
    if total.saturating_add(names.saturating_mul(height as u64)) <= most {
        return Ok(vec![(0, height)]);
    }
    let rows = guarded(file, || row_bytes::by_row(frame))?;
    let mut pieces = Vec::new();
    let (mut from, mut length, mut held) = (0, 0, 0_u64);
    for (at, bytes) in (0_i64..).zip(rows) {
        let bytes = bytes.saturating_add(names);
        if length > 0 && held.saturating_add(bytes) > most {
            pieces.push((from, length));
            (from, length, held) = (at, 0, 0);
        }
        (length, held) = (length + 1, held.saturating_add(bytes));
    }
    pieces.push((from, length));
    Ok(pieces)
}

fn lines(file: &str, mut frame: DataFrame) -> Result<Vec<u8>, ReadError> {
    guarded(file, || {
        let mut lines = Vec::new();
        JsonWriter::new(&mut lines)
            .with_json_format(JsonFormat::JsonLines)
            .finish(&mut frame)?;
        Ok(lines)
    })
}
