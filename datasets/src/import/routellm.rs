//! `RouteLLM`'s benchmark tables: a prompt, and for each of two models whether it was right, or
//! its score.

use super::call::{Call, Joins, Skip};
use super::importer::{Importer, Made};
use super::record::Record;
use super::routerbench::own_scores;
use super::{ImportError, ImportOptions, fault};
use crate::assemble::Fault;
use crate::reject::RejectReason;

/// Tables of two models.
pub(super) struct Routellm;

/// Columns that are no model: what pandas calls an index, and answers.
const INDEX: [&str; 3] = ["", "index", "Unnamed: 0"];
const RESPONSE: &str = "_response";

impl Importer for Routellm {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        let names = record.names();
        let models = models(&names);
        let [one, other] = models.as_slice() else {
            return None;
        };
        if !names.contains(&"prompt") {
            return None;
        }
        // Numbers could be anything; Python's booleans, or answers beside them, are its own.
        let is_truth = |model: &str| {
            let value = record.loose_text(model).ok().flatten();
            value.is_some_and(|value| matches!(value.as_str(), "True" | "False"))
        };
        let has_answer = |model: &str| names.contains(&format!("{model}{RESPONSE}").as_str());
        ((is_truth(one) && is_truth(other)) || (has_answer(one) && has_answer(other)))
            .then_some("a `prompt` and two models, each True or False or with its answer beside it")
    }

    fn extras(&self) -> &'static [&'static str] {
        &[]
    }

    fn names_by_place(&self) -> bool {
        true
    }

    fn configure(&mut self, options: &ImportOptions) -> Result<(), ImportError> {
        own_scores(options, "the columns named after the two models")
    }

    fn begin(&mut self, record: &Record<'_>) -> Result<(), ImportError> {
        let names = record.names();
        let models = models(&names);
        if names.contains(&"prompt") && models.len() == 2 {
            return Ok(());
        }
        Err(ImportError::Option {
            what: format!(
                "RouteLLM's tables have a `prompt` and two models; this one has {} columns that \
                 may be models",
                models.len()
            ),
            help: "leave other columns out; for more models use RouterBench's columns, or a row \
                   per model and --from table"
                .to_owned(),
        })
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let names = record.names();
        let models = models(&names);
        if models.len() != 2 {
            return Err(Fault::new(RejectReason::FieldCount {
                got: models.len(),
                wanted: 2,
            }));
        }
        let prompt = record.need("prompt")?;
        for model in models {
            let Some(result) = record.loose_text(model)? else {
                made.skip(Skip::NotAsked);
                continue;
            };
            let result = match result.trim() {
                "True" | "TRUE" => "true",
                "False" | "FALSE" => "false",
                other => other,
            };
            if result.parse::<bool>().is_err() && result.parse::<f64>().is_err() {
                return Err(fault(
                    model,
                    RejectReason::WrongType {
                        got: "a text",
                        wanted: "True, False or a score",
                    },
                ));
            }
            let mut call = Call::new(String::new(), model.to_owned());
            call.joins = Joins::Nothing;
            call.label = Some(result.to_owned());
            call.row.prompt = Some(prompt.clone());
            made.calls.push(call);
        }
        Ok(())
    }
}

/// The columns that are models.
fn models<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let is_answer = |name: &str| {
        name.strip_suffix(RESPONSE)
            .is_some_and(|model| names.contains(&model))
    };
    let is_model = |name: &&&str| **name != "prompt" && !INDEX.contains(name) && !is_answer(name);
    names.iter().filter(is_model).copied().collect()
}
