//! `LiteLLM`: rows of `LiteLLM_SpendLogs`, and `StandardLoggingPayload` objects.

use super::call::{Call, Skip};
use super::importer::{Importer, Made};
use super::record::Record;
use super::{fault, times};
use crate::assemble::Fault;
use crate::column::Column;
use crate::row::Cell;

/// Both of its shapes; they are told apart by the name of the cost.
pub(super) struct Litellm;

/// Names of the call types that are chats or completions.
const CHATS: [&str; 14] = [
    "acompletion",
    "completion",
    "atext_completion",
    "text_completion",
    "aresponses",
    "responses",
    "anthropic_messages",
    "aanthropic_messages",
    "agenerate_content",
    "generate_content",
    "agenerate_content_stream",
    "generate_content_stream",
    "call_type_unknown",
    "",
];

/// Where usage reports keep cached input tokens, reasoning tokens, and tokens written to a cache.
const CACHED: [&str; 2] = [
    "prompt_tokens_details.cached_tokens",
    "cache_read_input_tokens",
];
const REASONING: [&str; 1] = ["completion_tokens_details.reasoning_tokens"];
const CACHE_WRITE: [&str; 1] = ["cache_creation_input_tokens"];

impl Importer for Litellm {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        if record.has("response_cost") && record.has("litellm_call_id") {
            return Some("objects with `response_cost` and `litellm_call_id`");
        }
        let names = record.names();
        let has = |name: &str| names.contains(&name);
        if has("response_cost") && has("call_type") && has("startTime") {
            return Some("objects with `response_cost`, `call_type` and `startTime`");
        }
        (has("spend") && has("startTime") && has("custom_llm_provider") && has("request_id"))
            .then_some("rows with `spend`, `startTime` and `custom_llm_provider`")
    }

    fn extras(&self) -> &'static [&'static str] {
        &[
            "requested_model",
            "provider",
            "cache_write_tokens",
            "service_tier",
            "tags",
        ]
    }

    fn thumbs(&self) -> &'static [&'static str] {
        &[
            "metadata.thumbs",
            "metadata.feedback",
            "metadata.requester_metadata.thumbs",
            "metadata.requester_metadata.feedback",
            "metadata.spend_logs_metadata.thumbs",
            "metadata.spend_logs_metadata.feedback",
        ]
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let kind = record.text("call_type")?.unwrap_or_default();
        if !CHATS.contains(&kind.as_str()) {
            made.skip(Skip::NotChat);
            return Ok(());
        }
        let Some(model) = record.first_text(&["model", "model_group"])? else {
            made.skip(Skip::NoModel);
            return Ok(());
        };
        let id = record
            .first_text(&["request_id", "id"])?
            .unwrap_or_default();
        let request = match record.text("litellm_call_id")? {
            Some(call) => call,
            None if id.is_empty() => record.need("request_id")?,
            None => id.clone(),
        };
        let mut call = Call::new(request, model);
        call.names = vec![id.clone()];
        for path in ["trace_id", "session_id"] {
            call.names.extend(record.text(path)?);
        }
        call.id = id;
        let status = record.text("status")?.unwrap_or_default();
        call.has_failed = status == "failure";
        // LiteLLM's own response cache; a provider's prompt cache is in the tokens.
        call.is_cached = record.flag("cache_hit")? == Some(true);
        // Parsed once: many things are in it.
        let metadata = record.json("metadata")?;
        let metadata = Record::of_json(metadata.as_deref().unwrap_or("{}"))?;
        let status = if call.has_failed {
            let class = match record.text("error_information.error_class")? {
                Some(class) => Some(class),
                None => metadata.text("error_information.error_class")?,
            };
            class.unwrap_or_else(|| "failure".to_owned())
        } else {
            "ok".to_owned()
        };
        call.set(Column::Status, Cell::Text(status.into()), "status")?;
        call.put_first(Column::CostUsd, record, &["response_cost", "spend"])?;
        let usage = match metadata.json("usage_object")? {
            Some(usage) => Some(usage),
            None => metadata.json("additional_usage_values")?,
        };
        let usage = Record::of_json(usage.as_deref().unwrap_or("{}"))?;
        call.put_tokens(
            record.count("prompt_tokens")?,
            usage.first_count(&CACHED)?,
            record.count("completion_tokens")?,
            usage.first_count(&REASONING)?,
            "prompt_tokens",
        )?;
        if call.has_failed && !used(&call) {
            // Zeros for a call that never came back are no counts.
            (call.row.input_tokens, call.row.output_tokens) = (None, None);
        }
        time(&mut call, record)?;
        call.put_prompt(record, &["messages", "proxy_server_request.messages"])?;
        for (from, path) in [
            (record, "team_id"),
            (&metadata, "user_api_key_team_id"),
            (record, "end_user"),
        ] {
            if call.row.tenant.is_none() {
                call.put(Column::Tenant, from, path)?;
            }
        }
        call.put_first(Column::SessionId, record, &["session_id", "trace_id"])?;
        call.keep("requested_model", record.text("model_group")?);
        call.keep("provider", record.text("custom_llm_provider")?);
        let written = usage.first_count(&CACHE_WRITE)?;
        call.keep("cache_write_tokens", written.map(|n| n.to_string()));
        call.keep(
            "service_tier",
            match record.text("cost_breakdown.service_tier")? {
                Some(tier) => Some(tier),
                None => metadata.text("cost_breakdown.service_tier")?,
            },
        );
        call.keep(
            "tags",
            record
                .json("request_tags")?
                .map(std::borrow::Cow::into_owned)
                .filter(|tags| tags != "[]"),
        );
        made.calls.push(call);
        Ok(())
    }
}

fn used(call: &Call) -> bool {
    [call.row.input_tokens, call.row.output_tokens]
        .into_iter()
        .flatten()
        .any(|tokens| tokens > 0)
}

/// Times are epoch seconds in payloads, and datetimes of UTC in the table.
fn time(call: &mut Call, record: &Record<'_>) -> Result<(), Fault> {
    let at = |path: &str| -> Result<Option<i64>, Fault> {
        let text = record.loose_text(path)?.unwrap_or_default();
        if text.trim().parse::<f64>().is_ok() {
            record.epoch_seconds(path)
        } else {
            record.time(path)
        }
    };
    let (start, end) = (at("startTime")?, at("endTime")?);
    times(call, start, end).map_err(|reason| fault("endTime", reason))
}
