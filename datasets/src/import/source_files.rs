//! From files to records, in batches that threads can share.

use std::cell::Cell as Shared;
use std::io::{BufRead, Read};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use csv::ByteRecord;
use serde_json::value::RawValue;

use super::record::Record;
use super::vw::Block;
use crate::assemble::{Fault, Spot};
use crate::csv_log::{Guarded, RecordTooLong};
use crate::jsonl::{read_line, trimmed};
use crate::read::ReadOptions;
use crate::read_error::ReadError;
use crate::reject::RejectReason;
use crate::source::{Format, Meter, Place, Source, on_disk, open, read_failed};

/// Bytes of a batch, about.
pub(super) const BATCH_BYTES: usize = 8 << 20;

/// How the bytes of a kind of export are cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// JSONL, a JSON array, JSON objects one after the other, or CSV: whatever the file is.
    Records,
    /// Lines of text: examples of Vowpal Wabbit, of one line or of all up to an empty one.
    Examples,
}

/// Records that were read together.
#[derive(Default)]
pub(crate) struct Batch {
    form: Form,
    bytes: Vec<u8>,
    spans: Vec<(Range<usize>, Spot)>,
    rows: Vec<(ByteRecord, Spot)>,
    row_bytes: usize,
}

/// What the records of a file are.
#[derive(Clone, Default)]
enum Form {
    #[default]
    Json,
    Text,
    /// Rows with the fields of a header line.
    Csv(Arc<[String]>),
}

impl Batch {
    pub(crate) fn len(&self) -> usize {
        self.spans.len() + self.rows.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_full(&self) -> bool {
        self.bytes.len() + self.row_bytes >= BATCH_BYTES
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.rows.clear();
        self.row_bytes = 0;
    }

    /// Where record `index` stands.
    pub(crate) fn spot(&self, index: usize) -> Spot {
        match self.spans.get(index) {
            Some((_, spot)) => *spot,
            None => self.rows[index].1,
        }
    }

    /// Record `index`.
    pub(crate) fn record(&self, index: usize) -> Result<Record<'_>, Fault> {
        let Some((span, _)) = self.spans.get(index) else {
            let (row, _) = &self.rows[index];
            let names: &[String] = match &self.form {
                Form::Csv(names) => names,
                _ => &[],
            };
            if row.len() != names.len() {
                return Err(Fault::new(RejectReason::FieldCount {
                    got: row.len(),
                    wanted: names.len(),
                }));
            }
            if row.as_slice().contains(&0) {
                return Err(Fault::new(RejectReason::NulCharacter));
            }
            return Ok(Record::Csv(names, row));
        };
        let text = std::str::from_utf8(&self.bytes[span.clone()]).map_err(|error| {
            Fault::new(RejectReason::InvalidUtf8).at_offset(error.valid_up_to() as u64)
        })?;
        match self.form {
            Form::Text => Ok(Record::Text(text)),
            _ => Record::of_json(text),
        }
    }
}

/// Reads a file and hands its records on, batch by batch; `take` says whether to go on, and may
/// keep a batch and leave an empty one.
pub(crate) fn read_batches(
    source: &Source,
    meter: &Meter,
    options: &ReadOptions,
    cut: Cut,
    take: &mut dyn FnMut(&mut Batch) -> Result<bool, ReadError>,
) -> Result<(), ReadError> {
    let left = meter.left();
    let opened = open(source, meter)?;
    let mut reader = Reader {
        file: &source.name,
        options,
        batch: Batch::default(),
        is_left: false,
        take,
    };
    match (cut, opened.format) {
        (_, Format::Parquet) => {
            let file = on_disk(source, opened.reader, opened.is_plain, meter)?;
            meter.rewind(left);
            super::parquet_rows::read(file.path(), meter, &mut reader)?;
        }
        (Cut::Examples, _) => reader.examples(opened.reader)?,
        (Cut::Records, Format::Csv { delimiter }) => reader.csv(opened.reader, delimiter)?,
        (Cut::Records, Format::Jsonl) => reader.lines(opened.reader)?,
        (Cut::Records, Format::JsonArray) => reader.array(opened.reader)?,
    }
    // Bytes that no decoder wanted still belong to the digest; a file that was left early is not
    // read to its end.
    if reader.is_left || matches!(source.place, Place::Stdin) {
        return Ok(());
    }
    let mut rest = opened.rest;
    std::io::copy(&mut rest, &mut std::io::sink())
        .map(drop)
        .map_err(|error| ReadError::Io {
            file: source.name.clone(),
            source: error,
        })
}

