//! Labels that are missing, and whether that depends on the arm.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::LoggedSample;
use super::null::count;
use crate::evaluation::MissingLabels;

/// Largest share of chosen answers without a label at which a verdict is drawn.
pub const UNLABELLED_SHARE_MAX: f64 = 0.02;

/// Difference between two arms' shares of missing labels below which it is too small to matter,
/// significant or not.
pub const UNLABELLED_GAP_MAX: f64 = 0.005;

/// Level of the test that missing labels depend on the arm.
pub const DEPENDENCE_LEVEL: f64 = 0.005;

/// Least expected number of missing labels of an arm in the test; smaller arms are pooled.
const EXPECTED_MIN: f64 = 5.0;

/// Missing labels of the sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// Arms that lack some, with the mean quality that the missing ones could make of theirs.
    pub arms: Vec<MissingLabels>,
    /// Share of all rows without a label.
    pub share: f64,
    /// Largest difference between two arms' shares, among arms large enough to be tested alone.
    pub gap: f64,
    /// P-value of "missing does not depend on the arm"; `None` when too few are missing to tell.
    pub p_value: Option<f64>,
}

impl Missing {
    /// Whether arms differ in their missing labels, significantly and by enough to matter.
    #[must_use]
    pub fn depends_on_arm(&self) -> bool {
        self.gap > UNLABELLED_GAP_MAX && self.p_value.is_some_and(|p| p < DEPENDENCE_LEVEL)
    }
}

/// Counts missing labels by arm, bounds each arm's mean, and tests that arms miss alike.
///
/// The test is Pearson's chi-square over arms, divided by the design effect of the clusters (Rao &
/// Scott 1981, doi:10.1080/01621459.1981.10477633). Bounds set every missing label to 0 or to 1
/// (Manski 1990).
#[must_use]
pub fn missing_labels(sample: &LoggedSample<'_>) -> Missing {
    let tallies = tally(sample);
    let n = count(sample.rows());
    let lacking: f64 = tallies.iter().map(|t| t.lacking).sum();
    let share = lacking / n;
    let arms = sample
        .arms
        .iter()
        .zip(&tallies)
        .filter(|(_, t)| t.lacking > 0.0)
        .map(|(arm, t)| MissingLabels {
            model: arm.to_string(),
            outcomes: t.rows,
            unlabelled_share: t.share(),
            quality_low: t.quality / t.size,
            quality_high: (t.quality + t.lacking) / t.size,
        })
        .collect();
    let cells = pooled(&tallies, share);
    let shares = || cells.iter().map(Tally::share);
    let gap = shares().fold(0.0, f64::max) - shares().fold(1.0, f64::min);
    Missing {
        arms,
        share,
        gap: if cells.len() > 1 { gap } else { 0.0 },
        p_value: (cells.len() > 1).then(|| p_value(&cells, share, design_effect(sample, share))),
    }
}

/// One arm's outcomes.
#[derive(Clone, Copy, Default)]
struct Tally {
    rows: u64,
    size: f64,
    lacking: f64,
    quality: f64,
}

impl Tally {
    fn share(&self) -> f64 {
        self.lacking / self.size
    }
}

fn tally(sample: &LoggedSample<'_>) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); sample.arms.len()];
    for (&arm, quality) in sample.chosen.iter().zip(sample.quality) {
        let tally = &mut tallies[arm];
        tally.rows += 1;
        tally.size += 1.0;
        match quality {
            Some(q) => tally.quality += q,
            None => tally.lacking += 1.0,
        }
    }
    tallies
}

/// Arms with enough expected missing and present labels; the others as one.
fn pooled(tallies: &[Tally], share: f64) -> Vec<Tally> {
    let least = share.min(1.0 - share);
    let enough = |t: &Tally| t.size * least >= EXPECTED_MIN;
    let mut cells: Vec<Tally> = tallies.iter().copied().filter(enough).collect();
    let rest = tallies
        .iter()
        .filter(|t| !enough(t))
        .fold(Tally::default(), |sum, t| Tally {
            rows: sum.rows + t.rows,
            size: sum.size + t.size,
            lacking: sum.lacking + t.lacking,
            quality: sum.quality + t.quality,
        });
    if enough(&rest) {
        cells.push(rest);
    }
    cells
}

fn p_value(cells: &[Tally], share: f64, design: f64) -> f64 {
    let statistic: f64 = cells
        .iter()
        .map(|t| {
            let difference = t.lacking - t.size * share;
            difference * difference / (t.size * share * (1.0 - share))
        })
        .sum();
    ChiSquared::new(count(cells.len() - 1)).map_or(1.0, |chi| 1.0 - chi.cdf(statistic / design))
}

/// Variance of clusters' sums of missing labels over that of independent rows; at least 1.
fn design_effect(sample: &LoggedSample<'_>, share: f64) -> f64 {
    let clusters = sample.clusters;
    let mut sums = vec![0.0; clusters.count];
    for (&cluster, quality) in clusters.of.iter().zip(sample.quality) {
        sums[cluster] += f64::from(u8::from(quality.is_none())) - share;
    }
    let together: f64 = sums.iter().map(|s| s * s).sum();
    let alone = count(sample.rows()) * share * (1.0 - share);
    if alone > 0.0 {
        (together / alone).max(1.0)
    } else {
        1.0
    }
}
