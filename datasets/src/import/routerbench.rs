//! `RouterBench`: a row per prompt; per model a score, `MODEL|total_cost` and
//! `MODEL|model_response`.

use super::ImportError;
use super::ImportOptions;
use super::call::{Call, Joins, Skip};
use super::importer::{Importer, Made};
use super::record::Record;
use crate::assemble::Fault;
use crate::column::Column;

/// Wide tables of scores and costs.
pub(super) struct Routerbench;

/// What the columns that make a model are called.
const COST: &str = "|total_cost";
const RESPONSE: &str = "|model_response";

impl Importer for Routerbench {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        let names = record.names();
        let is_model = |name: &&str| {
            name.strip_suffix(COST)
                .is_some_and(|model| names.contains(&model))
        };
        (names.contains(&"prompt") && names.iter().any(is_model))
            .then_some("a `prompt`, and columns `MODEL` with `MODEL|total_cost`")
    }

    fn extras(&self) -> &'static [&'static str] {
        &[]
    }

    fn names_by_place(&self) -> bool {
        true
    }

    fn configure(&mut self, options: &ImportOptions) -> Result<(), ImportError> {
        own_scores(options, "the columns named after the models")
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let names = record.names();
        let id = if names.contains(&"sample_id") {
            record.need("sample_id")?
        } else {
            String::new()
        };
        let prompt = record.text("prompt")?.map(unquoted);
        for model in models(&names) {
            let (cost, response) = (format!("{model}{COST}"), format!("{model}{RESPONSE}"));
            if record.first(&[model, &cost, &response]).is_none() {
                made.skip(Skip::NotAsked);
                continue;
            }
            let mut call = Call::new(id.clone(), model.to_owned());
            call.joins = Joins::Nothing;
            call.label = record.loose_text(model)?;
            call.put(Column::CostUsd, record, &cost)?;
            call.put(Column::Task, record, "eval_name")?;
            call.row.prompt.clone_from(&prompt);
            made.calls.push(call);
        }
        Ok(())
    }
}

/// Refuses another source of quality in tables that hold a score per model: one label per request
/// would be every model's.
pub(super) fn own_scores(options: &ImportOptions, place: &str) -> Result<(), ImportError> {
    if options.quality.is_none() && options.join.is_none() {
        return Ok(());
    }
    Err(ImportError::Option {
        what: format!(
            "{} keeps its scores in {place}; one label per request cannot be all of theirs",
            options.kind.name()
        ),
        help: "leave --quality and --join out; for scores that are not in [0, 1], give --scale"
            .to_owned(),
    })
}

/// Models in the order of their columns.
fn models<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut models: Vec<&str> = Vec::new();
    for name in names {
        let model = name
            .strip_suffix(COST)
            .or_else(|| name.strip_suffix(RESPONSE));
        if let Some(model) = model
            && !models.contains(&model)
        {
            models.push(model);
        }
    }
    models
}

/// The turns of a prompt that was written as Python writes a list of texts; others are as they are.
fn unquoted(text: String) -> String {
    let turns = python_list(&text).map(|turns| turns.join("\n"));
    turns.unwrap_or(text).replace('\0', "")
}

/// The items of `['one', "two"]`; `None`: it is no such list.
fn python_list(text: &str) -> Option<Vec<String>> {
    let mut chars = text
        .trim()
        .strip_prefix('[')?
        .strip_suffix(']')?
        .chars()
        .peekable();
    let mut items = Vec::new();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(quote) = chars.next_if(|c| matches!(c, '\'' | '"')) else {
            // The end, or something that is no text.
            return chars.next().is_none().then_some(items);
        };
        let mut item = String::new();
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\\' => item.push(escaped(&mut chars)?),
                c => item.push(c),
            }
        }
        items.push(item);
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.next_if_eq(&',').is_none() {
            return chars.next().is_none().then_some(items);
        }
    }
}

/// The character that an escape stands for.
fn escaped(chars: &mut impl Iterator<Item = char>) -> Option<char> {
    let digits = match chars.next()? {
        'n' => return Some('\n'),
        't' => return Some('\t'),
        'r' => return Some('\r'),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        other => return Some(other),
    };
    let code: String = chars.take(digits).collect();
    u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_unpacked() {
        for (text, prompt) in [
            (r#"['one\n\'two\'', "it's", ]"#, "one\n'two'\nit's"),
            (r"['caf\xe9 \u20ac']", "café €"),
            (r"['a\x00b']", "ab"),
            ("['open", "['open"),
            ("['open]", "['open]"),
            ("[1, 2]", "[1, 2]"),
            ("plain text", "plain text"),
        ] {
            assert_eq!(unquoted(text.to_owned()), prompt, "{text}");
        }
    }
}