pub(super) struct Reader<'r> {
    pub(super) file: &'r str,
    pub(super) options: &'r ReadOptions,
    batch: Batch,
    /// Whether the file was left before its end.
    is_left: bool,
    take: &'r mut dyn FnMut(&mut Batch) -> Result<bool, ReadError>,
}

impl Reader<'_> {
    /// Hands the batch on; whether to go on.
    fn hand_on(&mut self) -> Result<bool, ReadError> {
        let form = self.batch.form.clone();
        let go_on = self.batch.is_empty() || (self.take)(&mut self.batch)?;
        self.batch.clear();
        self.batch.form = form;
        self.is_left |= !go_on;
        Ok(go_on)
    }

    fn failed(&self, error: std::io::Error) -> ReadError {
        read_failed(self.file, error, self.options.byte_cap)
    }

    fn too_long(&self, line: u64) -> ReadError {
        ReadError::LineCap {
            file: self.file.to_owned(),
            line,
            cap: self.options.line_cap,
        }
    }

    /// Hands on all but an example that is not complete; whether to go on.
    fn hand_on_but(&mut self, open: &mut Option<(usize, Spot)>) -> Result<bool, ReadError> {
        let rest = match open {
            Some((began, _)) => self.batch.bytes.split_off(*began),
            None => Vec::new(),
        };
        let go_on = self.hand_on()?;
        self.batch.bytes = rest;
        if let Some((began, _)) = open {
            *began = 0;
        }
        Ok(go_on)
    }

    /// Adds a row; whether to go on.
    fn add_row(&mut self, row: ByteRecord, spot: Spot) -> Result<bool, ReadError> {
        self.batch.row_bytes += row.as_slice().len() + 64;
        self.batch.rows.push((row, spot));
        Ok(!self.batch.is_full() || self.hand_on()?)
    }

    /// Hands on what is left.
    pub(super) fn end(&mut self) -> Result<(), ReadError> {
        self.hand_on().map(drop)
    }

    /// One object per line; or, when the first line is the beginning of one, objects over several.
    fn lines(&mut self, mut reader: Box<dyn BufRead>) -> Result<(), ReadError> {
        let (mut line, mut byte, mut row) = (0, 0, 0);
        let cap = self.options.line_cap;
        loop {
            let start = self.batch.bytes.len();
            let read = read_line(&mut reader, &mut self.batch.bytes, cap)
                .map_err(|error| self.failed(error))?;
            if read == 0 {
                return self.hand_on().map(drop);
            }
            line += 1;
            let mut text = trimmed(&self.batch.bytes[start..]);
            if text.len() > cap {
                return Err(self.too_long(line));
            }
            let mut mark = 0;
            if line == 1 && text.starts_with(b"\xef\xbb\xbf") {
                (mark, text) = (3, &text[3..]);
            }
            if line == 1 && is_unfinished(text) {
                let head = self.batch.bytes.split_off(start).split_off(mark);
                return self.objects(std::io::Cursor::new(head).chain(reader));
            }
            let end = start + mark + text.len();
            if !text.trim_ascii().is_empty() {
                row += 1;
                let spot = Spot {
                    line: Some(line),
                    byte: Some(byte + mark as u64),
                    row,
                };
                self.batch.spans.push((start + mark..end, spot));
            }
            byte += read as u64;
            if self.batch.is_full() && !self.hand_on()? {
                return Ok(());
            }
        }
    }

    /// Objects one after the other, each over any number of lines.
    fn objects(&mut self, reader: impl Read + 'static) -> Result<(), ReadError> {
        let (guarded, pending) = self.guard(Box::new(std::io::BufReader::new(reader)));
        let mut values =
            serde_json::Deserializer::from_reader(guarded).into_iter::<Box<RawValue>>();
        let mut row = 0;
        loop {
            pending.set(0);
            let Some(value) = values.next() else {
                return self.hand_on().map(drop);
            };
            row += 1;
            let value = value.map_err(|error| self.json_failed(error))?;
            if !self.add_value(&value, row)? {
                return Ok(());
            }
        }
    }

    /// The items of one array.
    fn array(&mut self, reader: Box<dyn BufRead>) -> Result<(), ReadError> {
        let (guarded, pending) = self.guard(reader);
        let mut parser = serde_json::Deserializer::from_reader(guarded);
        let mut stopped = None;
        let items = Items {
            reader: self,
            pending,
            stopped: &mut stopped,
        };
        let read = serde::de::Deserializer::deserialize_seq(&mut parser, items)
            .and_then(|()| parser.end());
        match (stopped, read) {
            (Some(Ok(())), _) => Ok(()),
            (Some(Err(error)), _) => Err(error),
            (None, Err(error)) => Err(self.json_failed(error)),
            (None, Ok(())) => self.hand_on().map(drop),
        }
    }

    fn guard(&self, reader: Box<dyn BufRead>) -> (std::io::BufReader<Guarded>, Rc<Shared<usize>>) {
        let pending = Rc::new(Shared::new(0));
        let guarded = Guarded {
            reader,
            pending: pending.clone(),
            cap: self.options.line_cap,
        };
        (std::io::BufReader::with_capacity(1 << 16, guarded), pending)
    }

    fn add_value(&mut self, value: &RawValue, row: u64) -> Result<bool, ReadError> {
        self.add_line(value.get().as_bytes(), row)
    }

    /// Adds a record of JSON that stands on no line of the file; whether to go on.
    pub(super) fn add_line(&mut self, json: &[u8], row: u64) -> Result<bool, ReadError> {
        let start = self.batch.bytes.len();
        self.batch.bytes.extend_from_slice(json);
        let spot = Spot {
            line: None,
            byte: None,
            row,
        };
        let end = self.batch.bytes.len();
        self.batch.spans.push((start..end, spot));
        Ok(!self.batch.is_full() || self.hand_on()?)
    }

    fn json_failed(&self, error: serde_json::Error) -> ReadError {
        let line = error.line() as u64;
        if error.is_io() {
            let error = std::io::Error::from(error);
            let is_long = error.get_ref().is_some_and(is_record_too_long);
            return if is_long {
                self.too_long(line)
            } else {
                self.failed(error)
            };
        }
        ReadError::BrokenJson {
            file: self.file.to_owned(),
            line,
            what: match crate::jsonl::bad_json(&error) {
                RejectReason::BadJson { what } => what,
                reason => reason.to_string(),
            },
        }
    }

    /// A header line, then rows.
    fn csv(&mut self, reader: Box<dyn BufRead>, delimiter: u8) -> Result<(), ReadError> {
        let pending = Rc::new(Shared::new(0));
        let guarded = Guarded {
            reader,
            pending: pending.clone(),
            cap: self.options.line_cap,
        };
        let mut records = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 16)
            .from_reader(guarded);
        let mut record = ByteRecord::new();
        let mut row = 0;
        loop {
            pending.set(0);
            let (line, begin) = (records.position().line(), records.position().byte());
            let more = records
                .read_byte_record(&mut record)
                .map_err(|error| self.csv_failed(error, line))?;
            if records.position().byte() - begin > self.options.line_cap as u64 {
                return Err(self.too_long(line));
            }
            if !more {
                return self.hand_on().map(drop);
            }
            if !matches!(self.batch.form, Form::Csv(_)) {
                self.batch.form = Form::Csv(names(self.file, &record)?.into());
                continue;
            }
            row += 1;
            let at = record.position();
            let spot = Spot {
                line: at.map(csv::Position::line),
                byte: at.map(csv::Position::byte),
                row,
            };
            if !self.add_row(record.clone(), spot)? {
                return Ok(());
            }
        }
    }

    fn csv_failed(&self, error: csv::Error, line: u64) -> ReadError {
        let message = error.to_string();
        match error.into_kind() {
            csv::ErrorKind::Io(error) if error.get_ref().is_some_and(is_record_too_long) => {
                self.too_long(line)
            }
            csv::ErrorKind::Io(error) => self.failed(error),
            _ => self.failed(std::io::Error::other(message)),
        }
    }

    /// Lines, those of one example together.
    fn examples(&mut self, mut reader: Box<dyn BufRead>) -> Result<(), ReadError> {
        self.batch.form = Form::Text;
        let (mut line, mut byte, mut row) = (0, 0, 0);
        let mut open: Option<(usize, Spot)> = None;
        let mut block = Block::default();
        let cap = self.options.line_cap;
        loop {
            let start = self.batch.bytes.len();
            let read = read_line(&mut reader, &mut self.batch.bytes, cap)
                .map_err(|error| self.failed(error))?;
            line += 1;
            if line == 1 && self.batch.bytes.starts_with(b"\xef\xbb\xbf") {
                self.batch.bytes.drain(..3);
            }
            let is_empty = trimmed(&self.batch.bytes[start..]).trim_ascii().is_empty();
            let began = open.map_or(start, |(began, _)| began);
            if self.batch.bytes.len() - began > cap {
                return Err(self.too_long(line));
            }
            let text = &self.batch.bytes[start..];
            if (is_empty || block.ends_before(text))
                && let Some((began, spot)) = open.take()
            {
                self.batch.spans.push((began..start, spot));
            }
            if is_empty {
                block = Block::default();
            } else if open.is_none() {
                row += 1;
                let spot = Spot {
                    line: Some(line),
                    byte: Some(byte),
                    row,
                };
                open = Some((start, spot));
            }
            byte += read as u64;
            if read == 0 {
                return self.hand_on().map(drop);
            }
            // An example that is longer than a batch waits for its end.
            let has_complete = open.is_none() || !self.batch.is_empty();
            if self.batch.is_full() && has_complete && !self.hand_on_but(&mut open)? {
                return Ok(());
            }
        }
    }
}

