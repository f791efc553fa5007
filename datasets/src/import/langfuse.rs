//! Langfuse: observations, with the scores and traces that are exported beside them.
//!
//! Names are those of the blob export (`trace_id`) or of the API (`traceId`).

use std::collections::HashMap;

use plimsoll::Usd;

use super::call::{Call, Skip};
use super::importer::{Importer, Made, Role};
use super::labels::Labels;
use super::record::{Record, count_of, on_page, page};
use super::{fault, times};
use crate::assemble::Fault;
use crate::reject::RejectReason;

/// What legacy exports keep in files of their own, by trace.
#[derive(Default)]
pub(super) struct Langfuse {
    traces: HashMap<String, Trace>,
}

#[derive(Default)]
struct Trace {
    name: Option<String>,
    user: Option<String>,
    session: Option<String>,
}

const TRACE: [&str; 2] = ["trace_id", "traceId"];
const PARENT: [&str; 2] = ["parent_observation_id", "parentObservationId"];
const SESSION: [&str; 2] = ["session_id", "sessionId"];
const USER: [&str; 2] = ["user_id", "userId"];
const DATA_TYPE: [&str; 2] = ["data_type", "dataType"];
const USAGE: [&str; 2] = ["usage_details", "usageDetails"];
const COSTS: [&str; 2] = ["cost_details", "costDetails"];

impl Importer for Langfuse {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        on_page(record, signature)
    }

    fn open(&self, record: &Record<'_>) -> Result<Option<Vec<String>>, Fault> {
        page(record)
    }

    fn role(&self, record: &Record<'_>) -> Role {
        on_page(record, |record| {
            if is_score(record) || is_trace(record) {
                Role::Side
            } else {
                Role::Calls
            }
        })
    }

    fn extras(&self) -> &'static [&'static str] {
        &[
            "environment",
            "observation_name",
            "prompt_name",
            "prompt_version",
            "tags",
            "cache_write_tokens",
            "tokens_unclear",
        ]
    }

    fn learn(
        &mut self,
        record: &Record<'_>,
        wanted: Option<&str>,
        labels: &mut Labels,
    ) -> Result<(), Fault> {
        if is_score(record) {
            return learn_score(record, wanted, labels);
        }
        let trace = Trace {
            name: record.text("name")?,
            user: record.first_text(&USER)?,
            session: record.first_text(&SESSION)?,
        };
        self.traces.insert(record.need("id")?, trace);
        Ok(())
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        match record.need("type")?.to_ascii_uppercase().as_str() {
            "GENERATION" => {}
            "EMBEDDING" => {
                made.skip(Skip::NotChat);
                return Ok(());
            }
            _ => {
                made.skip(Skip::NotACall);
                return Ok(());
            }
        }
        let Some(model) = record.first_text(&["provided_model_name", "model"])? else {
            made.skip(Skip::NoModel);
            return Ok(());
        };
        let id = record.need("id")?;
        let trace_id = record.first_text(&TRACE)?;
        let trace_id = trace_id.ok_or_else(|| fault(TRACE[0], RejectReason::Missing))?;
        let none = Trace::default();
        let trace = self.traces.get(&trace_id).unwrap_or(&none);
        let mut call = Call::new(trace_id.clone(), model);
        call.names = vec![id.clone()];
        call.names.extend(record.first_text(&PARENT)?);
        call.names.push(trace_id);
        call.id = id;
        let row = &mut call.row;
        row.session_id = record.first_text(&SESSION)?.or(trace.session.clone());
        row.tenant = record.first_text(&USER)?.or(trace.user.clone());
        let task = record.first_text(&["trace_name", "traceName"])?;
        row.task = task.or(trace.name.clone());
        call.names.extend(call.row.session_id.clone());
        put_usage(&mut call, record)?;
        call.row.cost = cost(record)?;
        let at = |paths: &[&str]| match record.first(paths) {
            Some(path) => record.time(path),
            None => Ok(None),
        };
        // The column `latency` is in seconds or milliseconds, depending on how old the export's
        // settings are: the times themselves leave no doubt.
        let (start, end) = (
            at(&["start_time", "startTime"])?,
            at(&["end_time", "endTime"])?,
        );
        times(&mut call, start, end).map_err(|reason| fault("end_time", reason))?;
        call.put_prompt(record, &["input.messages", "input.contents", "input"])?;
        if record.text("level")?.as_deref() == Some("ERROR") {
            call.fail("error");
        } else {
            call.row.status = Some("ok".to_owned());
        }
        keep(&mut call, record)?;
        made.calls.push(call);
        Ok(())
    }
}

