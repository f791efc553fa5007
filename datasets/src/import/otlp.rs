//! OTLP JSON: batches of spans or log records, opened into one flat object each.
//!
//! A span becomes `{"otlp.trace_id": …, "resource.service.name": …, "gen_ai.request.model": …}`:
//! its attributes under their own names, those of its resource behind `resource.`, and what OTLP
//! itself says behind `otlp.`, which no instrumentation writes.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::fault;
use super::record::Record;
use crate::assemble::Fault;
use crate::reject::RejectReason;

/// Where batches are: as the protocol's JSON writes it, as Protobuf's may, and as Tempo's answers
/// wrap it.
pub(super) const SPANS: &[&str] = &[
    "resourceSpans",
    "resource_spans",
    "trace.resourceSpans",
    "batches",
];
pub(super) const LOGS: &[&str] = &["resourceLogs", "resource_logs"];

pub(super) const TRACE_ID: &str = "otlp.trace_id";
pub(super) const SPAN_ID: &str = "otlp.span_id";
pub(super) const PARENT_ID: &str = "otlp.parent_span_id";
pub(super) const NAME: &str = "otlp.name";
pub(super) const START: &str = "otlp.start_unix_nano";
pub(super) const END: &str = "otlp.end_unix_nano";
pub(super) const STATUS_CODE: &str = "otlp.status_code";
pub(super) const EVENTS: &str = "otlp.events";
/// Set on spans, not on log records.
pub(super) const IS_SPAN: &str = "otlp.is_span";
/// Set on a call that another call is recorded inside of: two instrumentations saw one call.
pub(super) const IS_WRAPPER: &str = "otlp.is_wrapper";
/// The nearest span around a call, beyond those of its batch that are parts of the same call.
pub(super) const INSIDE_OF: &str = "otlp.inside_of";

/// The spans or log records of a batch; `None`: it is no batch.
pub(super) fn open(record: &Record<'_>) -> Result<Option<Vec<String>>, Fault> {
    let mut opened = Vec::new();
    let mut is_batch = false;
    for (paths, scopes, items) in [
        (
            SPANS,
            ["scopeSpans", "scope_spans", "instrumentationLibrarySpans"],
            ["spans", "spans"],
        ),
        (
            LOGS,
            ["scopeLogs", "scope_logs", "instrumentationLibraryLogs"],
            ["logRecords", "log_records"],
        ),
    ] {
        let Some(path) = record.first(paths) else {
            continue;
        };
        is_batch = true;
        let wrong = |reason| fault(path, reason);
        let json = record.json(path)?;
        let json = json.as_deref().unwrap_or("[]");
        // Refuses keys that are given twice and nesting without end.
        crate::jsonl::cell(json).map_err(wrong)?;
        let batch: Value =
            serde_json::from_str(json).map_err(|error| wrong(crate::jsonl::bad_json(&error)))?;
        for resource in list(Some(&batch)) {
            let shared = attributes(resource.get("resource"), "resource.");
            for scope in list(first(resource, &scopes)) {
                for item in list(first(scope, &items)) {
                    let Value::Object(item) = item else {
                        return Err(wrong(RejectReason::NotAnObject));
                    };
                    let mut flat = shared.clone();
                    flatten(item, &mut flat);
                    if paths == SPANS {
                        flat.insert(IS_SPAN.to_owned(), Value::Bool(true));
                    }
                    opened.push(flat);
                }
            }
        }
    }
    mark_wrappers(&mut opened);
    let texts = opened
        .into_iter()
        .map(|flat| Value::Object(flat).to_string());
    Ok(is_batch.then(|| texts.collect()))
}

