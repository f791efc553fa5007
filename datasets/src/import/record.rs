//! One record of an export, whatever it is written in: a JSON object, a row of CSV, a line of text.

use std::borrow::Cow;

use csv::ByteRecord;
use plimsoll::Usd;

use super::fault;
use crate::assemble::Fault;
use crate::jsonl::{self, Fields};
use crate::reject::RejectReason;
use crate::row::Cell;
use crate::timestamp;

/// A record; values are reached by path, `a.b` being `b` in the object `a`.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    /// The fields of an object, values as they are written.
    Json(Fields<'a>),
    /// A row with the names of its columns.
    Csv(&'a [String], &'a ByteRecord),
    /// Lines of text that belong together.
    Text(&'a str),
}

/// A value of a record.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    /// As it is written in JSON.
    Json(Cow<'a, str>),
    /// A field of CSV, not empty.
    Csv(Cow<'a, str>),
}

impl<'a> Record<'a> {
    /// The record that a JSON text is.
    pub(crate) fn of_json(text: &'a str) -> Result<Self, Fault> {
        if let Some(at) = text.find('\0') {
            return Err(Fault::new(RejectReason::NulCharacter).at_offset(at as u64));
        }
        jsonl::fields(text).map(Self::Json)
    }

    /// Whether there is a value at the path; null is none.
    pub(crate) fn has(&self, path: &str) -> bool {
        matches!(self.value(path), Ok(Some(_)))
    }

    /// The first of the paths that has a value.
    pub(crate) fn first<'p>(&self, paths: &[&'p str]) -> Option<&'p str> {
        paths.iter().copied().find(|path| self.has(path))
    }

    /// Names of the record's own fields.
    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Json(fields) => fields.iter().map(|(name, _)| name.as_ref()).collect(),
            Self::Csv(names, _) => names.iter().map(String::as_str).collect(),
            Self::Text(_) => Vec::new(),
        }
    }

    /// The value at a path; what is absent, null or an empty text is `None`.
    ///
    /// A name with dots in it is found before the parts of a path are.
    pub(crate) fn value(&self, path: &str) -> Result<Option<Value<'a>>, Fault> {
        let failed = |reason| fault(path, reason);
        if let Some(value) = self.own(path).map_err(failed)? {
            return Ok(Some(value));
        }
        let mut split = path.len();
        while let Some(dot) = path[..split].rfind('.') {
            if let Some(value) = self.own(&path[..dot]).map_err(failed)? {
                return value.inner(&path[dot + 1..]).map_err(failed);
            }
            split = dot;
        }
        Ok(None)
    }

    /// The value of a field of the record itself.
    fn own(&self, name: &str) -> Result<Option<Value<'a>>, RejectReason> {
        match self {
            Self::Json(fields) => {
                let found = fields.iter().find(|(own, _)| own == name);
                let raw = found.map(|(_, raw)| raw.get());
                Ok(raw
                    .filter(|raw| !matches!(*raw, "null" | "\"\""))
                    .map(|raw| Value::Json(Cow::Borrowed(raw))))
            }
            Self::Csv(names, record) => {
                let at = names.iter().position(|own| own == name);
                let Some(field) = at.and_then(|at| record.get(at)) else {
                    return Ok(None);
                };
                let text = std::str::from_utf8(field).map_err(|_| RejectReason::InvalidUtf8)?;
                Ok((!text.is_empty()).then_some(Value::Csv(Cow::Borrowed(text))))
            }
            Self::Text(_) => Ok(None),
        }
    }

    /// A text that is not empty.
    pub(crate) fn text(&self, path: &str) -> Result<Option<String>, Fault> {
        let Some(value) = self.value(path)? else {
            return Ok(None);
        };
        let text = value.text().map_err(|reason| fault(path, reason))?;
        Ok((!text.is_empty()).then_some(text))
    }

    /// The [`text`](Self::text) at the first of the paths that has one.
    pub(crate) fn first_text(&self, paths: &[&str]) -> Result<Option<String>, Fault> {
        for path in paths {
            if let Some(text) = self.text(path)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// A text that must be there.
    pub(crate) fn need(&self, path: &str) -> Result<String, Fault> {
        self.text(path)?
            .ok_or_else(|| fault(path, RejectReason::Missing))
    }

    /// A whole number, 0 or more.
    pub(crate) fn count(&self, path: &str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.value(path)? else {
            return Ok(None);
        };
        let cell = value.cell().map_err(|reason| fault(path, reason))?;
        crate::row::count(&cell, "a whole number, 0 or more, or null")
            .map(Some)
            .map_err(|reason| fault(path, reason))
    }

    /// The [`count`](Self::count) at the first of the paths that has one.
    pub(crate) fn first_count(&self, paths: &[&str]) -> Result<Option<u64>, Fault> {
        for path in paths {
            if let Some(count) = self.count(path)? {
                return Ok(Some(count));
            }
        }
        Ok(None)
    }

    /// A whole number, 0 or more, of a source that may write whole numbers as text.
    pub(crate) fn loose_count(&self, path: &str) -> Result<Option<u64>, Fault> {
        let Some(text) = self.loose_text(path)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        count_of(&text)
            .map(Some)
            .map_err(|reason| fault(path, reason))
    }

    /// An amount of money, of a source that may write decimals as text; `per_dollar` of its units
    /// are a US dollar. What is less than half a pico-dollar is rounded away.
    pub(crate) fn amount(&self, path: &str, per_dollar: i128) -> Result<Option<Usd>, Fault> {
        let Some(text) = self.loose_text(path)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let wanted = "an amount of money, 0 or more, or null";
        let units = crate::row::money(&Cell::Untyped(&text), wanted)
            .map_err(|reason| fault(path, reason))?;
        Ok(Some(Usd::from_pico(
            (units.pico() + per_dollar / 2) / per_dollar,
        )))
    }

    /// Names and values of a map: an object, or the list of keys and values that Parquet makes of
    /// one. Values are as [`loose_text`](Self::loose_text) gives them; null ones are left out.
    pub(crate) fn entries(&self, path: &str) -> Result<Vec<(String, String)>, Fault> {
        let Some(json) = self.json(path)? else {
            return Ok(Vec::new());
        };
        let mut entries = Vec::new();
        if json.trim_start().starts_with('[') {
            for item in items(&json).unwrap_or_default() {
                let pair = Record::of_json(item)?;
                if let (Some(key), Some(value)) = (pair.text("key")?, pair.loose_text("value")?) {
                    entries.push((key, value));
                }
            }
            return Ok(entries);
        }
        let map = Record::of_json(&json)?;
        for name in map.names() {
            if let Some(value) = map.own(name).map_err(|reason| fault(path, reason))? {
                let text = value.loose().map_err(|reason| fault(path, reason))?;
                entries.push((name.to_owned(), text));
            }
        }
        Ok(entries)
    }

    /// A finite number.
    pub(crate) fn number(&self, path: &str) -> Result<Option<f64>, Fault> {
        let Some(value) = self.value(path)? else {
            return Ok(None);
        };
        value
            .cell()
            .and_then(|cell| crate::row::number(&cell, "a number or null"))
            .map(Some)
            .map_err(|reason| fault(path, reason))
    }

    /// True or false, in whatever way databases write them.
    pub(crate) fn flag(&self, path: &str) -> Result<Option<bool>, Fault> {
        let Some(text) = self.loose_text(path)? else {
            return Ok(None);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" | "yes" => Ok(Some(true)),
            "false" | "f" | "0" | "no" => Ok(Some(false)),
            "" | "none" | "null" => Ok(None),
            _ => Err(fault(
                path,
                RejectReason::WrongType {
                    got: "a text",
                    wanted: "true, false or null",
                },
            )),
        }
    }

    /// A value as text, whatever its type.
    pub(crate) fn loose_text(&self, path: &str) -> Result<Option<String>, Fault> {
        let Some(value) = self.value(path)? else {
            return Ok(None);
        };
        value
            .loose()
            .map(Some)
            .map_err(|reason| fault(path, reason))
    }

    /// A time with its offset, or of a source that writes UTC without one, in microseconds.
    pub(crate) fn time(&self, path: &str) -> Result<Option<i64>, Fault> {
        let Some(text) = self.text(path)? else {
            return Ok(None);
        };
        timestamp::parse_utc(text.trim())
            .map(Some)
            .map_err(|reason| fault(path, reason))
    }

    /// Seconds since the Unix epoch, with a fraction, in microseconds.
    pub(crate) fn epoch_seconds(&self, path: &str) -> Result<Option<i64>, Fault> {
        let Some(seconds) = self.number(path)? else {
            return Ok(None);
        };
        timestamp::from_seconds(seconds)
            .map(Some)
            .map_err(|reason| fault(path, reason))
    }

    /// The JSON text at a path: an object or list, or a text that holds one.
    pub(crate) fn json(&self, path: &str) -> Result<Option<Cow<'a, str>>, Fault> {
        let Some(value) = self.value(path)? else {
            return Ok(None);
        };
        value.json().map_err(|reason| fault(path, reason))
    }
}

