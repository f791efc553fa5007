//! OpenTelemetry: spans of model calls in OTLP JSON, as the collector's file exporter writes them.

use super::call::{Call, Skip, arm_of};
use super::importer::{Importer, Made, Role, Scored};
use super::labels::Labels;
use super::otlp;
use super::record::{Record, prompt_of};
use super::{fault, times};
use crate::assemble::Fault;
use crate::column::Column;
use crate::reject::RejectReason;
use crate::row::Cell;

/// Spans with `gen_ai.*` attributes; a trace is one request.
pub(super) struct Otel;

/// Operations that are chats or completions; the last one is what `OpenLLMetry` calls them.
const CHATS: [&str; 4] = ["chat", "text_completion", "generate_content", "completion"];
/// Operations of models that a router of chats does not choose.
const OTHERS: [&str; 6] = [
    "embeddings",
    "embedding",
    "rerank",
    "image_generation",
    "speech",
    "transcription",
];
const OPERATION: [&str; 2] = ["gen_ai.operation.name", "llm.request.type"];
const INPUT: [&str; 2] = ["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"];
const OUTPUT: [&str; 2] = [
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
];
const CACHED: [&str; 3] = [
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
];
const CACHE_WRITE: [&str; 3] = [
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.input_tokens.cache_write",
];
const REASONING: [&str; 3] = [
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
];
/// What vendors call a cost in US dollars; the conventions have none.
const COST: [&str; 6] = [
    "gen_ai.usage.cost",
    "gen_ai.usage.cost_usd",
    "operation.cost",
    "agw.ai.usage.cost.total",
    "llm.cost.total",
    "langfuse.observation.cost_details.total",
];
/// The event, log record or span that tells of an evaluation.
const EVALUATION: &str = "gen_ai.evaluation.result";

impl Importer for Otel {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        if record.first(&otlp::SPANS[..3]).is_some() {
            return Some("OTLP JSON: objects with `resourceSpans`");
        }
        // `batches` and logs may hold anything else.
        let is_ours = otlp::open(record)
            .ok()
            .flatten()
            .is_some_and(|parts| parts.iter().any(|part| part.contains("gen_ai.")));
        is_ours.then_some("OTLP JSON: `batches` or `resourceLogs` with gen_ai.* attributes")
    }

    fn role(&self, record: &Record<'_>) -> Role {
        if record.first(otlp::SPANS).is_none() && record.first(otlp::LOGS).is_some() {
            Role::Side
        } else {
            Role::Calls
        }
    }

    fn open(&self, record: &Record<'_>) -> Result<Option<Vec<String>>, Fault> {
        otlp::open(record)
    }

    fn extras(&self) -> &'static [&'static str] {
        &[
            "requested_model",
            "response_model",
            "provider",
            "service",
            "cache_write_tokens",
            "service_tier",
        ]
    }

    fn learn(
        &mut self,
        record: &Record<'_>,
        wanted: Option<&str>,
        labels: &mut Labels,
    ) -> Result<(), Fault> {
        if let Some(scored) = evaluation(record, record, otlp::SPAN_ID)? {
            labels.count_score(&scored.score);
            if wanted == Some(scored.score.as_str()) {
                labels.add(scored.about, scored.value);
            }
        }
        Ok(())
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let is_span = record.has(otlp::IS_SPAN);
        let operation = record.first_text(&OPERATION)?;
        let asked = record.text("gen_ai.request.model")?;
        let answered = record.text("gen_ai.response.model")?;
        let is_chat = match operation.as_deref() {
            Some(operation) => CHATS.contains(&operation),
            // Before operations had names, a span with a model was a call.
            None => asked.is_some() || answered.is_some(),
        };
        let is_call = is_span && is_chat && !record.has(otlp::IS_WRAPPER);
        // An evaluation that is a span of its own is about the span that it hangs on.
        let about = if is_span && !is_call {
            otlp::PARENT_ID
        } else {
            otlp::SPAN_ID
        };
        if let Some(scored) = evaluation(record, record, about)? {
            made.scores.push(scored);
            if !is_call {
                return Ok(());
            }
        }
        for event in events(record)? {
            let event = Record::of_json(&event)?;
            made.scores
                .extend(evaluation(&event, record, otlp::SPAN_ID)?);
        }
        if !is_call {
            let is_other = operation.is_some_and(|name| OTHERS.contains(&name.as_str()));
            made.skip(if is_other {
                Skip::NotChat
            } else {
                Skip::NotACall
            });
            return Ok(());
        }
        let Some(model) = arm_of(asked.as_deref(), answered.as_deref()) else {
            made.skip(Skip::NoModel);
            return Ok(());
        };
        let mut call = Call::new(record.need(otlp::TRACE_ID)?, model);
        call.id = record.need(otlp::SPAN_ID)?;
        call.inside_of = record.text(otlp::INSIDE_OF)?;
        call.names = vec![call.id.clone()];
        call.names.extend(record.text("gen_ai.response.id")?);
        let class = failure(record)?;
        call.has_failed = class.is_some();
        let status = class.unwrap_or_else(|| "ok".to_owned());
        call.set(Column::Status, Cell::Text(status.into()), "status")?;
        call.put_first(Column::CostUsd, record, &COST)?;
        call.put_tokens(
            record.first_count(&INPUT)?,
            record.first_count(&CACHED)?,
            record.first_count(&OUTPUT)?,
            record.first_count(&REASONING)?,
            INPUT[0],
        )?;
        let (start, end) = (nanos(record, otlp::START)?, nanos(record, otlp::END)?);
        times(&mut call, start, end).map_err(|reason| fault(otlp::END, reason))?;
        call.row.prompt = prompt(record)?;
        call.put_first(
            Column::Task,
            record,
            &["gen_ai.workflow.name", "gen_ai.agent.name"],
        )?;
        call.put_first(
            Column::Tenant,
            record,
            &["tenant.id", "user.id", "enduser.id"],
        )?;
        call.put_first(
            Column::SessionId,
            record,
            &["gen_ai.conversation.id", "session.id"],
        )?;
        call.keep("requested_model", asked);
        call.keep("response_model", answered);
        call.keep(
            "provider",
            record.first_text(&["gen_ai.provider.name", "gen_ai.system"])?,
        );
        call.keep("service", record.text("resource.service.name")?);
        call.keep(
            "cache_write_tokens",
            record.first_count(&CACHE_WRITE)?.map(|n| n.to_string()),
        );
        call.keep(
            "service_tier",
            record.first_text(&[
                "openai.response.service_tier",
                "gen_ai.openai.response.service_tier",
            ])?,
        );
        made.calls.push(call);
        Ok(())
    }
}

