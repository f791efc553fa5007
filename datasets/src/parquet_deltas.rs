//! Encodings by differences, whose bodies claim how many values they hold and how long those are:
//! read before the decoder makes room for as many (ROBUSTNESS.md L14).

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use polars_parquet::parquet::encoding::Encoding;
use polars_parquet::parquet::page::{DataPage, split_buffer};
use polars_parquet::parquet::read::{PageMetaData, PageReader};
use polars_parquet::read::{BasicDecompressor, ColumnChunkMetadata};

use crate::parquet_claims::{self, DeltaPage, zigzag};

type Result<T> = std::result::Result<T, &'static str>;

const DAMAGED: &str = "the differences in a page are damaged";

/// Differences of one block; writers put 128 there, or a few hundred.
const BLOCK_MAX: u64 = 1 << 20;

/// Checks pages of a column; the bytes of those texts that go on from the one before.
pub(crate) fn check(path: &Path, column: &ColumnChunkMetadata, pages: &[DeltaPage]) -> Result<u64> {
    let mut file = File::open(path).map_err(|_| DAMAGED)?;
    let mut bytes = 0_u64;
    for page in pages {
        let length = page.range.end - page.range.start;
        let mut raw = Vec::new();
        file.seek(SeekFrom::Start(page.range.start))
            .and_then(|_| file.by_ref().take(length).read_to_end(&mut raw))
            .map_err(|_| DAMAGED)?;
        let Some(page) = decompress(raw, column)? else {
            continue;
        };
        let values = split_buffer(&page).map_err(|_| DAMAGED)?.values;
        let most = page.num_values() as u64;
        bytes = bytes.saturating_add(check_body(page.encoding(), values, most)?);
    }
    Ok(bytes)
}

/// The first page of `raw`, if the column has any.
fn decompress(raw: Vec<u8>, column: &ColumnChunkMetadata) -> Result<Option<DataPage>> {
    let meta = PageMetaData::from(column);
    let reader =
        PageReader::new_with_page_meta(Cursor::new(raw.into()), meta, Vec::new(), usize::MAX);
    let mut pages = BasicDecompressor::new(reader, Vec::new());
    let Some(page) = pages.next() else {
        return Ok(None);
    };
    let page = page.and_then(|page| page.decompress(&mut pages));
    page.map(Some).map_err(|_| DAMAGED)
}

/// Checks the values of a page that holds at most `most`; the bytes of its texts, where they go on
/// from the one before.
fn check_body(encoding: Encoding, values: &[u8], most: u64) -> Result<u64> {
    if encoding != Encoding::DeltaByteArray {
        Header::read(&mut &*values, most)?;
        return Ok(0);
    }
    let mut rest = values;
    let (prefixes, suffixes) = (integers(&mut rest, most)?, integers(&mut rest, most)?);
    if prefixes.len() != suffixes.len() {
        return Err(DAMAGED);
    }
    let (mut last, mut bytes) = (0, 0_u64);
    for (prefix, suffix) in prefixes.into_iter().zip(suffixes) {
        let (prefix, suffix) = (length(prefix)?, length(suffix)?);
        if prefix > last {
            return Err("a text goes on from more than the one before");
        }
        rest = rest.get(suffix..).ok_or("a text ends after its page")?;
        last = prefix + suffix;
        bytes = bytes.saturating_add(last as u64);
    }
    Ok(bytes)
}

fn length(value: i64) -> Result<usize> {
    usize::try_from(value).map_err(|_| DAMAGED)
}

/// How a sequence of integers begins.
struct Header {
    /// Bit widths of a block, of as many differences each.
    widths: usize,
    differences: usize,
    values: usize,
    first: i64,
}

impl Header {
    fn read(rest: &mut &[u8], most: u64) -> Result<Self> {
        let (block, widths, values) = (varint(rest)?, varint(rest)?, varint(rest)?);
        if values > most {
            return Err("the body of a page holds more values than its header says");
        }
        let is_sound = block <= BLOCK_MAX && widths > 0 && widths <= block;
        if !is_sound || block % widths != 0 || (block / widths) % 32 != 0 {
            return Err(DAMAGED);
        }
        let count = |count: u64| usize::try_from(count).map_err(|_| DAMAGED);
        Ok(Self {
            widths: count(widths)?,
            differences: count(block / widths)?,
            values: count(values)?,
            first: zigzag(varint(rest)?),
        })
    }
}

/// Decodes a sequence of at most `most` integers, and leaves what follows it.
fn integers(rest: &mut &[u8], most: u64) -> Result<Vec<i64>> {
    let header = Header::read(rest, most)?;
    let mut values = Vec::new();
    let mut last = header.first;
    if header.values > 0 {
        values.push(last);
    }
    while values.len() < header.values {
        let step = zigzag(varint(rest)?);
        for width in split(rest, header.widths)? {
            let left = header.values - values.len();
            // Widths of differences that are not there mean nothing.
            if left == 0 {
                break;
            }
            if *width > 64 {
                return Err(DAMAGED);
            }
            let width = usize::from(*width);
            let packed = split(rest, width * header.differences / 8)?;
            for at in 0..header.differences.min(left) {
                let more = bits(packed, at * width, width);
                last = last.wrapping_add(step).wrapping_add(more);
                values.push(last);
            }
        }
    }
    Ok(values)
}

/// `width` bits from bit `at` on, the lowest first.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "at most 64 bits are left; differences wrap"
)]
fn bits(packed: &[u8], at: usize, width: usize) -> i64 {
    let mut bytes = [0; 16];
    let from = &packed[at / 8..packed.len().min(at / 8 + 9)];
    bytes[..from.len()].copy_from_slice(from);
    let value = u128::from_le_bytes(bytes) >> (at % 8);
    (value & ((1 << width) - 1)) as u64 as i64
}

fn split<'b>(rest: &mut &'b [u8], at: usize) -> Result<&'b [u8]> {
    let (head, tail) = rest.split_at_checked(at).ok_or(DAMAGED)?;
    *rest = tail;
    Ok(head)
}

fn varint(rest: &mut &[u8]) -> Result<u64> {
    let read = parquet_claims::varint(|| Ok(split(rest, 1)?[0]));
    read.map_err(|_| DAMAGED)
}
