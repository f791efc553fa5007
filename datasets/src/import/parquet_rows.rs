//! Exports in Parquet: each row as the JSON object that it is, nested columns and all.

use std::io::{BufRead, Read, Write};
use std::path::Path;

use polars::prelude::{JsonFormat, JsonWriter, LazyFrame, PlRefPath, ScanArgsParquet, SerWriter};

use super::source_files::Reader;
use crate::parquet::{guarded, shape};
use crate::read_error::ReadError;
use crate::source::{Opened, Place, Source, read_failed};

/// Rows decoded at a time.
const SLICE_ROWS: u32 = 1 << 13;

pub(super) fn read(
    source: &Source,
    opened: Opened,
    reader: &mut Reader<'_>,
) -> Result<(), ReadError> {
    match &source.place {
        Place::File(path) if opened.is_plain => {
            drop(opened.reader);
            let mut rest = opened.rest;
            std::io::copy(&mut rest, &mut std::io::sink()).map_err(|error| ReadError::Io {
                file: source.name.clone(),
                source: error,
            })?;
            rows(path, reader)
        }
        _ => spooled(opened.reader, reader),
    }
}

/// Parquet that has no plain file of its own, by way of a temporary one.
fn spooled(mut from: Box<dyn BufRead>, reader: &mut Reader<'_>) -> Result<(), ReadError> {
    let failed = |source| ReadError::Io {
        file: reader.file.to_owned(),
        source,
    };
    let mut spool = tempfile::NamedTempFile::new().map_err(failed)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let got = from
            .read(&mut buffer)
            .map_err(|error| read_failed(reader.file, error, reader.options.byte_cap))?;
        if got == 0 {
            break;
        }
        spool.write_all(&buffer[..got]).map_err(failed)?;
    }
    rows(spool.path(), reader)
}

fn rows(path: &Path, reader: &mut Reader<'_>) -> Result<(), ReadError> {
    let file = reader.file.to_owned();
    let shape = shape(&file, path)?;
    if shape.bytes > reader.options.byte_cap {
        return Err(ReadError::ByteCap {
            file,
            cap: reader.options.byte_cap,
        });
    }
    let mut offset = 0;
    while offset < shape.rows {
        let (lines, height) = guarded(&file, || {
            let path = PlRefPath::new(path.to_string_lossy());
            let args = ScanArgsParquet {
                glob: false,
                cache: false,
                use_statistics: false,
                ..Default::default()
            };
            let from = i64::try_from(offset).unwrap_or(i64::MAX);
            let mut frame = LazyFrame::scan_parquet(path, args)?
                .slice(from, SLICE_ROWS)
                .collect()?;
            let mut lines = Vec::new();
            JsonWriter::new(&mut lines)
                .with_json_format(JsonFormat::JsonLines)
                .finish(&mut frame)?;
            Ok((lines, frame.height()))
        })?;
        if height == 0 {
            let message = format!("it ends after {offset} of {} rows", shape.rows);
            return Err(ReadError::Parquet { file, message });
        }
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            offset += 1;
            if !reader.add_line(line, offset)? {
                return Ok(());
            }
        }
    }
    reader.end()
}
