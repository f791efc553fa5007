//! Choosing a clip, τ or λ on rows that are then not used for the estimate.

use std::fmt;

use super::accumulator::estimate;
use super::{Accumulator, Estimate, Estimator, ExactSum, Family, LoggedRow, OpeError, lower};

/// Error probability of the widths and bounds that choose a setting, where none is given.
pub const DELTA: f64 = 0.1;

/// How a setting is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// SLOPE: from the widest interval to the narrowest, as long as the intervals agree, that is
    /// while |V̂_i − V̂_j| ≤ c_i + (√6 − 1) c_j for all j before. Su, Srinath & Krishnamurthy
    /// (2020), arXiv:2002.07729; without its monotonicity assumption as SLOPE++, Tucker & Lee
    /// (2021). c is a one-sided Student-t width at δ.
    Slope {
        /// Error probability of each width.
        delta: f64,
    },
    /// The least bound of the mean squared error: bias² + variance, with the bias of ŵ estimated
    /// by |mean((w − ŵ)(r − q̂))|. Su, Dimakopoulou, Krishnamurthy & Dudík (2020),
    /// arXiv:1907.09623, §5.
    Mse {
        /// Whether the bias is its estimate or a high-probability upper bound.
        bias: MseBound,
    },
}

/// What stands for the bias in the mean squared error.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum MseBound {
    /// |mean((w − ŵ)(r − q̂))|.
    Estimated,
    /// The same plus √(2 mean(w²) ln(2/δ)/n) + 2 max(w) ln(2/δ)/(3n) (Bernstein). Holds for
    /// residuals within \[−1, 1\]; rescale costs first.
    Upper {
        /// Error probability of the bound.
        delta: f64,
    },
}

/// One setting on the tuning rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The setting.
    pub setting: f64,
    /// The estimate on the tuning rows, which is not the answer.
    pub point: f64,
    /// What the rule compares: SLOPE's width c, or the bound of the mean squared error.
    pub score: f64,
    /// Whether the rule would still take it: within all wider intervals, or the least score.
    pub admissible: bool,
}

/// The chosen member of a family, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The estimator with its setting.
    pub estimator: Estimator,
    /// The rule that chose it.
    pub rule: Rule,
    /// All settings that were tried, in the grid's order.
    pub candidates: Vec<Candidate>,
    /// Number of rows it was chosen on.
    pub tuning_rows: usize,
    /// Why, in words.
    pub reason: String,
}

/// An estimate whose setting was chosen on other rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// What was chosen, and why.
    pub choice: Choice,
    /// The estimate on the estimation rows; `None` without any.
    pub estimate: Option<Estimate>,
}

/// Chooses on `tuning` and estimates on `estimation`.
///
/// The two must be disjoint, and rows of one cluster must be on one side.
///
/// # Errors
/// When the slices share rows; as [`choose`].
pub fn tuned(
    family: Family,
    grid: &[f64],
    rule: Rule,
    tuning: &[LoggedRow],
    estimation: &[LoggedRow],
) -> Result<Tuned, OpeError> {
    let shared = shared_rows(tuning, estimation);
    if shared > 0 {
        return Err(OpeError::SameRows { shared });
    }
    let choice = choose(family, grid, rule, tuning)?;
    let mut accumulator = Accumulator::new(choice.estimator);
    for row in estimation {
        accumulator.push(row);
    }
    Ok(Tuned {
        choice,
        estimate: accumulator.estimate(),
    })
}

/// Chooses a member of `family` from `grid` on `tuning` rows. Estimate on other rows: see
/// [`tuned`], which checks that they are.
///
/// Of settings that do equally well, the one that corrects least is taken: above the largest
/// weight all clips are the same.
///
/// # Errors
/// For an empty grid, fewer than two rows, a setting or a level out of range.
pub fn choose(
    family: Family,
    grid: &[f64],
    rule: Rule,
    tuning: &[LoggedRow],
) -> Result<Choice, OpeError> {
    if grid.is_empty() || tuning.len() < 2 {
        return Err(OpeError::TooLittleToTune {
            settings: grid.len(),
            rows: tuning.len(),
        });
    }
    let members: Vec<(Estimator, Estimate)> = grid
        .iter()
        .map(|&setting| {
            let member = family.at(setting)?;
            let value = estimate(member, tuning).expect("means of finite rows exist");
            Ok((member, value))
        })
        .collect::<Result<_, OpeError>>()?;
    let (chosen, candidates) = match rule {
        Rule::Slope { delta } => slope(family, grid, &members, level(delta)?),
        Rule::Mse { bias } => mse(family, grid, &members, bias, tuning)?,
    };
    let estimator = members[chosen].0;
    Ok(Choice {
        estimator,
        rule,
        reason: format!(
            "{estimator} by {rule} among {} settings on {} rows that are not used for the estimate",
            grid.len(),
            tuning.len()
        ),
        candidates,
        tuning_rows: tuning.len(),
    })
}

