//! The certified router, as it was stored, on new requests.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use plimsoll::{ArmScore, Distribution, Router};
use plimsoll_datasets::{OutcomeLog, Request};
use rayon::prelude::*;

use super::error::CertificateError;
use super::fresh::Fresh;
use super::record::{Bound, Certificate};
use crate::bounds::{Looks, betting_lower, betting_upper, rescale};
use crate::error::EvidenceError;
use crate::weighed::{Weighed, two_arm_propensities};

use crate::judge::Clusters;
use crate::logged;
use crate::promise::{Line, Play, mean};
use crate::sections::LoggedRows;
use crate::study::{LoggedSide, raw_context};
use crate::table::OutcomeTable;
use crate::tune::play;

/// Least outcomes of an arm before its cost is compared with what is expected.
const PRICED_ROWS_MIN: usize = 30;
/// Least share of requests that the policy sends to an arm whose price matters.
const USED_SHARE_MIN: f64 = 0.01;

/// What the router would have earned and spent on the new rows.
pub(super) struct Replayed<'f> {
    pub(super) fresh: &'f Fresh,
    /// Shape (n).
    pub(super) requests: Vec<&'f Request>,
    pub(super) line: Line,
    /// Quality minus line, or its score, shape (n).
    margin: Vec<f64>,
    pub(super) line_quality: f64,
    pub(super) policy: Play,
    pub(super) baseline: Option<(String, Play)>,
    /// Expected and recorded mean cost per arm, where both are known.
    pub(super) prices: Vec<(String, f64, f64)>,
    /// Why the log's propensities cannot carry a verdict.
    pub(super) doubts: Vec<String>,
    served: Option<Served>,
    size_max: u64,
}

/// Rows of which only the served answer is known.
struct Served {
    rows: LoggedSide,
    /// Shape (n, K).
    probabilities: Array2<f64>,
}

/// What the router says of the new rows, shape (n, K) each.
struct Said {
    probabilities: Array2<f64>,
    quality: Array2<f64>,
    /// `None` where an arm has no price.
    cost: Array2<Option<f64>>,
}

impl Said {
    fn of(router: &Router, requests: &[&Request]) -> Result<Self, EvidenceError> {
        let rows: Vec<(Distribution, Vec<ArmScore>)> = requests
            .par_iter()
            .map(|request| {
                let context = router
                    .context(&raw_context(request))
                    .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
                let distribution = router
                    .distribution(&context)
                    .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
                let scores = router
                    .score(&context)
                    .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
                Ok((distribution, scores))
            })
            .collect::<Result<_, EvidenceError>>()?;
        let shape = (requests.len(), router.arms().len());
        Ok(Self {
            probabilities: Array2::from_shape_fn(shape, |(i, a)| rows[i].0.probabilities()[a]),
            quality: Array2::from_shape_fn(shape, |(i, a)| rows[i].1[a].quality),
            cost: Array2::from_shape_fn(shape, |(i, a)| rows[i].1[a].expected_cost),
        })
    }
}

impl<'f> Replayed<'f> {
    pub(super) fn of(
        log: &'f OutcomeLog,
        table: &OutcomeTable,
        router: &Router,
        certificate: &Certificate,
        fresh: &'f Fresh,
    ) -> Result<Self, CertificateError> {
        let line = line(certificate, table)?;
        let request = |row: usize| -> &'f Request { &log.requests[table.requests[row]] };
        let requests: Vec<&Request> = fresh.rows.iter().map(|&row| request(row)).collect();
        let said = Said::of(router, &requests)?;
        let (mut quality, mut cost) = (
            table.quality.select(Axis(0), &fresh.rows),
            table.cost.select(Axis(0), &fresh.rows),
        );
        // Prices are compared where they were paid, before scores take their place.
        let prices = prices(table, &said, cost.view());
        let mut doubts = Vec::new();
        let mut served = None;
        if let Some(logged) = &table.logged {
            let rows = LoggedSide::new(logged, &fresh.rows);
            // Any expectation gives an unbiased score, 0 too.
            let expected = said.cost.mapv(|cost| cost.unwrap_or(0.0));
            (quality, cost) = logged::scores(&rows, &said.quality, &expected);
            logged::refuse_unsupported(&rows, &quality, &said.probabilities)?;
            let trusted = LoggedRows {
                log,
                table,
                requests: fresh.rows.iter().map(|&row| table.requests[row]).collect(),
                propensity: &rows.propensity,
                clusters: &fresh.clusters,
                labelled: fresh.unknown.clone(),
            };
            doubts = trusted.doubts(&said.probabilities)?;
            served = Some(Served {
                rows: LoggedSide {
                    predicted: said.quality,
                    ..rows
                },
                probabilities: said.probabilities.clone(),
            });
        }
        let policy = play(&said.probabilities, quality.view(), cost.view());
        let per_row = line.per_request(&quality);
        let baseline = table.column(&certificate.baseline.model).map(|arm| {
            let play = Play {
                quality: quality.column(arm).to_owned(),
                cost: cost.column(arm).to_owned(),
            };
            (certificate.baseline.model.clone(), play)
        });
        Ok(Self {
            fresh,
            requests,
            line,
            margin: (&policy.quality - &per_row).to_vec(),
            line_quality: mean(per_row.view()),
            policy,
            baseline,
            prices,
            doubts,
            served,
            size_max: certificate.cluster_requests_max.max(1),
        })
    }

