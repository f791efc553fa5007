//! `TensorZero`: rows of its tables, in `ClickHouse` or Postgres.
//!
//! `ModelInference` holds the calls; `ChatInference` and `JsonInference` say which function and
//! episode they were made for; the feedback tables hold labels, by inference or episode.

use std::collections::HashMap;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::call::{Call, Skip};
use super::importer::{Importer, Made, Role};
use super::labels::Labels;
use super::record::Record;
use crate::assemble::Fault;
use crate::timestamp::{self, TimestampUnit};

/// What is known of inferences apart from their calls.
#[derive(Default)]
pub(super) struct TensorZero {
    inferences: HashMap<String, Inference>,
}

#[derive(Clone, Default)]
struct Inference {
    function: Option<String>,
    variant: Option<String>,
    episode: Option<String>,
    user: Option<String>,
    snapshot: Option<String>,
    /// A hash of the answer's text.
    answer: Option<u64>,
    is_evaluation: bool,
}

/// What the functions are called that judge the answers of others.
const JUDGES: &str = "tensorzero::llm_judge::";

/// The tag of inferences that an evaluation made.
const EVALUATION: &str = "tags.tensorzero::evaluation_run_id";

/// The tables, told apart by their columns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Models,
    Inferences,
    Metric,
    Comment,
    Demonstration,
}

impl Importer for TensorZero {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        Some(match table(record)? {
            Table::Models => "rows with `inference_id`, `model_name` and `model_provider_name`",
            Table::Inferences => "rows with `function_name`, `variant_name` and `episode_id`",
            Table::Metric => "feedback: rows with `target_id`, `metric_name` and `value`",
            Table::Comment => "comments: rows with `target_id` and `target_type`",
            Table::Demonstration => "demonstrations: rows with `inference_id` and `value`",
        })
    }

    fn role(&self, record: &Record<'_>) -> Role {
        match table(record) {
            Some(Table::Models) | None => Role::Calls,
            Some(_) => Role::Side,
        }
    }

    fn extras(&self) -> &'static [&'static str] {
        &[
            "provider",
            "variant",
            "finish_reason",
            "cache_write_tokens",
            "snapshot_hash",
        ]
    }

    fn learn(
        &mut self,
        record: &Record<'_>,
        wanted: Option<&str>,
        labels: &mut Labels,
    ) -> Result<(), Fault> {
        match table(record) {
            Some(Table::Inferences) => self.learn_inference(record)?,
            Some(Table::Metric) => learn_metric(record, wanted, labels)?,
            // A comment is no grade, and a better answer grades none: they are counted, under the
            // names that no metric of TensorZero's can have.
            Some(Table::Comment) => labels.count_score("comment"),
            Some(Table::Demonstration) => labels.count_score("demonstration"),
            Some(Table::Models) | None => {}
        }
        Ok(())
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let Some(model) = record.text("model_name")? else {
            made.skip(Skip::NoModel);
            return Ok(());
        };
        let id = record.need("id")?;
        let inference_id = record.need("inference_id")?;
        let inference = self.inferences.get(&inference_id).cloned();
        let inference = inference.unwrap_or_default();
        if inference.is_evaluation {
            made.skip(Skip::Evaluation);
            return Ok(());
        }
        let mut call = Call::new(inference_id.clone(), model);
        call.names = vec![inference_id];
        call.names.extend(inference.episode.clone());
        // The gateway's own cache, not the provider's.
        call.is_cached = record.flag("cached")? == Some(true);
        call.row.timestamp_us = match time_of(&id) {
            Some(time) => Some(time),
            None => record.time("timestamp")?,
        };
        call.id = id;
        // Of the candidates of best-of-n, the one that was given: neither the others nor the judge.
        call.is_chosen = inference.answer.is_some() && inference.answer == answer(record)?;
        // Dollars; null where the model has no prices in the configuration.
        call.row.cost = record.amount("cost", 1)?;
        call.put_tokens(
            record.loose_count("input_tokens")?,
            record.loose_count("provider_cache_read_input_tokens")?,
            record.loose_count("output_tokens")?,
            None,
            "input_tokens",
        )?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds stay below 2^53")]
        let latency_ms = record.loose_count("response_time_ms")?.map(|ms| ms as f64);
        call.row.latency_ms = latency_ms;
        call.put_prompt(record, &["input_messages"])?;
        call.row.task = inference.function;
        call.row.session_id = inference.episode;
        call.row.tenant = inference.user;
        call.row.status = Some("ok".to_owned());
        call.keep("provider", record.text("model_provider_name")?);
        call.keep("variant", inference.variant);
        call.keep("finish_reason", record.text("finish_reason")?);
        let written = record.loose_count("provider_cache_write_input_tokens")?;
        call.keep("cache_write_tokens", written.map(|n| n.to_string()));
        call.keep("snapshot_hash", inference.snapshot);
        made.calls.push(call);
        Ok(())
    }
}

