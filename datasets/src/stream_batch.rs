//! A batch of a streamed log: its columns, decoded and checked.

use std::collections::HashMap;

use polars::prelude::{DataFrame, StringChunked};

use crate::assemble::Fault;
use crate::column::Column;
use crate::header::Header;
use crate::parquet::{Cells, guarded};
use crate::read_error::ReadError;
use crate::reject::{Reject, RejectReason};
use crate::row::LogRow;
use crate::stream::StreamTally;
use crate::stream_cells as cells;
use crate::timestamp::TimestampUnit;

/// The code of an absent name in [`Names::code`].
pub const NO_NAME: u32 = u32::MAX;
/// An absent count of tokens.
pub const NO_TOKENS: u32 = u32::MAX;
/// An absent time.
pub const NO_TIME: i64 = i64::MIN;

/// A column of few distinct texts: its distinct values, and for each row which of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Distinct values, in order of first appearance in the batch.
    pub values: Vec<String>,
    /// Index into `values` per row, or [`NO_NAME`]; shape (n).
    pub code: Vec<u32>,
}

/// Rows of a streamed log as columns of equal length n, without the rows that cannot be used.
#[derive(Clone, Default)]
pub struct LoggedBatch {
    /// Row of the file from which `row` counts: the first row of a file is 1.
    pub first_row: u64,
    /// Row of each request, counted from `first_row`; shape (n).
    pub row: Vec<u32>,
    /// Keyed hash of `request_id`, equal on every machine.
    pub request: Vec<u64>,
    /// Keyed hash of `session_id`; of `request_id`, where there is none.
    pub session: Vec<u64>,
    /// Whether any row has a `session_id`.
    pub has_sessions: bool,
    /// `model`, never absent.
    pub arm: Names,
    /// `task`.
    pub task: Names,
    /// `tenant`.
    pub tenant: Names,
    /// `quality`, NaN where there is no label.
    pub quality: Vec<f64>,
    /// `cost_usd`, NaN where the answer is unpriced.
    pub cost_usd: Vec<f64>,
    /// `propensity`, NaN where absent.
    pub propensity: Vec<f64>,
    /// `input_tokens`, or [`NO_TOKENS`].
    pub input_tokens: Vec<u32>,
    /// `timestamp` in microseconds, or [`NO_TIME`].
    pub timestamp_us: Vec<i64>,
    /// What became of the batch's rows.
    pub tally: StreamTally,
    prompts: Option<StringChunked>,
}

impl std::fmt::Debug for LoggedBatch {
    /// Leaves out the prompts: they must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoggedBatch")
            .field("first_row", &self.first_row)
            .field("rows", &self.len())
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl LoggedBatch {
    /// Rows, n.
    #[must_use]
    pub fn len(&self) -> usize {
        self.quality.len()
    }

    /// Whether no row can be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.quality.is_empty()
    }

    /// The prompt of a row, when prompts are read.
    #[must_use]
    pub fn prompt(&self, index: usize) -> Option<&str> {
        let prompts = self.prompts.as_ref()?;
        prompts.get(self.row[index] as usize)
    }

