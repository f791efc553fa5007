//! Exit codes: one place that says what a script may conclude from each.

use plimsoll_harness::{Decision, Evaluation, EvidenceError};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done: ship, or hold because there is nothing to save.
    Done,
    /// Something failed that is neither the log's nor the command line's fault.
    Error,
    /// The command line is wrong.
    Usage,
    /// The log cannot prove what was asked.
    Evidence,
    /// The log cannot be read.
    Data,
    /// The quality line is broken, or no setting reaches it.
    Gate,
    /// Stopped by a signal.
    Interrupted,
}

/// How the harness begins the reason of a floor that no setting reaches.
const INFEASIBLE: &str = "no setting kept the floor";

impl Exit {
    /// The process's exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Evidence => 3,
            Self::Data => 4,
            Self::Gate => 5,
            Self::Interrupted => 130,
        }
    }

    /// The exit of a judged policy.
    pub(crate) fn of_evaluation(evaluation: &Evaluation) -> Self {
        let is_broken = evaluation.floor.margin_high < 0.0
            || evaluation.segments.iter().any(|segment| segment.broken)
            || evaluation.verdict.reasons.iter().any(|reason| reason.starts_with(INFEASIBLE));
        match evaluation.verdict.decision {
            Decision::Ship => Self::Done,
            Decision::InsufficientEvidence => Self::Evidence,
            Decision::Hold if is_broken => Self::Gate,
            Decision::Hold => Self::Done,
        }
    }

    /// The exit of several judged policies: the gravest of theirs.
    pub(crate) fn of_evaluations(evaluations: &[Evaluation]) -> Self {
        let gravity = |exit: &Self| match exit {
            Self::Gate => 2,
            Self::Evidence => 1,
            _ => 0,
        };
        evaluations.iter().map(Self::of_evaluation).max_by_key(gravity).unwrap_or(Self::Done)
    }

    /// The exit of a refused evaluation; a name that the log does not have is a slip of the
    /// command line, not a lack of evidence.
    pub(crate) fn of_refusal(error: &EvidenceError) -> Self {
        match error {
            EvidenceError::UnknownArm { .. } | EvidenceError::UnknownRequest { .. } => Self::Usage,
            EvidenceError::Engine { .. } => Self::Error,
            _ => Self::Evidence,
        }
    }
}
