//! Vowpal Wabbit's dsjson: a decision per line, with its label, its actions and the probabilities
//! that they had.

use super::call::{Call, Joins, Skip};
use super::importer::{Importer, Made};
use super::loss::LossLabels;
use super::record::{Record, items};
use super::{ImportError, ImportOptions, fault};
use crate::assemble::Fault;
use crate::column::Column;
use crate::reject::RejectReason;
use crate::row::Cell;

/// Decisions of `cb_explore_adf` and of the services built on it.
#[derive(Default)]
pub(super) struct Dsjson {
    labels: LossLabels,
}

const LOSS: &str = "_label_cost";
const PROBABILITY: &str = "_label_probability";

impl Importer for Dsjson {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        let names = record.names();
        [LOSS, PROBABILITY, "c"]
            .into_iter()
            .all(|name| names.contains(&name))
            .then_some("objects with `_label_cost`, `_label_probability` and `c`")
    }

    fn extras(&self) -> &'static [&'static str] {
        &["loss"]
    }

    fn names_by_place(&self) -> bool {
        true
    }

    fn configure(&mut self, options: &ImportOptions) -> Result<(), ImportError> {
        self.labels = LossLabels::new(options, &[LOSS])?;
        Ok(())
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        // Rewards that arrive apart, checkpoints and the like.
        let Some(context) = record.json("c")? else {
            made.skip(Skip::NotACall);
            return Ok(());
        };
        let (Some(loss), Some(chosen)) = (record.loose_text(LOSS)?, chosen(record)?) else {
            made.skip(Skip::Unlabelled);
            return Ok(());
        };
        record.number(LOSS)?;
        let context = Record::of_json(&context)?;
        let names = arm_names(&context)?;
        let Some(model) = chosen.checked_sub(1).and_then(|index| names.get(index)) else {
            return Err(fault(
                "_label_Action",
                RejectReason::OutOfRange {
                    wanted: "the number of one of the actions in `c._multi`",
                },
            ));
        };
        let id = record.text("EventId")?.unwrap_or_default();
        let mut call = Call::new(id, model.clone());
        // Decisions stand for themselves.
        call.joins = Joins::Nothing;
        call.put(Column::Propensity, record, PROBABILITY)?;
        call.row.timestamp_us = record.time("Timestamp")?;
        call.row.prompt = seen(&context);
        call.label = self.labels.label(&loss, record)?;
        call.keep("loss", Some(loss));
        call.set(Column::Candidates, Cell::Texts(names), "c._multi")?;
        made.calls.push(call);
        Ok(())
    }
}

/// The number of the chosen action, from 1: `_label_Action`, or `_labelIndex` and one.
fn chosen(record: &Record<'_>) -> Result<Option<usize>, Fault> {
    let number = match record.count("_label_Action")? {
        Some(number) => Some(number),
        None => record
            .count("_labelIndex")?
            .map(|index| index.saturating_add(1)),
    };
    Ok(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
}

/// Names of the actions: their tags or ids where all of them have one, or else their numbers.
fn arm_names(context: &Record<'_>) -> Result<Vec<String>, Fault> {
    let json = context.json("_multi")?;
    let json = json.ok_or_else(|| fault("c._multi", RejectReason::Missing))?;
    let actions = items(&json).ok_or_else(|| fault("c._multi", RejectReason::Missing))?;
    let mut told = Vec::with_capacity(actions.len());
    for action in &actions {
        let action = Record::of_json(action)?;
        told.extend(action.first_text(&["_tag", "i.id", "id"])?);
    }
    let mut sorted = told.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == actions.len() {
        return Ok(told);
    }
    Ok((1..=actions.len())
        .map(|number| format!("action-{number}"))
        .collect())
}

/// What a policy sees besides the actions, as it is written; names that begin with `_` are hidden
/// from it.
fn seen(context: &Record<'_>) -> Option<String> {
    let Record::Json(fields) = context else {
        return None;
    };
    let shared: Vec<String> = fields
        .iter()
        .filter(|(name, _)| !name.starts_with('_'))
        .map(|(name, raw)| format!("{name}: {}", raw.get()))
        .collect();
    (!shared.is_empty()).then(|| shared.join(", "))
}