/// The score that an evaluation tells of: about the answer that it names, or else the span at
/// `about` in `span`, or else the whole trace.
fn evaluation(
    record: &Record<'_>,
    span: &Record<'_>,
    about: &str,
) -> Result<Option<Scored>, Fault> {
    let is_named = record.text(otlp::NAME)?.as_deref() == Some(EVALUATION);
    if !is_named && !record.has("gen_ai.evaluation.name") {
        return Ok(None);
    }
    let score = record.need("gen_ai.evaluation.name")?;
    // An evaluation that failed has neither.
    let Some(value) = record.first(&[
        "gen_ai.evaluation.score.value",
        "gen_ai.evaluation.score.label",
    ]) else {
        return Ok(None);
    };
    let value = record.loose_text(value)?.unwrap_or_default();
    let known = match record.text("gen_ai.response.id")? {
        Some(answer) => Some(answer),
        None => span.first_text(&[about, otlp::TRACE_ID])?,
    };
    Ok(Some(Scored {
        about: known.unwrap_or_default(),
        score,
        value,
    }))
}

/// The events of a span, each with its attributes.
fn events(record: &Record<'_>) -> Result<Vec<String>, Fault> {
    let json = record.json(otlp::EVENTS)?;
    let items = json.as_deref().and_then(super::record::items);
    Ok(items
        .unwrap_or_default()
        .into_iter()
        .map(str::to_owned)
        .collect())
}

/// The class of the failure, if it is one.
fn failure(record: &Record<'_>) -> Result<Option<String>, Fault> {
    let class = record.text("error.type")?;
    let code = record.loose_text(otlp::STATUS_CODE)?;
    // 2 is `STATUS_CODE_ERROR`; unset (0) and ok (1) are no failures.
    let has_failed = matches!(code.as_deref(), Some("2" | "STATUS_CODE_ERROR"));
    Ok(match (has_failed, class) {
        (_, Some(class)) => Some(class),
        (true, None) => Some("error".to_owned()),
        (false, None) => None,
    })
}

/// Nanoseconds since the Unix epoch, in microseconds; 0 is OTLP's "not set".
fn nanos(record: &Record<'_>, path: &str) -> Result<Option<i64>, Fault> {
    let Some(nanos) = record.count(path)?.filter(|nanos| *nanos > 0) else {
        return Ok(None);
    };
    let nanos = i64::try_from(nanos).map_err(|_| fault(path, RejectReason::NotExact))?;
    crate::timestamp::from_integer(nanos, crate::timestamp::TimestampUnit::Nanoseconds)
        .map(Some)
        .map_err(|reason| fault(path, reason))
}

/// The last user message: in an attribute, in numbered ones, or in an event.
fn prompt(record: &Record<'_>) -> Result<Option<String>, Fault> {
    let path = ["gen_ai.input.messages", "gen_ai.prompt"];
    for path in path {
        if let Some(messages) = record.json(path)?
            && let Some(prompt) = prompt_of(&messages)
        {
            return Ok(Some(prompt));
        }
    }
    // `gen_ai.prompt.0.role`, `gen_ai.prompt.0.content` and so on.
    let mut last = None;
    for index in 0_u32.. {
        let (role, content) = (
            format!("gen_ai.prompt.{index}.role"),
            format!("gen_ai.prompt.{index}.content"),
        );
        let Some(role) = record.text(&role)? else {
            break;
        };
        if role == "user" {
            last = record.text(&content)?.or(last);
        }
    }
    for event in events(record)? {
        let event = Record::of_json(&event)?;
        if event.text(otlp::NAME)?.as_deref() == Some("gen_ai.user.message") {
            last = event
                .first_text(&["content", "gen_ai.event.content"])?
                .or(last);
        } else if let Some(path) = event.first(&path)
            && let Some(messages) = event.json(path)?
        {
            last = prompt_of(&messages).or(last);
        }
    }
    Ok(last.map(|text| text.replace('\0', "")))
}
