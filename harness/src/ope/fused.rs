//! Seven estimators with their variances in one pass over columns in memory.

use multiversion::multiversion;
use rayon::prelude::*;

use super::{Estimate, OpeError};

/// Rows per unit of parallel work: fixed, so that results do not depend on threads.
const BLOCK: usize = 1 << 14;
/// Rows whose weights, residuals and predictions are held at a time; these fit the first cache.
const TILE: usize = 256;
/// Independent partial sums, a multiple of any vector register's width.
const LANES: usize = 8;

/// A log as columns of n rows and K arms. Single precision holds what a log knows and halves the
/// memory that bounds the speed; sums are in double precision.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a, A> {
    /// Logged arm, from 0; n entries.
    pub action: &'a [A],
    /// Outcome r; n entries.
    pub outcome: &'a [f32],
    /// Propensity p of the logged arm, in (0, 1]; n entries.
    pub propensity: &'a [f32],
    /// Target policy π(·|x), row by row; n × K entries.
    pub target: &'a [f32],
    /// Predictions q̂(x, ·), row by row; n × K entries.
    pub predictions: &'a [f32],
    /// Number of arms, K.
    pub arms: usize,
}

/// The settings of the estimators that have one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FusedSettings {
    /// Largest weight of clipped IPS, default 10.
    pub clip: f32,
    /// Largest weight that Switch-DR uses, default 10.
    pub tau: f32,
    /// λ of DRos, default 10.
    pub lambda: f32,
}

impl Default for FusedSettings {
    fn default() -> Self {
        Self {
            clip: 10.0,
            tau: 10.0,
            lambda: 10.0,
        }
    }
}

/// Estimates of one value by seven estimators; see [`super::Estimator`] for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FusedEstimates {
    /// Inverse propensity scoring.
    pub ips: Estimate,
    /// Self-normalised; `None` where all weights are 0.
    pub snips: Option<Estimate>,
    /// IPS with clipped weights.
    pub clipped_ips: Estimate,
    /// The direct method.
    pub dm: Estimate,
    /// Doubly robust.
    pub dr: Estimate,
    /// Doubly robust up to τ.
    pub switch_dr: Estimate,
    /// Doubly robust with optimistic shrinkage.
    pub dros: Estimate,
    /// Effective sample size (Σw)²/Σw².
    pub effective_sample_size: f64,
    /// Mean weight.
    pub mean_weight: f64,
}

/// All seven estimates in one parallel pass; `None` without rows.
///
/// Blocks of rows are fixed and their sums are added in order, so the number of threads changes
/// no bit. Rows are taken as independent. Differs from [`super::Accumulator`] by the rounding of
/// `f32` only, about 1e−7.
///
/// # Errors
/// For columns that do not fit together, an arm that is none, a propensity outside (0, 1], and
/// numbers that are not finite.
pub fn estimate<A: Copy + Into<usize> + Sync>(
    columns: &Columns<'_, A>,
    settings: FusedSettings,
) -> Result<Option<FusedEstimates>, OpeError> {
    columns.check_shape()?;
    let rows = columns.action.len();
    if rows == 0 {
        return Ok(None);
    }
    let blocks: Vec<Sums> = (0..rows.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let start = block * BLOCK;
            columns.block_sums(start..rows.min(start + BLOCK), settings)
        })
        .collect();
    let mut sums = Sums::default();
    for block in &blocks {
        sums.add(block);
    }
    if sums.is_broken() {
        return Err(columns.first_fault(settings));
    }
    Ok(Some(sums.estimates(rows)))
}

/// Sums over rows of x and x² for each estimator, and of what the ratio needs.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    ips: [f64; 2],
    weight: [f64; 2],
    /// Σ w · w r.
    cross: f64,
    clipped: [f64; 2],
    dm: [f64; 2],
    dr: [f64; 2],
    switch: [f64; 2],
    dros: [f64; 2],
    /// Whether an arm or a propensity was out of range.
    fault: bool,
}

/// What the estimators need of some rows: entries after the last row are 0 and change no sum.
struct Tile {
    weight: [f32; TILE],
    outcome: [f32; TILE],
    residual: [f32; TILE],
    direct: [f32; TILE],
}

