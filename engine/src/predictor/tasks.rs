//! One mean per arm and task, shrunk to the arm's own mean: the per-task table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::arrival::Belief;
use super::tally::Tally;
use super::{Prediction, PredictorConfig, TrainingRows, share};
use crate::context::Context;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tasks {
    /// Per task, one tally per arm, shape (K).
    cells: BTreeMap<String, Vec<Tally>>,
    arms: Vec<Tally>,
}

impl Tasks {
    pub(super) fn prior(arms: usize) -> Self {
        Self {
            cells: BTreeMap::new(),
            arms: vec![Tally::default(); arms],
        }
    }

    pub(super) fn fit(config: &PredictorConfig, rows: &TrainingRows<'_>) -> Self {
        let mut tasks = Self::prior(rows.arms);
        for (row, context) in rows.contexts.iter().enumerate() {
            let labels = &rows.quality[row * rows.arms..(row + 1) * rows.arms];
            for (arm, quality) in labels.iter().enumerate() {
                if let Some(quality) = quality {
                    tasks.update(config, context, arm, *quality, rows.weight(row));
                }
            }
        }
        tasks
    }

    pub(super) fn predict(
        &self,
        config: &PredictorConfig,
        context: &Context,
        out: &mut Vec<Prediction>,
    ) {
        let cells = context.task.as_ref().and_then(|task| self.cells.get(task));
        for (arm, all) in self.arms.iter().enumerate() {
            let own = all.posterior(config.prior_mean, config.prior_strength);
            let near = cells
                .map(|cells| cells[arm])
                .filter(|cell| *cell != Tally::default());
            out.push(near.map_or(own, |cell| cell.posterior(own.mean, config.shrink)));
        }
    }

    pub(super) fn update(
        &mut self,
        config: &PredictorConfig,
        context: &Context,
        arm: usize,
        r: f64,
        weight: f64,
    ) {
        if config.forgetting < 1.0 {
            // Every cell of the arm ages with the arm, not only the one that learns.
            self.cells
                .values_mut()
                .for_each(|cells| cells[arm].decay(config.forgetting));
        }
        if let Some(task) = &context.task {
            let arms = self.arms.len();
            let cells = self
                .cells
                .entry(task.clone())
                .or_insert_with(|| vec![Tally::default(); arms]);
            cells[arm].push(1.0, r, weight);
        }
        self.arms[arm].push(config.forgetting, r, weight);
    }

    pub(super) fn discount_to(&mut self, outcomes: f64) {
        for (arm, all) in self.arms.iter_mut().enumerate() {
            let share = share(outcomes, all.weight());
            all.decay(share);
            self.cells
                .values_mut()
                .for_each(|row| row[arm].decay(share));
        }
    }

    pub(super) fn add_arm(&mut self, belief: &Belief) {
        let (tally, share) = belief.tally(|like| self.arms[like]);
        self.arms.push(tally);
        for cells in self.cells.values_mut() {
            let cell = belief.like.map(|like| cells[like].times(share));
            cells.push(cell.unwrap_or_default());
        }
    }

    pub(super) fn is_sound(&self, arms: usize) -> bool {
        self.arms.len() == arms
            && self.arms.iter().all(Tally::is_sound)
            && self
                .cells
                .values()
                .all(|c| c.len() == arms && c.iter().all(Tally::is_sound))
    }
}
