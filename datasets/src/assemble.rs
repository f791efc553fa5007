//! Rows become requests: grouped by id, doubles merged, contradictions taken out.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use plimsoll::ArmId;

use crate::log::{Billing, Outcome, OutcomeLog, Request};
use crate::read::ReadOptions;
use crate::read_error::ReadError;
use crate::reject::{Reject, RejectReason};
use crate::row::LogRow;

/// Where a row stands in its file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spot {
    pub(crate) line: Option<u64>,
    pub(crate) byte: Option<u64>,
    pub(crate) row: u64,
}

/// Why a row was not read, as a reader knows it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) reason: RejectReason,
    pub(crate) column: Option<String>,
    pub(crate) request_id: Option<String>,
    /// Bytes from the beginning of the line to the fault.
    pub(crate) offset: u64,
}

impl Fault {
    pub(crate) fn new(reason: RejectReason) -> Self {
        Self {
            reason,
            column: None,
            request_id: None,
            offset: 0,
        }
    }

    pub(crate) fn in_column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }

    pub(crate) fn of_request(mut self, id: String) -> Self {
        self.request_id = (!id.is_empty()).then_some(id);
        self
    }

    pub(crate) fn at_offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }
}

/// What happened to the rows of all files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rows_read: u64,
    pub(crate) rows_rejected: u64,
    /// Of the rejected: well formed, but contradicting each other.
    pub(crate) rows_conflicting: u64,
    pub(crate) duplicates: u64,
    pub(crate) by_reason: BTreeMap<String, u64>,
    pub(crate) varying: BTreeSet<String>,
}

/// Rejects kept with their places; beyond, they are only counted.
pub(crate) const REJECTS_KEPT_MAX: usize = 100_000;

const PROGRESS_ROWS: u64 = 8_192;

pub(crate) struct Assembler<'o> {
    pub(crate) options: &'o ReadOptions,
    pub(crate) tally: Tally,
    pub(crate) rejects: Vec<Reject>,
    progress: &'o dyn Fn(u64),
    files: Vec<String>,
    arm_names: Vec<String>,
    arm_index: HashMap<String, u32>,
    requests: Vec<Request>,
    /// One per outcome, in the order of `Request::outcomes`.
    marks: Vec<Vec<Mark>>,
    request_index: HashMap<String, usize>,
}

/// What an outcome's row leaves behind, to judge later rows by.
struct Mark {
    file: u32,
    spot: Spot,
    fingerprint: u64,
    is_conflicting: bool,
}

impl<'o> Assembler<'o> {
    pub(crate) fn new(options: &'o ReadOptions, progress: &'o dyn Fn(u64)) -> Self {
        Self {
            options,
            progress,
            tally: Tally::default(),
            rejects: Vec::new(),
            files: Vec::new(),
            arm_names: Vec::new(),
            arm_index: HashMap::new(),
            requests: Vec::new(),
            marks: Vec::new(),
            request_index: HashMap::new(),
        }
    }

    /// The rows that follow come from `file`.
    pub(crate) fn begin_file(&mut self, file: &str) {
        self.files.push(file.to_owned());
    }

    /// Takes a row, or what was wrong with it.
    pub(crate) fn add(&mut self, spot: Spot, row: Result<LogRow, Fault>) -> Result<(), ReadError> {
        self.tally.rows_read += 1;
        if self.tally.rows_read.is_multiple_of(PROGRESS_ROWS) {
            (self.progress)(self.tally.rows_read);
        }
        match row {
            Ok(row) => {
                self.accept(spot, row);
                Ok(())
            }
            Err(Fault {
                reason: RejectReason::TimeUnitUnknown,
                ..
            }) => {
                let file = self.files.last().cloned().unwrap_or_default();
                Err(ReadError::TimestampUnit {
                    file,
                    line: spot.line,
                })
            }
            Err(fault) => {
                let file = self.files.len().saturating_sub(1);
                self.reject(file, spot, fault);
                Ok(())
            }
        }
    }

    fn reject(&mut self, file: usize, spot: Spot, fault: Fault) {
        self.tally.rows_rejected += 1;
        self.tally.rows_conflicting += u64::from(fault.reason == RejectReason::Conflict);
        *self
            .tally
            .by_reason
            .entry(fault.reason.name().to_owned())
            .or_default() += 1;
        if self.rejects.len() < REJECTS_KEPT_MAX {
            self.rejects.push(Reject {
                file: self.files.get(file).cloned().unwrap_or_default(),
                line: spot.line,
                byte: spot.byte,
                row: spot.row,
                column: fault.column,
                reason: fault.reason,
                request_id: fault.request_id,
            });
        }
    }