    /// Some of the rows, without ids of requests and times.
    #[must_use]
    pub fn rows(&self, rows: &[u32]) -> Self {
        fn pick<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|row| values[*row as usize]).collect()
        }
        let names = |names: &Names| Names {
            values: names.values.clone(),
            code: pick(&names.code, rows),
        };
        Self {
            first_row: self.first_row,
            row: pick(&self.row, rows),
            request: Vec::new(),
            session: pick(&self.session, rows),
            has_sessions: self.has_sessions,
            arm: names(&self.arm),
            task: names(&self.task),
            tenant: names(&self.tenant),
            quality: pick(&self.quality, rows),
            cost_usd: pick(&self.cost_usd, rows),
            propensity: pick(&self.propensity, rows),
            input_tokens: pick(&self.input_tokens, rows),
            timestamp_us: Vec::new(),
            tally: self.tally.clone(),
            prompts: self.prompts.clone(),
        }
    }

    pub(crate) fn decode(
        file: &str,
        offset: u64,
        frame: &DataFrame,
        unit: Option<TimestampUnit>,
    ) -> Result<Self, ReadError> {
        let height = frame.height();
        let mut doubtful = cells::Doubt::new(height);
        let mut batch = guarded(file, || {
            let series = |column: Column| {
                let found = frame.column(column.name()).ok();
                found.map(|found| found.as_materialized_series().rechunk())
            };
            let text = |column| series(column).map(|s| cells::texts(&s)).transpose();
            let ids = text(Column::RequestId)?.unwrap_or_default();
            let sessions = text(Column::SessionId)?;
            let request = cells::hashes(&ids, &mut doubtful, true);
            let mut batch = Self {
                first_row: offset + 1,
                row: (0..u32::try_from(height).unwrap_or(u32::MAX)).collect(),
                session: request.clone(),
                request,
                arm: cells::names(text(Column::Model)?.as_ref(), height, &mut doubtful, true),
                task: cells::names(text(Column::Task)?.as_ref(), height, &mut doubtful, false),
                tenant: cells::names(text(Column::Tenant)?.as_ref(), height, &mut doubtful, false),
                prompts: text(Column::Prompt)?,
                ..Self::default()
            };
            if let Some(sessions) = &sessions {
                batch.has_sessions =
                    cells::hashes_over(sessions, &mut batch.session, &mut doubtful);
            }
            let mut number = |column, is_good: fn(f64) -> bool| {
                cells::numbers(series(column).as_ref(), height, &mut doubtful, is_good)
            };
            batch.quality = number(Column::Quality, |x| {
                (0.0..=1.0).contains(&x) && !x.is_sign_negative()
            })?;
            batch.cost_usd = number(Column::CostUsd, |x| {
                (0.0..cells::COST_PLAIN_MAX).contains(&x) && !x.is_sign_negative()
            })?;
            batch.propensity = number(Column::Propensity, |x| x > 0.0 && x <= 1.0)?;
            batch.input_tokens =
                cells::counts(series(Column::InputTokens).as_ref(), height, &mut doubtful)?;
            let times = series(Column::Timestamp);
            batch.timestamp_us = cells::times(times.as_ref(), height, &mut doubtful, unit)?;
            if let Some(prompts) = &batch.prompts {
                cells::doubt_nul(prompts, &mut doubtful);
            }
            Ok(batch)
        })?;
        batch.tally.rows_read = height as u64;
        if doubtful.any() {
            batch.settle(file, frame, &doubtful, unit)?;
        }
        Ok(batch)
    }

    /// Reads the doubtful rows as every other reader does: what it accepts is kept, what it
    /// refuses is a reject.
    fn settle(
        &mut self,
        file: &str,
        frame: &DataFrame,
        doubtful: &cells::Doubt,
        unit: Option<TimestampUnit>,
    ) -> Result<(), ReadError> {
        let names = frame.get_column_names();
        let header = Header::new(names.iter().map(ToString::to_string).collect());
        let columns: Vec<Cells> = guarded(file, || {
            let series = frame.columns().iter();
            series
                .map(|column| Cells::new(column.as_materialized_series()))
                .collect()
        })?;
        let mut keep = vec![true; self.len()];
        for at in doubtful.rows() {
            let row = guarded(
                file,
                || Ok(header.row(unit, |index| columns[index].get(at))),
            )?;
            match row {
                Ok(row) => self.set(at, &row),
                Err(Fault {
                    reason: RejectReason::TimeUnitUnknown,
                    ..
                }) => {
                    return Err(ReadError::TimestampUnit {
                        file: file.to_owned(),
                        line: None,
                    });
                }
                Err(fault) => {
                    keep[at] = false;
                    self.reject(file, at, fault);
                }
            }
        }
        if self.tally.rows_rejected > 0 {
            self.retain(&keep);
        }
        Ok(())
    }

    fn reject(&mut self, file: &str, at: usize, fault: Fault) {
        self.tally.rows_rejected += 1;
        let name = fault.reason.name().to_owned();
        *self.tally.by_reason.entry(name).or_default() += 1;
        self.tally.rejects.push(Reject {
            file: file.to_owned(),
            line: None,
            byte: None,
            row: self.first_row + at as u64,
            column: fault.column,
            reason: fault.reason,
            request_id: fault.request_id,
        });
    }

    fn set(&mut self, at: usize, row: &LogRow) {
        self.quality[at] = row.quality.map_or(f64::NAN, plimsoll::Quality::get);
        self.cost_usd[at] = row.cost.map_or(f64::NAN, plimsoll::Usd::as_f64);
        self.propensity[at] = row.propensity.map_or(f64::NAN, plimsoll::Propensity::get);
        self.input_tokens[at] = row.input_tokens.map_or(NO_TOKENS, cells::small_count);
        self.timestamp_us[at] = row.timestamp_us.unwrap_or(NO_TIME);
    }

    fn retain(&mut self, keep: &[bool]) {
        fn filter<T: Copy>(values: &mut Vec<T>, keep: &[bool]) {
            let mut at = 0;
            values.retain(|_| {
                at += 1;
                keep[at - 1]
            });
        }
        filter(&mut self.row, keep);
        filter(&mut self.request, keep);
        filter(&mut self.session, keep);
        for names in [&mut self.arm, &mut self.task, &mut self.tenant] {
            filter(&mut names.code, keep);
        }
        for values in [&mut self.quality, &mut self.cost_usd, &mut self.propensity] {
            filter(values, keep);
        }
        filter(&mut self.input_tokens, keep);
        filter(&mut self.timestamp_us, keep);
    }
}

impl Names {
    /// Replaces every code by its place in `known`, a sorted list of names; a name that is not
    /// there becomes [`NO_NAME`].
    pub fn recode(&mut self, known: &[String]) {
        let new: Vec<u32> = self
            .values
            .iter()
            .map(|value| {
                let at = known.binary_search(value).ok();
                at.and_then(|at| u32::try_from(at).ok()).unwrap_or(NO_NAME)
            })
            .collect();
        for code in &mut self.code {
            *code = new.get(*code as usize).copied().unwrap_or(NO_NAME);
        }
        self.values = Vec::new();
    }

    pub(crate) fn intern(&mut self, places: &mut HashMap<String, u32>, value: &str) -> u32 {
        if let Some(code) = places.get(value) {
            return *code;
        }
        let code = u32::try_from(self.values.len()).expect("a batch has fewer than 2^32 rows");
        self.values.push(value.to_owned());
        places.insert(value.to_owned(), code);
        code
    }
}
