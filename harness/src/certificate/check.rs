//! A certificate held against a newer log.

use std::collections::BTreeMap;

use ndarray::Array2;
use plimsoll::Router;
use plimsoll_datasets::{OutcomeLog, Request, column_value};
use rayon::prelude::*;

use super::error::CertificateError;
use super::record::{
    Bound, CERTIFICATE_SCHEMA, Certificate, Check, CheckRows, PolicyLine, Shift, Standing,
};
use super::traffic::{rfc3339, shares, shifts};
use super::tuning::needed;
use crate::bootstrap::Bootstrap;
use crate::bounds::{Looks, betting_lower, betting_upper, rescale};
use crate::error::EvidenceError;
use crate::evaluation::ArmValue;
use crate::judge::{Clusters, paired};
use crate::promise::{Line, Play, mean};
use crate::replay::{INTERVAL_CONFIDENCE, RESAMPLES, ReplayInput};
use crate::study::raw_context;
use crate::table::{ArmChoice, OutcomeTable};
use crate::tune::play;

/// Least outcomes of an arm before its cost is compared with what is expected.
const PRICED_ROWS_MIN: usize = 30;
/// Least share of requests that the policy sends to an arm whose price matters.
const USED_SHARE_MIN: f64 = 0.01;

/// How to check.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// Bootstrap resamples of the savings' interval.
    pub resamples: usize,
    /// The command, for the record.
    pub command: String,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            resamples: RESAMPLES,
            command: String::new(),
        }
    }
}

/// Replays the certified router on the requests of a log that the certificate does not rest on.
///
/// The bound is a betting confidence sequence (Waudby-Smith & Ramdas 2024,
/// doi:10.1093/jrsssb/qkad009) over clusters in the order of their first request in time: it holds
/// after every request at once, so a log may grow and be looked at again without paying for it. A
/// cluster counts with at most as many requests as the largest of the certificate's log, the
/// earliest ones, and is taken as it stands.
///
/// # Errors
/// [`CertificateError`] when the router is not the certified one, the log holds nothing new, or
/// does not show what the router's arms answered.
pub fn check(
    input: &ReplayInput<'_>,
    certificate: &Certificate,
    snapshot: &[u8],
    options: &CheckOptions,
) -> Result<Check, CertificateError> {
    let router = restore(certificate, snapshot)?;
    let table = table(input, &router)?;
    let fresh = Fresh::of(input.log, &table, certificate)?;
    let judged = Judged::of(input.log, &table, &router, certificate, &fresh)?;
    Ok(judged.check(input, certificate, options))
}

fn restore(certificate: &Certificate, snapshot: &[u8]) -> Result<Router, CertificateError> {
    let got = blake3::hash(snapshot).to_hex().to_string();
    if got != certificate.digests.snapshot {
        return Err(CertificateError::OtherRouter {
            got,
            certified: certificate.digests.snapshot.clone(),
        });
    }
    let router = Router::restore(snapshot);
    Ok(router.map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?)
}

/// The new log's outcomes of the router's arms, in the router's order.
fn table(input: &ReplayInput<'_>, router: &Router) -> Result<OutcomeTable, CertificateError> {
    let include: Vec<String> = router.arms().iter().map(|a| a.id.to_string()).collect();
    let choice = ArmChoice {
        include: include.clone(),
        exclude: Vec::new(),
        coverage_min: plimsoll::COVERAGE_MIN,
    };
    let table = OutcomeTable::new(input.log, input.evidence, &choice)?;
    if table.logged.is_some() {
        return Err(EvidenceError::NotFullInformation {
            evidence: input.evidence,
            requests: input.log.requests.len() as u64,
            arms: include.len() as u64,
            complete: 0,
            widest: None,
        }
        .into());
    }
    let same = table
        .arms
        .iter()
        .map(plimsoll::ArmId::as_str)
        .eq(include.iter().map(String::as_str));
    if !same {
        let left_out = include.into_iter().find(|arm| table.column(arm).is_none());
        return Err(EvidenceError::NotCompared {
            arm: left_out.unwrap_or_default(),
            why: "the certified router may choose it, and the log does not show what it answered"
                .to_owned(),
        }
        .into());
    }
    Ok(table)
}

