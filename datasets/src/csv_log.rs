//! CSV: a header line, then one row per record; every field is text until its column reads it.

use std::cell::Cell as Shared;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use csv::ByteRecord;

use crate::assemble::{Assembler, Fault, Spot};
use crate::column::{Column, did_you_mean};
use crate::header::Header;
use crate::read_error::ReadError;
use crate::reject::RejectReason;
use crate::row::{Cell, LogRow};
use crate::source::read_failed;
use crate::timestamp::TimestampUnit;

const BUFFER_BYTES: usize = 1 << 16;

pub(crate) fn read(
    file: &str,
    reader: Box<dyn BufRead>,
    delimiter: u8,
    into: &mut Assembler<'_>,
) -> Result<(), ReadError> {
    let (line_cap, byte_cap) = (into.options.line_cap, into.options.byte_cap);
    let pending = Rc::new(Shared::new(0));
    let guarded = Guarded {
        reader,
        pending: pending.clone(),
        cap: line_cap,
    };
    let mut records = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(BUFFER_BYTES)
        .from_reader(guarded);
    let too_long = |line| ReadError::LineCap {
        file: file.to_owned(),
        line,
        cap: line_cap,
    };
    let failed = |error: csv::Error, line: u64| {
        let message = error.to_string();
        let csv::ErrorKind::Io(error) = error.into_kind() else {
            return ReadError::Io {
                file: file.to_owned(),
                source: io::Error::other(message),
            };
        };
        if error
            .get_ref()
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<RecordTooLong>)
        {
            return too_long(line);
        }
        read_failed(file, error, byte_cap)
    };

    let mut record = ByteRecord::new();
    records
        .read_byte_record(&mut record)
        .map_err(|error| failed(error, 1))?;
    let header = Header::new(names(file, &record)?);
    let mut row = 0;
    loop {
        pending.set(0);
        let (line, begin) = (records.position().line(), records.position().byte());
        if !records
            .read_byte_record(&mut record)
            .map_err(|error| failed(error, line))?
        {
            return Ok(());
        }
        if records.position().byte() - begin > line_cap as u64 {
            return Err(too_long(line));
        }
        row += 1;
        let at = record.position();
        let spot = Spot {
            line: at.map(csv::Position::line),
            byte: at.map(csv::Position::byte),
            row,
        };
        let parsed = parse(&record, &header, into.options.timestamp_unit);
        into.add(spot, parsed)?;
    }
}

fn names(file: &str, record: &ByteRecord) -> Result<Vec<String>, ReadError> {
    let mut names = Vec::with_capacity(record.len());
    for (index, name) in record.iter().enumerate() {
        let name = if index == 0 {
            name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name)
        } else {
            name
        };
        let name = std::str::from_utf8(name).map_err(|_| ReadError::UnknownFormat {
            file: file.to_owned(),
            found: "its header is not text",
        })?;
        names.push(name.trim().to_owned());
    }
    require_columns(file, &names)?;
    Ok(names)
}

/// Bytes of a column's name, at most: every request that has a value of an unknown column keeps its
/// name.
const NAME_BYTES_MAX: usize = 1 << 10;

/// Fails unless the required columns are there, no name comes twice and none is very long.
pub(crate) fn require_columns(file: &str, names: &[String]) -> Result<(), ReadError> {
    if names.iter().any(|name| name.len() > NAME_BYTES_MAX) {
        return Err(ReadError::UnknownFormat {
            file: file.to_owned(),
            found: "a column has a name of more than 1,024 bytes",
        });
    }
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(ReadError::DuplicateColumn {
                file: file.to_owned(),
                column: name.clone(),
            });
        }
    }
    for column in [Column::RequestId.name(), Column::Model.name()] {
        if !names.iter().any(|name| name == column) {
            let unknown = names
                .iter()
                .map(String::as_str)
                .filter(|n| Column::named(n).is_none());
            return Err(ReadError::MissingColumn {
                file: file.to_owned(),
                column,
                meant: did_you_mean(column, unknown).map(str::to_owned),
                found: names.to_vec(),
            });
        }
    }
    Ok(())
}

fn parse(
    record: &ByteRecord,
    header: &Header,
    unit: Option<TimestampUnit>,
) -> Result<LogRow, Fault> {
    if record.len() != header.len() {
        let reason = RejectReason::FieldCount {
            got: record.len(),
            wanted: header.len(),
        };
        return Err(Fault::new(reason));
    }
    header.row(unit, |index| {
        std::str::from_utf8(&record[index])
            .map(Cell::Untyped)
            .map_err(|_| RejectReason::InvalidUtf8)
    })
}

/// Fails when one record takes far more than `cap` bytes: an open quote must not swallow the file.
/// How long a record was to the byte is seen once it is read.
pub(crate) struct Guarded {
    pub(crate) reader: Box<dyn BufRead>,
    pub(crate) pending: Rc<Shared<usize>>,
    pub(crate) cap: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("a record is longer than allowed")]
pub(crate) struct RecordTooLong;

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // What was read ahead before the record began is in the parser's buffer, not counted here.
        if self.pending.get() > self.cap {
            return Err(io::Error::other(RecordTooLong));
        }
        let read = self.reader.read(buffer)?;
        self.pending.set(self.pending.get() + read);
        Ok(read)
    }
}
