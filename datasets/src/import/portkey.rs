//! Portkey: lines of a log export.
//!
//! Costs are US cents, and 0 where Portkey tracks no price. Attempts of one request, on one provider
//! after the other, have one trace.

use plimsoll::Usd;

use super::call::{Call, Skip, is_no_chat_api};
use super::fault;
use super::importer::{Importer, Made};
use super::record::{Record, items};
use crate::assemble::Fault;
use crate::reject::RejectReason;

/// Its one shape.
pub(super) struct Portkey;

const CENTS_PER_DOLLAR: i128 = 100;

impl Importer for Portkey {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        let names = record.names();
        let has = |name: &str| names.contains(&name);
        (has("ai_model") && has("ai_org") && (has("is_success") || has("req_units")))
            .then_some("rows with `ai_org`, `ai_model` and `req_units`")
    }

    fn extras(&self) -> &'static [&'static str] {
        &[
            "provider",
            "strategy",
            "retries",
            "config",
            "prompt_version",
        ]
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let cache = record.text("cache_status")?.unwrap_or_default();
        if ["HIT", "SEMANTIC HIT"].contains(&cache.to_ascii_uppercase().as_str()) {
            made.skip(Skip::CacheHit);
            return Ok(());
        }
        let url = record.text("request_url")?;
        if url.is_some_and(|url| is_no_chat_api(&url)) {
            made.skip(Skip::NotChat);
            return Ok(());
        }
        let Some(model) = record.first_text(&["ai_model", "request.body.model"])? else {
            made.skip(Skip::NoModel);
            return Ok(());
        };
        let id = record.text("id")?.unwrap_or_default();
        let request = match record.text("trace_id")? {
            Some(trace) => trace,
            None if id.is_empty() => return Err(fault("trace_id", RejectReason::Missing)),
            None => id.clone(),
        };
        let mut call = Call::new(request.clone(), model);
        call.names = vec![request];
        call.id = if id.is_empty() {
            fingerprint(record)?
        } else {
            id
        };
        let currency = record.text("cost_currency")?.unwrap_or_default();
        if !currency.is_empty() && !currency.eq_ignore_ascii_case("usd") {
            let wanted = "costs in US cents, the currency that Portkey documents";
            return Err(fault("cost_currency", RejectReason::OutOfRange { wanted }));
        }
        let cost = record.amount("cost", CENTS_PER_DOLLAR)?;
        call.row.cost = cost.filter(|cost| *cost > Usd::ZERO);
        put_usage(&mut call, record)?;
        call.row.timestamp_us = record.time("created_at")?;
        call.row.latency_ms = latency(record)?;
        if let Some(body) = record.json("request.body")? {
            let body = Record::of_json(&body)?;
            call.put_prompt(&body, &["messages", "input", "contents", "prompt"])?;
        }
        put_context(&mut call, record)?;
        let code = record.loose_text("response_status_code")?;
        let is_refused = code.as_deref().is_some_and(|code| !code.starts_with('2'));
        match record.flag("is_success")? {
            Some(true) => call.row.status = Some("ok".to_owned()),
            None if !is_refused => call.row.status = Some("ok".to_owned()),
            _ => {
                let code = code.filter(|_| is_refused);
                let class =
                    code.map_or_else(|| "failure".to_owned(), |code| format!("http-{code}"));
                call.fail(&class);
            }
        }
        made.calls.push(call);
        Ok(())
    }
}

/// What tells two attempts of one request apart, where the export leaves ids out.
fn fingerprint(record: &Record<'_>) -> Result<String, Fault> {
    let mut parts = Vec::new();
    for path in [
        "created_at",
        "ai_org",
        "ai_model",
        "response_time",
        "response_status_code",
    ] {
        parts.push(record.loose_text(path)?.unwrap_or_default());
    }
    Ok(parts.join(" "))
}

fn latency(record: &Record<'_>) -> Result<Option<f64>, Fault> {
    let latency_ms = record.number("response_time")?;
    if latency_ms.is_some_and(f64::is_sign_negative) {
        return Err(fault("response_time", RejectReason::Negative));
    }
    Ok(latency_ms)
}

/// `req_units` and `res_units`; their parts only where the answer's own usage counts the same, so
/// that the parts are known to be within.
fn put_usage(call: &mut Call, record: &Record<'_>) -> Result<(), Fault> {
    let units = [
        record.loose_count("req_units")?,
        record.loose_count("res_units")?,
    ];
    // No request has no tokens: a stream that was not asked for its usage has none to tell.
    if units.iter().flatten().all(|count| *count == 0) {
        return Ok(());
    }
    let [input, output] = units;
    let usage = record.json("response.body.usage")?;
    let usage = Record::of_json(usage.as_deref().unwrap_or("{}"))?;
    let is_same = |name, units| Ok::<_, Fault>(usage.loose_count(name)? == units);
    let (is_input, is_output) = (
        is_same("prompt_tokens", input)?,
        is_same("completion_tokens", output)?,
    );
    let cached = usage.loose_count("prompt_tokens_details.cached_tokens")?;
    let reasoning = usage.loose_count("completion_tokens_details.reasoning_tokens")?;
    let (cached, reasoning) = (cached.filter(|_| is_input), reasoning.filter(|_| is_output));
    call.put_tokens(input, cached, output, reasoning, "req_units")
}

fn put_context(call: &mut Call, record: &Record<'_>) -> Result<(), Fault> {
    call.row.task = record.text("prompt_slug")?;
    let metadata = metadata(record)?;
    let of = |name: &str| {
        let found = metadata.iter().find(|(key, _)| key == name);
        found
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
    };
    call.row.tenant = of("_organisation").or_else(|| of("_user"));
    call.row.session_id = of("session_id").or_else(|| of("_session"));
    call.keep("provider", record.text("ai_org")?);
    call.keep("strategy", record.text("mode")?);
    let retries = record.loose_count("retry_success_count")?;
    call.keep("retries", retries.map(|n| n.to_string()));
    call.keep("config", record.text("config")?);
    call.keep("prompt_version", record.text("prompt_version_id")?);
    Ok(())
}

/// Custom metadata: a list of keys and a list of their values, or an object.
fn metadata(record: &Record<'_>) -> Result<Vec<(String, String)>, Fault> {
    let lists = ["metadata.key", "metadata.value"].map(|path| record.json(path));
    let [keys, values] = lists;
    let (Some(keys), Some(values)) = (keys?, values?) else {
        return record.entries("metadata");
    };
    let texts = |list: &str| -> Vec<String> {
        let items = items(list).unwrap_or_default();
        let texts = items.into_iter().map(serde_json::from_str);
        texts.map(Result::unwrap_or_default).collect()
    };
    Ok(texts(&keys).into_iter().zip(texts(&values)).collect())
}
