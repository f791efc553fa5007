//! What the rows of a frame hold: by way of a dictionary, every row of a small file can point at one
//! long text (ROBUSTNESS.md L02).

use polars::prelude::{DataFrame, DataType, PolarsResult, Series};

use crate::parquet::guarded;
use crate::read_error::ReadError;

/// Bytes of the texts and lists in a frame that begins after row `offset` of its file; fails when a
/// row has more of them than a line may be long.
pub(crate) fn held(
    file: &str,
    frame: &DataFrame,
    offset: u64,
    line_cap: usize,
) -> Result<u64, ReadError> {
    let (total, long) = guarded(file, || {
        let total = total(frame)?;
        let is_long = |bytes: &u64| usize::try_from(*bytes).map_or(true, |bytes| bytes > line_cap);
        let long = if is_long(&total) {
            by_row(frame)?.iter().position(is_long)
        } else {
            None
        };
        Ok((total, long))
    })?;
    match long {
        None => Ok(total),
        Some(at) => Err(ReadError::RowCap {
            file: file.to_owned(),
            row: offset + at as u64 + 1,
            cap: line_cap,
        }),
    }
}

/// Bytes of the texts and lists in a frame.
pub(crate) fn total(frame: &DataFrame) -> PolarsResult<u64> {
    let mut total = 0_u64;
    for column in frame.columns() {
        total = total.saturating_add(of_series(column.as_materialized_series(), 0)?);
    }
    Ok(total)
}

/// Bytes of the texts and lists in each row of a frame.
pub(crate) fn by_row(frame: &DataFrame) -> PolarsResult<Vec<u64>> {
    let mut rows = vec![0; frame.height()];
    for column in frame.columns() {
        add_rows(column.as_materialized_series(), 0, &mut rows)?;
    }
    Ok(rows)
}

/// Bytes of a value whose type has but one length; a column of its own is counted by its pages.
fn width(of: &DataType) -> Option<u64> {
    match of {
        DataType::String | DataType::Binary | DataType::List(_) | DataType::Struct(_) => None,
        DataType::Null => Some(0),
        DataType::Boolean => Some(1),
        DataType::Float32 | DataType::Int32 | DataType::UInt32 | DataType::Date => Some(4),
        DataType::Decimal(..) => Some(16),
        _ => Some(8),
    }
}

/// Bytes of all values, `each` for those of one length.
fn of_series(series: &Series, each: u64) -> PolarsResult<u64> {
    Ok(match series.dtype() {
        DataType::String => {
            let chunks = series.str()?.downcast_iter();
            chunks.fold(0, |sum, chunk| sum + chunk.total_bytes_len() as u64)
        }
        DataType::Binary => {
            let chunks = series.binary()?.downcast_iter();
            chunks.fold(0, |sum, chunk| sum + chunk.total_bytes_len() as u64)
        }
        DataType::List(_) => {
            let (_, items) = items(series)?;
            of_series(&items, width(items.dtype()).unwrap_or(0))?
        }
        DataType::Struct(_) => {
            let mut total = 0_u64;
            for field in series.struct_()?.fields_as_series() {
                let each = width(field.dtype()).unwrap_or(0);
                let names = (field.name().len() as u64).saturating_mul(field.len() as u64);
                total = total.saturating_add(of_series(&field, each)?.saturating_add(names));
            }
            total
        }
        _ => each.saturating_mul(series.len() as u64),
    })
}

/// Adds the bytes of each value to its row, `each` for those of one length.
fn add_rows(series: &Series, each: u64, rows: &mut [u64]) -> PolarsResult<()> {
    let add = |row: &mut u64, bytes: u64| *row = row.saturating_add(bytes);
    match series.dtype() {
        DataType::String => {
            for (row, text) in rows.iter_mut().zip(series.str()?.iter()) {
                add(row, text.map_or(0, str::len) as u64);
            }
        }
        DataType::Binary => {
            for (row, bytes) in rows.iter_mut().zip(series.binary()?.iter()) {
                add(row, bytes.map_or(0, <[u8]>::len) as u64);
            }
        }
        DataType::List(_) => {
            let (ends, items) = items(series)?;
            let each = width(items.dtype());
            let mut held = Vec::new();
            if each.is_none() {
                held.resize(items.len(), 0);
                add_rows(&items, 0, &mut held)?;
            }
            let mut from = 0;
            for (row, to) in rows.iter_mut().zip(ends) {
                add(
                    row,
                    match each {
                        Some(each) => each.saturating_mul((to - from) as u64),
                        None => held[from..to].iter().fold(0, |a, b| a.saturating_add(*b)),
                    },
                );
                from = to;
            }
        }
        DataType::Struct(_) => {
            for field in series.struct_()?.fields_as_series() {
                for row in rows.iter_mut() {
                    add(row, field.name().len() as u64);
                }
                add_rows(&field, width(field.dtype()).unwrap_or(0), rows)?;
            }
        }
        _ => {
            for row in rows.iter_mut() {
                add(row, each);
            }
        }
    }
    Ok(())
}

/// The items of all lists, and where those of each list end.
fn items(lists: &Series) -> PolarsResult<(Vec<usize>, Series)> {
    let lists = lists.list()?.rechunk();
    let mut ends = Vec::with_capacity(lists.len());
    let mut items = lists.get_inner();
    if let Some(chunk) = lists.downcast_iter().next() {
        let index = |offset: &i64| usize::try_from(*offset).unwrap_or_default();
        let offsets = chunk.offsets().as_slice();
        let first = offsets.first().map_or(0, index);
        ends.extend(offsets.iter().skip(1).map(|offset| index(offset) - first));
        let begin = i64::try_from(first).unwrap_or(i64::MAX);
        items = items.slice(begin, ends.last().copied().unwrap_or(0));
    }
    Ok((ends, items))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use polars::prelude::{JsonFormat, JsonReader, SerReader};

    use super::*;

    #[test]
    fn l02_rows_hold_their_texts_and_lists() {
        let lines = r#"{"a":"xyz","b":["x","yy"],"c":[1.5,2],"d":[{"k":"v","n":1},{"k":null,"n":2}],"e":7}
{"a":null,"b":null,"c":null,"d":null,"e":null}
{"a":"","b":[],"c":[1.5],"d":[{"k":"wide","n":3}],"e":8}
{"a":"ü","b":["zzzz"],"c":[],"d":[],"e":9}
"#;
        let reader = JsonReader::new(Cursor::new(lines.as_bytes()))
            .with_json_format(JsonFormat::JsonLines)
            .infer_schema_len(None);
        let frame = reader.finish().expect("a frame");
        // A text its bytes, a number in a list 8, and in structures the name of each field.
        let pair = |text: u64| 1 + text + 1 + 8;
        let rows = vec![3 + 3 + 16 + pair(1) + pair(0), 0, 8 + pair(4), 2 + 4];
        assert_eq!(by_row(&frame).expect("bytes"), rows);
        assert_eq!(total(&frame).expect("bytes"), rows.iter().sum::<u64>());
        let middle = frame.slice(1, 2);
        assert_eq!(by_row(&middle).expect("bytes"), rows[1..3]);
        assert_eq!(total(&middle).expect("bytes"), rows[1] + rows[2]);

        let long = |line_cap| held("file", &frame, 10, line_cap).map_err(|error| error.to_string());
        assert_eq!(long(43), Ok(rows.iter().sum()));
        let error = long(13).expect_err("a long row");
        assert!(error.contains("row 11"), "{error}");
    }
}
