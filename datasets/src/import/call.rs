//! One call of a model, as an export tells it: what later becomes a row, or a part of one.

use plimsoll::Usd;

use super::record::Record;
use super::{fault, record};
use crate::assemble::Fault;
use crate::column::Column;
use crate::reject::RejectReason;
use crate::row::{Cell, LogRow};

/// Why a well-formed record makes no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Skip {
    /// The gateway's own cache answered: nothing is learned of a model, or of its price.
    CacheHit,
    /// Embeddings, images, audio, reranking: nothing that a router of chats chooses.
    NotChat,
    /// A cell of a wide table whose model was not asked.
    NotAsked,
    /// A span or step that is no call of a model.
    NotACall,
    /// Asked by an evaluation, or judging an answer: no user's request.
    Evaluation,
    /// The log has nothing to say about which model answered.
    NoModel,
    /// An example whose choice and loss were not logged.
    Unlabelled,
    /// A request that was sent, with no answer in the files.
    Unanswered,
}

impl Skip {
    /// What it is, in words that follow "left out: ".
    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::CacheHit => "answered by the gateway's own cache, by no model",
            Self::NotChat => "no chat or completion (embeddings, images, audio, reranking)",
            Self::NotAsked => "models that a request was not sent to",
            Self::NotACall => "spans or steps that are no call of a model",
            Self::Evaluation => "made by an evaluation or a judge, for no user",
            Self::NoModel => "name no model: none was chosen, or the export does not say",
            Self::Unanswered => "requests that have no answer in these files",
            Self::Unlabelled => "examples without a label: no choice and no loss are known",
        }
    }
}

/// A call on its way to becoming a row.
#[derive(Clone, Default)]
pub(crate) struct Call {
    /// The row so far; `request_id` is what calls of one request have in common.
    pub(crate) row: LogRow,
    /// What tells this call from others of its request; empty: nothing does.
    pub(crate) id: String,
    /// The id of the call, if it is one, that this one is a part of: only the innermost counts.
    pub(crate) inside_of: Option<String>,
    /// Names under which labels may know the call, the nearest first; `request_id` comes after.
    pub(crate) names: Vec<String>,
    /// Whether no usable answer came.
    pub(crate) has_failed: bool,
    /// Whether it is known that this call's answer was the request's: of candidates the chosen one.
    pub(crate) is_chosen: bool,
    /// Whether the gateway's own cache answered, and no model: a request that ends so is left out.
    pub(crate) is_cached: bool,
    /// The label of the export itself, before any scale: as text, because it may be a word.
    pub(crate) label: Option<String>,
    /// With which calls it makes one row.
    pub(crate) joins: Joins,
}

/// With which calls a call makes one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Joins {
    /// All of its request.
    #[default]
    Request,
    /// Those of its request and its model: others are other arms' answers.
    Model,
    /// None: other rows of its request are other arms' answers.
    Nothing,
}

impl Call {
    /// A call of `model` for the request `request_id`.
    pub(crate) fn new(request_id: String, model: String) -> Self {
        Self {
            row: LogRow {
                request_id,
                model,
                ..LogRow::default()
            },
            ..Self::default()
        }
    }

    /// Puts the value at a path into a column.
    pub(crate) fn put(
        &mut self,
        column: Column,
        record: &Record<'_>,
        path: &str,
    ) -> Result<(), Fault> {
        let Some(value) = record.value(path)? else {
            return Ok(());
        };
        let cell = value.cell().map_err(|reason| fault(path, reason))?;
        self.set(column, cell, path)
    }

    /// Puts the first value that one of the paths has into a column.
    pub(crate) fn put_first(
        &mut self,
        column: Column,
        record: &Record<'_>,
        paths: &[&str],
    ) -> Result<(), Fault> {
        match record.first(paths) {
            Some(path) => self.put(column, record, path),
            None => Ok(()),
        }
    }

    /// Puts a cell into a column; `path` is where it came from.
    pub(crate) fn set(&mut self, column: Column, cell: Cell<'_>, path: &str) -> Result<(), Fault> {
        self.row
            .set(column, cell, None)
            .map_err(|reason| fault(path, reason))
    }

