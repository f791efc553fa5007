//! Every estimator on one draw.

use std::error::Error;
use std::fmt;

use plimsoll_harness::ope::{
    Estimate, Estimator, Family, LoggedRow, OutcomeRows, SavingsAccumulator, tune,
};

use super::{Draw, Outcome, Population};

/// How a value is estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// An estimator without a setting.
    Plain(Estimator),
    /// A family whose setting is chosen for each half of the rows on the other half.
    Tuned(Family, tune::Rule),
}

/// A point and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The estimate.
    pub point: f64,
    /// Its standard error.
    pub standard_error: f64,
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
    pub fn estimate(
        self,
        rows: &[OutcomeRows],
        half: &[bool],
    ) -> Result<[Option<Spread>; 3], Box<dyn Error>> {
        let estimate = match self {
            Self::Plain(estimator) => {
                let mut sums = SavingsAccumulator::new(estimator);
                rows.iter().for_each(|row| sums.push(row));
                sums.estimate()
            }
            Self::Tuned(family, rule) => {
                let mut sums = SavingsAccumulator::new(Estimator::Ips);
                for row in tuned_terms(family, rule, rows, half)? {
                    sums.push(&row);
                }
                sums.estimate()
            }
        };
        let spread = |value: Estimate| {
            Some(Spread {
                point: value.point,
                standard_error: value.standard_error?,
            })
        };
        Ok(estimate.map_or([None; 3], |e| {
            [
                spread(e.quality),
                spread(e.cost),
                e.savings.and_then(spread),
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

/// A draw as estimators see it.
///
/// # Errors
/// When a row cannot be used.
pub(crate) fn logged_rows(
    population: &Population,
    draw: &Draw,
    outcome: &Outcome,
) -> Result<Vec<OutcomeRows>, Box<dyn Error>> {
    let mut baseline = vec![0.0; population.arms.len()];
    baseline[population.baseline] = 1.0;
    (0..draw.len())
        .map(|i| {
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
        })
        .collect()
}

/// `DRos by SLOPE`.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(estimator) => f.write_str(estimator.name()),
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
