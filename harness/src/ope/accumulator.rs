//! Mergeable accumulators of one value, and of several values with their covariance.

use super::{Estimator, ExactSum, LoggedRow, Sums};

/// A point with its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The estimate V̂.
    pub point: f64,
    /// Its standard error by the delta method, robust to clusters that were pushed as such.
    /// `None` from a single unit.
    pub standard_error: Option<f64>,
    /// Number of rows.
    pub rows: u64,
    /// Independent units: rows, or clusters.
    pub units: u64,
}

/// One estimator over a stream of rows.
///
/// ```
/// use plimsoll_harness::ope::{Accumulator, Estimator, LoggedRow};
///
/// let mut left = Accumulator::new(Estimator::Snips);
/// let mut right = left.clone();
/// assert_eq!(left.estimate(), None);
/// left.push(&LoggedRow::new(2.0, 1.0)?);
/// right.push(&LoggedRow::new(0.5, 0.0)?);
/// left.merge(&right);
/// assert_eq!(left.estimate().map(|v| v.point), Some(0.8));
/// # Ok::<(), plimsoll_harness::ope::OpeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Accumulator {
    estimator: Estimator,
    joint: Joint<1>,
}

impl Accumulator {
    /// An empty accumulator.
    #[must_use]
    pub fn new(estimator: Estimator) -> Self {
        Self {
            estimator,
            joint: Joint::new(estimator),
        }
    }

    /// The estimator.
    #[must_use]
    pub const fn estimator(&self) -> Estimator {
        self.estimator
    }

    /// Adds one independent row.
    pub fn push(&mut self, row: &LoggedRow) {
        self.joint.push([row]);
    }

    /// Adds the rows of one cluster, which may depend on each other.
    pub fn push_cluster<'a>(&mut self, rows: impl IntoIterator<Item = &'a LoggedRow>) {
        let mut sums = Sums::default();
        for row in rows {
            sums += self.estimator.terms(row);
        }
        self.joint.push_sums(&[sums]);
    }

    /// Adds all rows of `other`.
    ///
    /// # Panics
    /// When `other` belongs to another estimator.
    pub fn merge(&mut self, other: &Self) {
        self.joint.merge(&other.joint);
    }

    /// The estimate; `None` without data, or where a ratio has nothing below its line.
    #[must_use]
    pub fn estimate(&self) -> Option<Estimate> {
        self.joint.estimates().map(|estimates| estimates.values[0])
    }

    /// The sums so far.
    #[must_use]
    pub fn sums(&self) -> Sums {
        self.joint.sums()[0]
    }
}

/// `S` values by one estimator on the same units, with their covariances.
///
/// Rows of different streams are about the same request: quality and cost under the target, cost
/// under the baseline. Sums are exact, so that any split of the units has the bits of one pass.
#[derive(Clone, Debug)]
pub struct Joint<const S: usize> {
    estimator: Estimator,
    units: u64,
    /// Σ z, four per stream: rows, direct, numerator, denominator.
    first: Vec<ExactSum>,
    /// Σ z zᵀ, upper triangle by rows.
    second: Vec<ExactSum>,
}

/// Points, standard errors and the covariance matrix of `S` values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JointEstimates<const S: usize> {
    /// The values in the order of the streams.
    pub values: [Estimate; S],
    /// Covariances of the points; `None` from a single unit.
    pub covariance: Option<[[f64; S]; S]>,
}

/// Components of one stream.
const PARTS: usize = 4;

impl<const S: usize> Joint<S> {
    /// An empty accumulator.
    #[must_use]
    pub fn new(estimator: Estimator) -> Self {
        let width = PARTS * S;
        Self {
            estimator,
            units: 0,
            first: vec![ExactSum::default(); width],
            second: vec![ExactSum::default(); width * (width + 1) / 2],
        }
    }

    /// Adds one independent unit of one row per stream.
    pub fn push(&mut self, rows: [&LoggedRow; S]) {
        self.push_sums(&rows.map(|row| {
            let mut sums = Sums::default();
            sums += self.estimator.terms(row);
            sums
        }));
    }

    /// Adds one independent unit by its sums per stream; a stream without rows has zeros.
    pub fn push_sums(&mut self, unit: &[Sums; S]) {
        let parts = |index: usize| {
            let sums = &unit[index / PARTS];
            [sums.rows, sums.direct, sums.numerator, sums.denominator][index % PARTS]
        };
        self.units += 1;
        let width = PARTS * S;
        let mut pair = 0;
        for i in 0..width {
            let left = parts(i);
            self.first[i].add(left);
            if left == 0.0 {
                pair += width - i;
                continue;
            }
            for j in i..width {
                self.second[pair].add_product(left, parts(j));
                pair += 1;
            }
        }
    }