impl<A: Copy + Into<usize> + Sync> Columns<'_, A> {
    fn check_shape(&self) -> Result<(), OpeError> {
        let rows = self.action.len();
        let cells = rows * self.arms;
        for (column, got, expected) in [
            ("outcome", self.outcome.len(), rows),
            ("propensity", self.propensity.len(), rows),
            ("target", self.target.len(), cells),
            ("predictions", self.predictions.len(), cells),
        ] {
            if got != expected {
                return Err(OpeError::Shape {
                    column,
                    got,
                    expected,
                });
            }
        }
        Ok(())
    }

    fn block_sums(&self, rows: std::ops::Range<usize>, settings: FusedSettings) -> Sums {
        // A number of arms that the compiler knows makes the inner loop straight code.
        macro_rules! with_arms {
            ($($arms:literal)*) => {
                match self.arms {
                    $($arms => self.tiles::<$arms>(rows, settings),)*
                    _ => self.tiles::<0>(rows, settings),
                }
            };
        }
        with_arms!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    }

    /// Sums of `rows` for `K` arms, or any number of arms where K is 0.
    #[inline]
    fn tiles<const K: usize>(&self, rows: std::ops::Range<usize>, settings: FusedSettings) -> Sums {
        let mut sums = Sums::default();
        let mut tile = Tile {
            weight: [0.0; TILE],
            outcome: [0.0; TILE],
            residual: [0.0; TILE],
            direct: [0.0; TILE],
        };
        let mut start = rows.start;
        while start < rows.end {
            let end = rows.end.min(start + TILE);
            if end - start < TILE {
                tile.clear();
            }
            sums.fault |= self.load::<K>(start..end, &mut tile);
            add_tile(&tile, &mut sums, settings);
            start = end;
        }
        sums
    }

    #[inline]
    fn load<const K: usize>(&self, rows: std::ops::Range<usize>, tile: &mut Tile) -> bool {
        let arms = if K == 0 { self.arms } else { K };
        let cells = rows.start * arms..rows.end * arms;
        let target = self.target[cells.clone()].chunks_exact(arms);
        let predictions = self.predictions[cells].chunks_exact(arms);
        let action = &self.action[rows.clone()];
        let outcome = &self.outcome[rows.clone()];
        let propensity = &self.propensity[rows];
        let mut fault = false;
        for (i, (target, predictions)) in target.zip(predictions).enumerate() {
            let logged: usize = action[i].into();
            fault |= logged >= arms;
            let logged = logged.min(arms - 1);
            let mut direct = 0.0;
            for k in 0..arms {
                direct += target[k] * predictions[k];
            }
            tile.direct[i] = direct;
            tile.weight[i] = target[logged];
            tile.residual[i] = predictions[logged];
        }
        for i in 0..action.len() {
            let p = propensity[i];
            fault |= !(p > 0.0 && p <= 1.0);
            tile.weight[i] /= p;
            tile.outcome[i] = outcome[i];
            tile.residual[i] = outcome[i] - tile.residual[i];
        }
        fault
    }

    /// The first row that broke the sums.
    fn first_fault(&self, _settings: FusedSettings) -> OpeError {
        for row in 0..self.action.len() {
            let cells = row * self.arms..(row + 1) * self.arms;
            let logged: usize = self.action[row].into();
            let finite = |cells: &[f32]| cells.iter().all(|x| x.is_finite());
            if logged >= self.arms {
                return OpeError::Action {
                    row,
                    got: logged,
                    arms: self.arms,
                };
            }
            let p = self.propensity[row];
            let checks = [
                ("the propensity", p, p > 0.0 && p <= 1.0, "in (0, 1]"),
                (
                    "the outcome",
                    self.outcome[row],
                    self.outcome[row].is_finite(),
                    "a finite number",
                ),
                (
                    "the target's probability",
                    self.target[cells.start + logged],
                    finite(&self.target[cells.clone()]),
                    "a finite number for every arm",
                ),
                (
                    "the prediction",
                    self.predictions[cells.start + logged],
                    finite(&self.predictions[cells]),
                    "a finite number for every arm",
                ),
            ];
            for (what, got, fine, allowed) in checks {
                if !fine {
                    return OpeError::Row {
                        what,
                        got: f64::from(got),
                        allowed,
                    };
                }
            }
        }
        OpeError::Row {
            what: "the sum of weighted outcomes",
            got: f64::INFINITY,
            allowed: "finite: rescale the outcome",
        }
    }
}

#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn add_tile(tile: &Tile, sums: &mut Sums, settings: FusedSettings) {
    tile.add_to(sums, settings);
}

impl Tile {
    fn clear(&mut self) {
        self.weight.fill(0.0);
        self.outcome.fill(0.0);
        self.residual.fill(0.0);
        self.direct.fill(0.0);
    }

