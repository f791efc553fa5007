//! What Parquet's footer and page headers claim, read before the decoder trusts them: it makes room
//! for as many values, and waits for as many items, as they say (ROBUSTNESS.md L14).

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::{Range, RangeInclusive};

/// What the pages of a column chunk claim to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// Decompressed bytes.
    pub(crate) bytes: u64,
    /// Values, nulls included.
    pub(crate) values: u64,
    /// Pages whose bodies make claims of their own.
    pub(crate) deltas: Vec<DeltaPage>,
}

/// A page in one of the encodings by differences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeltaPage {
    /// Where its header and body lie in the file.
    pub(crate) range: Range<u64>,
    /// Values, nulls included.
    pub(crate) values: u64,
}

type Result<T> = std::result::Result<T, &'static str>;

const DAMAGED: &str = "the header of a page is damaged";

/// Lists and structures within each other, of which a footer has about ten.
const DEPTH_MAX: u8 = 32;

/// The length of the footer and `PAR1`, with which every file ends.
const TAIL_BYTES: u64 = 8;

/// What the decoder takes a field of the footer to be, whatever the file says it is.
#[derive(Clone, Copy)]
enum Kind {
    Flag,
    Byte,
    Number,
    Bytes,
    Struct(Fields),
    List(&'static Self),
}

/// Fields by their numbers; others are skipped.
type Fields = &'static [(i64, Kind)];

/// The footer's structures, as the format's own definition has them.
mod footer {
    use super::Fields;
    use super::Kind::{Byte, Bytes, Flag, List, Number, Struct};

    pub(super) const FILE: Fields = &[
        (1, Number),
        (2, List(&Struct(SCHEMA))),
        (3, Number),
        (4, List(&Struct(GROUP))),
        (5, List(&Struct(&[(1, Bytes), (2, Bytes)]))),
        (6, Bytes),
        (7, List(&Struct(&[(1, Struct(&[])), (2, Struct(&[]))]))),
    ];
    const SCHEMA: Fields = &[
        (1, Number),
        (2, Number),
        (3, Number),
        (4, Bytes),
        (5, Number),
        (6, Number),
        (7, Number),
        (8, Number),
        (9, Number),
        (10, Struct(LOGICAL)),
    ];
    const LOGICAL: Fields = &[
        (5, Struct(&[(1, Number), (2, Number)])),
        (7, Struct(TIME)),
        (8, Struct(TIME)),
        (10, Struct(&[(1, Byte), (2, Flag)])),
    ];
    const TIME: Fields = &[(1, Flag), (2, Struct(&[]))];
    const GROUP: Fields = &[
        (1, List(&Struct(CHUNK))),
        (2, Number),
        (3, Number),
        (4, List(&Struct(&[(1, Number), (2, Flag), (3, Flag)]))),
        (5, Number),
        (6, Number),
        (7, Number),
    ];
    const CHUNK: Fields = &[
        (1, Bytes),
        (2, Number),
        (3, Struct(COLUMN)),
        (4, Number),
        (5, Number),
        (6, Number),
        (7, Number),
    ];
    const COLUMN: Fields = &[
        (1, Number),
        (2, List(&Number)),
        (3, List(&Bytes)),
        (4, Number),
        (5, Number),
        (6, Number),
        (7, Number),
        (9, Number),
        (10, Number),
        (11, Number),
        (12, Struct(STATISTICS)),
        (14, Number),
        (15, Number),
    ];
    const STATISTICS: Fields = &[
        (1, Bytes),
        (2, Bytes),
        (3, Number),
        (4, Number),
        (5, Bytes),
        (6, Bytes),
        (7, Flag),
        (8, Flag),
    ];
}

/// Walks the footer, whose lists must not be longer than it is.
pub(crate) fn check_footer(file: &File, file_bytes: u64) -> Result<()> {
    const DAMAGED: &str = "the footer is damaged";
    let begin = file_bytes.checked_sub(TAIL_BYTES).ok_or(DAMAGED)?;
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(begin)).map_err(|_| DAMAGED)?;
    let mut length = [0; 4];
    reader.read_exact(&mut length).map_err(|_| DAMAGED)?;
    let length = u64::from(u32::from_le_bytes(length));
    let begin = begin.checked_sub(length).ok_or(DAMAGED)?;
    reader.seek(SeekFrom::Start(begin)).map_err(|_| DAMAGED)?;
    let mut footer = Compact {
        reader: reader.take(length),
    };
    footer.typed(footer::FILE, 0).map_err(|_| DAMAGED)
}

