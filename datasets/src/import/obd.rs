//! The Open Bandit Dataset: an impression per row, with the propensity that the logging policy
//! had for its item at its position.

use super::call::{Call, Joins};
use super::importer::{Importer, Made, Role};
use super::record::Record;
use super::{ImportError, ImportOptions, QualityFrom, fault};
use crate::assemble::Fault;
use crate::column::Column;
use crate::reject::RejectReason;
use crate::row::Cell;

/// Impressions of one campaign: campaigns number their items alike, so that only one is read.
#[derive(Default)]
pub(super) struct Obd {
    /// How many affinities the first row has, one per item of its campaign.
    items: Option<usize>,
}

/// Names that the propensity has had.
const PROPENSITY: [&str; 2] = ["propensity_score", "action_prob"];
const AFFINITY: [&str; 2] = ["user-item_affinity_", "user_item_affinity_"];
const USER_FEATURES: [&str; 4] = [
    "user_feature_0",
    "user_feature_1",
    "user_feature_2",
    "user_feature_3",
];

impl Importer for Obd {
    fn signature(&self, record: &Record<'_>) -> Option<&'static str> {
        let names = record.names();
        let has = |name: &str| names.contains(&name);
        if has("item_id") && has("item_feature_0") && !has("click") {
            return Some("rows with `item_id` and `item_feature_0`: the items of a campaign");
        }
        (["item_id", "position", "click"].into_iter().all(has) && PROPENSITY.into_iter().any(has))
            .then_some("rows with `item_id`, `position`, `click` and a propensity")
    }

    fn role(&self, record: &Record<'_>) -> Role {
        let names = record.names();
        // `item_context.csv` describes items and holds no impressions.
        if names.contains(&"item_feature_0") && !names.contains(&"click") {
            Role::Side
        } else {
            Role::Calls
        }
    }

    fn extras(&self) -> &'static [&'static str] {
        &USER_FEATURES
    }

    fn names_by_place(&self) -> bool {
        true
    }

    fn configure(&mut self, options: &ImportOptions) -> Result<(), ImportError> {
        let is_click = |from: &QualityFrom| *from == QualityFrom::Expression("click".to_owned());
        if options.join.is_some() || options.quality.as_ref().is_none_or(is_click) {
            return Ok(());
        }
        Err(ImportError::Option {
            what: "the Open Bandit Dataset has one outcome: the click".to_owned(),
            help: "leave --quality out, or --join labels of your own".to_owned(),
        })
    }

    fn begin(&mut self, record: &Record<'_>) -> Result<(), ImportError> {
        self.items = Some(affinities(record).len());
        Ok(())
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let affinities = affinities(record);
        if let Some(wanted) = self.items
            && wanted != affinities.len()
        {
            return Err(Fault::new(RejectReason::FieldCount {
                got: affinities.len(),
                wanted,
            })
            .in_column("user-item_affinity"));
        }
        let item = record.need("item_id")?;
        let mut call = Call::new(String::new(), format!("item-{item}"));
        // Impressions are decisions of their own: nothing joins them.
        call.joins = Joins::Nothing;
        if record.first(&PROPENSITY).is_none() {
            return Err(fault(PROPENSITY[0], RejectReason::Missing));
        }
        call.put_first(Column::Propensity, record, &PROPENSITY)?;
        call.label = record.loose_text("click")?;
        call.row.timestamp_us = record.time("timestamp")?;
        // The propensity is that of the item at this position, so the position is part of what a
        // policy knows.
        let position = record.count("position")?;
        call.row.task = position.map(|position| format!("position-{position}"));
        if !affinities.is_empty() {
            let mut features = Vec::with_capacity(affinities.len());
            for (_, name) in affinities {
                let value = record.number(name)?;
                let value = value.ok_or_else(|| fault(name, RejectReason::Missing))?;
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "features are single precision in the log"
                )]
                features.push(value as f32);
            }
            call.set(Column::Embedding, Cell::Numbers(features), AFFINITY[0])?;
        }
        for name in USER_FEATURES {
            call.keep(name, record.loose_text(name)?);
        }
        made.calls.push(call);
        Ok(())
    }
}

/// The affinities of the user to the items, in the order of the items.
fn affinities<'n>(record: &'n Record<'_>) -> Vec<(u32, &'n str)> {
    let number = |name: &str| {
        let digits = AFFINITY.iter().find_map(|prefix| name.strip_prefix(prefix));
        digits.and_then(|digits| digits.parse().ok())
    };
    let mut found: Vec<(u32, &str)> = record
        .names()
        .into_iter()
        .filter_map(|name| Some((number(name)?, name)))
        .collect();
    found.sort_unstable();
    found
}