impl<'a> Value<'a> {
    /// The cell that the value is.
    pub(crate) fn cell(&self) -> Result<Cell<'_>, RejectReason> {
        match self {
            Self::Json(raw) => jsonl::cell(raw),
            Self::Csv(text) => Ok(Cell::Untyped(text)),
        }
    }

    fn text(&self) -> Result<String, RejectReason> {
        crate::row::text(self.cell()?, "a text or null")
    }

    /// The value as text, whatever its type.
    fn loose(&self) -> Result<String, RejectReason> {
        match self {
            Self::Json(raw) if !raw.starts_with('"') => Ok(raw.clone().into_owned()),
            value => value.text(),
        }
    }

    /// The JSON of the value, unpacked from a text where it is in one.
    fn json(&self) -> Result<Option<Cow<'a, str>>, RejectReason> {
        let text = match self {
            Self::Json(raw) if raw.starts_with('"') => Cow::Owned(self.text()?),
            Self::Json(text) | Self::Csv(text) => text.clone(),
        };
        let is_json = text.trim_start().starts_with(['{', '[']);
        Ok(is_json.then_some(text))
    }

    /// The value at a path inside.
    fn inner(&self, path: &str) -> Result<Option<Value<'a>>, RejectReason> {
        let Some(json) = self.json()? else {
            return Ok(None);
        };
        if json.trim_start().starts_with('[') {
            return in_list(&json, path);
        }
        let found = |text: &str| -> Result<Option<Value<'static>>, RejectReason> {
            let record = Record::Json(jsonl::fields(text).map_err(|fault| fault.reason)?);
            let value = record.value(path).map_err(|fault| fault.reason)?;
            Ok(value.map(Value::into_owned))
        };
        match json {
            Cow::Borrowed(text) => {
                let record = Record::Json(jsonl::fields(text).map_err(|fault| fault.reason)?);
                record.value(path).map_err(|fault| fault.reason)
            }
            Cow::Owned(text) => found(&text),
        }
    }

    fn into_owned(self) -> Value<'static> {
        match self {
            Self::Json(text) => Value::Json(Cow::Owned(text.into_owned())),
            Self::Csv(text) => Value::Csv(Cow::Owned(text.into_owned())),
        }
    }
}