/// A span or log record as one flat object.
fn flatten(item: &Map<String, Value>, flat: &mut Map<String, Value>) {
    flat.extend(attributes(Some(&Value::Object(item.clone())), ""));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            flat.insert(name.to_owned(), value);
        }
    };
    let get = |names: &[&str]| names.iter().find_map(|name| item.get(*name)).cloned();
    put(TRACE_ID, get(&["traceId", "trace_id"]).map(id));
    put(SPAN_ID, get(&["spanId", "span_id"]).map(id));
    let parent = get(&["parentSpanId", "parent_span_id"]).map(id);
    put(PARENT_ID, parent.filter(|id| id.as_str() != Some("")));
    put(NAME, get(&["name", "eventName", "event_name"]));
    put(
        START,
        get(&["startTimeUnixNano", "start_time_unix_nano"]).map(integer),
    );
    put(
        END,
        get(&["endTimeUnixNano", "end_time_unix_nano"]).map(integer),
    );
    put(
        STATUS_CODE,
        item.get("status")
            .and_then(|status| status.get("code"))
            .cloned(),
    );
    let events: Vec<Value> = list(item.get("events"))
        .iter()
        .map(|event| {
            let mut flat = attributes(Some(event), "");
            if let Some(name) = event.get("name") {
                flat.insert(NAME.to_owned(), name.clone());
            }
            Value::Object(flat)
        })
        .collect();
    put(EVENTS, (!events.is_empty()).then_some(Value::Array(events)));
}

/// Marks calls that hold another call: only the innermost is one, or tokens would count twice.
fn mark_wrappers(spans: &mut [Map<String, Value>]) {
    let key = |span: &Map<String, Value>, name: &str| {
        let text = |name: &str| span.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((text(TRACE_ID)?, text(name)?))
    };
    let is_call = |span: &Map<String, Value>| {
        let operation = span.get("gen_ai.operation.name").and_then(Value::as_str);
        span.contains_key("gen_ai.request.model")
            && matches!(
                operation,
                None | Some("chat" | "text_completion" | "generate_content")
            )
    };
    // What a tool or an agent calls on behalf of a call is another call, not the same one.
    let is_border = |span: &Map<String, Value>| {
        let operation = span.get("gen_ai.operation.name").and_then(Value::as_str);
        matches!(
            operation,
            Some("execute_tool" | "invoke_agent" | "invoke_workflow")
        )
    };
    let mut parents = HashMap::new();
    for span in spans.iter() {
        if let Some(own) = key(span, SPAN_ID) {
            let parent = key(span, PARENT_ID).filter(|_| !is_border(span));
            parents.insert(own, parent);
        }
    }
    let mut holders = HashSet::new();
    for span in spans.iter().filter(|span| is_call(span)) {
        let own = key(span, SPAN_ID);
        let mut at = key(span, PARENT_ID).filter(|parent| own.as_ref() != Some(parent));
        // Ends: an ancestor that is known already is not followed again, so cycles end too.
        while let Some(parent) = at {
            at = parents.get(&parent).cloned().flatten();
            if !holders.insert(parent) {
                break;
            }
        }
    }
    for span in spans.iter_mut().filter(|span| is_call(span)) {
        if key(span, SPAN_ID).is_some_and(|own| holders.contains(&own)) {
            span.insert(IS_WRAPPER.to_owned(), Value::Bool(true));
        }
        // A span of another batch: whether that is a call is seen once the trace is together.
        let mut seen = HashSet::new();
        let mut at = key(span, PARENT_ID);
        while let Some(parent) = at {
            let Some(further) = parents.get(&parent) else {
                span.insert(INSIDE_OF.to_owned(), Value::String(parent.1));
                break;
            };
            at = further.clone().filter(|_| seen.insert(parent));
        }
    }
}

/// The attributes of a thing, by name.
fn attributes(of: Option<&Value>, prefix: &str) -> Map<String, Value> {
    let mut found = Map::new();
    for attribute in list(of.and_then(|of| of.get("attributes"))) {
        if let Some(key) = attribute.get("key").and_then(Value::as_str)
            && let Some(value) = attribute.get("value").map(plain)
        {
            found.insert(format!("{prefix}{key}"), value);
        }
    }
    found
}

