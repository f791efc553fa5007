//! What the fitted policy and its outcome predictor make of one request.

use std::sync::OnceLock;

use plimsoll::{Context, Prediction, RawContext};
use plimsoll_datasets::NO_TOKENS;

use super::sums::Target;
use super::survey::Survey;
use crate::error::EvidenceError;
use crate::replay::Fitted;

/// Slots of the memo; a power of 2.
const SLOTS: usize = 1 << 16;
/// Slots tried for one context.
const PROBES: usize = 4;
/// Sums that go with a context's scores.
const SUMS: usize = 6;
/// Characters per token, where a log counts no tokens.
const CHARS_PER_TOKEN: usize = 4;

/// Probabilities π(a|x), expected qualities q̂(x, a) and expected costs ĉ(x, a) of every arm.
pub(super) struct Scorer<'s> {
    fitted: &'s Fitted<'s>,
    target: &'s Target,
    tasks: &'s [String],
    arms: usize,
    /// Contexts without text are few: task and tokens. Which of them are kept may depend on
    /// threads, what is kept for one does not.
    memo: Vec<OnceLock<(u64, Vec<f64>)>>,
    /// Column of the compared arms for each arm of the log; `usize::MAX`: not compared.
    pub(super) column: Vec<usize>,
}

/// The scores of one request, shape (3, K) in one piece, and sums of them.
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
        &self.values[2 * self.arms..3 * self.arms]
    }

    /// Σ_a π q̂ and Σ_a π ĉ.
    pub(super) fn expected(&self) -> [f64; 2] {
        let at = 3 * self.arms;
        [self.values[at], self.values[at + 1]]
    }

    /// Σ_a |s_a| h(a) of both sizes of the lower bound and of the upper one, where it is the same
    /// for all rows of a context; else 0.
    pub(super) fn paid(&self) -> [f64; 4] {
        let at = 3 * self.arms + 2;
        std::array::from_fn(|i| self.values[at + i])
    }
}

impl<'s> Scorer<'s> {
    pub(super) fn new(
        fitted: &'s Fitted<'s>,
        survey: &'s Survey,
        target: &'s Target,
    ) -> Result<Self, EvidenceError> {
        if fitted.study.outcome.is_none() {
            return Err(EvidenceError::NotLogged);
        }
        let column = |arm: &String| fitted.study.table.column(arm).unwrap_or(usize::MAX);
        Ok(Self {
            fitted,
            target,
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

    /// The scores of a request without a prompt, if there is room to remember them.
    pub(super) fn remembered(
        &self,
        task: u32,
        tokens: u32,
    ) -> Result<Option<Scores<'_>>, EvidenceError> {
        let arms = self.arms;
        let key = u64::from(task) << 32 | u64::from(tokens);
        let mut slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize % SLOTS;
        for _ in 0..PROBES {
            let kept = if let Some(kept) = self.memo[slot].get() {
                kept
            } else {
                let values = self.compute(task, tokens, None)?;
                self.memo[slot].get_or_init(|| (key, values))
            };
            if kept.0 == key {
                return Ok(Some(Scores {
                    values: &kept.1,
                    arms,
                }));
            }
            slot = (slot + 1) % SLOTS;
        }
        Ok(None)
    }

    /// The scores of a request, held by `scratch`.
    pub(super) fn scores<'v>(
        &self,
        task: u32,
        tokens: u32,
        prompt: Option<&str>,
        scratch: &'v mut Vec<f64>,
    ) -> Result<Scores<'v>, EvidenceError> {
        *scratch = self.compute(task, tokens, prompt)?;
        Ok(Scores {
            values: scratch,
            arms: self.arms,
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
        let mut values = Vec::with_capacity(3 * self.arms + SUMS);
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
        let (probability, rest) = values.split_at(self.arms);
        let (quality, cost) = rest.split_at(self.arms);
        let dot = |x: &[f64]| probability.iter().zip(x).map(|(p, x)| p * x).sum::<f64>();
        let sums = [dot(quality), dot(cost)];
        let paid = self.target.paid_of_context(probability, quality);
        values.extend(sums);
        values.extend(paid);
        Ok(values)
    }
}
