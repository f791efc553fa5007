//! Columns of a streamed batch: decoded whole, with doubtful rows marked for a closer look.

use std::collections::HashMap;

use polars::prelude::{
    DataType, Int64Chunked, PolarsResult, Series, StringChunked, TimeUnit, polars_bail,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::stream_batch::{NO_NAME, NO_TIME, NO_TOKENS, Names};
use crate::timestamp::{self, TimestampUnit};

/// Costs below this many US dollars are taken as they are.
pub(crate) const COST_PLAIN_MAX: f64 = 1e9;
/// Key of the hashes of ids.
const ID_KEY: u64 = 0x706c_696d_736f_6c6c;
/// Slots of the memo of texts; a power of 2.
const SLOTS: usize = 256;

/// Rows that must be read cell by cell, because a value may be unusable or is of a rare type.
pub(crate) struct Doubt {
    marked: Vec<bool>,
    any: bool,
}

impl Doubt {
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            marked: vec![false; rows],
            any: false,
        }
    }

    fn mark(&mut self, row: usize) {
        self.marked[row] = true;
        self.any = true;
    }

    fn mark_all(&mut self) {
        self.marked.fill(true);
        self.any = !self.marked.is_empty();
    }

    pub(crate) const fn any(&self) -> bool {
        self.any
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.marked.len()).filter(|row| self.marked[*row])
    }
}

/// A column of texts; whole numbers are taken as their digits.
pub(crate) fn texts(series: &Series) -> PolarsResult<StringChunked> {
    match series.dtype() {
        DataType::String => Ok(series.str()?.clone()),
        _ => Ok(series.cast(&DataType::String)?.str()?.clone()),
    }
}

/// Hashes of texts, 0 where there is none.
pub(crate) fn hashes(texts: &StringChunked, doubt: &mut Doubt, required: bool) -> Vec<u64> {
    let mut hashes = vec![0; texts.len()];
    each(texts, |row, text| match text {
        Some(text) if !text.is_empty() || !required => hashes[row] = hash(text, row, doubt),
        _ if required => doubt.mark(row),
        _ => {}
    });
    hashes
}

/// Puts the hashes of the texts that there are over `hashes`; whether there are any.
pub(crate) fn hashes_over(texts: &StringChunked, hashes: &mut [u64], doubt: &mut Doubt) -> bool {
    let mut any = false;
    each(texts, |row, text| {
        if let Some(text) = text {
            hashes[row] = hash(text, row, doubt);
            any = true;
        }
    });
    any
}

fn hash(text: &str, row: usize, doubt: &mut Doubt) -> u64 {
    if text.as_bytes().contains(&0) {
        doubt.mark(row);
    }
    xxh3_64_with_seed(text.as_bytes(), ID_KEY)
}

pub(crate) fn doubt_nul(texts: &StringChunked, doubt: &mut Doubt) {
    each(texts, |row, text| {
        if text.is_some_and(|text| text.as_bytes().contains(&0)) {
            doubt.mark(row);
        }
    });
}

fn each<'t>(texts: &'t StringChunked, mut visit: impl FnMut(usize, Option<&'t str>)) {
    let mut row = 0;
    for chunk in texts.downcast_iter() {
        if texts.has_nulls() {
            for text in chunk {
                visit(row, text);
                row += 1;
            }
        } else {
            for text in chunk.values_iter() {
                visit(row, Some(text));
                row += 1;
            }
        }
    }
}

/// Codes of texts. Equal views of one chunk are equal texts, so most rows compare 16 bytes.
pub(crate) fn names(
    texts: Option<&StringChunked>,
    rows: usize,
    doubt: &mut Doubt,
    required: bool,
) -> Names {
    let mut names = Names::default();
    let mut codes = vec![NO_NAME; rows];
    let mut places = HashMap::new();
    let mut row = 0;
    for chunk in texts.into_iter().flat_map(StringChunked::downcast_iter) {
        let mut memo = vec![(0_u128, NO_NAME); SLOTS];
        let mut code = |at: usize, bits: u128| {
            let slot = &mut memo[slot_of(bits)];
            if slot.0 != bits || slot.1 == NO_NAME {
                *slot = (bits, names.intern(&mut places, chunk.value(at)));
            }
            slot.1
        };
        let views = chunk.views().iter().map(|view| view.as_u128()).enumerate();
        if texts.is_some_and(StringChunked::has_nulls) {
            for ((at, bits), text) in views.zip(chunk.iter()) {
                codes[row] = text.map_or(NO_NAME, |_| code(at, bits));
                row += 1;
            }
        } else {
            for (at, bits) in views {
                codes[row] = code(at, bits);
                row += 1;
            }
        }
    }
    if required {
        for (row, code) in codes.iter().enumerate() {
            if *code == NO_NAME {
                doubt.mark(row);
            }
        }
    }
    names.code = codes;
    // What is wrong with a name is wrong with every row that has it.
    let is_bad = |name: &String| name.contains('\0') || (required && name.is_empty());
    let bad: Vec<bool> = names.values.iter().map(is_bad).collect();
    if bad.contains(&true) {
        for (row, code) in names.code.iter().enumerate() {
            if bad.get(*code as usize).copied().unwrap_or(false) {
                doubt.mark(row);
            }
        }
    }
    names
}

