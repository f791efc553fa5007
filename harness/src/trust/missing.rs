//! Labels that are missing, and whether that depends on the arm.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use plimsoll::ArmId;

use super::SampleError;
use super::null::count;
use crate::evaluation::MissingLabels;
use crate::judge::Clusters;

/// Largest share of chosen answers without a label at which a verdict is drawn.
pub const UNLABELLED_SHARE_MAX: f64 = 0.02;

/// Difference between two arms' shares of missing labels below which it is too small to matter,
/// significant or not.
pub const UNLABELLED_GAP_MAX: f64 = 0.005;

/// Level of the test that missing labels depend on the arm.
pub const DEPENDENCE_LEVEL: f64 = 0.005;

/// Least expected number of missing labels of an arm in the test; smaller arms are pooled.
const EXPECTED_MIN: f64 = 5.0;

/// Labels of the chosen arms' answers, missing ones included.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// The K arms.
    pub arms: &'a [ArmId],
    /// The arm that was chosen, in 0..K, shape (n); rows without one are passed over.
    pub chosen: &'a [Option<usize>],
    /// Quality of its answer in [0, 1], `None` without a label, shape (n).
    pub quality: &'a [Option<f64>],
    /// Dependent rows.
    pub clusters: &'a Clusters,
}

/// Missing labels of a log.
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
///
/// # Errors
/// [`SampleError`] when parts differ in length, an arm is unknown or a quality outside [0, 1].
pub fn missing_labels(labels: &Labels<'_>) -> Result<Missing, SampleError> {
    check(labels)?;
    let tallies = tally(labels);
    let n: f64 = tallies.iter().map(|t| t.size).sum();
    let lacking: f64 = tallies.iter().map(|t| t.lacking).sum();
    let share = if n > 0.0 { lacking / n } else { 0.0 };
    let arms = labels
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
    Ok(Missing {
        arms,
        share,
        gap: if cells.len() > 1 { gap } else { 0.0 },
        p_value: (cells.len() > 1).then(|| p_value(&cells, share, design_effect(labels, share))),
    })
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

fn tally(labels: &Labels<'_>) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); labels.arms.len()];
    for (arm, quality) in labels.chosen.iter().zip(labels.quality) {
        let Some(arm) = *arm else { continue };
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
fn design_effect(labels: &Labels<'_>, share: f64) -> f64 {
    let mut sums = vec![0.0; labels.clusters.count];
    let mut alone = 0.0;
    let rows = labels
        .clusters
        .of
        .iter()
        .zip(labels.quality)
        .zip(labels.chosen);
    for ((&cluster, quality), _) in rows.filter(|(_, chosen)| chosen.is_some()) {
        sums[cluster] += f64::from(u8::from(quality.is_none())) - share;
        alone += share * (1.0 - share);
    }
    let together: f64 = sums.iter().map(|s| s * s).sum();
    if alone > 0.0 {
        (together / alone).max(1.0)
    } else {
        1.0
    }
}

fn check(labels: &Labels<'_>) -> Result<(), SampleError> {
    let expected = labels.chosen.len();
    let parts = [
        ("quality", labels.quality.len()),
        ("clusters", labels.clusters.of.len()),
    ];
    if let Some((part, got)) = parts.into_iter().find(|(_, got)| *got != expected) {
        return Err(SampleError::Length {
            part: part.to_owned(),
            got,
            expected,
        });
    }
    for (row, (arm, quality)) in labels.chosen.iter().zip(labels.quality).enumerate() {
        if let Some(got) = arm.filter(|&arm| arm >= labels.arms.len()) {
            return Err(SampleError::Arm {
                row,
                got,
                arms: labels.arms.len(),
            });
        }
        if let Some(got) = quality.filter(|q| !(0.0..=1.0).contains(q)) {
            return Err(SampleError::Value {
                part: "quality".to_owned(),
                row,
                got,
                allowed: "0 to 1",
            });
        }
    }
    Ok(())
}
