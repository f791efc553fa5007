//! New arms are tried under guard before they are treated as any other.
//!
//! A predictor that knows nothing of an arm is as likely to flood it with requests as never to try
//! it. Until an arm has [`GUARDED_PULLS`] labelled outcomes, the rule does not see it; it gets a
//! share of [`GUARD_SHARE`] of the requests on which the rule's promise keeps slack.

use serde::{Deserialize, Serialize};

use crate::rule::ArmScore;

/// Labelled outcomes after which a new arm is treated as any other.
pub const GUARDED_PULLS: u32 = 20;
/// Share of requests that all guarded arms together may get.
pub const GUARD_SHARE: f64 = 0.05;

/// An arm under guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Guard {
    pub(crate) arm: usize,
    /// Labelled outcomes to come.
    left: u32,
}

/// Puts an arm under guard, anew if it is already.
pub(super) fn start(guards: &mut Vec<Guard>, arm: usize) {
    guards.retain(|guard| guard.arm != arm);
    let left = GUARDED_PULLS;
    guards.push(Guard { arm, left });
}

/// Counts a labelled outcome.
pub(super) fn count(guards: &mut Vec<Guard>, arm: usize) {
    if let Some(guard) = guards.iter_mut().find(|guard| guard.arm == arm) {
        guard.left = guard.left.saturating_sub(1);
    }
    guards.retain(|guard| guard.left > 0);
}

/// Takes the guarded arms out of the rule's sight, unless only they may answer; `trials` becomes
/// those arms.
pub(super) fn set_apart(guards: &[Guard], scores: &mut [ArmScore], trials: &mut Vec<usize>) {
    let guarded = |arm: usize| guards.iter().any(|guard| guard.arm == arm);
    trials.clear();
    let others = (0..scores.len()).any(|arm| scores[arm].eligible && !guarded(arm));
    if guards.is_empty() || !others {
        return;
    }
    trials.extend((0..scores.len()).filter(|arm| scores[*arm].eligible && guarded(*arm)));
    for arm in trials.iter() {
        scores[*arm].eligible = false;
    }
}

/// Moves the guard's share of probability to the arms to try, evenly.
pub(super) fn share(trials: &[usize], out: &mut [f64]) {
    if trials.is_empty() {
        return;
    }
    for p in out.iter_mut() {
        *p *= 1.0 - GUARD_SHARE;
    }
    for arm in trials {
        out[*arm] += GUARD_SHARE / crate::math::len(trials.len());
    }
}