/// Rows that prove something new, in the order of time.
struct Fresh {
    /// Rows of the table.
    rows: Vec<usize>,
    clusters: Clusters,
    counts: CheckRows,
}

impl Fresh {
    fn of(
        log: &OutcomeLog,
        table: &OutcomeTable,
        certificate: &Certificate,
    ) -> Result<Self, CertificateError> {
        let filter = certificate
            .requests
            .open()
            .ok_or(CertificateError::Malformed {
                what: "its request filter is damaged",
            })?;
        let same_log = log.digest == certificate.digests.log;
        let request = |row: usize| &log.requests[table.requests[row]];
        let mut rows: Vec<usize> = (0..table.rows())
            .filter(|&row| !same_log && !filter.knows(&request(row).id))
            .collect();
        let known = table.rows() - rows.len();
        if rows.is_empty() {
            return Err(CertificateError::SameRows {
                requests: known as u64,
            });
        }
        let when = |row: &usize| {
            let request = request(*row);
            (request.timestamp_us.unwrap_or(i64::MAX), &request.id)
        };
        rows.sort_by(|a, b| when(a).cmp(&when(b)));
        let size_max = certificate.cluster_requests_max.max(1);
        let mut seen: BTreeMap<usize, u64> = BTreeMap::new();
        let all = rows.len();
        rows.retain(|&row| {
            let size = seen.entry(table.cluster[row]).or_default();
            *size += 1;
            *size <= size_max
        });
        let clusters = Clusters::of_rows(&table.cluster, &rows);
        Ok(Self {
            counts: CheckRows {
                judged: rows.len() as u64,
                clusters: clusters.count as u64,
                known: known as u64,
                set_aside: table.set_aside.len() as u64,
                beyond_cluster_size: (all - rows.len()) as u64,
            },
            clusters,
            rows,
        })
    }
}

/// The certified router on the new rows.
struct Judged<'f> {
    fresh: &'f Fresh,
    /// Shape (n).
    requests: Vec<&'f Request>,
    line: Line,
    /// Quality minus line, shape (n).
    margin: Vec<f64>,
    line_quality: f64,
    policy: Play,
    baseline: Option<(String, Play)>,
    /// Expected and recorded mean cost per arm, where both are known.
    prices: Vec<(String, f64, f64)>,
    size_max: u64,
}

impl<'f> Judged<'f> {
    fn of(
        log: &'f OutcomeLog,
        table: &OutcomeTable,
        router: &Router,
        certificate: &Certificate,
        fresh: &'f Fresh,
    ) -> Result<Self, CertificateError> {
        let line = line(certificate, table)?;
        let (quality, cost) = (
            table.quality.select(ndarray::Axis(0), &fresh.rows),
            table.cost.select(ndarray::Axis(0), &fresh.rows),
        );
        let request = |row: usize| -> &'f Request { &log.requests[table.requests[row]] };
        let decided: Vec<(Vec<f64>, Vec<Option<f64>>)> = fresh
            .rows
            .par_iter()
            .map(|&row| {
                let context = router
                    .context(&raw_context(request(row)))
                    .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
                let distribution = router
                    .distribution(&context)
                    .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
                let mut expected = Vec::new();
                router.cost().expected_all(&context, &mut expected);
                Ok((distribution.probabilities().to_vec(), expected))
            })
            .collect::<Result<_, EvidenceError>>()?;
        let probabilities = Array2::from_shape_fn(quality.dim(), |(i, a)| decided[i].0[a]);
        let policy = play(&probabilities, quality.view(), cost.view());
        let per_row = line.per_request(&quality);
        let arm_play = |arm: usize| Play {
            quality: quality.column(arm).to_owned(),
            cost: cost.column(arm).to_owned(),
        };
        let baseline = table
            .column(&certificate.baseline.model)
            .map(|arm| (certificate.baseline.model.clone(), arm_play(arm)));
        let prices = (0..table.arms.len())
            .filter(|_| fresh.rows.len() >= PRICED_ROWS_MIN)
            .filter(|&arm| mean(probabilities.column(arm)) >= USED_SHARE_MIN)
            .filter_map(|arm| {
                let expected: Option<Vec<f64>> = decided.iter().map(|d| d.1[arm]).collect();
                let expected = mean(ndarray::Array1::from_vec(expected?).view());
                Some((
                    table.arms[arm].to_string(),
                    expected,
                    mean(cost.column(arm)),
                ))
            })
            .collect();
        Ok(Self {
            fresh,
            requests: fresh.rows.iter().map(|&row| request(row)).collect(),
            line,
            margin: (&policy.quality - &per_row).to_vec(),
            line_quality: mean(per_row.view()),
            policy,
            baseline,
            prices,
            size_max: certificate.cluster_requests_max.max(1),
        })
    }