/// The objects of a page of an API, `{"data": [ … ]}`; `None`: the record is no page.
pub(crate) fn page(record: &Record<'_>) -> Result<Option<Vec<String>>, Fault> {
    if !record.names().contains(&"data") {
        return Ok(None);
    }
    let data = record.json("data")?;
    let objects = data.as_deref().and_then(items);
    Ok(objects.map(|objects| objects.into_iter().map(str::to_owned).collect()))
}

/// Asks about a record, or about the first object of the page that it is.
pub(crate) fn on_page<T>(record: &Record<'_>, ask: impl Fn(&Record<'_>) -> T) -> T {
    let page = page(record).ok().flatten();
    let first = page.as_deref().and_then(<[String]>::first);
    match first.map(|first| Record::of_json(first)) {
        Some(Ok(first)) => ask(&first),
        _ => ask(record),
    }
}

/// A whole number, 0 or more, as text.
pub(crate) fn count_of(text: &str) -> Result<u64, RejectReason> {
    crate::row::count(&Cell::Untyped(text), "a whole number, 0 or more, or null")
}

/// The value of a key in the list of keys and values that Parquet makes of a map.
fn in_list(list: &str, key: &str) -> Result<Option<Value<'static>>, RejectReason> {
    for item in items(list).unwrap_or_default() {
        let Ok(pair) = Record::of_json(item) else {
            return Ok(None);
        };
        if pair
            .own("key")?
            .map(|own| own.loose())
            .transpose()?
            .as_deref()
            == Some(key)
        {
            return Ok(pair.own("value")?.map(Value::into_owned));
        }
    }
    Ok(None)
}

