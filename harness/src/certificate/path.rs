//! The path: every predictor, rule and threshold, compared on the choose part, and those worth
//! testing in the order of their safety.

use ndarray::{Array1, Array2, Axis};
use plimsoll::{DELTA, RuleKind};
use rayon::prelude::*;

use super::record::{LookedAt, TestedPolicy};
use crate::candidate::Candidate;
use crate::judge::Clusters;
use crate::promise::{Line, Play, margin_bound, mean};
use crate::study::Study;
use crate::tune::{Expected, Setting, Tuned, lambda_grid, play};

/// Most policies of a path.
pub const STEPS_MAX: usize = 50;
/// Least saving from one policy of a path to the next, as a share of the baseline's cost.
pub const STEP_SAVING: f64 = 0.01;
/// Settings of τ in [0, 1].
const TAU_STEPS: u32 = 100;
/// Shares of requests that stay with the anchor arm.
const ANCHORED: [f64; 5] = [0.0, 0.2, 0.4, 0.6, 0.8];
/// Standard errors below the line at which a policy is not worth a test.
const HOPELESS: f64 = 2.0;

/// One policy of the path.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Index of its predictor.
    pub(super) candidate: usize,
    pub(super) rule: RuleKind,
    pub(super) tuned: Tuned,
    /// Mean cost on the choose part.
    pub(super) cost: f64,
    /// Mean margin on the choose part.
    pub(super) margin: f64,
    /// The lower bound that the certify part may be expected to give.
    safety: f64,
}

/// Policies from the safest to the cheapest.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
    pub(super) looked_at: LookedAt,
}

/// What the comparison needs to know of the choose part.
pub(super) struct Choosing<'s, 'a> {
    pub(super) study: &'s Study<'a>,
    /// Rows of the evaluated side.
    pub(super) rows: &'s [usize],
    pub(super) line: Line,
    /// The arm to fall back on.
    pub(super) anchor: usize,
    pub(super) rules: &'s [RuleKind],
    pub(super) cost_scale: f64,
    /// Standard errors of the choose part's mean that a bound on the certify part is wide.
    pub(super) z: f64,
    /// Mean cost of the baseline there.
    pub(super) baseline_cost: f64,
}

/// The choose part as plain arrays.
struct Rows {
    quality: Array2<f64>,
    cost: Array2<f64>,
    expected_cost: Array2<f64>,
    line: Array1<f64>,
    clusters: Clusters,
}

impl Choosing<'_, '_> {
    /// Compares everything and keeps the path.
    ///
    /// Of all policies, those that no cheaper policy equals in safety are kept, where safety is
    /// the lower bound to be expected on the certify part; of these, those at least
    /// [`STEP_SAVING`] apart, at most [`STEPS_MAX`]. Outcomes of the certify part have no say.
    pub(super) fn path(&self, candidates: &[Candidate]) -> Path {
        let rows = self.rows();
        let mut all = self.arms(&rows);
        let tried = (candidates.len() * self.rules.len()) as u64;
        let of_candidates: Vec<Vec<Step>> = (0..candidates.len())
            .map(|index| self.settings(&rows, index, &candidates[index]))
            .collect();
        all.extend(of_candidates.into_iter().flatten());
        let policies = all.len() as u64;
        let steps = self.thin(Self::pareto(all));
        Path {
            looked_at: LookedAt {
                predictors: candidates.len() as u64,
                rules: tried / (candidates.len() as u64).max(1),
                policies,
                sequence: steps.len() as u64,
                tested: 0,
            },
            steps,
        }
    }

    fn rows(&self) -> Rows {
        let side = &self.study.test;
        let quality = side.quality.select(Axis(0), self.rows);
        Rows {
            line: self.line.per_request(&quality),
            cost: side.cost.select(Axis(0), self.rows),
            expected_cost: side.expected_cost.select(Axis(0), self.rows),
            clusters: Clusters::of_rows(&side.clusters.of, self.rows),
            quality,
        }
    }

    /// Single arms, and each mixed with the anchor arm.
    fn arms(&self, rows: &Rows) -> Vec<Step> {
        let arm_play = |arm: usize| Play {
            quality: rows.quality.column(arm).to_owned(),
            cost: rows.cost.column(arm).to_owned(),
        };
        let anchor = arm_play(self.anchor);
        (0..rows.quality.ncols())
            .flat_map(|arm| {
                let own = arm_play(arm);
                let setting = Setting::Arm(arm);
                self.mixes(rows, 0, RuleKind::AverageFloor, setting, &own, &anchor)
            })
            .collect()
    }

    fn settings(&self, rows: &Rows, index: usize, candidate: &Candidate) -> Vec<Step> {
        let quality = candidate.test.select(Axis(0), self.rows);
        let variance = candidate.test_variance.select(Axis(0), self.rows);
        let expected = Expected {
            quality: quality.view(),
            variance: variance.view(),
            cost: rows.expected_cost.view(),
        };
        let anchor = Play {
            quality: rows.quality.column(self.anchor).to_owned(),
            cost: rows.cost.column(self.anchor).to_owned(),
        };
        let settings: Vec<(RuleKind, Setting)> = self
            .rules
            .iter()
            .flat_map(|rule| grid(*rule).into_iter().map(|setting| (*rule, setting)))
            .collect();
        settings
            .par_iter()
            .flat_map_iter(|(rule, setting)| {
                let probabilities = setting.probabilities(&expected, self.cost_scale);
                let own = play(&probabilities, rows.quality.view(), rows.cost.view());
                self.mixes(rows, index, *rule, *setting, &own, &anchor)
            })
            .collect()
    }