    /// Adds all units of `other`.
    ///
    /// # Panics
    /// When `other` belongs to another estimator: their terms mean different things.
    pub fn merge(&mut self, other: &Self) {
        assert!(
            self.estimator == other.estimator,
            "only accumulators of one estimator are merged"
        );
        self.units += other.units;
        for (sum, add) in self.first.iter_mut().zip(&other.first) {
            sum.merge(add);
        }
        for (sum, add) in self.second.iter_mut().zip(&other.second) {
            sum.merge(add);
        }
    }

    /// The sums so far, per stream.
    #[must_use]
    pub fn sums(&self) -> [Sums; S] {
        std::array::from_fn(|stream| {
            let part = |k: usize| self.first[stream * PARTS + k].value();
            Sums {
                rows: part(0),
                direct: part(1),
                numerator: part(2),
                denominator: part(3),
            }
        })
    }

    /// Values and covariances; `None` where any stream has no value.
    ///
    /// Each value is f(Σ z); with gradient g = ∇f and units u, the covariance is
    /// G/(G − 1) Σ_u (gᵀz_u)(hᵀz_u), as Σ_u gᵀz_u is 0 for a function of ratios: the delta
    /// method with cluster-robust errors, the denominator's variance included. For single rows
    /// and no ratio it is the usual s²/n.
    #[must_use]
    pub fn estimates(&self) -> Option<JointEstimates<S>> {
        let sums = self.sums();
        let mut points = [0.0; S];
        for (point, sums) in points.iter_mut().zip(&sums) {
            *point = self.estimator.value(sums)?;
        }
        let covariance = self.covariance(&sums);
        let covariance = (self.units >= 2).then_some(covariance);
        Some(JointEstimates {
            values: std::array::from_fn(|s| Estimate {
                point: points[s],
                standard_error: covariance.map(|matrix| matrix[s][s].sqrt()),
                rows: count(sums[s].rows),
                units: self.units,
            }),
            covariance,
        })
    }

    fn covariance(&self, sums: &[Sums; S]) -> [[f64; S]; S] {
        let gradients = sums.map(|sums| self.gradient(&sums));
        let centred = self.centred();
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2⁵³ units")]
        let units = self.units as f64;
        let correction = if self.units > 1 {
            units / (units - 1.0)
        } else {
            1.0
        };
        std::array::from_fn(|s| {
            std::array::from_fn(|t| {
                let mut total = 0.0;
                for i in 0..PARTS {
                    for j in 0..PARTS {
                        let pair = self.pair(s * PARTS + i, t * PARTS + j);
                        total += gradients[s][i] * gradients[t][j] * centred[pair];
                    }
                }
                let total = total * correction;
                if s == t { total.max(0.0) } else { total }
            })
        })
    }

    /// Σ z zᵀ − Σz Σzᵀ/G, in twice the precision of `f64`, so that a constant has no spread.
    fn centred(&self) -> Vec<f64> {
        let first: Vec<(f64, f64)> = self.first.iter().map(ExactSum::parts).collect();
        let width = first.len();
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2⁵³ units")]
        let units = self.units as f64;
        let mut centred = Vec::with_capacity(self.second.len());
        for i in 0..width {
            for j in i..width {
                // G Σ z zᵀ − Σz Σzᵀ, exactly but for products of two low parts.
                let (high, low) = self.second[centred.len()].parts();
                let mut exact = ExactSum::default();
                exact.add_product(units, high);
                exact.add_product(units, low);
                exact.add_product(-first[i].0, first[j].0);
                exact.add_product(-first[i].0, first[j].1);
                exact.add_product(-first[i].1, first[j].0);
                exact.add_product(-first[i].1, first[j].1);
                centred.push(exact.value() / units);
            }
        }
        centred
    }

    /// ∇f with respect to a stream's four sums.
    fn gradient(&self, sums: &Sums) -> [f64; PARTS] {
        let mean = sums.direct / sums.rows;
        let (numerator, denominator) = if self.estimator.is_ratio() {
            let ratio = sums.numerator / sums.denominator;
            (1.0 / sums.denominator, -ratio / sums.denominator)
        } else {
            (0.0, 0.0)
        };
        [-mean / sums.rows, 1.0 / sums.rows, numerator, denominator]
    }