/// The items of a JSON list, each as it is written; `None`: it is no list.
pub(crate) fn items(json: &str) -> Option<Vec<&str>> {
    let items: Vec<&serde_json::value::RawValue> = serde_json::from_str(json).ok()?;
    Some(
        items
            .into_iter()
            .map(serde_json::value::RawValue::get)
            .collect(),
    )
}

/// The last text that a user wrote in a list of chat messages, as `OpenAI` and Anthropic write
/// them; parts that are not text are left out. `None`: there is none.
pub(crate) fn prompt_of(messages: &str) -> Option<String> {
    let messages = messages.trim();
    if messages.starts_with('"') {
        return serde_json::from_str(messages).ok();
    }
    let messages = items(messages)?;
    for message in messages.into_iter().rev() {
        let Ok(message) = Record::of_json(message) else {
            continue;
        };
        let role = message.text("role").ok().flatten();
        if role.as_deref() == Some("user")
            && let Some(text) = content_of(&message)
        {
            return Some(text);
        }
    }
    None
}

/// The text of one message: `content` as a text, or the `text` parts of a list.
fn content_of(message: &Record<'_>) -> Option<String> {
    let path = message.first(&["content", "parts"])?;
    let value = message.value(path).ok()??;
    if let Value::Json(raw) = &value
        && raw.starts_with('[')
    {
        let texts: Vec<String> = items(raw)?
            .into_iter()
            .filter_map(|part| {
                if part.starts_with('"') {
                    return serde_json::from_str(part).ok();
                }
                let part = Record::of_json(part).ok()?;
                part.first_text(&["text", "content"]).ok().flatten()
            })
            .collect();
        return (!texts.is_empty()).then(|| texts.join("\n"));
    }
    value.text().ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_path() {
        let text =
            r#"{"a.b": 1, "a": {"b": 2, "c": {"d": "x"}}, "packed": "{\"e\": [1]}", "n": null}"#;
        let record = Record::of_json(text).expect("JSON");
        assert_eq!(record.count("a.b").expect("a count"), Some(1));
        assert_eq!(record.text("a.c.d").expect("a text").as_deref(), Some("x"));
        assert_eq!(
            record.json("packed.e").expect("JSON").as_deref(),
            Some("[1]")
        );
        assert!(!record.has("n") && !record.has("a.z") && !record.has("packed.e.f"));
        assert!(record.count("a.c.d").is_err());
    }

    #[test]
    fn maps_are_objects_or_lists_of_pairs() {
        let text = r#"{"a": {"x": 1, "y": null, "z": "t"},
            "b": [{"key": "x", "value": 1}, {"key": "z", "value": "t"}]}"#;
        let record = Record::of_json(text).expect("JSON");
        let want = vec![
            ("x".to_owned(), "1".to_owned()),
            ("z".to_owned(), "t".to_owned()),
        ];
        assert_eq!(record.entries("a").expect("a map"), want);
        assert_eq!(record.entries("b").expect("a map"), want);
        assert_eq!(record.text("b.z").expect("a text").as_deref(), Some("t"));
        assert!(record.entries("c").expect("none").is_empty() && !record.has("b.y"));
    }

    #[test]
    fn amounts_are_exact() {
        let text =
            r#"{"cents": 0.0123, "nanos": "1230000", "fine": 1e-12, "bad": "x", "less": -1}"#;
        let record = Record::of_json(text).expect("JSON");
        let pico = |path, unit| record.amount(path, unit).map(|usd| usd.map(Usd::pico)).ok();
        assert_eq!(pico("cents", 100), Some(Some(123_000_000)));
        assert_eq!(pico("nanos", 1_000_000_000), Some(Some(1_230_000_000)));
        assert_eq!(pico("fine", 1), Some(Some(1)));
        assert_eq!(pico("none", 1), Some(None));
        assert_eq!((pico("bad", 1), pico("less", 1)), (None, None));
    }

    #[test]
    fn a_prompt_is_the_last_user_message() {
        let chat = r#"[{"role":"system","content":"s"},{"role":"user","content":"one"},
            {"role":"assistant","content":"a"},
            {"role":"user","content":[{"type":"text","text":"two"},{"type":"image_url","image_url":{}}]}]"#;
        assert_eq!(prompt_of(chat).as_deref(), Some("two"));
        assert_eq!(prompt_of(r#""plain""#).as_deref(), Some("plain"));
        assert_eq!(prompt_of("{}"), None);
        assert_eq!(prompt_of("[1, {\"role\": 3}]"), None);
    }
}
