//! What the fitted policy and its outcome predictor make of one request.

use std::sync::OnceLock;

use plimsoll::{Context, Prediction, RawContext};
use plimsoll_datasets::NO_TOKENS;

use super::survey::Survey;
use crate::error::EvidenceError;
use crate::replay::Fitted;

/// Slots of the memo; a power of 2.
const SLOTS: usize = 1 << 16;
/// Slots tried for one context.
const PROBES: usize = 4;
/// Characters per token, where a log counts no tokens.
const CHARS_PER_TOKEN: usize = 4;

/// Probabilities π(a|x), expected qualities q̂(x, a) and expected costs ĉ(x, a) of every arm.
pub(super) struct Scorer<'s> {
    fitted: &'s Fitted<'s>,
    tasks: &'s [String],
    arms: usize,
    /// Contexts without text are few: task and tokens. Which of them are kept may depend on
    /// threads, what is kept for one does not.
    memo: Vec<OnceLock<(u64, Vec<f64>)>>,
    /// Column of the compared arms for each arm of the log; `usize::MAX`: not compared.
    pub(super) column: Vec<usize>,
}

/// The scores of one request, shape (3, K) in one piece.
pub(super) struct Scores<'v> {
    values: &'v [f64],
    arms: usize,
}

impl<'v> Scores<'v> {
    /// π, shape (K).
    pub(super) fn probability(&self) -> &'v [f64] {
        &self.values[..self.arms]
    }

    /// q̂, shape (K).
    pub(super) fn quality(&self) -> &'v [f64] {
        &self.values[self.arms..2 * self.arms]
    }

    /// ĉ in US dollars, shape (K).
    pub(super) fn cost(&self) -> &'v [f64] {
        &self.values[2 * self.arms..]
    }
}

impl<'s> Scorer<'s> {
    pub(super) fn new(fitted: &'s Fitted<'s>, survey: &'s Survey) -> Result<Self, EvidenceError> {
        if fitted.study.outcome.is_none() {
            return Err(EvidenceError::NotLogged);
        }
        let column = |arm: &String| fitted.study.table.column(arm).unwrap_or(usize::MAX);
        Ok(Self {
            fitted,
            tasks: &survey.tasks,
            arms: fitted.study.table.arms.len(),
            memo: (0..SLOTS).map(|_| OnceLock::new()).collect(),
            column: survey.arms.iter().map(column).collect(),
        })
    }

    /// Compared arms, K.
    pub(super) const fn arms(&self) -> usize {
        self.arms
    }

    /// The scores of a request; `scratch` holds those that are not remembered.
    pub(super) fn scores<'v>(
        &'v self,
        task: u32,
        tokens: u32,
        prompt: Option<&str>,
        scratch: &'v mut Vec<f64>,
    ) -> Result<Scores<'v>, EvidenceError> {
        let arms = self.arms;
        if prompt.is_none() {
            let key = u64::from(task) << 32 | u64::from(tokens);
            let mut slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize % SLOTS;
            for _ in 0..PROBES {
                if let Some((found, values)) = self.memo[slot].get() {
                    if *found == key {
                        return Ok(Scores { values, arms });
                    }
                } else {
                    let values = self.compute(task, tokens, None)?;
                    let (found, values) = self.memo[slot].get_or_init(|| (key, values));
                    if *found == key {
                        return Ok(Scores { values, arms });
                    }
                }
                slot = (slot + 1) % SLOTS;
            }
        }
        *scratch = self.compute(task, tokens, prompt)?;
        Ok(Scores {
            values: scratch,
            arms,
        })
    }

    fn compute(
        &self,
        task: u32,
        tokens: u32,
        prompt: Option<&str>,
    ) -> Result<Vec<f64>, EvidenceError> {
        let study = &self.fitted.study;
        let counted = (tokens != NO_TOKENS).then_some(u64::from(tokens));
        let raw = RawContext {
            text: prompt,
            task: self.tasks.get(task as usize).map(String::as_str),
            input_tokens: counted.or_else(|| prompt.map(|p| (p.len() / CHARS_PER_TOKEN) as u64)),
            embedding: None,
        };
        let context: Context = study
            .features
            .map(&raw)
            .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
        let distribution = self
            .fitted
            .router
            .distribution(&context)
            .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
        let mut values = Vec::with_capacity(3 * self.arms);
        values.extend_from_slice(distribution.probabilities());
        let (predictor, calibration) = study
            .outcome
            .as_ref()
            .expect("a scorer is made for a study with an outcome predictor");
        let mut predictions: Vec<Prediction> = Vec::with_capacity(self.arms);
        predictor
            .predict(&context, &mut predictions)
            .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
        for (arm, prediction) in predictions.iter().enumerate() {
            let calibrated = calibration.get(arm).map(|c| c.apply(prediction.mean));
            values.push(calibrated.unwrap_or(prediction.mean));
        }
        let mut costs = Vec::with_capacity(self.arms);
        study.costs.expected_all(&context, &mut costs);
        values.extend(
            costs
                .into_iter()
                .map(|cost| cost.expect("compared arms have recorded costs")),
        );
        Ok(values)
    }
}