/// The value that an `AnyValue` wraps; integers may be texts, as Protobuf's JSON writes them.
fn plain(wrapped: &Value) -> Value {
    let Some((kind, value)) = wrapped.as_object().and_then(|object| object.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), value) {
        ("intValue" | "int_value", value) => integer(value.clone()),
        ("arrayValue" | "array_value", value) => {
            Value::Array(list(value.get("values")).iter().map(plain).collect())
        }
        ("kvlistValue" | "kvlist_value", value) => {
            let pairs = list(value.get("values")).iter().filter_map(|pair| {
                let key = pair.get("key")?.as_str()?.to_owned();
                Some((key, plain(pair.get("value")?)))
            });
            Value::Object(pairs.collect())
        }
        (_, value) => value.clone(),
    }
}

/// An integer that may be written as a text; what is none stays as it is and is refused later.
fn integer(value: Value) -> Value {
    let read = value.as_str().and_then(|text| text.parse::<i64>().ok());
    read.map_or(value, Value::from)
}

fn first<'v>(of: &'v Value, names: &[&str]) -> Option<&'v Value> {
    names.iter().find_map(|name| of.get(*name))
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// An id in lower-case hexadecimal: as OTLP writes it, or from the Base64 of plain Protobuf JSON.
/// What is neither stays as it is.
fn id(value: Value) -> Value {
    let Value::String(text) = value else {
        return value;
    };
    let is_hex = matches!(text.len(), 16 | 32) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex {
        return Value::String(text.to_ascii_lowercase());
    }
    // 8 and 16 bytes, padded or not.
    let bytes = match text.trim_end_matches('=').len() {
        11 | 22 => base64(text.trim_end_matches('=')),
        _ => None,
    };
    let Some(bytes) = bytes else {
        return Value::String(text);
    };
    let digit = |four: u8| char::from_digit(u32::from(four), 16);
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    Value::String(halves.filter_map(digit).collect())
}

/// Bytes of a Base64 text without padding, in either alphabet.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for letter in text.bytes() {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hexadecimal_however_they_are_written() {
        let read = |text: &str| id(Value::from(text));
        let hex = "5b8efff798038103d269b633813fc60c";
        assert_eq!(read("5B8EFFF798038103D269B633813FC60C"), hex);
        assert_eq!(read("W47/95gDgQPSabYzgT/GDA=="), hex);
        assert_eq!(read("W47_95gDgQPSabYzgT_GDA"), hex);
        assert_eq!(read("7uGbfsPBsXM="), "eee19b7ec3c1b173");
        assert_eq!(read("not-an-id"), "not-an-id");
    }

    #[test]
    fn only_the_same_call_is_a_wrapper() {
        let span = |id: &str, parent: &str, operation: &str| {
            let value = serde_json::json!({
                TRACE_ID: "t", SPAN_ID: id, PARENT_ID: parent,
                "gen_ai.operation.name": operation, "gen_ai.request.model": "m",
            });
            value.as_object().cloned().expect("an object")
        };
        let mut spans = [
            span("inner", "http", "chat"),
            span("http", "outer", "POST"),
            span("outer", "tool", "chat"),
            span("tool", "first", "execute_tool"),
            span("first", "agent", "chat"),
            span("loop", "loop", "chat"),
        ];
        mark_wrappers(&mut spans);
        let marked: Vec<bool> = spans.iter().map(|s| s.contains_key(IS_WRAPPER)).collect();
        assert_eq!(marked, [false, false, true, false, false, false]);
    }

    #[test]
    fn values_are_unwrapped() {
        let plain = |json: &str| plain(&serde_json::from_str(json).expect("JSON"));
        assert_eq!(plain(r#"{"intValue":"12"}"#), 12);
        assert_eq!(plain(r#"{"intValue":12}"#), 12);
        assert_eq!(plain(r#"{"doubleValue":0.5}"#), 0.5);
        assert_eq!(plain(r#"{"stringValue":"12"}"#), "12");
        let nested = r#"{"arrayValue":{"values":[{"kvlistValue":{"values":[
            {"key":"role","value":{"stringValue":"user"}}]}}]}}"#;
        assert_eq!(plain(nested).to_string(), r#"[{"role":"user"}]"#);
        assert_eq!(plain("{}"), Value::Null);
    }
}
