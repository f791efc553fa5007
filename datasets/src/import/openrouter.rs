//! `OpenRouter`: the activity CSV, and the objects that `GET /generation` answers with.
//!
//! Neither holds prompts. Costs are US dollars; with a key of one's own (BYOK) `OpenRouter` charges
//! its fee alone, and the provider's bill comes on top.

use plimsoll::Usd;

use super::call::{Call, Skip};
use super::fault;
use super::importer::{Importer, Made};
use super::record::Record;
use crate::assemble::Fault;
use crate::column::Column;
use crate::reject::RejectReason;

/// Both of its shapes; they are told apart by the names of their fields.
pub(super) struct OpenRouter;

/// Kinds of API whose answers are no chats.
const NOT_CHATS: [&str; 6] = ["embeddings", "rerank", "tts", "stt", "image", "video"];

/// Variants of a model that say how a provider is found, not what is asked: they cost the same.
const SORTINGS: [&str; 4] = ["", "standard", "nitro", "floor"];

impl Importer for OpenRouter {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        let names = record.names();
        if ["generation_id", "cost_total", "model_permaslug"]
            .iter()
            .all(|name| names.contains(name))
        {
            return Some("columns `generation_id`, `cost_total` and `model_permaslug`");
        }
        if is_generation(record) {
            return Some("objects with `native_tokens_prompt` and `total_cost`");
        }
        let data = record.json("data").ok()??;
        let data = Record::of_json(&data).ok()?;
        is_generation(&data).then_some("objects with `data.native_tokens_prompt`")
    }

    fn extras(&self) -> &'static [&'static str] {
        &[
            "provider",
            "variant",
            "app_name",
            "api_key_name",
            "service_tier",
            "router",
            "attempts",
            "is_byok",
        ]
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        if record.names().contains(&"generation_id") {
            return activity(record, made);
        }
        match record.json("data")? {
            Some(data) => generation(&Record::of_json(&data)?, made),
            None => generation(record, made),
        }
    }
}

fn is_generation(record: &Record<'_>) -> bool {
    let names = record.names();
    names.contains(&"native_tokens_prompt") && names.contains(&"total_cost")
}

/// A row of the activity CSV.
fn activity(record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
    let id = record.need("generation_id")?;
    let Some(mut model) = record.text("model_permaslug")? else {
        made.skip(Skip::NoModel);
        return Ok(());
    };
    let variant = record.text("variant")?.unwrap_or_default();
    if !SORTINGS.contains(&variant.as_str()) && !model.ends_with(&format!(":{variant}")) {
        model = format!("{model}:{variant}");
    }
    let mut call = Call::new(id.clone(), model);
    call.id = id;
    call.row.cost = sum(
        record.amount("cost_total", 1)?,
        record.amount("byok_usage_inference", 1)?,
        "byok_usage_inference",
    )?;
    call.put_tokens(
        record.count("tokens_prompt")?,
        record.count("tokens_cached")?,
        record.count("tokens_completion")?,
        record.count("tokens_reasoning")?,
        "tokens_prompt",
    )?;
    call.row.timestamp_us = record.time("created_at")?;
    call.put(Column::LatencyMs, record, "generation_time_ms")?;
    call.put(Column::Tenant, record, "user")?;
    call.keep("provider", record.text("provider_name")?);
    call.keep("variant", Some(variant).filter(|text| !text.is_empty()));
    call.keep("app_name", record.text("app_name")?);
    call.keep("api_key_name", record.text("api_key_name")?);
    let reason = record.first_text(&["finish_reason_normalized", "finish_reason_raw"])?;
    settle(&mut call, record, reason.as_deref())?;
    made.calls.push(call);
    Ok(())
}

/// What `GET /generation` says of a generation.
fn generation(record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
    let kind = record.text("api_type")?.unwrap_or_default();
    if NOT_CHATS.contains(&kind.as_str()) {
        made.skip(Skip::NotChat);
        return Ok(());
    }
    let id = record.need("id")?;
    let Some(model) = record.text("model")? else {
        made.skip(Skip::NoModel);
        return Ok(());
    };
    let request = record.text("request_id")?.unwrap_or_else(|| id.clone());
    let mut call = Call::new(request, model);
    call.names.extend([id.clone()]);
    call.names.extend(record.text("session_id")?);
    call.id = id;
    // The answer to an earlier request, given again for nothing.
    call.is_cached = record.has("response_cache_source_id");
    let is_byok = record.flag("is_byok")? == Some(true);
    call.row.cost = record.amount("total_cost", 1)?;
    if is_byok {
        // The fee alone is no cost: without the provider's bill the cost is unknown.
        call.row.cost = match record.amount("upstream_inference_cost", 1)? {
            Some(bill) => sum(call.row.cost, Some(bill), "upstream_inference_cost")?,
            None => None,
        };
    }
    // `tokens_prompt` and `tokens_completion` are counts of another tokenizer: not what is billed.
    call.put_tokens(
        record.count("native_tokens_prompt")?,
        record.count("native_tokens_cached")?,
        record.count("native_tokens_completion")?,
        record.count("native_tokens_reasoning")?,
        "native_tokens_prompt",
    )?;
    call.row.timestamp_us = record.time("created_at")?;
    call.put_first(Column::LatencyMs, record, &["latency", "generation_time"])?;
    call.put(Column::Tenant, record, "external_user")?;
    call.put(Column::SessionId, record, "session_id")?;
    call.keep("provider", record.text("provider_name")?);
    call.keep("service_tier", record.text("service_tier")?);
    call.keep("router", record.text("router")?);
    call.keep("is_byok", is_byok.then(|| "true".to_owned()));
    let attempts = record.json("provider_responses")?;
    let attempts = attempts.and_then(|list| super::record::items(&list).map(|list| list.len()));
    call.keep("attempts", attempts.map(|count| count.to_string()));
    let reason = record.text("finish_reason")?;
    settle(&mut call, record, reason.as_deref())?;
    made.calls.push(call);
    Ok(())
}

/// The cost with the provider's own bill; `None`: the cost itself is unknown.
fn sum(cost: Option<Usd>, bill: Option<Usd>, path: &str) -> Result<Option<Usd>, Fault> {
    let Some(cost) = cost else {
        return Ok(None);
    };
    cost.checked_add(bill.unwrap_or(Usd::ZERO))
        .map(Some)
        .ok_or_else(|| {
            let wanted = "an amount that can be counted in pico-dollars";
            fault(path, RejectReason::OutOfRange { wanted })
        })
}

fn settle(call: &mut Call, record: &Record<'_>, reason: Option<&str>) -> Result<(), Fault> {
    if record.flag("cancelled")? == Some(true) {
        call.fail("cancelled");
    } else if reason == Some("error") {
        call.fail("error");
    } else {
        call.row.status = Some("ok".to_owned());
    }
    Ok(())
}
