//! What kind of evidence a log is.

use serde::Serialize;

use crate::log::{EvidenceKind, Outcome, OutcomeLog, Request};

/// Share of requests on which an arm must be labelled to count as complete.
pub const COVERAGE_MIN: f64 = 0.995;

/// The kind of evidence a log is, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The kind.
    pub kind: EvidenceKind,
    /// One sentence that says why.
    pub why: String,
    /// The arms labelled on at least [`COVERAGE_MIN`] of all requests, by name.
    pub complete_arms: Vec<String>,
}

impl OutcomeLog {
    /// The kind of evidence this log is.
    ///
    /// Full information when at least two arms are labelled on (almost) every request; logged
    /// with propensities when the served outcome of every request carries one; else
    /// observational.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let total = self.requests.len();
        let complete: Vec<usize> = labelled_per_arm(self)
            .into_iter()
            .enumerate()
            .filter(|(_, labelled)| is_complete(*labelled, total))
            .map(|(arm, _)| arm)
            .collect();
        let complete_arms = complete
            .iter()
            .map(|arm| self.arms[*arm].to_string())
            .collect();
        let evidence = |kind, why| Evidence {
            kind,
            why,
            complete_arms,
        };
        if total > 0 && complete.len() >= 2 {
            return evidence(
                EvidenceKind::FullInformation,
                format!(
                    "{} of {} arms have a quality on at least {:.1} % of the {total} requests",
                    complete.len(),
                    self.arms.len(),
                    COVERAGE_MIN * 100.0
                ),
            );
        }
        let with_propensity = self
            .requests
            .iter()
            .filter(|request| {
                request
                    .served_outcome()
                    .is_some_and(|o| o.propensity.is_some())
            })
            .count();
        if total > 0 && with_propensity == total {
            return evidence(
                EvidenceKind::LoggedWithPropensities,
                format!("the served outcome of each of the {total} requests has its propensity"),
            );
        }
        evidence(
            EvidenceKind::Observational,
            format!(
                "fewer than two arms have a quality on (almost) every request, and only \
                 {with_propensity} of {total} requests have a served outcome with its propensity: \
                 scenarios and bounds only"
            ),
        )
    }
}

impl Request {
    /// The outcome that production used: the one marked `served`, or the only one there is.
    ///
    /// `None` when several are marked, or several are there and none is.
    #[must_use]
    pub fn served_outcome(&self) -> Option<&Outcome> {
        let mut served = self
            .outcomes
            .iter()
            .filter(|outcome| outcome.served == Some(true));
        match (served.next(), served.next(), self.outcomes.as_slice()) {
            (Some(outcome), None, _) => Some(outcome),
            (None, None, [only]) if only.served.is_none() => Some(only),
            _ => None,
        }
    }
}

/// Labelled outcomes per arm.
pub(crate) fn labelled_per_arm(log: &OutcomeLog) -> Vec<usize> {
    let mut labelled = vec![0; log.arms.len()];
    for outcome in log.requests.iter().flat_map(|request| &request.outcomes) {
        labelled[outcome.arm as usize] += usize::from(outcome.quality.is_some());
    }
    labelled
}

/// Complete: the share is reached, or a single request is missing in a log that is not tiny.
fn is_complete(labelled: usize, total: usize) -> bool {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of requests in memory stay below 2^53"
    )]
    let share_reached = labelled as f64 >= COVERAGE_MIN * total as f64;
    share_reached || (total >= 20 && labelled + 1 >= total)
}
