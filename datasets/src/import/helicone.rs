//! Helicone: rows of `request_response_rmt` in `ClickHouse`, and the `HeliconeRequest` objects of
//! its API.
//!
//! Both count tokens in buckets that exclude each other, and write 0 for a cost they cannot work
//! out. The table's costs are whole numbers of nano-dollars, the API's are dollars.

use plimsoll::Usd;

use super::call::{Call, Skip, is_no_chat_api};
use super::importer::{Importer, Made};
use super::record::Record;
use crate::assemble::Fault;

/// Both of its shapes; they are told apart by the names of their fields.
pub(super) struct Helicone;

/// `COST_PRECISION_MULTIPLIER` of Helicone's cost package.
const NANO_PER_DOLLAR: i128 = 1_000_000_000;

/// What stands for no reference.
const NO_UUID: &str = "00000000-0000-0000-0000-000000000000";

const SESSION: &str = "Helicone-Session-Id";
const PROMPT: &str = "Helicone-Prompt-Id";

impl Importer for Helicone {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        let names = record.names();
        let has = |name: &str| names.contains(&name);
        if !has("request_created_at") || !has("request_id") {
            return None;
        }
        if has("delay_ms") {
            return Some("objects with `request_created_at` and `delay_ms`");
        }
        (has("latency") && has("status"))
            .then_some("rows with `request_created_at`, `latency` and `status`")
    }

    fn extras(&self) -> &'static [&'static str] {
        &[
            "provider",
            "cache_write_tokens",
            "prompt_version",
            "country_code",
            "session_path",
        ]
    }

    fn thumbs(&self) -> &'static [&'static str] {
        &[
            "feedback_rating",
            "scores.helicone-score-feedback.value",
            "scores.helicone-score-feedback",
        ]
    }

    fn scores(&self, record: &Record<'_>) -> Result<Vec<(String, String)>, Fault> {
        let mut scores = record.entries("scores")?;
        for (_, value) in &mut scores {
            if value.starts_with('{') {
                *value = Record::of_json(value)?
                    .loose_text("value")?
                    .unwrap_or_default();
            }
        }
        scores.retain(|(_, value)| !value.is_empty());
        Ok(scores)
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let is_table = !record.names().contains(&"delay_ms");
        let cached = record.text("cache_reference_id")?;
        if cached.is_some_and(|id| id != NO_UUID) {
            made.skip(Skip::CacheHit);
            return Ok(());
        }
        // Tools, vector databases and other data are logged as requests too.
        if record.has("request_body._type") {
            made.skip(Skip::NotACall);
            return Ok(());
        }
        for path in ["request_path", "target_url"] {
            if record.text(path)?.is_some_and(|url| is_no_chat_api(&url)) {
                made.skip(Skip::NotChat);
                return Ok(());
            }
        }
        let models: &[&str] = if is_table {
            &["model"]
        } else {
            &["model_override", "response_model", "request_model", "model"]
        };
        let Some(model) = record.first_text(models)? else {
            made.skip(Skip::NoModel);
            return Ok(());
        };
        let id = record.need("request_id")?;
        let mut call = Call::new(id.clone(), model);
        call.id = id;
        call.names.extend(record.text("response_id")?);
        call.row.cost = cost(record, is_table)?;
        put_usage(&mut call, record)?;
        call.row.timestamp_us = record.time("request_created_at")?;
        let latency = if is_table { "latency" } else { "delay_ms" };
        let latency_ms = record.loose_count(latency)?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds stay below 2^53")]
        let latency_ms = latency_ms.map(|ms| ms as f64);
        call.row.latency_ms = latency_ms;
        put_context(&mut call, record)?;
        let status = if is_table {
            "status"
        } else {
            "response_status"
        };
        // Helicone's own classes are below 0: pending, cancelled, a threat.
        match record.loose_text(status)?.as_deref() {
            Some("") | None => {}
            Some(code) if code.len() == 3 && code.starts_with('2') => {
                call.row.status = Some("ok".to_owned());
            }
            Some(code) => match code.strip_prefix('-') {
                Some(code) => call.fail(&format!("helicone-{code}")),
                None => call.fail(&format!("http-{code}")),
            },
        }
        made.calls.push(call);
        Ok(())
    }
}

/// The cost; 0 is what Helicone writes when it knows no price, so that it says nothing.
fn cost(record: &Record<'_>, is_table: bool) -> Result<Option<Usd>, Fault> {
    let cost = if is_table {
        record.amount("cost", NANO_PER_DOLLAR)?
    } else {
        match record.first(&["costUSD", "cost"]) {
            Some(path) => record.amount(path, 1)?,
            None => None,
        }
    };
    Ok(cost.filter(|cost| *cost > Usd::ZERO))
}

/// Fresh, read from a cache, written to one: three buckets; completion and reasoning: two.
fn put_usage(call: &mut Call, record: &Record<'_>) -> Result<(), Fault> {
    let cached = record.loose_count("prompt_cache_read_tokens")?;
    let written = record.loose_count("prompt_cache_write_tokens")?;
    let fresh = record.loose_count("prompt_tokens")?;
    let row = &mut call.row;
    row.input_tokens = fresh.map(|fresh| {
        fresh
            .saturating_add(cached.unwrap_or(0))
            .saturating_add(written.unwrap_or(0))
    });
    row.cached_input_tokens = cached;
    row.output_tokens = record.loose_count("completion_tokens")?;
    row.reasoning_tokens = record.loose_count("reasoning_tokens")?;
    let written = written.filter(|written| *written > 0);
    call.keep("cache_write_tokens", written.map(|n| n.to_string()));
    Ok(())
}

fn put_context(call: &mut Call, record: &Record<'_>) -> Result<(), Fault> {
    match record.json("request_body")? {
        Some(body) if body.trim_start().starts_with('{') => {
            let body = Record::of_json(&body)?;
            // In place of a body that is stored elsewhere stands a message that says so.
            if !body.has("helicone_message") {
                call.put_prompt(&body, &["messages", "input", "contents", "prompt"])?;
            }
        }
        _ => call.put_prompt(record, &["request_body"])?,
    }
    let property = |name: &str| {
        let paths = ["request_properties", "properties"].map(|map| format!("{map}.{name}"));
        record.first_text(&[&paths[0], &paths[1]])
    };
    let user = record.first_text(&["request_user_id", "user_id"])?;
    // What an absent user becomes when it is written as a text.
    call.row.tenant = user.filter(|user| !["undefined", "null"].contains(&user.as_str()));
    call.row.session_id = property(SESSION)?;
    call.names.extend(call.row.session_id.clone());
    call.row.task = match record.text("prompt_id")? {
        Some(id) => Some(id),
        None => property(PROMPT)?,
    };
    call.keep("session_path", property("Helicone-Session-Path")?);
    for name in ["provider", "prompt_version", "country_code"] {
        call.keep(name, record.text(name)?);
    }
    Ok(())
}