/// Walks the pages of a column chunk, which lies within the file and claims to hold `values`.
pub(crate) fn claims(file: &File, chunk: Range<u64>, values: i64) -> Result<Claims> {
    let total = u64::try_from(values).map_err(|_| DAMAGED)?;
    let mut reader = BufReader::with_capacity(1 << 10, file);
    reader
        .seek(SeekFrom::Start(chunk.start))
        .map_err(|_| DAMAGED)?;
    let mut left = chunk.end.saturating_sub(chunk.start);
    let mut claims = Claims::default();
    let mut is_first = true;
    // The first page may be a dictionary, which is read even where no values follow.
    while left > 0 && (is_first || claims.values < total) {
        is_first = false;
        let mut header = Compact {
            reader: reader.by_ref().take(left),
        };
        let page = Page::read(&mut header)?;
        let begin = chunk.end - left;
        left = header.reader.limit();
        left = left
            .checked_sub(page.compressed)
            .ok_or("a page is longer than its column")?;
        let skip = i64::try_from(page.compressed).map_err(|_| DAMAGED)?;
        reader.seek_relative(skip).map_err(|_| DAMAGED)?;
        claims.bytes += page.uncompressed;
        claims.values += page.values;
        if Page::DELTAS.contains(&page.encoding) {
            claims.deltas.push(DeltaPage {
                range: begin..chunk.end - left,
                values: page.values,
            });
        }
        if claims.values > total {
            return Err("a page holds more values than its column");
        }
    }
    Ok(claims)
}

/// What matters of a page's header.
#[derive(Clone, Copy, Debug, Default)]
struct Page {
    kind: u64,
    compressed: u64,
    uncompressed: u64,
    values: u64,
    encoding: u64,
}

impl Page {
    const DICTIONARY: u64 = 2;
    const DATA_V2: u64 = 3;
    /// `DELTA_BINARY_PACKED`, `DELTA_LENGTH_BYTE_ARRAY` and `DELTA_BYTE_ARRAY`.
    const DELTAS: RangeInclusive<u64> = 5..=7;

    /// Every number that is read is one that must not be negative.
    fn read(header: &mut Compact<impl BufRead>) -> Result<Self> {
        let mut page = Self::default();
        let (mut data, mut dictionary, mut data_v2) = ([0; 2], 0, [0; 2]);
        header.structure(0, &mut |header, id, wire| {
            match id {
                1 => page.kind = header.count(wire)?,
                2 => page.uncompressed = header.count(wire)?,
                3 => page.compressed = header.count(wire)?,
                5 => {
                    let [values, encoding, ..] = header.numbers(wire, 2)?;
                    data = [values, encoding];
                }
                7 => dictionary = header.numbers(wire, 1)?[0],
                8 => {
                    let [values, nulls, rows, encoding, definition, repetition] =
                        header.numbers(wire, 6)?;
                    if nulls > values || rows > values || definition + repetition > 1 << 31 {
                        return Err(DAMAGED);
                    }
                    data_v2 = [values, encoding];
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        if page.kind == Self::DICTIONARY {
            // A value takes a byte at least.
            if dictionary > page.uncompressed {
                return Err("a dictionary is longer than its page");
            }
        } else {
            [page.values, page.encoding] = if page.kind == Self::DATA_V2 {
                data_v2
            } else {
                data
            };
        }
        Ok(page)
    }
}

/// Wire types of Thrift's compact protocol.
mod wire {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const STRUCT: u8 = 12;
}

/// An integer in base 128, the lowest digits first.
pub(crate) fn varint(mut byte: impl FnMut() -> Result<u8>) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(DAMAGED)
}

/// An integer whose sign is the lowest bit.
#[expect(
    clippy::cast_possible_wrap,
    reason = "zigzag: the sign is the lowest bit"
)]
pub(crate) const fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Thrift's compact protocol, as far as page headers need it.
struct Compact<R> {
    reader: std::io::Take<R>,
}

/// Reads the field of that number and wire type, or says that it does not know it.
type OnField<'f, R> = &'f mut dyn FnMut(&mut Compact<R>, i64, u8) -> Result<bool>;

impl<R: BufRead> Compact<R> {
    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        self.reader.read_exact(&mut byte).map_err(|_| DAMAGED)?;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64> {
        varint(|| self.byte())
    }