impl TensorZero {
    fn learn_inference(&mut self, record: &Record<'_>) -> Result<(), Fault> {
        let function = record.text("function_name")?;
        let is_judge = function
            .as_deref()
            .is_some_and(|name| name.starts_with(JUDGES));
        let inference = Inference {
            is_evaluation: is_judge || record.has(EVALUATION),
            function,
            variant: record.text("variant_name")?,
            episode: record.text("episode_id")?,
            user: record.text("tags.user_id")?,
            snapshot: record.loose_text("snapshot_hash")?,
            answer: answer(record)?,
        };
        self.inferences.insert(record.need("id")?, inference);
        Ok(())
    }
}

/// A hash of the text in `output`: a list of content blocks, or a JSON function's `raw` text.
fn answer(record: &Record<'_>) -> Result<Option<u64>, Fault> {
    let Some(json) = record.json("output")? else {
        return Ok(None);
    };
    let text = match serde_json::from_str(&json) {
        Ok(Value::Array(blocks)) => {
            let texts = blocks
                .iter()
                .filter_map(|block| block.get("text")?.as_str());
            texts.collect::<String>()
        }
        Ok(Value::Object(output)) => {
            let raw = output.get("raw").and_then(Value::as_str);
            raw.unwrap_or_default().to_owned()
        }
        _ => String::new(),
    };
    Ok((!text.is_empty()).then(|| xxh3_64(text.as_bytes())))
}

fn table(record: &Record<'_>) -> Option<Table> {
    let names = record.names();
    let has = |all: &[&str]| all.iter().all(|name| names.contains(name));
    if has(&["inference_id", "model_name", "model_provider_name"]) {
        return Some(Table::Models);
    }
    if has(&["id", "function_name", "variant_name", "episode_id"]) {
        return Some(Table::Inferences);
    }
    if has(&["id", "target_id", "metric_name", "value"]) {
        return Some(Table::Metric);
    }
    if has(&["id", "target_id", "target_type", "value"]) {
        return Some(Table::Comment);
    }
    has(&["id", "inference_id", "value"]).then_some(Table::Demonstration)
}

fn learn_metric(
    record: &Record<'_>,
    wanted: Option<&str>,
    labels: &mut Labels,
) -> Result<(), Fault> {
    let name = record.need("metric_name")?;
    labels.count_score(&name);
    if wanted != Some(name.as_str()) {
        return Ok(());
    }
    let about = record.need("target_id")?;
    // As TensorZero has it, the latest feedback of a metric on a target counts.
    let at = record.text("id")?.as_deref().and_then(time_of);
    if let Some(value) = record.loose_text("value")? {
        labels.add_dated(about, value, at);
    }
    Ok(())
}

/// When an id was given out, in microseconds: the first 48 bits of a `UUIDv7` are milliseconds
/// since 1970. The tables' `timestamp` is made of it, without the milliseconds and without an
/// offset, and is no part of `SELECT *`.
fn time_of(id: &str) -> Option<i64> {
    let hex: Vec<u8> = id.bytes().filter(|byte| *byte != b'-').collect();
    if hex.len() != 32 || hex[12] != b'7' || !hex.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let millis = std::str::from_utf8(&hex[..12]).ok()?;
    let millis = i64::from_str_radix(millis, 16).ok()?;
    timestamp::from_integer(millis, TimestampUnit::Milliseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::time_of;

    #[test]
    fn ids_tell_their_time() {
        let time = 1_772_442_000_250;
        let id = format!(
            "{:08x}-{:04x}-7abc-8def-0123456789ab",
            time >> 16,
            time & 0xffff
        );
        assert_eq!(time_of(&id), Some(time * 1_000));
        let fourth = id.replace("-7abc-", "-4abc-");
        for no_time in ["", "7", &fourth, "zzzzzzzz-zzzz-7abc-8def-0123456789ab"] {
            assert_eq!(time_of(no_time), None, "{no_time}");
        }
    }
}