    fn accept(&mut self, spot: Spot, row: LogRow) {
        let fingerprint = row.request_fingerprint();
        let arm = self.arm(&row.model);
        let candidates = row.candidates.as_ref().map(|names| {
            let mut arms: Vec<_> = names.iter().map(|name| self.arm(name)).collect();
            arms.sort_unstable();
            arms.dedup();
            arms
        });
        let outcome = outcome_of(&row, arm);
        let at = match self.request_index.entry(row.request_id.clone()) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                self.requests.push(Request {
                    id: row.request_id.clone(),
                    ..Request::default()
                });
                self.marks.push(Vec::new());
                *entry.insert(self.requests.len() - 1)
            }
        };
        let (request, marks) = (&mut self.requests[at], &mut self.marks[at]);
        let earlier = request.outcomes.iter().position(|other| other.arm == arm);
        if let Some(slot) = earlier {
            let mark = &mut marks[slot];
            let is_equal = request.outcomes[slot] == outcome && mark.fingerprint == fingerprint;
            if is_equal && !mark.is_conflicting {
                self.tally.duplicates += 1;
                return;
            }
            let first = (!mark.is_conflicting).then_some((mark.file as usize, mark.spot));
            mark.is_conflicting = true;
            let fault = || {
                Fault::new(RejectReason::Conflict)
                    .in_column("request_id")
                    .of_request(row.request_id.clone())
            };
            if let Some((file, spot)) = first {
                self.reject(file, spot, fault());
            }
            self.reject(self.files.len().saturating_sub(1), spot, fault());
            return;
        }
        request.outcomes.push(outcome);
        let file = u32::try_from(self.files.len().saturating_sub(1)).unwrap_or(u32::MAX);
        marks.push(Mark {
            file,
            spot,
            fingerprint,
            is_conflicting: false,
        });
        merge(request, row, candidates, &mut self.tally.varying);
    }

    fn arm(&mut self, name: &str) -> u32 {
        if let Some(index) = self.arm_index.get(name) {
            return *index;
        }
        let index =
            u32::try_from(self.arm_names.len()).expect("fewer than 2^32 arms fit in memory");
        self.arm_names.push(name.to_owned());
        self.arm_index.insert(name.to_owned(), index);
        index
    }

    /// The log, with its arms sorted by name and contradicting outcomes taken out.
    pub(crate) fn finish(mut self, digest: String) -> (OutcomeLog, Tally, Vec<Reject>) {
        (self.progress)(self.tally.rows_read);
        let mut requests = std::mem::take(&mut self.requests);
        for (request, marks) in requests.iter_mut().zip(&self.marks) {
            let mut marks = marks.iter();
            request
                .outcomes
                .retain(|_| marks.next().is_some_and(|mark| !mark.is_conflicting));
        }
        requests.retain(|request| !request.outcomes.is_empty());

        let mut used = vec![false; self.arm_names.len()];
        for request in &requests {
            let outcomes = request.outcomes.iter().map(|outcome| outcome.arm);
            for arm in outcomes.chain(request.candidates.iter().flatten().copied()) {
                used[arm as usize] = true;
            }
        }
        let mut order: Vec<u32> = (0..)
            .zip(&used)
            .filter(|(_, used)| **used)
            .map(|x| x.0)
            .collect();
        order.sort_by(|a, b| self.arm_names[*a as usize].cmp(&self.arm_names[*b as usize]));
        let mut renumbered = vec![0; self.arm_names.len()];
        for (new, old) in (0..).zip(&order) {
            renumbered[*old as usize] = new;
        }
        for request in &mut requests {
            for outcome in &mut request.outcomes {
                outcome.arm = renumbered[outcome.arm as usize];
            }
            request.outcomes.sort_unstable_by_key(|outcome| outcome.arm);
            request.input_tokens = request
                .outcomes
                .iter()
                .find_map(|outcome| outcome.input_tokens);
            for arm in request.candidates.iter_mut().flatten() {
                *arm = renumbered[*arm as usize];
            }
            request
                .candidates
                .iter_mut()
                .for_each(|arms| arms.sort_unstable());
        }
        let name = |index: &u32| {
            let name = self.arm_names[*index as usize].as_str();
            ArmId::new(name).expect("rows without a model are rejected")
        };
        let arms = order.iter().map(name).collect();
        (
            OutcomeLog {
                arms,
                requests,
                digest,
            },
            self.tally,
            self.rejects,
        )
    }
}

fn outcome_of(row: &LogRow, arm: u32) -> Outcome {
    Outcome {
        arm,
        quality: row.quality,
        cost: row.cost,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        cached_input_tokens: row.cached_input_tokens,
        reasoning_tokens: row.reasoning_tokens,
        propensity: row.propensity,
        served: row.served,
        latency_ms: row.latency_ms,
        status: row.status.clone(),
        billing: Billing::of_columns(row.extra.iter().map(|(name, value)| (name, value))),
    }
}

/// Fills what the request lacks from a further row; what differs is remembered by column.
fn merge(
    request: &mut Request,
    row: LogRow,
    candidates: Option<Vec<u32>>,
    varying: &mut BTreeSet<String>,
) {
    fn fill<T: PartialEq>(
        old: &mut Option<T>,
        new: Option<T>,
        name: &str,
        varying: &mut BTreeSet<String>,
    ) {
        match (&old, new) {
            (None, new) => *old = new,
            (Some(old), Some(new)) if *old != new && !varying.contains(name) => {
                varying.insert(name.to_owned());
            }
            _ => {}
        }
    }
    fill(&mut request.prompt, row.prompt, "prompt", varying);
    fill(&mut request.embedding, row.embedding, "embedding", varying);
    fill(&mut request.task, row.task, "task", varying);
    fill(&mut request.tenant, row.tenant, "tenant", varying);
    fill(
        &mut request.session_id,
        row.session_id,
        "session_id",
        varying,
    );
    fill(
        &mut request.timestamp_us,
        row.timestamp_us,
        "timestamp",
        varying,
    );
    fill(&mut request.candidates, candidates, "candidates", varying);
    for (name, value) in row.extra {
        match request.extra.entry(name) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(value);
            }
            std::collections::btree_map::Entry::Occupied(entry) => {
                if *entry.get() != value && !varying.contains(entry.key()) {
                    varying.insert(entry.key().clone());
                }
            }
        }
    }
}
