//! Measures how often intervals contain the truth, on simulated logs whose truth is known.
//! `cargo run --release -p plimsoll-benches --bin coverage -- [REPETITIONS] [SEED] [ROWS,ROWS]`.
//!
//! Prints one CSV row per cell, quantity and method, nothing else. `coverage` counts a refusal as
//! no failure and `given` says how often there was an interval; `width` is the mean width of a
//! two-sided interval and the mean distance from the truth of a one-sided bound; `picked` says what
//! the automatic choice took. Equal arguments print equal bytes on any number of threads.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ndarray::Array2;
use plimsoll_harness::bootstrap::{Bootstrap, percentile_interval};
use plimsoll_harness::bounds::{
    Looks, betting_lower, betting_upper, clopper_pearson_lower, clopper_pearson_upper,
    maurer_pontil_lower,
};
use plimsoll_harness::intervals::{
    Baseline, PairedCosts, Predictions, Purpose, Question, Robust, Sample, WeightedRewards,
    hcope_lower, interval, lower_bound,
};
use plimsoll_harness::judge::Clusters;
use plimsoll_harness::ope::{Estimator, Family, LoggedRow};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

const ARMS: usize = 4;
/// Quality by kind of request (easy, hard) and arm; price per unit of length by arm.
const QUALITY: [[f64; ARMS]; 2] = [[0.96, 0.97, 0.97, 0.98], [0.55, 0.70, 0.85, 0.93]];
const PRICE: [f64; ARMS] = [0.05, 0.2, 0.5, 1.0];
/// The target policy plays this arm on each kind; the baseline is the last arm.
const TARGET: [usize; 2] = [0, 3];
const BASELINE: usize = ARMS - 1;
const EASY_SHARE: f64 = 0.6;
const RETAIN: f64 = 0.95;
/// Rows of a session, where rows come in sessions.
const SESSION: usize = 5;
/// Share of requests on which overlap is thin, and on which it is broken.
const THIN_SHARE: f64 = 0.2;
const BROKEN_SHARE: f64 = 0.15;
const CONFIDENCE: f64 = 0.95;
/// A percentile of B resamples lies about 1/B too far inside: half a point of coverage for the
/// bootstraps that are compared, a fifth for the chosen one.
const RESAMPLES: [usize; 2] = [400, 1000];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overlap {
    /// Every arm at 0.2, the target's at 0.4.
    Good,
    /// The target's arm at 0.015 on a fifth of the requests.
    Thin,
    /// The target's arm never on 15 % of the requests.
    Broken,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    n: usize,
    overlap: Overlap,
    binary: bool,
    clustered: bool,
}

/// One simulated log.
struct Draw {
    rewards: Vec<f64>,
    costs: Vec<f64>,
    policy: Vec<f64>,
    baseline: Vec<f64>,
    agreement: Vec<f64>,
    logged: Vec<usize>,
    /// Of the logged arm.
    propensity: Vec<f64>,
    predicted: Array2<f64>,
    predicted_cost: Array2<f64>,
    target: Array2<f64>,
    /// The baseline as a policy.
    always: Array2<f64>,
    propensities: Array2<f64>,
    clusters: Option<Clusters>,
    /// What the target policy would have earned and paid, and what the baseline would have paid.
    full_quality: Vec<f64>,
    full_cost: Vec<f64>,
    full_baseline_cost: Vec<f64>,
}

/// One interval of one draw.
struct Measured {
    quantity: &'static str,
    method: &'static str,
    /// `None`: refused. A one-sided bound has an infinite other end.
    ends: Option<(f64, f64)>,
    truth: f64,
    picked: Option<&'static str>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let repetitions: u64 = arguments.next().map_or(Ok(2000), |text| text.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let rows: Vec<usize> = arguments
        .next()
        .unwrap_or_else(|| "200,1000,5000".to_owned())
        .split(',')
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    println!("n,overlap,reward,rows,quantity,method,coverage,error,width,given,picked");
    for n in rows {
        for overlap in [Overlap::Good, Overlap::Thin, Overlap::Broken] {
            for binary in [true, false] {
                for clustered in [false, true] {
                    let cell = Cell {
                        n,
                        overlap,
                        binary,
                        clustered,
                    };
                    for row in table(cell, repetitions, seed) {
                        println!("{}", row.csv(cell));
                    }
                }
            }
        }
    }
    Ok(())
}