fn slope(
    family: Family,
    grid: &[f64],
    members: &[(Estimator, Estimate)],
    delta: f64,
) -> (usize, Vec<Candidate>) {
    let mut candidates: Vec<Candidate> = grid
        .iter()
        .zip(members)
        .map(|(&setting, (_, value))| Candidate {
            setting,
            point: value.point,
            score: lower::student_t_width(value, delta).expect("two rows and a level have a width"),
            admissible: false,
        })
        .collect();
    let mut order: Vec<usize> = (0..grid.len()).collect();
    // Widest first; of equal widths the one that corrects least comes last.
    order.sort_by(|&a, &b| {
        let widest = candidates[b].score.total_cmp(&candidates[a].score);
        widest.then(correction(family, grid[b]).total_cmp(&correction(family, grid[a])))
    });
    let constant = 6_f64.sqrt() - 1.0;
    let mut chosen = order[0];
    for (rank, &index) in order.iter().enumerate() {
        let (point, width) = (candidates[index].point, candidates[index].score);
        let agrees = order[..rank].iter().all(|&before| {
            let before = &candidates[before];
            (point - before.point).abs() <= width + constant * before.score
        });
        if !agrees {
            break;
        }
        candidates[index].admissible = true;
        chosen = index;
    }
    (chosen, candidates)
}

fn mse(
    family: Family,
    grid: &[f64],
    members: &[(Estimator, Estimate)],
    bound: MseBound,
    tuning: &[LoggedRow],
) -> Result<(usize, Vec<Candidate>), OpeError> {
    let margin = match bound {
        MseBound::Estimated => 0.0,
        MseBound::Upper { delta } => bias_margin(tuning, level(delta)?),
    };
    let rows = count(tuning.len());
    let mut candidates: Vec<Candidate> = grid
        .iter()
        .zip(members)
        .map(|(&setting, (member, value))| {
            let bias = bias(*member, tuning) + margin;
            let standard_error = value.standard_error.expect("there are two rows");
            // The plug-in variance divides by n where the standard error divides by n − 1.
            let variance = standard_error.powi(2) * (rows - 1.0) / rows;
            Candidate {
                setting,
                point: value.point,
                score: bias * bias + variance,
                admissible: false,
            }
        })
        .collect();
    let chosen = (0..grid.len())
        .min_by(|&a, &b| {
            let least = candidates[a].score.total_cmp(&candidates[b].score);
            least.then(correction(family, grid[a]).total_cmp(&correction(family, grid[b])))
        })
        .expect("the grid is not empty");
    candidates[chosen].admissible = true;
    Ok((chosen, candidates))
}

/// Grows with how much a setting changes the weights.
const fn correction(family: Family, setting: f64) -> f64 {
    if family.is_sub_gaussian() {
        setting
    } else {
        -setting
    }
}

/// |mean((w − ŵ)(r − q̂))|, the estimated bias of `estimator`'s weights; q̂ is 0 where it uses none.
#[must_use]
pub fn bias(estimator: Estimator, rows: &[LoggedRow]) -> f64 {
    let mut sum = ExactSum::default();
    for row in rows {
        let left = if estimator.uses_predictions() {
            row.residual()
        } else {
            row.outcome()
        };
        sum.add((row.weight() - estimator.weight(row.weight())) * left);
    }
    (sum.value() / count(rows.len())).abs()
}

/// √(2 mean(w²) ln(2/δ)/n) + 2 max(w) ln(2/δ)/(3n): how far the bias may be above its estimate.
#[must_use]
pub fn bias_margin(rows: &[LoggedRow], delta: f64) -> f64 {
    let mut squares = ExactSum::default();
    let mut largest = 0.0_f64;
    for row in rows {
        squares.add_product(row.weight(), row.weight());
        largest = largest.max(row.weight());
    }
    let n = count(rows.len());
    let log = (2.0 / delta).ln();
    (2.0 * (squares.value() / n) * log / n).sqrt() + 2.0 * largest * log / (3.0 * n)
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slope { delta } => write!(f, "SLOPE (δ = {delta})"),
            Self::Mse {
                bias: MseBound::Estimated,
            } => f.write_str("the least estimated mean squared error"),
            Self::Mse {
                bias: MseBound::Upper { delta },
            } => write!(f, "the least bound of the mean squared error (δ = {delta})"),
        }
    }
}

fn level(delta: f64) -> Result<f64, OpeError> {
    if delta > 0.0 && delta < 1.0 {
        Ok(delta)
    } else {
        Err(OpeError::Level { got: delta })
    }
}

/// Rows that lie in both slices of one array.
fn shared_rows(a: &[LoggedRow], b: &[LoggedRow]) -> usize {
    let (a, b) = (a.as_ptr_range(), b.as_ptr_range());
    let start = a.start.addr().max(b.start.addr());
    let end = a.end.addr().min(b.end.addr());
    end.saturating_sub(start) / size_of::<LoggedRow>()
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2⁵³ rows")]
const fn count(rows: usize) -> f64 {
    rows as f64
}
