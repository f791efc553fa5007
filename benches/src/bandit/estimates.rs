//! Every estimator on one draw.

use std::error::Error;
use std::fmt;

use ndarray::{Array2, Axis};
use plimsoll_harness::bootstrap::Bootstrap;
use plimsoll_harness::intervals::{
    Baseline, Predictions, Purpose, Question, Sample, WeightedRewards, interval,
};
use plimsoll_harness::ope::{
    Estimate, Estimator, Family, LoggedRow, OutcomeRows, SavingsAccumulator, tune,
};

use super::{Draw, Outcome, Population};

/// Confidence of every interval, two-sided.
const CONFIDENCE: f64 = 0.95;
/// Resamples where one is a bootstrap.
const RESAMPLES: usize = 1000;
/// Normal quantile of such an interval.
const Z: f64 = 1.959_963_984_540_054;

/// How a value is estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// An estimator without a setting.
    Plain(Estimator),
    /// A family whose setting is chosen for each half of the rows on the other half.
    Tuned(Family, tune::Rule),
    /// The doubly robust estimate with the interval that is chosen by what the data are: Student's
    /// t or a bootstrap, or bets on weighted outcomes where the sample is too thin for it.
    Chosen,
}

/// A point and its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The estimate.
    pub point: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A draw as estimators see it.
pub(crate) struct Logged<'a> {
    pub(crate) rows: Vec<OutcomeRows>,
    draw: &'a Draw,
    /// q̂ and ĉ, shape (n, K).
    predicted: &'a Array2<f64>,
    predicted_cost: &'a Array2<f64>,
    /// The baseline's column.
    baseline: usize,
    /// π, shape (n, K).
    pub(crate) target: Array2<f64>,
    /// The logging policy, shape (n, K).
    logging: Array2<f64>,
}

impl Method {
    /// Replay, IPS, SNIPS, DM, DR and SNDR; clipped IPS, Switch-DR and DRos, tuned.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let slope = tune::Rule::Slope { delta: tune::DELTA };
        let mse = tune::Rule::Mse {
            bias: tune::MseBound::Estimated,
        };
        vec![
            Self::Plain(Estimator::Replay),
            Self::Plain(Estimator::Ips),
            Self::Tuned(Family::ClippedIps, slope),
            Self::Plain(Estimator::Snips),
            Self::Plain(Estimator::Dm),
            Self::Plain(Estimator::Dr),
            Self::Chosen,
            Self::Plain(Estimator::Sndr),
            Self::Tuned(Family::SwitchDr, slope),
            Self::Tuned(Family::Dros, slope),
            Self::Tuned(Family::SwitchDr, mse),
            Self::Tuned(Family::Dros, mse),
        ]
    }

    /// Whether its expectation is the exact value, or tends to it as rows grow, when propensities
    /// are right.
    #[must_use]
    pub const fn is_consistent(self) -> bool {
        matches!(
            self,
            Self::Plain(Estimator::Ips | Estimator::Snips | Estimator::Dr | Estimator::Sndr)
        )
    }

    /// Quality, cost and savings of one draw; `None` where there is no estimate.
    ///
    /// # Errors
    /// When a row cannot be used.
    pub(crate) fn estimate(
        self,
        logged: &Logged<'_>,
    ) -> Result<[Option<Figure>; 3], Box<dyn Error>> {
        let estimate = match self {
            Self::Chosen => return Ok(logged.chosen_intervals()),
            Self::Plain(estimator) => {
                let mut sums = SavingsAccumulator::new(estimator);
                logged.rows.iter().for_each(|row| sums.push(row));
                sums.estimate()
            }
            Self::Tuned(family, rule) => {
                let mut sums = SavingsAccumulator::new(Estimator::Ips);
                for row in tuned_terms(family, rule, &logged.rows, &logged.draw.half)? {
                    sums.push(&row);
                }
                sums.estimate()
            }
        };
        let figure = |value: Estimate| {
            let half = Z * value.standard_error?;
            Some(Figure {
                point: value.point,
                low: value.point - half,
                high: value.point + half,
            })
        };
        Ok(estimate.map_or([None; 3], |e| {
            [
                figure(e.quality),
                figure(e.cost),
                e.savings.and_then(figure),
            ]
        }))
    }
}

/// Rows that each hold their term of the mean, by settings that the other half chose.
fn tuned_terms(
    family: Family,
    rule: tune::Rule,
    rows: &[OutcomeRows],
    half: &[bool],
) -> Result<Vec<OutcomeRows>, Box<dyn Error>> {
    let streams: [fn(&OutcomeRows) -> LoggedRow; 3] =
        [|row| row.quality, |row| row.cost, |row| row.baseline_cost];
    let mut terms: [Vec<LoggedRow>; 3] = Default::default();
    for (stream, terms) in streams.iter().zip(&mut terms) {
        let mut by_half = [Estimator::Dr; 2];
        for side in [false, true] {
            let others: Vec<LoggedRow> = rows
                .iter()
                .zip(half)
                .filter(|(_, half)| **half != side)
                .map(|(row, _)| stream(row))
                .collect();
            let choice = tune::choose(family, family.grid(), rule, &others)?;
            by_half[usize::from(side)] = choice.estimator;
        }
        for (row, side) in rows.iter().zip(half) {
            let term = by_half[usize::from(*side)].terms(&stream(row)).direct;
            terms.push(LoggedRow::new(1.0, term)?);
        }
    }
    let [quality, cost, baseline] = terms;
    let rows = quality.into_iter().zip(cost).zip(baseline);
    Ok(rows
        .map(|((quality, cost), baseline_cost)| OutcomeRows {
            quality,
            cost,
            baseline_cost,
        })
        .collect())
}