#[expect(clippy::cast_possible_truncation, reason = "a hash keeps the low bits")]
fn slot_of(bits: u128) -> usize {
    let folded = (bits as u64) ^ ((bits >> 64) as u64);
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % SLOTS
}

/// A column of numbers, NaN for null; a number that is not good is doubtful.
pub(crate) fn numbers(
    series: Option<&Series>,
    rows: usize,
    doubt: &mut Doubt,
    is_good: impl Fn(f64) -> bool,
) -> PolarsResult<Vec<f64>> {
    let Some(series) = series.filter(|series| *series.dtype() != DataType::Null) else {
        return Ok(vec![f64::NAN; rows]);
    };
    let floats = match series.dtype() {
        DataType::Float64 => series.clone(),
        // Single floats go through their shortest decimal: 0.1 stays 0.1.
        DataType::Float32 => {
            let read = |x: Option<f32>| x.map(|x| x.to_string().parse().unwrap_or(f64::NAN));
            let values: polars::prelude::Float64Chunked = series.f32()?.iter().map(read).collect();
            polars::prelude::IntoSeries::into_series(values)
        }
        DataType::Int32
        | DataType::Int64
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Decimal(..) => series.cast(&DataType::Float64)?,
        other => polars_bail!(ComputeError: "type {other} is not handled"),
    };
    let mut out = Vec::with_capacity(rows);
    for chunk in floats.f64()?.downcast_iter() {
        let nulls = chunk
            .validity()
            .filter(|validity| validity.unset_bits() > 0);
        for (at, &value) in chunk.values().iter().enumerate() {
            if nulls.is_some_and(|validity| !validity.get_bit(at)) {
                out.push(f64::NAN);
                continue;
            }
            if !is_good(value) {
                doubt.mark(out.len());
            }
            out.push(value);
        }
    }
    Ok(out)
}

/// Counts beyond 2³² − 2 are kept as that.
pub(crate) fn small_count(count: u64) -> u32 {
    u32::try_from(count)
        .unwrap_or(NO_TOKENS - 1)
        .min(NO_TOKENS - 1)
}

/// A column of counts.
pub(crate) fn counts(
    series: Option<&Series>,
    rows: usize,
    doubt: &mut Doubt,
) -> PolarsResult<Vec<u32>> {
    let Some(series) = series.filter(|series| *series.dtype() != DataType::Null) else {
        return Ok(vec![NO_TOKENS; rows]);
    };
    let mut out = Vec::with_capacity(rows);
    match series.dtype() {
        DataType::UInt64 => {
            let read = |count: Option<u64>| count.map_or(NO_TOKENS, small_count);
            out.extend(series.u64()?.iter().map(read));
        }
        DataType::Int32 | DataType::Int64 | DataType::UInt32 => {
            for count in series.cast(&DataType::Int64)?.i64()?.iter() {
                let count = count.map(u64::try_from);
                if let Some(Err(_)) = count {
                    doubt.mark(out.len());
                }
                out.push(count.map_or(NO_TOKENS, |c| c.map_or(NO_TOKENS, small_count)));
            }
        }
        // Floats hold counts now and then; they are read one by one.
        _ => {
            out.resize(rows, NO_TOKENS);
            doubt.mark_all();
        }
    }
    Ok(out)
}

/// A column of times, in microseconds.
pub(crate) fn times(
    series: Option<&Series>,
    rows: usize,
    doubt: &mut Doubt,
    unit: Option<TimestampUnit>,
) -> PolarsResult<Vec<i64>> {
    let Some(series) = series.filter(|series| *series.dtype() != DataType::Null) else {
        return Ok(vec![NO_TIME; rows]);
    };
    let physical = || -> PolarsResult<Int64Chunked> {
        let counts = series.to_physical_repr().cast(&DataType::Int64)?;
        Ok(counts.i64()?.clone())
    };
    let mut out = Vec::with_capacity(rows);
    let mut push = |time: Option<i64>, is_null: bool| {
        if time.is_none() && !is_null {
            doubt.mark(out.len());
        }
        out.push(time.unwrap_or(NO_TIME));
    };
    let micros = |count| timestamp::from_integer(count, TimestampUnit::Microseconds).ok();
    match series.dtype() {
        DataType::Datetime(time_unit, _) => {
            let (factor, divisor) = match time_unit {
                TimeUnit::Nanoseconds => (1, 1_000),
                TimeUnit::Microseconds => (1, 1),
                TimeUnit::Milliseconds => (1_000, 1),
            };
            for count in physical()?.iter() {
                let time = count.and_then(|c| c.div_euclid(divisor).checked_mul(factor));
                push(time.and_then(micros), count.is_none());
            }
        }
        DataType::Date => {
            for count in physical()?.iter() {
                let time = count.and_then(|c| c.checked_mul(86_400_000_000));
                push(time.and_then(micros), count.is_none());
            }
        }
        DataType::String => {
            for text in series.str()?.iter() {
                push(text.and_then(|t| timestamp::parse(t).ok()), text.is_none());
            }
        }
        DataType::Int32 | DataType::Int64 | DataType::UInt32 => {
            for count in series.cast(&DataType::Int64)?.i64()?.iter() {
                let time = count
                    .zip(unit)
                    .map(|(c, unit)| timestamp::from_integer(c, unit));
                push(time.and_then(Result::ok), count.is_none());
            }
        }
        _ => {
            out.resize(rows, NO_TIME);
            doubt.mark_all();
        }
    }
    Ok(out)
}
