//! Calls become requests: retries, fallbacks and turns are one request with one total cost.
//!
//! The calls of one request are one row:
//! - its model is that of the last call that answered, or of the last call when none did; where the
//!   export tells which of several answers was given, of that call;
//! - its cost is the sum of all calls' costs. It is unknown as soon as one call that may have been
//!   billed has no cost: a call that failed without a single token cannot have been;
//! - its tokens are the sums when every call that used any went to that model in one service tier;
//!   otherwise they are left out, because no one price applies to them;
//! - a call that another of its calls is a part of is left out: two instrumentations saw one call;
//! - a request that the gateway's own cache answered is left out: it tells nothing of a model;
//! - its time is the first call's, its latency the sum; its prompt, task, tenant and session are the
//!   first that a call has.
//!
//! Rows of one request need not stand together, but not too far apart: requests are held until
//! their calls take more than a window of memory, and the oldest is then written. A call that comes
//! after that is rejected, never counted as a request of its own.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use plimsoll::Usd;
use xxhash_rust::xxh3::xxh3_64;

use super::call::Call;
use crate::assemble::{Fault, Spot};
use crate::reject::RejectReason;
use crate::row::LogRow;

/// Columns that say of how many calls a request was made.
pub(super) const CALLS: &str = "calls";
pub(super) const MODELS_CALLED: &str = "models_called";

/// Columns that a price depends on besides the log's own tokens.
const SERVICE_TIER: &str = "service_tier";
const CACHE_WRITES: [&str; 2] = ["cache_write_tokens", "cache_write_1h_tokens"];

/// A call with the place it was read from.
pub(super) struct Placed {
    pub(super) call: Call,
    pub(super) file: u32,
    pub(super) spot: Spot,
}

/// Requests that wait for further calls.
pub(super) struct Gather {
    window: usize,
    held: usize,
    calls: HashMap<String, Vec<Placed>>,
    order: VecDeque<String>,
    written: HashSet<u64>,
    pub(super) counts: Counts,
}

/// What gathering did.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) from_cache: u64,
    pub(super) wrappers: u64,
    pub(super) merged_requests: u64,
    pub(super) merged_calls: u64,
    pub(super) several_models: u64,
    pub(super) duplicates: u64,
    pub(super) cost_unknown_in_part: u64,
}

impl Gather {
    pub(super) fn new(window: usize) -> Self {
        Self {
            window,
            held: 0,
            calls: HashMap::new(),
            order: VecDeque::new(),
            written: HashSet::new(),
            counts: Counts::default(),
        }
    }

    /// Takes a call; `Err`: its request was written already, or it contradicts an earlier one.
    pub(super) fn add(&mut self, placed: Placed) -> Result<(), Fault> {
        let id = &placed.call.row.request_id;
        let fault = |reason| {
            Fault::new(reason)
                .in_column("request_id")
                .of_request(id.clone())
        };
        let group = placed.call.group();
        if self.written.contains(&xxh3_64(group.as_bytes())) {
            return Err(fault(RejectReason::LateCall));
        }
        let bytes = placed.call.bytes();
        match self.calls.entry(group) {
            Entry::Vacant(entry) => {
                self.order.push_back(entry.key().clone());
                entry.insert(vec![placed]);
            }
            Entry::Occupied(mut entry) => {
                let own = &placed.call;
                let twin = entry
                    .get()
                    .iter()
                    .map(|other| &other.call)
                    .find(|other| is_twin(other, own));
                match twin {
                    Some(twin) if is_same(&twin.row, &own.row) => {
                        self.counts.duplicates += 1;
                        return Ok(());
                    }
                    Some(_) => return Err(fault(RejectReason::Conflict)),
                    None => entry.get_mut().push(placed),
                }
            }
        }
        self.counts.calls += 1;
        self.held += bytes;
        Ok(())
    }