/// What a method did over all repetitions of a cell.
#[derive(Clone, Debug, Default)]
struct Row {
    quantity: &'static str,
    method: &'static str,
    repetitions: u64,
    given: u64,
    wrong: u64,
    width: f64,
    picked: BTreeMap<&'static str, u64>,
}

impl Row {
    /// Share of repetitions in which the interval, if any, contained the truth.
    fn coverage(&self) -> f64 {
        1.0 - share(self.wrong, self.repetitions)
    }

    fn csv(&self, cell: Cell) -> String {
        let coverage = self.coverage();
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let error = (coverage * (1.0 - coverage) / self.repetitions as f64).sqrt();
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let width = self.width / self.given.max(1) as f64;
        let picked: Vec<String> = self
            .picked
            .iter()
            .map(|(name, count)| format!("{name} {:.3}", share(*count, self.repetitions)))
            .collect();
        format!(
            "{},{},{},{},{},{},{coverage:.4},{error:.4},{width:.4},{:.3},{}",
            cell.n,
            format!("{:?}", cell.overlap).to_lowercase(),
            if cell.binary { "binary" } else { "continuous" },
            if cell.clustered {
                "sessions"
            } else {
                "independent"
            },
            self.quantity,
            self.method,
            share(self.given, self.repetitions),
            picked.join("; ")
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// All methods of a cell. Repetitions run in parallel, each with its own generator, and are added
/// in order.
fn table(cell: Cell, repetitions: u64, seed: u64) -> Vec<Row> {
    let runs: Vec<Vec<Measured>> = (0..repetitions)
        .into_par_iter()
        .map(|repetition| {
            let key = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ repetition;
            let draw = draw(cell, key);
            measure(cell, &draw, key)
        })
        .collect();
    let mut rows: Vec<Row> = Vec::new();
    for run in runs {
        for (place, measured) in run.into_iter().enumerate() {
            if rows.len() == place {
                rows.push(Row {
                    quantity: measured.quantity,
                    method: measured.method,
                    ..Row::default()
                });
            }
            let row = &mut rows[place];
            row.repetitions += 1;
            if let Some(picked) = measured.picked {
                *row.picked.entry(picked).or_default() += 1;
            }
            let Some((low, high)) = measured.ends else {
                continue;
            };
            row.given += 1;
            let truth = measured.truth;
            row.wrong += u64::from(truth < low - 1e-12 || truth > high + 1e-12);
            row.width += if high.is_finite() {
                high - low
            } else {
                truth - low
            };
        }
    }
    rows
}

/// V(π), V(baseline).
fn values() -> (f64, f64) {
    let mean =
        |arm: [usize; 2]| EASY_SHARE * QUALITY[0][arm[0]] + (1.0 - EASY_SHARE) * QUALITY[1][arm[1]];
    (mean(TARGET), mean([BASELINE; 2]))
}

/// Cost of the target policy over the baseline's: lengths do not depend on the kind.
fn cost_ratio() -> f64 {
    (EASY_SHARE * PRICE[TARGET[0]] + (1.0 - EASY_SHARE) * PRICE[TARGET[1]]) / PRICE[BASELINE]
}

/// Propensities of a request whose overlap is poor, or not.
fn logging(overlap: Overlap, poor: bool, target: usize) -> [f64; ARMS] {
    let of_target = match (overlap, poor) {
        (Overlap::Thin, true) => 0.015,
        (Overlap::Broken, true) => 0.0,
        _ => 0.4,
    };
    let mut p = [(1.0 - of_target) / 3.0; ARMS];
    p[target] = of_target;
    p
}

/// A reward of mean `quality` from a uniform number: 0 or 1, or uniform below 1.
fn reward(binary: bool, quality: f64, u: f64) -> f64 {
    if binary {
        f64::from(u8::from(u < quality))
    } else {
        1.0 - 2.0 * (1.0 - quality) * u
    }
}

fn draw(cell: Cell, key: u64) -> Draw {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(key);
    let n = cell.n;
    let size = if cell.clustered { SESSION } else { 1 };
    let mut draw = Draw {
        rewards: Vec::with_capacity(n),
        costs: Vec::with_capacity(n),
        policy: Vec::with_capacity(n),
        baseline: Vec::with_capacity(n),
        agreement: Vec::with_capacity(n),
        logged: Vec::with_capacity(n),
        propensity: Vec::with_capacity(n),
        predicted: Array2::zeros((n, ARMS)),
        // The mean of lengths is 1/4; they cannot be told beforehand.
        predicted_cost: Array2::from_shape_fn((n, ARMS), |(_, arm)| 0.25 * PRICE[arm]),
        target: Array2::zeros((n, ARMS)),
        always: Array2::from_shape_fn((n, ARMS), |(_, arm)| f64::from(u8::from(arm == BASELINE))),
        propensities: Array2::zeros((n, ARMS)),
        clusters: cell.clustered.then(|| Clusters {
            of: (0..n).map(|i| i / SESSION).collect(),
            count: n.div_ceil(SESSION),
        }),
        full_quality: Vec::with_capacity(n),
        full_cost: Vec::with_capacity(n),
        full_baseline_cost: Vec::with_capacity(n),
    };
    let poor_share = match cell.overlap {
        Overlap::Good => 0.0,
        Overlap::Thin => THIN_SHARE,
        Overlap::Broken => BROKEN_SHARE,
    };
    let (mut kind, mut poor, mut luck, mut length) = (0, false, 0.0, 0.0);
    for i in 0..n {
        if i % size == 0 {
            kind = usize::from(rng.random::<f64>() >= EASY_SHARE);
            poor = rng.random::<f64>() < poor_share;
            luck = rng.random::<f64>();
            length = rng.random::<f64>();
        }
        // Half of a session's rows share its luck and its length.
        let shared = rng.random::<f64>() < 0.5;
        let own: [f64; 2] = [rng.random(), rng.random()];
        let (u, long) = if shared { (luck, length) } else { own.into() };
        // Lengths with a long tail, within a known limit.
        let long = long.powi(3);
        let target = TARGET[kind];
        let p = logging(cell.overlap, poor, target);
        let mut at: f64 = rng.random();
        let arm = (0..ARMS)
            .find(|arm| {
                at -= p[*arm];
                at < 0.0
            })
            .unwrap_or(if target == BASELINE { 0 } else { BASELINE });
        draw.logged.push(arm);
        draw.propensity.push(p[arm]);
        draw.rewards
            .push(reward(cell.binary, QUALITY[kind][arm], u));
        draw.costs.push(PRICE[arm] * long);
        draw.policy
            .push(if arm == target { p[arm].recip() } else { 0.0 });
        draw.baseline
            .push(if arm == BASELINE { p[arm].recip() } else { 0.0 });
        draw.agreement.push(f64::from(u8::from(target == BASELINE)));
        for arm in 0..ARMS {
            // A predictor that is right in tendency only.
            draw.predicted[[i, arm]] = 0.2 + 0.75 * QUALITY[kind][arm];
            draw.propensities[[i, arm]] = p[arm];
        }
        draw.target[[i, target]] = 1.0;
        draw.full_quality
            .push(reward(cell.binary, QUALITY[kind][target], u));
        draw.full_cost.push(PRICE[target] * long);
        draw.full_baseline_cost.push(PRICE[BASELINE] * long);
    }
    draw
}

impl Draw {
    fn weighted(&self) -> WeightedRewards<'_> {
        WeightedRewards {
            rewards: &self.rewards,
            policy: &self.policy,
            baseline: Some(Baseline {
                weights: &self.baseline,
                agreement: &self.agreement,
            }),
            clusters: self.clusters.as_ref(),
            predictions: None,
        }
    }

    fn informed(&self) -> WeightedRewards<'_> {
        WeightedRewards {
            predictions: Some(Predictions {
                rewards: self.predicted.view(),
                policy: self.target.view(),
                propensities: self.propensities.view(),
                logged: &self.logged,
                baseline: BASELINE,
            }),
            ..self.weighted()
        }
    }

    /// What estimators see of every request, under a target policy of shape (n, arms).
    fn rows(
        &self,
        target: &Array2<f64>,
        outcomes: &[f64],
        predicted: &Array2<f64>,
    ) -> Vec<LoggedRow> {
        let row = |i: usize| {
            let (target, predicted) = (target.row(i), predicted.row(i));
            let target = target.to_slice().expect("rows are contiguous");
            let predicted = predicted.to_slice().expect("rows are contiguous");
            let (arm, p) = (self.logged[i], self.propensity[i]);
            LoggedRow::of(target, predicted, arm, p, outcomes[i]).expect("simulated rows are sound")
        };
        (0..outcomes.len()).map(row).collect()
    }

    /// (a, b) of every cluster.
    fn pairs(&self, row: impl Fn(usize) -> (f64, f64)) -> Vec<(f64, f64)> {
        let Some(clusters) = &self.clusters else {
            return (0..self.rewards.len()).map(row).collect();
        };
        let mut sums = vec![(0.0, 0.0); clusters.count];
        for (i, &cluster) in clusters.of.iter().enumerate() {
            let (a, b) = row(i);
            sums[cluster].0 += a;
            sums[cluster].1 += b;
        }
        sums
    }
}

fn student(pairs: &[(f64, f64)]) -> Option<(f64, f64)> {
    let interval = Robust::ratio(pairs)?.interval(CONFIDENCE)?;
    Some((interval.low, interval.high))
}

/// Percentile intervals of two ratios over the same clusters, resampled together.
fn resampled(ratios: [&[(f64, f64)]; 2], bootstrap: Bootstrap) -> [Option<(f64, f64)>; 2] {
    let columns = Array2::from_shape_fn((ratios[0].len(), 4), |(i, j)| {
        let (above, below) = ratios[j / 2][i];
        if j % 2 == 0 { above } else { below }
    });
    let draws = bootstrap.sums(columns.view());
    [0, 1].map(|which| {
        let point = Robust::ratio(ratios[which])?.point;
        let values = draws.outer_iter();
        let values = values.map(|row| row[2 * which] / row[2 * which + 1]);
        let interval = percentile_interval(point, values.collect(), CONFIDENCE);
        Some((interval.low, interval.high))
    })
}

fn above(low: Option<f64>) -> Option<(f64, f64)> {
    low.map(|low| (low, f64::INFINITY))
}

/// Every method on one draw, in a fixed order.
fn measure(cell: Cell, draw: &Draw, key: u64) -> Vec<Measured> {
    let [bootstrap, chosen_bootstrap] = RESAMPLES.map(|resamples| Bootstrap {
        resamples,
        seed: key,
    });
    let mut list = List {
        measured: Vec::new(),
        bootstrap,
        chosen_bootstrap,
    };
    value(cell, draw, &mut list);
    margin(draw, &mut list);
    // Costs do not depend on rewards: another cell's would be the same numbers again.
    if cell.binary {
        savings(draw, &mut list);
    }
    // What was never logged does not concern full information.
    if cell.overlap == Overlap::Good {
        full(cell, draw, &mut list);
    }
    list.measured
}

struct List {
    measured: Vec<Measured>,
    bootstrap: Bootstrap,
    chosen_bootstrap: Bootstrap,
}

impl List {
    fn add(
        &mut self,
        quantity: &'static str,
        truth: f64,
        method: &'static str,
        ends: Option<(f64, f64)>,
    ) {
        self.measured.push(Measured {
            quantity,
            method,
            ends,
            truth,
            picked: None,
        });
    }