    #[expect(
        clippy::inline_always,
        reason = "inlined into each instruction set's own function"
    )]
    #[inline(always)]
    fn add_to(&self, sums: &mut Sums, settings: FusedSettings) {
        let FusedSettings { clip, tau, lambda } = settings;
        self.add_weights(sums);
        self.add_terms(&mut sums.clipped, |w, r, _, _| w.min(clip) * r);
        self.add_terms(&mut sums.dm, |_, _, _, direct| direct);
        self.add_terms(&mut sums.dr, |w, _, left, direct| direct + w * left);
        self.add_terms(&mut sums.switch, |w, _, left, direct| {
            direct + if w <= tau { w } else { 0.0 } * left
        });
        self.add_terms(&mut sums.dros, |w, _, left, direct| {
            direct + shrunk(w, lambda) * left
        });
    }

    #[expect(
        clippy::inline_always,
        reason = "inlined into each instruction set's own function"
    )]
    #[inline(always)]
    fn add_weights(&self, sums: &mut Sums) {
        let mut lanes = [[0.0_f64; LANES]; 5];
        for i in (0..TILE).step_by(LANES) {
            #[expect(
                clippy::needless_range_loop,
                reason = "plain counted loops become vector instructions"
            )]
            for lane in 0..LANES {
                let w = f64::from(self.weight[i + lane]);
                let x = w * f64::from(self.outcome[i + lane]);
                lanes[0][lane] += x;
                lanes[1][lane] += x * x;
                lanes[2][lane] += w;
                lanes[3][lane] += w * w;
                lanes[4][lane] += w * x;
            }
        }
        let [ips, ips2, weight, weight2, cross] = lanes.map(total);
        sums.ips[0] += ips;
        sums.ips[1] += ips2;
        sums.weight[0] += weight;
        sums.weight[1] += weight2;
        sums.cross += cross;
    }

    #[expect(
        clippy::inline_always,
        reason = "inlined into each instruction set's own function"
    )]
    #[inline(always)]
    fn add_terms(&self, sums: &mut [f64; 2], term: impl Fn(f32, f32, f32, f32) -> f32) {
        let mut lanes = [[0.0_f64; LANES]; 2];
        for i in (0..TILE).step_by(LANES) {
            #[expect(
                clippy::needless_range_loop,
                reason = "plain counted loops become vector instructions"
            )]
            for lane in 0..LANES {
                let j = i + lane;
                let x = f64::from(term(
                    self.weight[j],
                    self.outcome[j],
                    self.residual[j],
                    self.direct[j],
                ));
                lanes[0][lane] += x;
                lanes[1][lane] += x * x;
            }
        }
        let [sum, squares] = lanes.map(total);
        sums[0] += sum;
        sums[1] += squares;
    }
}

#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn shrunk(w: f32, lambda: f32) -> f32 {
    // w/(w²/λ + 1), so that λ = ∞ gives w; λ = 0 gives 0/0 for w = 0, where 0 is right.
    let shrunk = w / (w * w / lambda + 1.0);
    if w > 0.0 { shrunk } else { 0.0 }
}

#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn total(lanes: [f64; LANES]) -> f64 {
    ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]))
        + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
}

impl Sums {
    fn add(&mut self, other: &Self) {
        for (sum, add) in [
            (&mut self.ips, other.ips),
            (&mut self.weight, other.weight),
            (&mut self.clipped, other.clipped),
            (&mut self.dm, other.dm),
            (&mut self.dr, other.dr),
            (&mut self.switch, other.switch),
            (&mut self.dros, other.dros),
        ] {
            sum[0] += add[0];
            sum[1] += add[1];
        }
        self.cross += other.cross;
        self.fault |= other.fault;
    }

    fn is_broken(&self) -> bool {
        let sums = [
            self.ips,
            self.weight,
            self.clipped,
            self.dm,
            self.dr,
            self.switch,
            self.dros,
        ];
        self.fault || sums.iter().flatten().any(|sum| !sum.is_finite())
    }

