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

/// Where usage reports keep cached input tokens, and reasoning tokens.
const CACHED: [&str; 3] = [
    "metadata.usage_object.prompt_tokens_details.cached_tokens",
    "metadata.usage_object.cache_read_input_tokens",
    "metadata.additional_usage_values.cache_read_input_tokens",
];
const REASONING: [&str; 1] = ["metadata.usage_object.completion_tokens_details.reasoning_tokens"];
const CACHE_WRITE: [&str; 2] = [
    "metadata.usage_object.cache_creation_input_tokens",
    "metadata.additional_usage_values.cache_creation_input_tokens",
];

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
        let class = record.first_text(&[
            "error_information.error_class",
            "metadata.error_information.error_class",
        ])?;
        let status = if call.has_failed {
            class.unwrap_or_else(|| "failure".to_owned())
        } else {
            "ok".to_owned()
        };
        call.set(Column::Status, Cell::Text(status.into()), "status")?;
        call.put_first(Column::CostUsd, record, &["response_cost", "spend"])?;
        call.put_tokens(
            record.count("prompt_tokens")?,
            record.first_count(&CACHED)?,
            record.count("completion_tokens")?,
            record.first_count(&REASONING)?,
            "prompt_tokens",
        )?;
        if call.has_failed && !used(&call) {
            // Zeros for a call that never came back are no counts.
            (call.row.input_tokens, call.row.output_tokens) = (None, None);
        }
        time(&mut call, record)?;
        call.put_prompt(record, &["messages", "proxy_server_request.messages"])?;
        call.put_first(
            Column::Tenant,
            record,
            &["team_id", "metadata.user_api_key_team_id", "end_user"],
        )?;
        call.put(Column::SessionId, record, "session_id")?;
        if call.row.session_id.is_none() {
            call.put(Column::SessionId, record, "trace_id")?;
        }
        call.keep("requested_model", record.text("model_group")?);
        call.keep("provider", record.text("custom_llm_provider")?);
        call.keep(
            "cache_write_tokens",
            record.first_count(&CACHE_WRITE)?.map(|n| n.to_string()),
        );
        call.keep(
            "service_tier",
            record.first_text(&[
                "cost_breakdown.service_tier",
                "metadata.cost_breakdown.service_tier",
                "response.service_tier",
            ])?,
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