    /// The automatic choice, as a description and as a claim.
    fn automatic(&mut self, quantities: [&'static str; 2], truth: f64, sample: &Sample<'_>) {
        for looked_before in [false, true] {
            let question = |purpose| Question {
                purpose,
                confidence: CONFIDENCE,
                looked_before,
                bootstrap: self.chosen_bootstrap,
            };
            let described = interval(sample, &question(Purpose::Description));
            let claimed = lower_bound(sample, &question(Purpose::Claim));
            let method = if looked_before {
                "automatic (looked before)"
            } else {
                "automatic"
            };
            let ends = described.bound.map(|i| (i.low, i.high));
            for (quantity, ends, choice) in [
                (quantities[0], ends, described.choice),
                (quantities[1], above(claimed.bound), claimed.choice),
            ] {
                self.measured.push(Measured {
                    quantity,
                    method,
                    ends,
                    truth,
                    picked: Some(choice.method.name()),
                });
            }
        }
    }
}

fn value(cell: Cell, draw: &Draw, list: &mut List) {
    let truth = values().0;
    let (two, one) = ("value", "value lower");
    let alpha = 1.0 - CONFIDENCE;
    let rows = draw.rows(&draw.target, &draw.rewards, &draw.predicted);
    let at = |family: Family, setting| family.at(setting).expect("a sound setting");
    let of = |estimator: Estimator| direct(estimator, &rows);
    let means = |terms: &[f64]| draw.pairs(|i| (terms[i], 1.0));
    let ips = means(&of(Estimator::Ips));
    let snips = draw.pairs(|i| {
        let terms = Estimator::Snips.terms(&rows[i]);
        (terms.numerator, terms.denominator)
    });
    let dr = of(Estimator::Dr);
    let dr_pairs = means(&dr);
    let switch = means(&of(at(Family::SwitchDr, 10.0)));
    // λ such that weights up to 10 are hardly touched.
    let shrunk = means(&of(at(Family::Dros, 100.0)));
    list.add(two, truth, "IPS t", student(&ips));
    list.add(two, truth, "SNIPS t", student(&snips));
    list.add(two, truth, "DR t", student(&dr_pairs));
    list.add(two, truth, "Switch-DR(10) t", student(&switch));
    list.add(two, truth, "DRos(100) t", student(&shrunk));
    if cell.clustered {
        let rows: Vec<(f64, f64)> = dr.iter().map(|x| (*x, 1.0)).collect();
        list.add(two, truth, "DR t ignoring sessions", student(&rows));
    }
    let [of_snips, of_dr] = resampled([&snips, &dr_pairs], list.bootstrap);
    list.add(two, truth, "SNIPS bootstrap", of_snips);
    list.add(two, truth, "DR bootstrap", of_dr);
    let two_sided = |rewards: WeightedRewards<'_>, looks| {
        let low = rewards.value_lower(alpha / 2.0, looks)?;
        Some((low, rewards.value_upper(alpha / 2.0, looks)?))
    };
    let (plain, informed) = (draw.weighted(), draw.informed());
    list.add(
        two,
        truth,
        "weighted betting",
        two_sided(plain, Looks::Once),
    );
    let ends = two_sided(plain, Looks::Anytime);
    list.add(two, truth, "weighted betting sequence", ends);
    let ends = two_sided(informed, Looks::Once);
    list.add(two, truth, "weighted betting + DR", ends);
    // The largest weight is known here; cluster means share it.
    let most = if cell.overlap == Overlap::Thin {
        1.0 / 0.015
    } else {
        2.5
    };
    let groups: Vec<f64> = {
        let size = if cell.clustered { SESSION } else { 1 };
        ips.iter().map(|(sum, _)| sum / unit(size)).collect()
    };
    let bernstein = |alpha: f64| bernstein_lower(&groups, most, alpha);
    list.add(
        one,
        truth,
        "Maurer-Pontil (known range)",
        above(bernstein(alpha)),
    );
    list.add(one, truth, "HCOPE", above(hcope_lower(&groups, alpha)));
    let low = Robust::ratio(&dr_pairs).and_then(|r| r.lower(alpha));
    list.add(one, truth, "DR t", above(low));
    let low = plain.value_lower(alpha, Looks::Once);
    list.add(one, truth, "weighted betting", above(low));
    let low = informed.value_lower(alpha, Looks::Once);
    list.add(one, truth, "weighted betting + DR", above(low));
    let sample = Sample::Value {
        rewards: plain,
        terms: Some(&dr),
    };
    list.automatic([two, one], truth, &sample);
}

/// Terms of an estimator that is a mean.
fn direct(estimator: Estimator, rows: &[LoggedRow]) -> Vec<f64> {
    rows.iter().map(|row| estimator.terms(row).direct).collect()
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn unit(n: usize) -> f64 {
    n as f64
}

fn bernstein_lower(values: &[f64], most: f64, alpha: f64) -> Option<f64> {
    let n = unit(values.len());
    let mean = values.iter().sum::<f64>() / n / most;
    let squares: f64 = values.iter().map(|x| (x / most - mean).powi(2)).sum();
    let low = maurer_pontil_lower(mean, squares / (n - 1.0), values.len() as u64, alpha)?;
    Some(low * most)
}

fn margin(draw: &Draw, list: &mut List) {
    let (policy, baseline) = values();
    let truth = policy - RETAIN * baseline;
    let alpha = 1.0 - CONFIDENCE;
    for (method, rewards) in [
        ("weighted betting", draw.weighted()),
        ("weighted betting + DR", draw.informed()),
    ] {
        let low = rewards.margin_lower(RETAIN, alpha, Looks::Once);
        list.add("margin lower", truth, method, above(low));
        let high = rewards.margin_upper(RETAIN, alpha, Looks::Once);
        let mirrored = above(high.map(|high| -high));
        list.add("margin upper (mirrored)", -truth, method, mirrored);
    }
}

fn savings(draw: &Draw, list: &mut List) {
    let truth = cost_ratio();
    let two = "cost ratio";
    let policy = draw.rows(&draw.target, &draw.costs, &draw.predicted_cost);
    let baseline = draw.rows(&draw.always, &draw.costs, &draw.predicted_cost);
    let terms = |estimator| [direct(estimator, &policy), direct(estimator, &baseline)];
    let pairs = |terms: &[Vec<f64>; 2]| draw.pairs(|i| (terms[0][i], terms[1][i]));
    let ips = pairs(&terms(Estimator::Ips));
    let robust = terms(Estimator::Dr);
    let dr = pairs(&robust);
    list.add(two, truth, "IPS t", student(&ips));
    let [of_ips, of_dr] = resampled([&ips, &dr], list.bootstrap);
    list.add(two, truth, "IPS bootstrap", of_ips);
    list.add(two, truth, "DR t", student(&dr));
    list.add(two, truth, "DR bootstrap", of_dr);
    let costs = WeightedRewards {
        rewards: &draw.costs,
        ..draw.weighted()
    };
    let tail = (1.0 - CONFIDENCE) / 2.0;
    list.add(
        two,
        truth,
        "ratio betting",
        costs.ratio(5.0, tail, Looks::Once),
    );
    let sample = Sample::ValueRatio {
        rewards: costs,
        terms: Some([&robust[0], &robust[1]]),
    };
    list.automatic([two, "cost ratio lower"], truth, &sample);
}

/// Full information: the target's outcomes are known of every request.
fn full(cell: Cell, draw: &Draw, list: &mut List) {
    let truth = values().0;
    let (two, one) = ("full quality", "full quality lower");
    let alpha = 1.0 - CONFIDENCE;
    let quality = &draw.full_quality;
    let pairs = draw.pairs(|i| (quality[i], 1.0));
    let means: Vec<f64> = pairs
        .iter()
        .map(|(sum, size)| (sum / size).min(1.0))
        .collect();
    list.add(two, truth, "t", student(&pairs));
    let costs = draw.pairs(|i| (draw.full_cost[i], draw.full_baseline_cost[i]));
    let [of_quality, of_costs] = resampled([&pairs, &costs], list.bootstrap);
    list.add(two, truth, "bootstrap", of_quality);
    let two_sided = |looks| {
        let low = betting_lower(&means, None, alpha / 2.0, looks)?;
        Some((low, betting_upper(&means, None, alpha / 2.0, looks)?))
    };
    list.add(two, truth, "betting", two_sided(Looks::Once));
    list.add(two, truth, "betting sequence", two_sided(Looks::Anytime));
    let bernstein = |alpha: f64, values: &[f64]| bernstein_lower(values, 1.0, alpha);
    let mirrored: Vec<f64> = means.iter().map(|x| 1.0 - x).collect();
    let ends = bernstein(alpha / 2.0, &means)
        .and_then(|low| Some((low, 1.0 - bernstein(alpha / 2.0, &mirrored)?)));
    list.add(two, truth, "Maurer-Pontil", ends);
    if cell.binary && !cell.clustered {
        let hits = quality.iter().filter(|q| **q > 0.5).count() as u64;
        let n = quality.len() as u64;
        let ends = clopper_pearson_lower(hits, n, alpha / 2.0)
            .and_then(|low| Some((low, clopper_pearson_upper(hits, n, alpha / 2.0)?)));
        list.add(two, truth, "Clopper-Pearson", ends);
        let low = clopper_pearson_lower(hits, n, alpha);
        list.add(one, truth, "Clopper-Pearson", above(low));
    }
    let low = Robust::ratio(&pairs).and_then(|r| r.lower(alpha));
    list.add(one, truth, "t", above(low));
    let low = betting_lower(&means, None, alpha, Looks::Once);
    list.add(one, truth, "betting", above(low));
    let sample = Sample::Bounded {
        values: quality,
        low: 0.0,
        high: 1.0,
        clusters: draw.clusters.as_ref(),
    };
    list.automatic([two, one], truth, &sample);
    if !cell.binary {
        return;
    }

    let truth = cost_ratio();
    let two = "full cost ratio";
    list.add(two, truth, "t", student(&costs));
    list.add(two, truth, "bootstrap", of_costs);
    let costs = PairedCosts {
        policy: &draw.full_cost,
        baseline: &draw.full_baseline_cost,
        policy_max: 1.0,
        baseline_max: 1.0,
        clusters: draw.clusters.as_ref(),
    };
    let tail = (1.0 - CONFIDENCE) / 2.0;
    list.add(
        two,
        truth,
        "ratio betting",
        costs.ratio(5.0, tail, Looks::Once),
    );
    let quantities = [two, "full cost ratio lower"];
    list.automatic(quantities, truth, &Sample::CostRatio(costs));
}