    fn estimates(&self, rows: usize) -> FusedEstimates {
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2⁵³ rows")]
        let n = rows as f64;
        let spread = |squares: f64| (rows > 1).then(|| (squares.max(0.0) / (n - 1.0) / n).sqrt());
        let value = |point: f64, standard_error: Option<f64>| Estimate {
            point,
            standard_error,
            rows: rows as u64,
            units: rows as u64,
        };
        let mean = |sums: [f64; 2]| value(sums[0] / n, spread(sums[1] - sums[0] * sums[0] / n));
        let weight = self.weight[0];
        let ratio = self.ips[0] / weight;
        // Σ (w (r − V̂))², scaled by the mean weight: the delta method.
        let squares = self.ips[1] - 2.0 * ratio * self.cross + ratio * ratio * self.weight[1];
        let scale = n / weight;
        FusedEstimates {
            ips: mean(self.ips),
            snips: (weight > 0.0).then(|| value(ratio, spread(squares * scale * scale))),
            clipped_ips: mean(self.clipped),
            dm: mean(self.dm),
            dr: mean(self.dr),
            switch_dr: mean(self.switch),
            dros: mean(self.dros),
            effective_sample_size: if weight > 0.0 {
                weight * weight / self.weight[1]
            } else {
                0.0
            },
            mean_weight: weight / n,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::ope::{Accumulator, Estimator, Family, LoggedRow};

    struct Log {
        action: Vec<u8>,
        outcome: Vec<f32>,
        propensity: Vec<f32>,
        target: Vec<f32>,
        predictions: Vec<f32>,
        arms: usize,
    }

    impl Log {
        fn new(rows: usize, arms: u8) -> Self {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
            let cells = rows * usize::from(arms);
            let mut target: Vec<f32> = (0..cells).map(|_| rng.random()).collect();
            for row in target.chunks_exact_mut(arms.into()) {
                let sum: f32 = row.iter().sum();
                for p in row {
                    *p /= sum;
                }
            }
            Self {
                action: (0..rows).map(|_| rng.random_range(0..arms)).collect(),
                outcome: (0..rows).map(|_| rng.random()).collect(),
                propensity: (0..rows)
                    .map(|_| 0.02 + 0.9 * rng.random::<f32>())
                    .collect(),
                predictions: (0..cells).map(|_| rng.random()).collect(),
                target,
                arms: arms.into(),
            }
        }

        fn columns(&self) -> Columns<'_, u8> {
            Columns {
                action: &self.action,
                outcome: &self.outcome,
                propensity: &self.propensity,
                target: &self.target,
                predictions: &self.predictions,
                arms: self.arms,
            }
        }

        fn exact(&self, estimator: Estimator) -> Estimate {
            let mut accumulator = Accumulator::new(estimator);
            let wide = |cells: &[f32]| cells.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
            for i in 0..self.action.len() {
                let cells = i * self.arms..(i + 1) * self.arms;
                let row = LoggedRow::of(
                    &wide(&self.target[cells.clone()]),
                    &wide(&self.predictions[cells]),
                    self.action[i].into(),
                    f64::from(self.propensity[i]),
                    f64::from(self.outcome[i]),
                );
                accumulator.push(&row.unwrap());
            }
            accumulator.estimate().unwrap()
        }
    }

    #[test]
    fn one_pass_equals_the_accumulators() {
        for (rows, arms) in [(1, 1), (255, 3), (40_000, 10), (20_001, 23)] {
            let log = Log::new(rows, arms);
            let settings = FusedSettings {
                clip: 2.0,
                tau: 3.0,
                lambda: 4.0,
            };
            let ours = estimate(&log.columns(), settings).unwrap().unwrap();
            for (got, estimator) in [
                (ours.ips, Estimator::Ips),
                (ours.snips.unwrap(), Estimator::Snips),
                (ours.clipped_ips, Family::ClippedIps.at(2.0).unwrap()),
                (ours.dm, Estimator::Dm),
                (ours.dr, Estimator::Dr),
                (ours.switch_dr, Family::SwitchDr.at(3.0).unwrap()),
                (ours.dros, Family::Dros.at(4.0).unwrap()),
            ] {
                let expect = log.exact(estimator);
                assert!(
                    (got.point - expect.point).abs() < 1e-6,
                    "{estimator} {rows}"
                );
                assert_eq!(got.standard_error.is_some(), rows > 1);
                if let (Some(got), Some(expect)) = (got.standard_error, expect.standard_error) {
                    assert!(
                        (got / expect - 1.0).abs() < 1e-4,
                        "{estimator}: {got} {expect}"
                    );
                }
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let log = Log::new(100_000, 4);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap()
                .install(|| estimate(&log.columns(), FusedSettings::default()).unwrap())
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(7));
    }

    #[test]
    fn faults_are_named() {
        let fault = |change: fn(&mut Log)| {
            let mut log = Log::new(1000, 4);
            change(&mut log);
            estimate(&log.columns(), FusedSettings::default()).unwrap_err()
        };
        let error = fault(|log| log.action[700] = 4);
        assert_eq!(
            error.to_string(),
            "row 700 logs arm 4, but the target policy has 4 arms"
        );
        assert_eq!(fault(|log| log.propensity[3] = 0.0).code(), "P0340");
        assert_eq!(fault(|log| log.propensity[3] = f32::NAN).code(), "P0340");
        assert_eq!(fault(|log| log.outcome[3] = f32::INFINITY).code(), "P0340");
        assert_eq!(fault(|log| log.predictions[5] = f32::NAN).code(), "P0340");
        assert_eq!(fault(|log| log.outcome.truncate(3)).code(), "P0344");
        let empty = Log::new(0, 3);
        assert_eq!(
            estimate(&empty.columns(), FusedSettings::default()).unwrap(),
            None
        );
    }
}
