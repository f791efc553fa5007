//! Two-sided intervals of quality, cost and savings where only served answers are known: by what
//! the data are, not by habit.

use crate::bounds::Looks;
use crate::evaluation::{Interval, IntervalChoice};
use crate::intervals::{
    Choice, Chosen, Method, Purpose, Question, Sample, WeightedRewards, choose, interval,
};
use crate::judge::{Clusters, Paired};
use crate::replay::{Baseline, Judged};
use crate::study::{LoggedSide, Study};
use crate::weighed::Weighed;

/// How many times the dearest answer of the training rows an answer is taken to cost at most.
/// Bounds that hold at any number of rows need such an end, and no log records it.
pub(crate) const DEAREST: f64 = 2.0;

/// Replaces the resampled intervals of `paired` where they would not cover, and says what was
/// chosen for each and why; nothing where every answer is known.
pub(crate) fn describe(
    study: &Study<'_>,
    judged: &Judged,
    paired: &mut Paired,
) -> Vec<IntervalChoice> {
    let Some(logged) = &study.test.logged else {
        return Vec::new();
    };
    let arm = match judged.against {
        Baseline::Arm(arm) => Some(arm),
        Baseline::Logged => None,
    };
    let describer = Describer {
        study,
        judged,
        logged,
        arm,
        clusters: &study.test.clusters,
    };
    let mut choices = describer.quality(paired);
    choices.extend(describer.costs(paired));
    choices
}

struct Describer<'a> {
    study: &'a Study<'a>,
    judged: &'a Judged,
    logged: &'a LoggedSide,
    /// The baseline's arm; `None`: what the log did.
    arm: Option<usize>,
    clusters: &'a Clusters,
}

impl Describer<'_> {
    fn question(&self) -> Question {
        Question {
            purpose: Purpose::Description,
            confidence: self.judged.confidence,
            looked_before: false,
            bootstrap: self.judged.bootstrap,
        }
    }

    fn quality(&self, paired: &mut Paired) -> Vec<IntervalChoice> {
        let probabilities = &self.judged.probabilities;
        let rows: Vec<usize> = (0..self.study.test.rows.len()).collect();
        let of = |arm| Weighed::quality(self.study, self.logged, probabilities, arm, &rows);
        let scores = self.judged.play.quality.to_vec();
        let alone = of(None);
        let quality = self.value(&alone, &scores);
        widen(&mut paired.quality, quality.bound, [0.0, 1.0]);
        if !is_asymptotic(quality.choice.method) {
            let change = self.change(of(self.arm).view(self.clusters));
            widen(&mut paired.quality_change, change, [-1.0, 1.0]);
        }
        vec![entry("quality", quality.choice, "")]
    }

    fn costs(&self, paired: &mut Paired) -> Vec<IntervalChoice> {
        let probabilities = &self.judged.probabilities;
        let most = self.dearest();
        let side = &self.study.test;
        let of = |arm| Weighed::cost(self.study, side, self.logged, probabilities, arm, most);
        let (policy, baseline) = (
            self.judged.play.cost.to_vec(),
            self.judged.baseline.cost.to_vec(),
        );
        let alone = of(None);
        let shares: Vec<f64> = policy.iter().map(|cost| cost / most).collect();
        let cost = self.value(&alone, &shares);
        let bound = cost.bound.map(|share| scaled(share, most));
        widen(&mut paired.cost_usd, bound, [0.0, most]);

        let against = of(self.arm);
        let sample = Sample::ValueRatio {
            rewards: against.view(self.clusters),
            terms: Some([&policy, &baseline]),
        };
        let choice = choose(&sample.facts(&self.question()));
        // The asymptotic interval of a ratio is the bootstrap that `paired` holds already.
        if choice.method != Method::ClusterBootstrap {
            let ratio = interval(&sample, &self.question()).bound;
            let saved = ratio.map(|ratio| Interval {
                point: 1.0 - ratio.point,
                low: 1.0 - ratio.high,
                high: 1.0 - ratio.low,
            });
            let change = (choice.method != Method::Refused)
                .then(|| self.change(against.view(self.clusters)))
                .flatten();
            let usd = change.map(|change| scaled(change, -most));
            let savings = &mut paired.savings;
            widen(&mut savings.fraction, saved, [SAVED_LEAST, 1.0]);
            widen(&mut savings.usd, usd, [-most, most]);
        }
        let range = format!(
            "; no answer is taken to cost more than {most:.6} USD, {DEAREST} \
             times the dearest before"
        );
        let note = |choice: Choice| {
            if choice.method.is_finite_sample() {
                range.clone()
            } else {
                String::new()
            }
        };
        vec![
            entry("cost", cost.choice, &note(cost.choice)),
            entry("savings", choice, &note(choice)),
        ]
    }

    fn value(&self, weighed: &Weighed, terms: &[f64]) -> Chosen<Interval> {
        let sample = Sample::Value {
            rewards: weighed.view(self.clusters),
            terms: Some(terms),
        };
        interval(&sample, &self.question())
    }

    /// Finite-sample bounds on the policy's mean minus the baseline's.
    fn change(&self, rows: WeightedRewards<'_>) -> Option<Interval> {
        let tail = (1.0 - self.judged.confidence) / 2.0;
        let (low, high) = if self.arm.is_some() {
            (
                rows.margin_lower(1.0, tail, Looks::Once)?,
                rows.margin_upper(1.0, tail, Looks::Once)?,
            )
        } else {
            rows.change_from_log(tail, Looks::Once)?
        };
        Some(Interval {
            point: f64::midpoint(low, high),
            low,
            high,
        })
    }

    /// The largest cost that an answer is taken to have, in US dollars, above 0.
    fn dearest(&self) -> f64 {
        let most = |side: Option<&LoggedSide>| {
            side.map_or(0.0, |side| {
                side.served.cost.iter().copied().fold(0.0, f64::max)
            })
        };
        let before = DEAREST * most(self.study.train.logged.as_ref());
        let most = before.max(most(Some(self.logged)));
        if most > 0.0 { most } else { 1.0 }
    }
}

/// Savings of a policy that costs five times as much: further the search for a bound does not go.
const SAVED_LEAST: f64 = -4.0;

pub(crate) fn is_asymptotic(method: Method) -> bool {
    matches!(method, Method::ClusterNormal | Method::ClusterBootstrap)
}

fn entry(quantity: &str, choice: Choice, note: &str) -> IntervalChoice {
    IntervalChoice {
        quantity: quantity.to_owned(),
        method: choice.method.name().to_owned(),
        reason: format!("{}{note}", choice.reason),
    }
}

/// An interval times a factor, which may be negative.
fn scaled(of: Interval, by: f64) -> Interval {
    let (a, b) = (of.low * by, of.high * by);
    Interval {
        point: of.point * by,
        low: a.min(b),
        high: a.max(b),
    }
}

/// The new ends, or the whole range without any, around the old point.
fn widen(old: &mut Interval, new: Option<Interval>, range: [f64; 2]) {
    let [low, high] = new.map_or(range, |new| [new.low, new.high]);
    old.low = low.min(old.point);
    old.high = high.max(old.point);
}