    /// Keeps a text in a column that the outcome log does not know.
    pub(crate) fn keep(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.row.extra.push((name.to_owned(), value));
        }
    }

    /// Tokens of a usage report that counts cached tokens within the input and reasoning within
    /// the output, as OpenAI's does: here every token is counted once.
    pub(crate) fn put_tokens(
        &mut self,
        input: Option<u64>,
        cached: Option<u64>,
        output: Option<u64>,
        reasoning: Option<u64>,
        path: &str,
    ) -> Result<(), Fault> {
        let over = |part: Option<u64>, whole: Option<u64>| match (part, whole) {
            (Some(part), Some(whole)) => part > whole,
            _ => false,
        };
        if over(cached, input) {
            return Err(fault(
                path,
                RejectReason::OutOfRange {
                    wanted: "no more cached tokens than input tokens",
                },
            ));
        }
        if over(reasoning, output) {
            return Err(fault(
                path,
                RejectReason::OutOfRange {
                    wanted: "no more reasoning tokens than output tokens",
                },
            ));
        }
        self.row.input_tokens = input;
        self.row.cached_input_tokens = cached;
        self.row.output_tokens = output.map(|output| output - reasoning.unwrap_or(0));
        self.row.reasoning_tokens = reasoning;
        Ok(())
    }

    /// Notes that no usable answer came, and why; a call that used no tokens and cost nothing was
    /// not billed, and nothing is known of its price.
    pub(crate) fn fail(&mut self, why: &str) {
        self.has_failed = true;
        self.row.status = Some(why.to_owned());
        let row = &mut self.row;
        let is_unused = [row.input_tokens, row.output_tokens, row.reasoning_tokens]
            .into_iter()
            .flatten()
            .all(|tokens| tokens == 0);
        if is_unused && row.cost.is_none_or(|cost| cost == Usd::ZERO) {
            row.cost = None;
            (row.input_tokens, row.output_tokens) = (None, None);
            (row.cached_input_tokens, row.reasoning_tokens) = (None, None);
        }
    }

    /// The prompt: the last user message of a list of messages at one of the paths.
    pub(crate) fn put_prompt(&mut self, record: &Record<'_>, paths: &[&str]) -> Result<(), Fault> {
        for path in paths {
            let prompt = match record.json(path)? {
                Some(messages) if messages.trim_start().starts_with('[') => {
                    record::prompt_of(&messages)
                }
                // A body with messages inside, or one that is something else: no prompt.
                Some(_) => None,
                None => record.text(path)?,
            };
            if prompt.is_some() {
                self.row.prompt = prompt.map(without_nul);
                return Ok(());
            }
        }
        Ok(())
    }

    /// What calls that become one row have in common.
    pub(crate) fn group(&self) -> String {
        let (id, model) = (&self.row.request_id, &self.row.model);
        if self.joins == Joins::Model {
            format!("{id}\0{model}")
        } else {
            id.clone()
        }
    }

    /// Bytes that the call takes while it waits for others of its request.
    pub(crate) fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let extra: usize = self.row.extra.iter().map(|(k, v)| k.len() + v.len()).sum();
        let names: usize = self.names.iter().map(String::len).sum();
        512 + text(&self.row.prompt) + text(&self.label) + extra + names
    }
}

/// Whether an address is that of an API that answers no chats.
pub(crate) fn is_no_chat_api(address: &str) -> bool {
    [
        "/embeddings",
        ":embedContent",
        ":batchEmbedContents",
        "/images",
        "/audio",
        "/moderations",
        "/rerank",
        "/videos",
    ]
    .iter()
    .any(|part| address.contains(part))
}

/// The arm of a call: the model asked for, also where the answer names a dated version of it; the
/// model that answered where that is another one. So an arm's failures, which name no version, stay
/// with it.
pub(crate) fn arm_of(asked: Option<&str>, answered: Option<&str>) -> Option<String> {
    let arm = match (asked, answered) {
        (Some(asked), Some(answered)) if !is_version_of(answered, asked) => answered,
        (Some(asked), _) => asked,
        (None, answered) => answered?,
    };
    Some(arm.to_owned())
}

/// Whether a name is another's with a date or a number behind it.
pub(crate) fn is_version_of(name: &str, base: &str) -> bool {
    let Some(rest) = name.strip_prefix(base) else {
        return false;
    };
    let is_number = |part: &str| {
        let digits = part.strip_prefix('v').unwrap_or(part);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    rest.is_empty()
        || (rest.starts_with(['-', '@', ':'])
            && rest[1..].split(['-', '@', ':', '.']).all(is_number))
}

/// Escaped NULs in a prompt carry nothing and are left out.
fn without_nul(mut text: String) -> String {
    text.retain(|c| c != '\0');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_model_are_one_arm() {
        for (asked, answered, arm) in [
            ("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o"),
            ("gpt-4o", "gpt-4o-mini", "gpt-4o-mini"),
            ("claude-opus-4", "claude-opus-4@20250514", "claude-opus-4"),
            ("nova-pro", "nova-pro-v1:0", "nova-pro"),
            ("auto", "small", "small"),
            ("small", "small", "small"),
        ] {
            assert_eq!(arm_of(Some(asked), Some(answered)).as_deref(), Some(arm));
        }
        assert_eq!(arm_of(Some("a"), None).as_deref(), Some("a"));
        assert_eq!(arm_of(None, Some("b-1")).as_deref(), Some("b-1"));
        assert_eq!(arm_of(None, None), None);
    }
}