fn is_record_too_long(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.is::<RecordTooLong>()
}

/// Whether a line is JSON that goes on in the next one.
fn is_unfinished(line: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(line).is_err_and(|error| error.is_eof())
}

fn names(file: &str, record: &ByteRecord) -> Result<Vec<String>, ReadError> {
    let mut names: Vec<String> = Vec::with_capacity(record.len());
    for (index, name) in record.iter().enumerate() {
        let name = match index {
            0 => name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name),
            _ => name,
        };
        let name = std::str::from_utf8(name).map_err(|_| ReadError::UnknownFormat {
            file: file.to_owned(),
            found: "its header is not text",
        })?;
        let name = name.trim().to_owned();
        if names.contains(&name) {
            return Err(ReadError::DuplicateColumn {
                file: file.to_owned(),
                column: name,
            });
        }
        names.push(name);
    }
    Ok(names)
}

/// The items of an array, as they come.
struct Items<'i, 'r> {
    reader: &'i mut Reader<'r>,
    pending: Rc<Shared<usize>>,
    /// Why reading ended before the array did.
    stopped: &'i mut Option<Result<(), ReadError>>,
}

impl<'de> serde::de::Visitor<'de> for Items<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of objects")
    }
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut row = 0;
        loop {
            self.pending.set(0);
            let Some(value) = items.next_element::<Box<RawValue>>()? else {
                return Ok(());
            };
            row += 1;
            match self.reader.add_value(&value, row) {
                Ok(true) => {}
                Ok(false) => *self.stopped = Some(Ok(())),
                Err(error) => *self.stopped = Some(Err(error)),
            }
            if self.stopped.is_some() {
                return Err(serde::de::Error::custom("stopped"));
            }
        }
    }
}