    /// Rows judged.
    pub(super) fn rows(&self) -> usize {
        self.margin.len()
    }

    /// Two one-sided confidence sequences, each at `alpha`, on some of the rows, in time order.
    pub(super) fn sequence(&self, rows: &[usize], alpha: f64) -> Bound {
        let clusters = Clusters::of_rows(&self.fresh.clusters.of, rows);
        let margins: Array1<f64> = rows.iter().map(|&i| self.margin[i]).collect();
        let (bounds, method) = match &self.served {
            None => (
                self.observed(&margins, &clusters, alpha),
                "betting, anytime-valid",
            ),
            Some(served) => (
                self.weighted(served, rows, &clusters, alpha),
                "betting on weighted rewards, anytime-valid",
            ),
        };
        let (least, most) = self.line.margin_range();
        Bound {
            margin: mean(margins.view()),
            low: bounds.0.unwrap_or(least),
            high: bounds.1.unwrap_or(most),
            p_value: None,
            method: method.to_owned(),
            reason: "the log may grow and be looked at again: a bound that holds at every look"
                .to_owned(),
        }
    }

    /// Every answer is known: margins have a range.
    fn observed(
        &self,
        margins: &Array1<f64>,
        clusters: &Clusters,
        alpha: f64,
    ) -> (Option<f64>, Option<f64>) {
        let (low, high) = self.line.margin_range();
        let sums = clusters.sums(&[margins.view()]);
        let sizes = clusters.sizes();
        #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
        let largest = self.size_max as f64;
        let value = |c: usize| rescale(sums[[c, 0]] / sizes[c], low, high);
        let values: Vec<f64> = (0..clusters.count).map(value).collect();
        let weights: Vec<f64> = sizes.iter().map(|size| size / largest).collect();
        let weights = Some(weights.as_slice());
        let back = |bound: Option<f64>| bound.map(|b| low + b * (high - low));
        (
            back(betting_lower(&values, weights, alpha, Looks::Anytime)),
            back(betting_upper(&values, weights, alpha, Looks::Anytime)),
        )
    }

    /// Only served answers are known: the certificate's bets on weighted rewards. The router has
    /// seen none of these rows, so its own expectations serve as predictions.
    fn weighted(
        &self,
        served: &Served,
        rows: &[usize],
        clusters: &Clusters,
        alpha: f64,
    ) -> (Option<f64>, Option<f64>) {
        let (arm, retain, line) = match self.line {
            Line::Absolute(line) => (None, None, line),
            Line::Relative { arm, retain } => (Some(arm), Some(retain), 0.0),
        };
        let known = two_arm_propensities(&served.rows, served.probabilities.ncols(), rows);
        let weighed =
            Weighed::quality_knowing(&served.rows, &served.probabilities, arm, rows, known);
        let view = weighed.view(clusters);
        let bounds = view.sequence(retain, self.size_max, alpha);
        (bounds.map(|b| b.0 - line), bounds.map(|b| b.1 - line))
    }
}

/// Expected and recorded mean cost of each arm that the policy uses, on the rows where it was paid.
fn prices(table: &OutcomeTable, said: &Said, paid: ArrayView2<'_, f64>) -> Vec<(String, f64, f64)> {
    (0..table.arms.len())
        .filter(|&arm| mean(said.probabilities.column(arm)) >= USED_SHARE_MIN)
        .filter_map(|arm| {
            let rows: Vec<usize> = (0..paid.nrows())
                .filter(|&row| !paid[[row, arm]].is_nan())
                .collect();
            let expected: Option<Array1<f64>> =
                rows.iter().map(|&row| said.cost[[row, arm]]).collect();
            let recorded: Array1<f64> = rows.iter().map(|&row| paid[[row, arm]]).collect();
            let expected = expected.filter(|_| rows.len() >= PRICED_ROWS_MIN)?;
            Some((
                table.arms[arm].to_string(),
                mean(expected.view()),
                mean(recorded.view()),
            ))
        })
        .collect()
}

/// The certificate's line on the new table.
fn line(certificate: &Certificate, table: &OutcomeTable) -> Result<Line, CertificateError> {
    match (&certificate.line.relative_to, certificate.line.retain) {
        (Some(arm), Some(retain)) => {
            let column = table.column(arm).ok_or_else(|| EvidenceError::UnknownArm {
                got: arm.clone(),
                known: table.arms.iter().map(ToString::to_string).collect(),
            })?;
            Ok(Line::Relative {
                arm: column,
                retain,
            })
        }
        (None, None) => Ok(Line::Absolute(certificate.line.quality)),
        _ => Err(CertificateError::Malformed {
            what: "its line is half relative",
        }),
    }
}