    /// The oldest request, when more is held than the window; all of them at the end.
    pub(super) fn next(&mut self, is_end: bool) -> Option<Vec<Placed>> {
        if !is_end && self.held <= self.window {
            return None;
        }
        let id = self.order.pop_front()?;
        let calls = self.calls.remove(&id)?;
        self.held -= calls
            .iter()
            .map(|placed| placed.call.bytes())
            .sum::<usize>();
        if !is_end {
            self.written.insert(xxh3_64(id.as_bytes()));
        }
        Some(calls)
    }

    fn leave_wrappers_out(&mut self, calls: &mut Vec<Placed>) {
        let inside_of = calls
            .iter()
            .filter_map(|placed| placed.call.inside_of.clone());
        let holders: HashSet<String> = inside_of.collect();
        let is_part = |placed: &Placed| !holders.contains(&placed.call.id);
        // Calls that are all inside of each other are damaged data, and are kept.
        if !holders.is_empty() && calls.iter().any(is_part) {
            let before = calls.len();
            calls.retain(is_part);
            let left_out = (before - calls.len()) as u64;
            self.counts.wrappers += left_out;
            self.counts.calls -= left_out;
        }
    }

    /// The row of a request's calls; they are at least one, and one request's. `None`: the
    /// gateway's cache gave the answer.
    pub(super) fn row(&mut self, mut calls: Vec<Placed>) -> Option<Placed> {
        self.leave_wrappers_out(&mut calls);
        // In the order of time, as far as it is known; else as they were written.
        calls.sort_by_key(|placed| {
            (
                placed.call.row.timestamp_us.is_none(),
                placed.call.row.timestamp_us,
            )
        });
        let answered = answer_of(&calls).map(|at| &calls[at]);
        let is_all_cached = calls.iter().all(|placed| placed.call.is_cached);
        if is_all_cached || answered.is_some_and(|placed| placed.call.is_cached) {
            self.counts.from_cache += 1;
            return None;
        }
        calls.retain(|placed| !placed.call.is_cached);
        let count = calls.len();
        if count == 1 {
            let mut only = calls.remove(0);
            only.call.keep(CALLS, Some("1".to_owned()));
            return Some(only);
        }
        self.counts.merged_requests += 1;
        self.counts.merged_calls += count as u64;
        let chosen = answer_of(&calls).unwrap_or(count - 1);
        let total = total_cost(&calls);
        if total.is_none() && calls.iter().any(|placed| placed.call.row.cost.is_some()) {
            self.counts.cost_unknown_in_part += 1;
        }
        let model = calls[chosen].call.row.model.clone();
        let mut models: Vec<String> = Vec::new();
        for placed in &calls {
            if !models.contains(&placed.call.row.model) {
                models.push(placed.call.row.model.clone());
            }
        }
        self.counts.several_models += u64::from(models.len() > 1);
        let tier = extra(&calls[chosen].call.row, SERVICE_TIER).map(str::to_owned);
        // One price applies to the sums.
        let is_one_model = calls
            .iter()
            .map(|placed| &placed.call.row)
            .filter(|row| used_tokens(row))
            .all(|row| row.model == model && extra(row, SERVICE_TIER) == tier.as_deref());
        let first = |pick: &dyn Fn(&LogRow) -> Option<String>| {
            calls.iter().find_map(|placed| pick(&placed.call.row))
        };
        let (prompt, task) = (
            first(&|row| row.prompt.clone()),
            first(&|row| row.task.clone()),
        );
        let (tenant, session) = (
            first(&|row| row.tenant.clone()),
            first(&|row| row.session_id.clone()),
        );
        let times = calls
            .iter()
            .filter_map(|placed| placed.call.row.timestamp_us);
        let timestamp_us = times.min();
        let latencies = calls.iter().filter_map(|placed| placed.call.row.latency_ms);
        let latency_ms = latencies.reduce(|a, b| a + b);
        let sum = |pick: fn(&LogRow) -> Option<u64>| {
            let known = calls.iter().filter(|placed| used_tokens(&placed.call.row));
            let mut counts = known.map(|placed| pick(&placed.call.row));
            let total = counts.try_fold(0_u64, |total, count| total.checked_add(count?));
            total.filter(|_| is_one_model && calls.iter().any(|p| used_tokens(&p.call.row)))
        };
        let (input, output) = (sum(|row| row.input_tokens), sum(|row| row.output_tokens));
        let sum_known = |pick: &dyn Fn(&LogRow) -> Option<u64>| {
            sum_of_known(&calls, pick).filter(|_| is_one_model)
        };
        let (cached, reasoning) = (
            sum_known(&|row| row.cached_input_tokens),
            sum_known(&|row| row.reasoning_tokens),
        );
        let writes = CACHE_WRITES.map(|name| sum_known(&|row| extra(row, name)?.parse().ok()));
        let label = calls
            .iter()
            .rev()
            .find_map(|placed| placed.call.label.clone());
        let mut names = Vec::new();
        for placed in calls.iter().rev() {
            names.extend(placed.call.names.iter().cloned());
        }
        let mut own = calls.swap_remove(chosen);
        let row = &mut own.call.row;
        (row.cost, row.prompt, row.task) = (total, prompt, task);
        (row.tenant, row.session_id) = (tenant, session);
        (row.timestamp_us, row.latency_ms) = (timestamp_us, latency_ms);
        (row.input_tokens, row.output_tokens) = (input, output);
        (row.cached_input_tokens, row.reasoning_tokens) = (cached, reasoning);
        row.extra
            .retain(|(name, _)| !CACHE_WRITES.contains(&name.as_str()));
        (own.call.label, own.call.names) = (label, names);
        for (name, count) in CACHE_WRITES.into_iter().zip(writes) {
            own.call.keep(name, count.map(|count| count.to_string()));
        }
        own.call.keep(CALLS, Some(count.to_string()));
        own.call.keep(MODELS_CALLED, Some(models.join("|")));
        Some(own)
    }
}

