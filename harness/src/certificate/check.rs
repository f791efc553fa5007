//! A certificate held against a newer log.

use std::collections::BTreeMap;

use plimsoll::Router;
use plimsoll_datasets::column_value;

use super::error::CertificateError;
use super::fresh::Fresh;
use super::record::{Bound, CERTIFICATE_SCHEMA, Certificate, Check, PolicyLine, Shift, Standing};
use super::replayed::Replayed;
use super::traffic::{rfc3339, shares, shifts};
use super::tuning::needed;
use crate::bootstrap::Bootstrap;
use crate::error::EvidenceError;
use crate::evaluation::{ArmValue, score_of};
use crate::judge::paired;
use crate::promise::mean;
use crate::replay::{INTERVAL_CONFIDENCE, RESAMPLES, ReplayInput};
use crate::table::{ArmChoice, OutcomeTable};

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
/// doi:10.1093/jrsssb/qkad009) over clusters in the order of their first request: it holds after
/// every request at once, so a log may grow and be looked at again without paying for it. The order
/// is that of time, or of the log where a time is missing: such a log must grow at its end. A
/// cluster counts with at most as many requests as the largest of the certificate's log, the
/// earliest ones, and is taken as it stands.
///
/// A log that knows served answers alone is weighed by its propensities, with the bound that a
/// certificate on such a log uses, valid after every request. Where its gates of trust fail
/// (overlap, mean weights, balance, missing labels), it settles nothing: [`Standing::Open`].
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
    let replayed = Replayed::of(input.log, &table, &router, certificate, &fresh)?;
    Ok(replayed.check(input, certificate, options))
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
    if table
        .logged
        .as_ref()
        .is_some_and(|l| l.propensity.is_none())
    {
        return Err(CertificateError::Observational);
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

impl Replayed<'_> {
    fn check(
        &self,
        input: &ReplayInput<'_>,
        certificate: &Certificate,
        options: &CheckOptions,
    ) -> Check {
        let all: Vec<usize> = (0..self.rows()).collect();
        let bound = self.sequence(&all, certificate.delta);
        let broken_segments = if self.doubts.is_empty() {
            self.broken_segments(certificate)
        } else {
            Vec::new()
        };
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
            .filter(|_| bound.low < 0.0 && self.doubts.is_empty())
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
        if !self.doubts.is_empty() {
            let standing = if expired.is_empty() {
                Standing::Open
            } else {
                Standing::Expired
            };
            return (standing, [expired, self.doubts.clone()].concat());
        }
        let percent = certificate.confidence * 100.0;
        let score = score_of(&certificate.judges);
        let mut reasons = Vec::new();
        if bound.high < 0.0 {
            reasons.push(format!(
                "the line is broken on {} new requests: {score} is {:.4} below it, and at least \
                 {:.4} at {percent:.0} % confidence",
                self.fresh.counts.judged, -bound.margin, -bound.high
            ));
        }
        if !broken.is_empty() {
            reasons.push(format!(
                "{score} is below the line in {}",
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
                "{} new requests prove the line by themselves: {score} is {:.4} above it, and at \
                 least {:.4} at {percent:.0} % confidence, however often they are looked at",
                self.fresh.counts.judged, bound.margin, bound.low
            )
        } else {
            format!(
                "{} new requests do not settle it: {score} is {:.4} {} the line, but may be {:.4} \
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
