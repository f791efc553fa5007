//! What must hold before a log's propensities can carry a verdict.

use super::{
    DEPENDENCE_LEVEL, LoggedSample, Missing, UNLABELLED_GAP_MAX, UNLABELLED_SHARE_MAX, Weights,
};
use crate::evaluation::{ArmOverlap, BalanceRow, Gate, Interval, WeightSummary};

/// Least effective sample size, observed and expected.
pub const ESS_MIN: f64 = 100.0;

/// Largest share of all weight on one request.
pub const WEIGHT_SHARE_MAX: f64 = 0.05;

/// Largest share of all weight that clipping may cut off.
pub const CLIPPED_MASS_MAX: f64 = 0.10;

/// Largest share of the policy's probability where the log could not have chosen its arm.
pub const UNSUPPORTED_SHARE_MAX: f64 = 0.01;

/// Every gate of a log with propensities, in the order in which they are to be mended.
#[must_use]
pub fn gates(
    sample: &LoggedSample<'_>,
    overlap: &[ArmOverlap],
    weights: &Weights,
    summary: &WeightSummary,
    balance: &[BalanceRow],
    missing: &Missing,
) -> Vec<Gate> {
    let never: Vec<&str> = (0..sample.arms.len())
        .filter(|a| !sample.chosen.contains(&Some(*a)) && sample.target.column(*a).sum() > 0.0)
        .map(|a| sample.arms[a].as_str())
        .collect();
    vec![
        support(summary.unsupported_share, &never),
        mean_weight(summary.mean_weight, overlap),
        balanced(balance),
        sample_size(summary.ess, weights.ess_expected),
        heaviest(summary),
        clipped(summary),
        labels(missing),
    ]
}

/// Whether the log could have made the policy's choices; `never`: arms of these that it never did.
pub(crate) fn support(share: f64, never: &[&str]) -> Gate {
    let never = if never.is_empty() {
        String::new()
    } else {
        format!("; never chosen by the log: {}", never.join(", "))
    };
    Gate {
        name: "support".to_owned(),
        measured: format!(
            "{} of the policy's choices, at most {}{never}",
            percent(share),
            percent(UNSUPPORTED_SHARE_MAX)
        ),
        passed: share <= UNSUPPORTED_SHARE_MAX,
        about: "Share of the policy's choices that the log could never have made: their results \
                are unknown. When it fails, send a small random share of these requests to the \
                other arms, log the probability, and collect again."
            .to_owned(),
    }
}

pub(crate) fn mean_weight(policy: Interval, overlap: &[ArmOverlap]) -> Gate {
    let contains = |i: &Interval| i.low <= 1.0 && 1.0 <= i.high;
    let wrong: Vec<String> = overlap
        .iter()
        .filter_map(|arm| arm.mean_weight.map(|m| (arm, m)))
        .filter(|(_, m)| !contains(m))
        .map(|(arm, m)| format!("{} {}", arm.model, range(&m)))
        .collect();
    let arms = if wrong.is_empty() {
        "so do all arms'".to_owned()
    } else {
        format!("not so {}", wrong.join(", "))
    };
    let measured = format!("{}, must contain 1; {arms}", range(&policy));
    Gate {
        name: "mean weight".to_owned(),
        measured,
        passed: contains(&policy) && wrong.is_empty(),
        about: "Whether arms were chosen as often as the logged probabilities say: if not, these \
                are wrong, or the log never gave an arm a chance on some requests. When it fails, \
                log the probability that the router really used when it drew the arm, before \
                retries and fallbacks."
            .to_owned(),
    }
}

fn balanced(balance: &[BalanceRow]) -> Gate {
    let broken: Vec<&BalanceRow> = balance.iter().filter(|row| row.broken).collect();
    let measured = match broken.as_slice() {
        [] if balance.is_empty() => "nothing to compare by".to_owned(),
        [] => format!("0 of {} comparisons differ", balance.len()),
        [first, ..] => format!(
            "{} of {} comparisons differ, most of all {} on {} ({:+.2} standard deviations)",
            broken.len(),
            balance.len(),
            first.model,
            first.covariate,
            first.difference
        ),
    };
    Gate {
        name: "balance".to_owned(),
        measured,
        passed: broken.is_empty(),
        about: "Whether each arm's requests, weighted, look like all requests by task, tenant, \
                time and length: if not, the logged probabilities are wrong for some of them. When \
                it fails, find what else decided the arm and log probabilities that include it."
            .to_owned(),
    }
}

pub(crate) fn sample_size(ess: f64, expected: f64) -> Gate {
    let least = ess.min(expected);
    Gate {
        name: "effective sample size".to_owned(),
        measured: format!(
            "{ess:.0} seen, {expected:.0} to be expected from the probabilities, at least \
             {ESS_MIN:.0}"
        ),
        passed: least >= ESS_MIN,
        about: "How many requests of the policy's own the weighted log is worth; with fewer, \
                chance decides. When it fails, collect more requests, or log with a larger random \
                share for the arms that the policy wants."
            .to_owned(),
    }
}

pub(crate) fn heaviest(summary: &WeightSummary) -> Gate {
    Gate {
        name: "largest weight".to_owned(),
        measured: format!(
            "{} of all weight, at most {}",
            percent(summary.weight_max_share),
            percent(WEIGHT_SHARE_MAX)
        ),
        passed: summary.weight_max_share <= WEIGHT_SHARE_MAX,
        about: "Whether a single request decides the result. When it fails, raise the least \
                probability with which the log tries an arm, and collect again."
            .to_owned(),
    }
}

pub(crate) fn clipped(summary: &WeightSummary) -> Gate {
    Gate {
        name: "clipped weight".to_owned(),
        measured: format!(
            "{} of all weight lies above {:.1}, at most {}",
            percent(summary.clipped_mass),
            summary.clip,
            percent(CLIPPED_MASS_MAX)
        ),
        passed: summary.clipped_mass <= CLIPPED_MASS_MAX,
        about: "How much of the evidence rests on requests so rare in the log that cautious \
                estimators cut them down. When it fails, raise the least probability with which \
                the log tries an arm, and collect again."
            .to_owned(),
    }
}

fn labels(missing: &Missing) -> Gate {
    let dependence = match missing.p_value {
        Some(_) if missing.depends_on_arm() => format!(
            "; arms differ by up to {} (p below {DEPENDENCE_LEVEL})",
            percent(missing.gap)
        ),
        Some(_) => format!(
            "; arms do not differ by more than chance or {}",
            percent(UNLABELLED_GAP_MAX)
        ),
        None => String::new(),
    };
    Gate {
        name: "labels".to_owned(),
        measured: format!(
            "{} missing, at most {}{dependence}",
            percent(missing.share),
            percent(UNLABELLED_SHARE_MAX)
        ),
        passed: missing.share <= UNLABELLED_SHARE_MAX && !missing.depends_on_arm(),
        about: "Answers without a quality label, which may be the bad ones. When it fails, label \
                the missing answers, or a random sample of them, of every arm alike."
            .to_owned(),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn range(interval: &Interval) -> String {
    format!(
        "{:.3} ({:.3} to {:.3})",
        interval.point, interval.low, interval.high
    )
}