/// The call whose answer the request had, if any gave one.
fn answer_of(calls: &[Placed]) -> Option<usize> {
    let chosen = calls.iter().rposition(|placed| placed.call.is_chosen);
    chosen.or_else(|| calls.iter().rposition(|placed| !placed.call.has_failed))
}

/// Whether two calls claim to be the same one.
fn is_twin(a: &Call, b: &Call) -> bool {
    !a.id.is_empty() && a.id == b.id
}

/// Whether two rows say the same of one call.
fn is_same(a: &LogRow, b: &LogRow) -> bool {
    (
        &a.model,
        a.cost,
        a.input_tokens,
        a.output_tokens,
        a.timestamp_us,
        &a.status,
    ) == (
        &b.model,
        b.cost,
        b.input_tokens,
        b.output_tokens,
        b.timestamp_us,
        &b.status,
    )
}

/// Σ of what the calls tell: a call that does not tell these tokens apart counts them among others.
fn sum_of_known(calls: &[Placed], pick: &dyn Fn(&LogRow) -> Option<u64>) -> Option<u64> {
    let mut counts = calls.iter().filter_map(|placed| pick(&placed.call.row));
    let first = counts.next()?;
    counts.try_fold(first, u64::checked_add)
}

/// The value of a further column.
fn extra<'r>(row: &'r LogRow, name: &str) -> Option<&'r str> {
    let found = row.extra.iter().find(|(own, _)| own == name);
    found.map(|(_, value)| value.as_str())
}

fn used_tokens(row: &LogRow) -> bool {
    [row.input_tokens, row.output_tokens, row.reasoning_tokens]
        .into_iter()
        .flatten()
        .any(|count| count > 0)
}

/// Σ of the calls' costs; `None` when one that may have been billed has none.
fn total_cost(calls: &[Placed]) -> Option<Usd> {
    let mut total = Usd::ZERO;
    for Placed { call, .. } in calls {
        match call.row.cost {
            Some(cost) => total = total.checked_add(cost)?,
            None if call.has_failed && !used_tokens(&call.row) => {}
            None => return None,
        }
    }
    Some(total)
}

/// Counts by name, in order.
pub(super) type ByName = BTreeMap<String, u64>;