impl<'a> Logged<'a> {
    /// # Errors
    /// When a row cannot be used.
    pub(crate) fn new(
        population: &Population,
        logging: &Array2<f64>,
        draw: &'a Draw,
        outcome: &'a Outcome,
    ) -> Result<Self, Box<dyn Error>> {
        let mut baseline = vec![0.0; population.arms.len()];
        baseline[population.baseline] = 1.0;
        let row = |i: usize| -> Result<OutcomeRows, Box<dyn Error>> {
            let (row, arm, p) = (draw.rows[i], draw.chosen[i], draw.propensity[i]);
            let target = population.target.row(row).to_vec();
            let (q, c) = (
                outcome.quality.row(i).to_vec(),
                outcome.cost.row(i).to_vec(),
            );
            let (r, cost) = (population.quality[[row, arm]], population.cost[[row, arm]]);
            // Replay draws the target's arm, which need not be certain.
            let matched = draw.wanted[i] == arm;
            Ok(OutcomeRows {
                quality: LoggedRow::of(&target, &q, arm, p, r)?.matching(matched),
                cost: LoggedRow::of(&target, &c, arm, p, cost)?.matching(matched),
                baseline_cost: LoggedRow::of(&baseline, &c, arm, p, cost)?,
            })
        };
        Ok(Self {
            rows: (0..draw.len()).map(row).collect::<Result<_, _>>()?,
            draw,
            predicted: &outcome.quality,
            predicted_cost: &outcome.cost,
            baseline: population.baseline,
            target: population.target.select(Axis(0), &draw.rows),
            logging: logging.select(Axis(0), &draw.rows),
        })
    }

    fn chosen_intervals(&self) -> [Option<Figure>; 3] {
        let of =
            |pick: fn(&OutcomeRows) -> f64| -> Vec<f64> { self.rows.iter().map(pick).collect() };
        let weights = of(|row| row.quality.weight());
        let always = of(|row| row.baseline_cost.weight());
        let agreement: Vec<f64> = self.target.column(self.baseline).to_vec();
        // Twice the dearest answer, as a user without a limit would say.
        let most = 2.0 * of(|row| row.cost.outcome()).into_iter().fold(0.0, f64::max);
        let outcomes = [
            of(|row| row.quality.outcome()),
            of(|row| row.cost.outcome())
                .iter()
                .map(|c| c / most)
                .collect(),
        ];
        let predicted = [
            self.predicted.clone(),
            self.predicted_cost
                .mapv(|cost| (cost / most).clamp(0.0, 1.0)),
        ];
        let weigh = |which: usize, against: bool| WeightedRewards {
            rewards: &outcomes[which],
            policy: &weights,
            baseline: against.then_some(Baseline {
                weights: &always,
                agreement: &agreement,
            }),
            clusters: None,
            predictions: Some(Predictions {
                rewards: predicted[which].view(),
                policy: self.target.view(),
                propensities: self.logging.view(),
                logged: &self.draw.chosen,
                baseline: if against { self.baseline } else { usize::MAX },
            }),
        };
        let quality = of(|row| Estimator::Dr.terms(&row.quality).direct);
        let cost = of(|row| Estimator::Dr.terms(&row.cost).direct);
        let shares: Vec<f64> = cost.iter().map(|cost| cost / most).collect();
        let baseline = of(|row| Estimator::Dr.terms(&row.baseline_cost).direct);
        let question = Question {
            purpose: Purpose::Description,
            confidence: CONFIDENCE,
            looked_before: false,
            bootstrap: Bootstrap {
                resamples: RESAMPLES,
                seed: self.draw.chosen.len() as u64,
            },
        };
        let of_quality = Sample::Value {
            rewards: weigh(0, false),
            terms: Some(&quality),
        };
        let of_cost = Sample::Value {
            rewards: weigh(1, false),
            terms: Some(&shares),
        };
        let ratio = Sample::ValueRatio {
            rewards: weigh(1, true),
            terms: Some([&cost, &baseline]),
        };
        let sum = |terms: &[f64]| terms.iter().sum::<f64>();
        #[expect(clippy::cast_precision_loss, reason = "few rows")]
        let n = quality.len() as f64;
        let figure = |sample: &Sample<'_>, point: f64, [scale, shift]: [f64; 2]| {
            let bound = interval(sample, &question).bound?;
            let (a, b) = (shift + scale * bound.low, shift + scale * bound.high);
            Some(Figure {
                point,
                low: a.min(b),
                high: a.max(b),
            })
        };
        [
            figure(&of_quality, sum(&quality) / n, [1.0, 0.0]),
            figure(&of_cost, sum(&cost) / n, [most, 0.0]),
            figure(&ratio, 1.0 - sum(&cost) / sum(&baseline), [-1.0, 1.0]),
        ]
    }
}

/// `DRos by SLOPE`.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(estimator) => f.write_str(estimator.name()),
            Self::Chosen => f.write_str("DR, chosen interval"),
            Self::Tuned(family, rule) => {
                let by = match rule {
                    tune::Rule::Slope { .. } => "SLOPE",
                    _ => "MSE",
                };
                write!(f, "{} by {by}", family.uncorrected().name())
            }
        }
    }
}
