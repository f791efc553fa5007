//! JSONL: one object per line, each line on its own.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::io::BufRead;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::assemble::{Assembler, Fault, Spot};
use crate::column::Column;
use crate::read_error::ReadError;
use crate::reject::RejectReason;
use crate::row::{Cell, LogRow};
use crate::source::read_failed;

pub(crate) fn read(
    file: &str,
    mut reader: Box<dyn BufRead>,
    into: &mut Assembler<'_>,
) -> Result<(), ReadError> {
    let (line_cap, byte_cap) = (into.options.line_cap, into.options.byte_cap);
    let mut buffer = Vec::new();
    let (mut line, mut byte, mut row) = (0, 0, 0);
    loop {
        buffer.clear();
        let read = read_line(&mut reader, &mut buffer, line_cap)
            .map_err(|error| read_failed(file, error, byte_cap))?;
        if read == 0 {
            return Ok(());
        }
        line += 1;
        if trimmed(&buffer).len() > line_cap {
            return Err(ReadError::LineCap {
                file: file.to_owned(),
                line,
                cap: line_cap,
            });
        }
        let has_mark = line == 1 && buffer.starts_with(b"\xef\xbb\xbf");
        let text = trimmed(&buffer[if has_mark { 3 } else { 0 }..]);
        if !text.trim_ascii().is_empty() {
            row += 1;
            let parsed = parse(text, into);
            let offset = parsed.as_ref().err().map_or(0, |fault| fault.offset);
            let at = byte + if has_mark { 3 } else { 0 } + offset;
            into.add(
                Spot {
                    line: Some(line),
                    byte: Some(at),
                    row,
                },
                parsed,
            )?;
        }
        byte += read as u64;
    }
}

/// Reads up to and with the next line end, but never much more than `cap` bytes.
pub(crate) fn read_line(
    reader: &mut dyn BufRead,
    buffer: &mut Vec<u8>,
    cap: usize,
) -> std::io::Result<usize> {
    // Two bytes more for CRLF; a longer line is refused by the caller.
    let limit = (cap as u64).saturating_add(3);
    std::io::Read::take(reader, limit).read_until(b'\n', buffer)
}

/// The line without its end.
pub(crate) fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn parse(line: &[u8], into: &Assembler<'_>) -> Result<LogRow, Fault> {
    let text = std::str::from_utf8(line).map_err(|error| {
        Fault::new(RejectReason::InvalidUtf8).at_offset(error.valid_up_to() as u64)
    })?;
    if text.contains('\0') {
        let offset = text.find('\0').unwrap_or_default() as u64;
        return Err(Fault::new(RejectReason::NulCharacter).at_offset(offset));
    }
    let fields = fields(text)?;
    let mut row = LogRow::default();
    // The id comes first, so that every fault can name its row.
    let id = fields
        .iter()
        .find(|(name, _)| name == Column::RequestId.name());
    if let Some((_, raw)) = id {
        set(&mut row, Column::RequestId.name(), raw, into)?;
    }
    for (name, raw) in &fields {
        if name != Column::RequestId.name() {
            let id = row.request_id.clone();
            set(&mut row, name, raw, into).map_err(|fault| fault.of_request(id))?;
        }
    }
    match row.check() {
        Ok(()) => Ok(row),
        Err((column, reason)) => Err(Fault::new(reason)
            .in_column(column)
            .of_request(row.request_id)),
    }
}

fn set(row: &mut LogRow, name: &str, raw: &RawValue, into: &Assembler<'_>) -> Result<(), Fault> {
    let fault = |reason| Fault::new(reason).in_column(name);
    let cell = cell(raw.get()).map_err(fault)?;
    match Column::named(name) {
        Some(column) => row
            .set(column, cell, into.options.timestamp_unit)
            .map_err(fault),
        None => row.set_extra(name, cell).map_err(fault),
    }
}

/// The cell that a JSON value is.
pub(crate) fn cell(raw: &str) -> Result<Cell<'_>, RejectReason> {
    Ok(match raw.as_bytes().first() {
        Some(b'n') => Cell::Null,
        Some(b't') => Cell::Flag(true),
        Some(b'f') => Cell::Flag(false),
        Some(b'"') => Cell::Text(text(raw)?),
        Some(b'[' | b'{') => {
            check_nested(raw)?;
            Cell::Json(raw)
        }
        _ => Cell::Number(raw),
    })
}

/// The text of a JSON string; a lone surrogate is no text.
pub(crate) fn text(raw: &str) -> Result<Cow<'_, str>, RejectReason> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw)
        .map(Cow::Owned)
        .map_err(|error| bad_json(&error))
}

/// Nesting is bounded by the parser's own recursion limit; doubled keys inside are refused too.
fn check_nested(raw: &str) -> Result<(), RejectReason> {
    let mut parser = serde_json::Deserializer::from_str(raw);
    let mut twice = false;
    let seed = Nested { twice: &mut twice };
    let parsed = serde::de::DeserializeSeed::deserialize(seed, &mut parser);
    if twice {
        return Err(RejectReason::DuplicateKey);
    }
    parsed.map_err(|error| bad_json(&error))
}

/// Walks a nested value, recursively, with nothing kept but whether a key came twice.
struct Nested<'t> {
    twice: &'t mut bool,
}

impl<'de> serde::de::DeserializeSeed<'de> for Nested<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items
            .next_element_seed(Nested {
                twice: &mut *self.twice,
            })?
            .is_some()
        {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            *self.twice |= !seen.insert(key);
            map.next_value_seed(Nested {
                twice: &mut *self.twice,
            })?;
        }
        Ok(())
    }
}

pub(crate) type Fields<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The fields of an object, each value as it is written.
pub(crate) fn fields(text: &str) -> Result<Fields<'_>, Fault> {
    if !text.trim_start().starts_with('{') {
        // What is no JSON at all is told apart from JSON of another kind.
        return Err(match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Fault::new(RejectReason::NotAnObject),
            Err(error) => json_fault(&error),
        });
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    let read = parser.deserialize_map(FieldsVisitor).and_then(|fields| {
        parser.end()?;
        Ok(fields)
    });
    let fields = read.map_err(|error| json_fault(&error))?;
    let mut names: Vec<_> = fields.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Fault::new(RejectReason::DuplicateKey).in_column(pair[0])),
        None => Ok(fields),
    }
}

fn json_fault(error: &serde_json::Error) -> Fault {
    Fault::new(bad_json(error)).at_offset(error.column().saturating_sub(1) as u64)
}

/// The parser's words without its place; they never quote the line.
pub(crate) fn bad_json(error: &serde_json::Error) -> RejectReason {
    if error.is_data() {
        return RejectReason::BadJson {
            what: "a value of another type was expected".to_owned(),
        };
    }
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or_default();
    if what.contains("recursion limit") {
        RejectReason::TooDeep
    } else if what.contains("number out of range") {
        RejectReason::NotFinite
    } else {
        RejectReason::BadJson {
            what: what.to_owned(),
        }
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(16));
        while let Some(Key(name)) = map.next_key()? {
            fields.push((name, map.next_value()?));
        }
        Ok(fields)
    }
}

/// A key that borrows from the line when it can.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}