    /// Two one-sided confidence sequences, each at `alpha`, on some of the rows, in time order.
    fn sequence(&self, rows: &[usize], alpha: f64) -> Bound {
        let (low, high) = self.line.margin_range();
        let clusters = Clusters::of_rows(&self.fresh.clusters.of, rows);
        let margins: ndarray::Array1<f64> = rows.iter().map(|&i| self.margin[i]).collect();
        let sums = clusters.sums(&[margins.view()]);
        let sizes = clusters.sizes();
        #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
        let largest = self.size_max as f64;
        let value = |c: usize| rescale(sums[[c, 0]] / sizes[c], low, high);
        let values: Vec<f64> = (0..clusters.count).map(value).collect();
        let weights: Vec<f64> = sizes.iter().map(|size| size / largest).collect();
        let back = |bound: Option<f64>, none: f64| bound.map_or(none, |b| low + b * (high - low));
        let weights = Some(weights.as_slice());
        Bound {
            margin: mean(margins.view()),
            low: back(betting_lower(&values, weights, alpha, Looks::Anytime), low),
            high: back(betting_upper(&values, weights, alpha, Looks::Anytime), high),
            p_value: None,
            method: "betting, anytime-valid".to_owned(),
            reason: "the log may grow and be looked at again: a bound that holds at every look"
                .to_owned(),
        }
    }

    fn check(
        &self,
        input: &ReplayInput<'_>,
        certificate: &Certificate,
        options: &CheckOptions,
    ) -> Check {
        let all: Vec<usize> = (0..self.margin.len()).collect();
        let bound = self.sequence(&all, certificate.delta);
        let broken_segments = self.broken_segments(certificate);
        let shifts = self.shifts(certificate);
        let expired = self.expired(input, certificate, &shifts);
        let (standing, reasons) = self.standing(certificate, &bound, &broken_segments, expired);
        let savings = self.baseline.as_ref().map(|(_, baseline)| {
            let bootstrap = Bootstrap {
                resamples: options.resamples,
                seed: certificate.seed,
            };
            let clusters = &self.fresh.clusters;
            paired(
                &self.policy,
                baseline,
                clusters,
                bootstrap,
                INTERVAL_CONFIDENCE,
            )
            .savings
            .fraction
        });
        let more = needed(self.fresh.counts.clusters, bound.margin, bound.low)
            .filter(|_| bound.low < 0.0)
            .map(|needed| needed - self.fresh.counts.clusters);
        Check {
            schema: CERTIFICATE_SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            claim: certificate.claim.clone(),
            policy: certificate.policy.clone(),
            standing,
            reasons,
            rows: self.fresh.counts,
            line: PolicyLine {
                quality: self.line_quality,
                ..certificate.line.clone()
            },
            confidence: certificate.confidence,
            requests_more: more,
            quality: mean(self.policy.quality.view()),
            cost_usd: mean(self.policy.cost.view()),
            baseline: self.baseline.as_ref().map(|(model, play)| ArmValue {
                model: model.clone(),
                quality: mean(play.quality.view()),
                cost_usd: mean(play.cost.view()),
            }),
            savings,
            bound,
            broken_segments,
            shifts,
            looks: certificate.looks + 1,
            log_digest: input.log.digest.clone(),
            snapshot_digest: certificate.digests.snapshot.clone(),
            command: options.command.clone(),
        }
    }
    /// Segments below their line, by confidence sequences at δ over their number.
    fn broken_segments(&self, certificate: &Certificate) -> Vec<String> {
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for column in &certificate.segment_columns {
            let values: Vec<(usize, &str)> = (0..self.requests.len())
                .filter_map(|i| Some((i, column_value(self.requests[i], column)?)))
                .collect();
            if values.iter().any(|(_, value)| *value != values[0].1) {
                for (i, value) in values {
                    groups
                        .entry(format!("{column}={value}"))
                        .or_default()
                        .push(i);
                }
            }
        }
        groups.retain(|name, _| !certificate.waived.contains(name));
        #[expect(clippy::cast_precision_loss, reason = "few segments")]
        let alpha = certificate.delta / groups.len().max(1) as f64;
        groups
            .into_iter()
            .filter(|(_, rows)| self.sequence(rows, alpha).high < 0.0)
            .map(|(name, _)| name)
            .collect()
    }