    /// Place of the pair (i, j) in the upper triangle.
    const fn pair(&self, i: usize, j: usize) -> usize {
        let (low, high) = if i <= j { (i, j) } else { (j, i) };
        let width = self.first.len();
        low * width - low * (low + 1) / 2 + high
    }
}

/// A row's two outcomes under the target, and its cost under the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutcomeRows {
    /// Quality under the target policy.
    pub quality: LoggedRow,
    /// Cost under the target policy.
    pub cost: LoggedRow,
    /// Cost under the baseline.
    pub baseline_cost: LoggedRow,
}

/// Quality, cost and savings at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SavingsEstimate {
    /// V_quality(π).
    pub quality: Estimate,
    /// V_cost(π).
    pub cost: Estimate,
    /// V_cost(baseline).
    pub baseline_cost: Estimate,
    /// 1 − V_cost(π)/V_cost(baseline), by the delta method; `None` where the baseline is free.
    pub savings: Option<Estimate>,
    /// Covariance of quality, cost and baseline cost, in this order.
    pub covariance: Option<[[f64; 3]; 3]>,
    /// Covariance of quality and savings.
    pub quality_savings: Option<f64>,
}

/// The joint accumulator of quality, cost and savings.
#[derive(Clone, Debug)]
pub struct SavingsAccumulator {
    joint: Joint<3>,
}

impl SavingsAccumulator {
    /// An empty accumulator.
    #[must_use]
    pub fn new(estimator: Estimator) -> Self {
        Self {
            joint: Joint::new(estimator),
        }
    }

    /// Adds one independent request.
    pub fn push(&mut self, rows: &OutcomeRows) {
        self.joint
            .push([&rows.quality, &rows.cost, &rows.baseline_cost]);
    }

    /// Adds the requests of one cluster.
    pub fn push_cluster<'a>(&mut self, rows: impl IntoIterator<Item = &'a OutcomeRows>) {
        let mut unit = [Sums::default(); 3];
        let estimator = self.joint.estimator;
        for rows in rows {
            unit[0] += estimator.terms(&rows.quality);
            unit[1] += estimator.terms(&rows.cost);
            unit[2] += estimator.terms(&rows.baseline_cost);
        }
        self.joint.push_sums(&unit);
    }

    /// Adds one independent unit by its sums of quality, cost and baseline cost, whose numbers of
    /// rows may differ: a request without a label still has a cost.
    pub fn push_sums(&mut self, unit: &[Sums; 3]) {
        self.joint.push_sums(unit);
    }

    /// Adds all units of `other`.
    ///
    /// # Panics
    /// When `other` belongs to another estimator.
    pub fn merge(&mut self, other: &Self) {
        self.joint.merge(&other.joint);
    }

    /// The estimates; `None` without data.
    #[must_use]
    pub fn estimate(&self) -> Option<SavingsEstimate> {
        let joint = self.joint.estimates()?;
        let [quality, cost, baseline_cost] = joint.values;
        let spent = cost.point / baseline_cost.point;
        let usable = baseline_cost.point > 0.0 && spent.is_finite();
        // 1 − c/b: ∂/∂c = −1/b, ∂/∂b = (c/b)/b.
        let (by_cost, by_baseline) = (-1.0 / baseline_cost.point, spent / baseline_cost.point);
        let savings = usable.then(|| Estimate {
            point: 1.0 - spent,
            standard_error: joint.covariance.map(|v| {
                let variance = by_cost * by_cost * v[1][1]
                    + 2.0 * by_cost * by_baseline * v[1][2]
                    + by_baseline * by_baseline * v[2][2];
                variance.max(0.0).sqrt()
            }),
            rows: cost.rows,
            units: cost.units,
        });
        Some(SavingsEstimate {
            quality,
            cost,
            baseline_cost,
            savings,
            covariance: joint.covariance,
            quality_savings: joint
                .covariance
                .filter(|_| usable)
                .map(|v| by_cost * v[0][1] + by_baseline * v[0][2]),
        })
    }
}

/// Estimates of one log by one estimator.
pub(super) fn estimate(estimator: Estimator, rows: &[LoggedRow]) -> Option<Estimate> {
    let mut accumulator = Accumulator::new(estimator);
    for row in rows {
        accumulator.push(row);
    }
    accumulator.estimate()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of rows, exact below 2⁵³"
)]
const fn count(rows: f64) -> u64 {
    rows as u64
}