    fn zigzag(&mut self) -> Result<i64> {
        self.varint().map(zigzag)
    }

    /// A 32-bit integer that is not negative.
    fn count(&mut self, wire: u8) -> Result<u64> {
        if wire != wire::I32 {
            return Err(DAMAGED);
        }
        let value = i32::try_from(self.zigzag()?).map_err(|_| DAMAGED)?;
        u64::try_from(value).map_err(|_| DAMAGED)
    }

    /// The first `known` fields of a structure, which are counts; 0 where one is absent.
    fn numbers(&mut self, wire: u8, known: i64) -> Result<[u64; 6]> {
        if wire != wire::STRUCT {
            return Err(DAMAGED);
        }
        let mut numbers = [0; 6];
        self.structure(1, &mut |header, id, wire| {
            if (1..=known).contains(&id) {
                let at = usize::try_from(id - 1).map_err(|_| DAMAGED)?;
                numbers[at] = header.count(wire)?;
                return Ok(true);
            }
            Ok(false)
        })?;
        Ok(numbers)
    }

    fn structure(&mut self, depth: u8, on_field: OnField<'_, R>) -> Result<()> {
        let mut id = 0_i64;
        loop {
            let byte = self.byte()?;
            let wire = byte & 0x0f;
            if wire == wire::STOP {
                return Ok(());
            }
            id = match byte >> 4 {
                0 => self.zigzag()?,
                delta => id.checked_add(i64::from(delta)).ok_or(DAMAGED)?,
            };
            // The decoder keeps 16 bits of it.
            i16::try_from(id).map_err(|_| DAMAGED)?;
            if !on_field(self, id, wire)? {
                self.skip(wire, depth)?;
            }
        }
    }

    /// A structure whose fields must be of the kinds that the decoder takes them to be.
    fn typed(&mut self, fields: Fields, depth: u8) -> Result<()> {
        self.structure(depth, &mut |compact, id, wire| {
            let Some((_, kind)) = fields.iter().find(|(known, _)| *known == id) else {
                return Ok(false);
            };
            compact.value(*kind, wire, depth + 1).map(|()| true)
        })
    }