    fn shifts(&self, certificate: &Certificate) -> Vec<Shift> {
        let expiry = &certificate.expiry;
        let new = shares(&self.requests, &certificate.segment_columns);
        shifts(&expiry.traffic, &new, expiry.shift_max)
    }

    /// Why the certificate no longer applies.
    fn expired(
        &self,
        input: &ReplayInput<'_>,
        certificate: &Certificate,
        shifts: &[Shift],
    ) -> Vec<String> {
        let expiry = &certificate.expiry;
        let mut reasons = Vec::new();
        let last = self.requests.iter().filter_map(|r| r.timestamp_us).max();
        if let (Some(until), Some(last)) = (expiry.valid_until_us, last)
            && last > until
        {
            reasons.push(format!(
                "it was valid until {}, and this log goes on to {}",
                rfc3339(until),
                rfc3339(last)
            ));
        }
        let known = |name: &str| expiry.arms.iter().any(|arm| arm.model == name);
        for arm in input.log.arms.iter().filter(|arm| !known(arm.as_str())) {
            reasons.push(format!("it does not know the arm `{arm}`"));
        }
        let catalogues = (&certificate.digests.catalogue, &input.catalogue_digest);
        if let (Some(then), Some(now)) = catalogues
            && then != now
        {
            reasons.push("the price catalogue is another".to_owned());
        }
        for (arm, expected, recorded) in &self.prices {
            if (recorded - expected).abs() > expiry.price_shift_max * expected.abs() {
                reasons.push(format!(
                    "`{arm}` costs {recorded:.6} USD per request where {expected:.6} is expected \
                     of these requests"
                ));
            }
        }
        for shift in shifts.iter().filter(|shift| shift.exceeded) {
            reasons.push(format!(
                "the mix of {} is another: a population stability index of {:.2}, more than {}",
                shift.column, shift.psi, expiry.shift_max
            ));
        }
        reasons
    }

    fn standing(
        &self,
        certificate: &Certificate,
        bound: &Bound,
        broken: &[String],
        expired: Vec<String>,
    ) -> (Standing, Vec<String>) {
        let percent = certificate.confidence * 100.0;
        let mut reasons = Vec::new();
        if bound.high < 0.0 {
            reasons.push(format!(
                "the line is broken on {} new requests: quality is {:.4} below it, and at least \
                 {:.4} at {percent:.0} % confidence",
                self.fresh.counts.judged, -bound.margin, -bound.high
            ));
        }
        if !broken.is_empty() {
            reasons.push(format!(
                "quality is below the line in {}",
                crate::sections::some_of(broken)
            ));
        }
        if !reasons.is_empty() {
            reasons.extend(expired);
            return (Standing::Broken, reasons);
        }
        if !expired.is_empty() {
            return (Standing::Expired, expired);
        }
        let holds = bound.low >= 0.0;
        reasons.push(if holds {
            format!(
                "{} new requests prove the line by themselves: quality is {:.4} above it, and at \
                 least {:.4} at {percent:.0} % confidence, however often they are looked at",
                self.fresh.counts.judged, bound.margin, bound.low
            )
        } else {
            format!(
                "{} new requests do not settle it: quality is {:.4} {} the line, but may be {:.4} \
                 below it at {percent:.0} % confidence",
                self.fresh.counts.judged,
                bound.margin.abs(),
                if bound.margin < 0.0 { "below" } else { "above" },
                -bound.low
            )
        });
        let standing = if holds {
            Standing::Holds
        } else {
            Standing::Open
        };
        (standing, reasons)
    }
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
