//! `OpenAI`'s batches: output and error lines, joined with their input lines on `custom_id`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};

use super::call::{Call, Joins, Skip, arm_of, is_version_of};
use super::importer::{Importer, Made, Role};
use super::labels::Labels;
use super::record::Record;
use super::{fault, times};
use crate::assemble::Fault;
use crate::column::Column;
use crate::reject::RejectReason;
use crate::row::Cell;

/// Inputs by their `custom_id`; they are kept until the outputs are read.
#[derive(Default)]
pub(super) struct OpenaiBatch {
    asked: HashMap<String, Asked>,
}

/// What the input lines of one `custom_id` ask for.
struct Asked {
    prompt: Option<String>,
    url: Option<String>,
    /// The same prompt may be sent to several models.
    models: Vec<String>,
    /// Whether the lines differ in their prompts: then no answer belongs to any of them.
    is_ambiguous: bool,
    has_answer: AtomicBool,
}

impl Asked {
    /// The model that an answer's own name is a version of; without an answer, the only one.
    fn model(&self, answered: Option<&str>) -> Option<&str> {
        let models = || self.models.iter().map(String::as_str);
        match (answered, self.models.as_slice()) {
            (_, [only]) => Some(only),
            (Some(answered), _) => models().find(|model| is_version_of(answered, model)),
            (None, _) => None,
        }
    }
}

/// Endpoints that answer with a chat or a completion.
const CHATS: [&str; 3] = ["/v1/chat/completions", "/v1/completions", "/v1/responses"];
/// What their answers call themselves.
const ANSWERS: [&str; 3] = ["chat.completion", "text_completion", "response"];

impl Importer for OpenaiBatch {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        let names = record.names();
        let has = |wanted: &[&str]| wanted.iter().all(|name| names.contains(name));
        if has(&["custom_id", "response", "error"]) {
            return Some("lines with `custom_id`, `response` and `error`");
        }
        has(&["custom_id", "method", "url", "body"])
            .then_some("lines with `custom_id`, `method`, `url` and `body`: the input of a batch")
    }

    fn role(&self, record: &Record<'_>) -> Role {
        if record.has("body") && !record.names().contains(&"response") {
            Role::Side
        } else {
            Role::Calls
        }
    }

    fn extras(&self) -> &'static [&'static str] {
        &["requested_model", "response_model", "service_tier"]
    }

    fn learn(&mut self, record: &Record<'_>, _: Option<&str>, _: &mut Labels) -> Result<(), Fault> {
        let id = record.need("custom_id")?;
        let mut read = Call::default();
        read.put_prompt(record, &["body.messages", "body.input", "body.prompt"])?;
        let model = record.text("body.model")?;
        let prompt = read.row.prompt;
        match self.asked.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(Asked {
                    prompt,
                    url: record.text("url")?,
                    models: model.into_iter().collect(),
                    is_ambiguous: false,
                    has_answer: AtomicBool::new(false),
                });
            }
            Entry::Occupied(mut entry) => {
                let asked = entry.get_mut();
                asked.is_ambiguous |= asked.prompt != prompt;
                asked
                    .models
                    .extend(model.filter(|model| !asked.models.contains(model)));
            }
        }
        Ok(())
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let custom = record.need("custom_id")?;
        let asked = self.asked.get(&custom);
        if let Some(asked) = asked {
            asked.has_answer.store(true, Ordering::Relaxed);
        }
        if asked.is_some_and(|asked| asked.is_ambiguous) {
            return Err(fault("custom_id", RejectReason::Conflict).of_request(custom));
        }
        let json = record.json("response.body")?;
        let body = Record::of_json(json.as_deref().unwrap_or("{}"))?;
        if !is_chat(&body, asked.and_then(|asked| asked.url.as_deref()))? {
            made.skip(Skip::NotChat);
            return Ok(());
        }
        let answered = body.text("model")?;
        let asked_model = asked.and_then(|asked| asked.model(answered.as_deref()));
        let Some(model) = arm_of(asked_model, answered.as_deref()) else {
            made.skip(Skip::NoModel);
            return Ok(());
        };
        let mut call = Call::new(custom, model);
        call.joins = Joins::Model;
        call.id = record.text("id")?.unwrap_or_default();
        call.names = vec![call.id.clone()];
        let class = failure(record, &body)?;
        call.has_failed = class.is_some();
        let status = class.unwrap_or_else(|| "ok".to_owned());
        call.set(Column::Status, Cell::Text(status.into()), "status")?;
        call.put_tokens(
            body.first_count(&["usage.prompt_tokens", "usage.input_tokens"])?,
            body.first_count(&[
                "usage.prompt_tokens_details.cached_tokens",
                "usage.input_tokens_details.cached_tokens",
            ])?,
            body.first_count(&["usage.completion_tokens", "usage.output_tokens"])?,
            body.first_count(&[
                "usage.completion_tokens_details.reasoning_tokens",
                "usage.output_tokens_details.reasoning_tokens",
            ])?,
            "response.body.usage",
        )?;
        let created = match body.first(&["created", "created_at"]) {
            Some(path) => body.epoch_seconds(path)?,
            None => None,
        };
        times(&mut call, created, None).map_err(|reason| fault("created", reason))?;
        call.row.prompt = asked.and_then(|asked| asked.prompt.clone());
        call.keep("requested_model", asked_model.map(str::to_owned));
        call.keep("response_model", answered);
        // Billed at the batch price, whatever tier the answer names.
        call.keep("service_tier", Some("batch".to_owned()));
        made.calls.push(call);
        Ok(())
    }

    fn unanswered(&self) -> u64 {
        let has_none = |asked: &&Asked| !asked.has_answer.load(Ordering::Relaxed);
        self.asked.values().filter(has_none).count() as u64
    }
}

/// Whether an answer, or the request for it, is a chat or completion.
fn is_chat(body: &Record<'_>, url: Option<&str>) -> Result<bool, Fault> {
    if let Some(url) = url {
        return Ok(CHATS.contains(&url));
    }
    if let Some(object) = body.text("object")? {
        return Ok(ANSWERS.contains(&object.as_str()));
    }
    // An error names no object; an answer without one is a moderation or the like.
    Ok(body.names().is_empty() || body.has("error") || body.has("choices"))
}

/// The class of the failure, if it is one.
fn failure(record: &Record<'_>, body: &Record<'_>) -> Result<Option<String>, Fault> {
    let code = record.count("response.status_code")?;
    let has_failed = record.has("error")
        || body.has("error")
        || code.is_some_and(|code| code >= 400)
        || body.text("status")?.as_deref() == Some("failed");
    if !has_failed {
        return Ok(None);
    }
    let named = match record.first_text(&["error.code"])? {
        Some(class) => Some(class),
        None => body.first_text(&["error.code", "error.type"])?,
    };
    let class = named.or_else(|| code.map(|code| format!("http_{code}")));
    Ok(Some(class.unwrap_or_else(|| "error".to_owned())))
}