    fn value(&mut self, kind: Kind, wire: u8, depth: u8) -> Result<()> {
        match (kind, wire) {
            (Kind::Flag, wire::TRUE | wire::FALSE)
            | (Kind::Byte, wire::BYTE)
            | (Kind::Number, wire::I16 | wire::I32 | wire::I64)
            | (Kind::Bytes, wire::BINARY) => self.skip(wire, depth),
            (Kind::Struct(fields), wire::STRUCT) => self.typed(fields, depth),
            (Kind::List(kind), wire::LIST) => {
                let (items, wire) = self.list()?;
                for _ in 0..items {
                    self.value(*kind, wire, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(DAMAGED),
        }
    }

    /// How many items a list has, and of which type.
    fn list(&mut self) -> Result<(u64, u8)> {
        let byte = self.byte()?;
        let items = match byte >> 4 {
            15 => self.varint()?,
            few => u64::from(few),
        };
        // Nothing here has lists of booleans, and the decoder takes them to be of no length.
        if matches!(byte & 0x0f, wire::TRUE | wire::FALSE) {
            return Err(DAMAGED);
        }
        Ok((items, byte & 0x0f))
    }

    fn skip(&mut self, wire: u8, depth: u8) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(DAMAGED);
        }
        match wire {
            wire::TRUE | wire::FALSE => Ok(()),
            wire::BYTE => self.byte().map(drop),
            wire::I16 | wire::I32 | wire::I64 => self.varint().map(drop),
            wire::DOUBLE => self.skip_bytes(8),
            wire::BINARY => {
                let bytes = self.varint()?;
                self.skip_bytes(bytes)
            }
            wire::LIST | wire::SET => {
                let (items, wire) = self.list()?;
                for _ in 0..items {
                    self.skip(wire, depth + 1)?;
                }
                Ok(())
            }
            wire::STRUCT => self.structure(depth + 1, &mut |_, _, _| Ok(false)),
            _ => Err(DAMAGED),
        }
    }

    fn skip_bytes(&mut self, bytes: u64) -> Result<()> {
        let skipped = std::io::copy(&mut self.reader.by_ref().take(bytes), &mut std::io::sink());
        match skipped {
            Ok(skipped) if skipped == bytes => Ok(()),
            _ => Err(DAMAGED),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A data page of 9 bytes: its type, two sizes, and a header with the count of values.
    fn page(sizes: [u8; 2], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x15, 0, 0x15, sizes[0], 0x15, sizes[1], 0x2c, 0x15];
        bytes.extend(values);
        bytes.extend([0, 0]);
        bytes.extend([7; 4]);
        bytes
    }

    fn check(bytes: &[u8], values: i64) -> Result<Claims> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("a file");
        claims(&file, 0..bytes.len() as u64, values)
    }

    #[test]
    fn l14_page_headers_claim_what_can_be() {
        // Zigzag: 8 is 4, 6 is 3, 5 is −3.
        let sound = page([8, 8], &[6]);
        let twice = [sound.clone(), sound.clone()].concat();
        let claimed = |bytes, values| {
            Ok(Claims {
                bytes,
                values,
                deltas: Vec::new(),
            })
        };
        assert_eq!(check(&sound, 3), claimed(4, 3));
        assert_eq!(check(&twice, 6), claimed(8, 6));
        assert_eq!(check(&twice, 3), claimed(4, 3));
        for (bytes, values) in [
            (page([8, 8], &[5]), 3),
            (page([8, 8], &[0xfe, 0xff, 0xff, 0xff, 0x0f]), 3),
            (page([8, 8], &[0xff; 11]), 3),
            (page([7, 8], &[6]), 3),
            (page([8, 7], &[6]), 3),
            (page([8, 10], &[6]), 3),
            (sound.clone(), 2),
            (sound.clone(), -1),
            (sound[..7].to_vec(), 3),
        ] {
            assert!(check(&bytes, values).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn l14_lists_of_a_footer_are_as_long_as_they_say() {
        let check = |footer: &[u8]| {
            let mut bytes = [b"PAR1", footer].concat();
            bytes.extend(u32::try_from(footer.len()).expect("short").to_le_bytes());
            bytes.extend(b"PAR1");
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&bytes).expect("a file");
            check_footer(&file, bytes.len() as u64)
        };
        // A version, and a list of two structures.
        assert_eq!(check(&[0x15, 2, 0x19, 0x2c, 0, 0, 0]), Ok(()));
        for footer in [
            // Items without end: of structures, and of booleans, which the decoder never ends.
            vec![0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0],
            vec![0x15, 2, 0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0],
            vec![0x15, 2, 0x19, 0x21, 1, 1, 0],
            vec![0x1c; 100_000],
            vec![0x19; 3],
            Vec::new(),
            // A number where the decoder reads a list, of 54 million items; so by a number of its
            // field that it cuts to 16 bits.
            vec![0x15, 2, 0x16, 0xf8, 0xe3, 0xea, 0xe9, 0x19, 0],
            vec![
                0x15, 2, 0x06, 0x84, 0x80, 0x08, 0xf8, 0xe3, 0xea, 0xe9, 0x19, 0,
            ],
        ] {
            assert!(
                check(&footer).is_err(),
                "{:?}",
                &footer[..footer.len().min(9)]
            );
        }
    }
}