    /// A setting, and shares of it with the anchor arm for the rest.
    fn mixes(
        &self,
        rows: &Rows,
        candidate: usize,
        rule: RuleKind,
        setting: Setting,
        own: &Play,
        anchor: &Play,
    ) -> Vec<Step> {
        // One request is decided by one threshold: the per-request floor is never mixed.
        let shares = match setting {
            Setting::Tau { .. } => &ANCHORED[..1],
            Setting::Arm(arm) if arm == self.anchor => &ANCHORED[..1],
            _ => &ANCHORED[..],
        };
        shares
            .iter()
            .map(|&kept| {
                let share = 1.0 - kept;
                let mixed = Play {
                    quality: &own.quality * share + &anchor.quality * kept,
                    cost: &own.cost * share + &anchor.cost * kept,
                };
                let (cost, margin) = (
                    mean(mixed.cost.view()),
                    mean(mixed.quality.view()) - mean(rows.line.view()),
                );
                let Clusters { of, count } = &rows.clusters;
                let other = if kept > 0.0 {
                    Setting::Arm(self.anchor)
                } else {
                    setting
                };
                Step {
                    candidate,
                    rule,
                    tuned: Tuned {
                        setting,
                        share,
                        other,
                        cost,
                        margin,
                    },
                    cost,
                    margin,
                    safety: margin_bound(&mixed, &rows.line, of, *count, self.z),
                }
            })
            .collect()
    }

    /// Those that no cheaper policy equals in safety, safest first; equals keep their order.
    fn pareto(mut all: Vec<Step>) -> Vec<Step> {
        all.sort_by(|a, b| {
            a.cost
                .total_cmp(&b.cost)
                .then(b.safety.total_cmp(&a.safety))
        });
        let mut kept: Vec<Step> = Vec::new();
        for step in all {
            let safest = kept.last().map_or(f64::NEG_INFINITY, |s| s.safety);
            if step.safety > safest {
                kept.push(step);
            }
        }
        kept.reverse();
        kept
    }

    /// Drops steps that save next to nothing, and hopeless ones at the cheap end.
    fn thin(&self, path: Vec<Step>) -> Vec<Step> {
        let hopeless = |step: &Step| {
            let error = (step.margin - step.safety) / self.z;
            step.margin + HOPELESS * error < 0.0
        };
        let mut kept: Vec<Step> = Vec::new();
        for step in path {
            let far = kept
                .last()
                .is_none_or(|last| last.cost - step.cost >= STEP_SAVING * self.baseline_cost);
            if kept.is_empty() || (far && !hopeless(&step)) {
                kept.push(step);
            }
        }
        let last = kept.len() - 1;
        if kept.len() > STEPS_MAX {
            kept = (0..STEPS_MAX)
                .map(|i| kept[i * last / (STEPS_MAX - 1)].clone())
                .collect();
        }
        kept
    }
}

fn grid(rule: RuleKind) -> Vec<Setting> {
    match rule {
        RuleKind::PerRequestFloor => (0..=TAU_STEPS)
            .map(|i| Setting::Tau {
                tau: f64::from(i) / f64::from(TAU_STEPS),
                delta: DELTA,
            })
            .collect(),
        _ => lambda_grid().into_iter().map(Setting::Lambda).collect(),
    }
}

impl Step {
    /// The policy in words.
    pub(super) fn describe(&self, study: &Study<'_>, candidates: &[Candidate]) -> TestedPolicy {
        let arm = |column: usize| study.table.arms[column].to_string();
        let kept = match (self.tuned.other, self.tuned.share < 1.0) {
            (Setting::Arm(anchor), true) => {
                format!(
                    ", {:.0} % kept on {}",
                    (1.0 - self.tuned.share) * 100.0,
                    arm(anchor)
                )
            }
            _ => String::new(),
        };
        let predictor = &candidates[self.candidate].name;
        let (name, predictor) = match self.tuned.setting {
            Setting::Arm(only) if kept.is_empty() => (format!("always {}", arm(only)), "none"),
            Setting::Arm(first) => (format!("{}{kept}", arm(first)), "none"),
            Setting::Lambda(lambda) => (
                format!("{}, {predictor}, λ = {lambda:.2}{kept}", self.rule),
                predictor.as_str(),
            ),
            Setting::Tau { tau, delta } => (
                format!("{}, {predictor}, τ = {tau:.2}, δ = {delta}", self.rule),
                predictor.as_str(),
            ),
        };
        TestedPolicy {
            name,
            predictor: predictor.to_owned(),
            rule: self.rule.to_string(),
        }
    }

    /// Probabilities on the whole evaluated side, shape (n, K).
    pub(super) fn probabilities(
        &self,
        study: &Study<'_>,
        candidates: &[Candidate],
        cost_scale: f64,
    ) -> Array2<f64> {
        let expected = candidates[self.candidate].on_test(study);
        self.tuned.probabilities(&expected, cost_scale)
    }
}