fn signature(record: &Record<'_>) -> Option<&'static str> {
    let names = record.names();
    let has = |either: [&str; 2]| either.iter().any(|name| names.contains(name));
    if has(TRACE) && has(PARENT) && names.contains(&"type") {
        return Some("observations: `trace_id`, `parent_observation_id` and `type`");
    }
    if is_score(record) {
        return Some("scores: `data_type` and `observation_id`");
    }
    is_trace(record).then_some("traces: `bookmarked` and `public`")
}

fn is_score(record: &Record<'_>) -> bool {
    let names = record.names();
    DATA_TYPE.iter().any(|name| names.contains(name))
        && ["observation_id", "observationId"]
            .iter()
            .any(|name| names.contains(name))
}

fn is_trace(record: &Record<'_>) -> bool {
    let names = record.names();
    names.contains(&"bookmarked")
        && names.contains(&"public")
        && !TRACE.iter().any(|name| names.contains(name))
}

fn learn_score(
    record: &Record<'_>,
    wanted: Option<&str>,
    labels: &mut Labels,
) -> Result<(), Fault> {
    let name = record.need("name")?;
    labels.count_score(&name);
    if wanted != Some(name.as_str()) {
        return Ok(());
    }
    // The number beside a category is the category's index, and beside a text it is 0.
    let is_word = matches!(
        record.first_text(&DATA_TYPE)?.as_deref(),
        Some("CATEGORICAL" | "TEXT")
    );
    let label = if is_word {
        record.first_text(&["string_value", "stringValue"])?
    } else {
        record.loose_text("value")?
    };
    // A score of a run of experiments is about no request.
    let about = [
        "observation_id",
        "observationId",
        "trace_id",
        "traceId",
        "session_id",
        "sessionId",
    ];
    let (Some(label), Some(about)) = (label, record.first_text(&about)?) else {
        return Ok(());
    };
    let at = record.first(&["updated_at", "updatedAt", "timestamp", "created_at"]);
    let at = at.map(|path| record.time(path)).transpose()?.flatten();
    labels.add_dated(about, label, at);
    Ok(())
}

/// Langfuse's buckets exclude each other: `input` leaves out what is in `input_cached_tokens`, and
/// `output` what is in `output_reasoning_tokens`. Usage that was sent with a provider's inclusive
/// counts is kept as it was sent; its `total` gives it away.
fn put_usage(call: &mut Call, record: &Record<'_>) -> Result<(), Fault> {
    let Some(path) = record.first(&USAGE) else {
        return Ok(());
    };
    let mut usage = Usage::default();
    for (name, text) in record.entries(path)? {
        let count = count_of(&text).map_err(|reason| fault(&format!("{path}.{name}"), reason))?;
        usage.add(&name, count);
    }
    if usage.written > 0 {
        call.keep("cache_write_tokens", Some(usage.written.to_string()));
    }
    match usage.kind() {
        Kind::None => {}
        Kind::Unclear => call.keep("tokens_unclear", Some("true".to_owned())),
        Kind::Inclusive => {
            return call.put_tokens(
                usage.input,
                usage.cached,
                usage.output,
                usage.reasoning,
                path,
            );
        }
        Kind::Exclusive => {
            let row = &mut call.row;
            row.input_tokens = usage.input.map(|input| {
                let others = usage.cached.unwrap_or(0).saturating_add(usage.written);
                input
                    .saturating_add(others)
                    .saturating_add(usage.input_other)
            });
            row.cached_input_tokens = usage.cached;
            row.output_tokens = usage
                .output
                .map(|output| output.saturating_add(usage.output_other));
            row.reasoning_tokens = usage.reasoning;
        }
    }
    Ok(())
}

/// Counts by what they are of.
#[derive(Default)]
struct Usage {
    input: Option<u64>,
    cached: Option<u64>,
    written: u64,
    input_other: u64,
    output: Option<u64>,
    reasoning: Option<u64>,
    output_other: u64,
    other: u64,
    total: Option<u64>,
    /// Whether the names are a provider's, whose counts are inclusive.
    is_foreign: bool,
}

enum Kind {
    None,
    Exclusive,
    Inclusive,
    Unclear,
}

impl Usage {
    fn add(&mut self, name: &str, count: u64) {
        let put = |slot: &mut Option<u64>| *slot = Some(slot.unwrap_or(0).saturating_add(count));
        match name {
            "input" => put(&mut self.input),
            "output" => put(&mut self.output),
            "total" => self.total = Some(count),
            "prompt_tokens" | "completion_tokens" | "total_tokens" => {
                self.is_foreign = true;
                put(match name {
                    "prompt_tokens" => &mut self.input,
                    "completion_tokens" => &mut self.output,
                    _ => &mut self.total,
                });
            }
            _ if name.contains("reasoning") => put(&mut self.reasoning),
            _ if name.contains("creation") || name.contains("write") => {
                self.written = self.written.saturating_add(count);
            }
            _ if name.contains("cache") => put(&mut self.cached),
            _ if name.contains("input") => {
                self.input_other = self.input_other.saturating_add(count);
            }
            _ if name.contains("output") => {
                self.output_other = self.output_other.saturating_add(count);
            }
            _ => self.other = self.other.saturating_add(count),
        }
    }

    fn kind(&self) -> Kind {
        let main = self
            .input
            .unwrap_or(0)
            .saturating_add(self.output.unwrap_or(0));
        let parts = [
            self.cached.unwrap_or(0),
            self.written,
            self.input_other,
            self.reasoning.unwrap_or(0),
            self.output_other,
            self.other,
        ];
        let all = parts.into_iter().fold(main, u64::saturating_add);
        match self.total {
            _ if self.input.is_none() && self.output.is_none() => Kind::None,
            _ if self.is_foreign => Kind::Inclusive,
            Some(total) if total == all => Kind::Exclusive,
            None => Kind::Exclusive,
            Some(total) if total == main => Kind::Inclusive,
            Some(_) => Kind::Unclear,
        }
    }
}

/// The cost in US dollars. A sum of 0 over no parts is what Langfuse has for an unknown price.
fn cost(record: &Record<'_>) -> Result<Option<Usd>, Fault> {
    let totals = ["total_cost", "calculatedTotalCost", "totalCost"];
    let total = match record.first(&totals) {
        Some(path) => record.amount(path, 1)?,
        None => None,
    };
    let Some(path) = record.first(&COSTS) else {
        return Ok(total.filter(|cost| *cost > Usd::ZERO));
    };
    let parts = record.entries(path)?;
    let own = record.amount(&format!("{path}.total"), 1)?;
    Ok(match total.or(own) {
        Some(cost) if cost == Usd::ZERO && parts.is_empty() => None,
        cost => cost,
    })
}

fn keep(call: &mut Call, record: &Record<'_>) -> Result<(), Fault> {
    call.keep("environment", record.text("environment")?);
    call.keep("observation_name", record.text("name")?);
    let name = record.first_text(&["prompt_name", "promptName"])?;
    call.keep("prompt_name", name);
    let version = record.first_text(&["prompt_version", "promptVersion"])?;
    call.keep("prompt_version", version);
    let tags = record.json("tags")?.map(std::borrow::Cow::into_owned);
    call.keep("tags", tags.filter(|tags| tags != "[]"));
    Ok(())
}
