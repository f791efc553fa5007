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
        let floor = &evaluation.floor;
        let vetoed = evaluation.segments.iter().any(|s| s.broken && !s.waived);
        Self::of_verdict(
            evaluation.verdict.decision,
            floor.margin_high,
            floor.feasible && !vetoed,
        )
    }

    fn of_verdict(decision: Decision, margin_high: f64, feasible: bool) -> Self {
        match decision {
            Decision::InsufficientEvidence => Self::Evidence,
            Decision::Hold if margin_high < 0.0 || !feasible => Self::Gate,
            Decision::Hold | Decision::Ship => Self::Done,
        }
    }

    /// The exit of several judged policies: the gravest of theirs.
    pub(crate) fn of_evaluations(evaluations: &[Evaluation]) -> Self {
        Self::gravest(evaluations.iter().map(Self::of_evaluation))
    }

    fn gravest(exits: impl Iterator<Item = Self>) -> Self {
        let gravity = |exit: &Self| match exit {
            Self::Gate => 2,
            Self::Evidence => 1,
            _ => 0,
        };
        exits.max_by_key(gravity).unwrap_or(Self::Done)
    }

    /// The exit of a refused evaluation; a name that the log does not have is a slip of the
    /// command line, not a lack of evidence.
    pub(crate) fn of_refusal(error: &EvidenceError) -> Self {
        match error {
            // A split by a column that is not there is a slip; one that leaves a side empty is a
            // lack of rows.
            EvidenceError::UnknownArm { .. }
            | EvidenceError::UnknownRequest { .. }
            | EvidenceError::Engine { code: "P0503", .. } => Self::Usage,
            EvidenceError::Engine {
                code: "P0504" | "P0505",
                ..
            } => Self::Evidence,
            EvidenceError::Engine { .. } => Self::Error,
            _ => Self::Evidence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_as_documented() {
        let codes = [
            (Exit::Done, 0),
            (Exit::Error, 1),
            (Exit::Usage, 2),
            (Exit::Evidence, 3),
            (Exit::Data, 4),
            (Exit::Gate, 5),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in codes {
            assert_eq!(exit.code(), code);
        }
    }

    #[test]
    fn verdicts_have_their_exits() {
        use Decision::{Hold, InsufficientEvidence, Ship};
        // decision, upper bound of the margin, whether a setting kept the floor, exit
        let cases = [
            (Ship, 0.1, true, Exit::Done),
            // Nothing to save.
            (Hold, 0.1, true, Exit::Done),
            (Hold, -0.1, true, Exit::Gate),
            (Hold, 0.1, false, Exit::Gate),
            (InsufficientEvidence, 0.1, true, Exit::Evidence),
            (InsufficientEvidence, -0.1, false, Exit::Evidence),
        ];
        for (decision, margin_high, feasible, want) in cases {
            let got = Exit::of_verdict(decision, margin_high, feasible);
            assert_eq!(got, want, "{decision:?} {margin_high} {feasible}");
        }
    }

    #[test]
    fn a_comparison_ends_as_its_gravest_policy() {
        for (exits, want) in [
            (&[][..], Exit::Done),
            (&[Exit::Done, Exit::Evidence][..], Exit::Evidence),
            (&[Exit::Gate, Exit::Evidence, Exit::Done][..], Exit::Gate),
        ] {
            assert_eq!(Exit::gravest(exits.iter().copied()), want);
        }
    }

    #[test]
    fn refusals_have_their_exits() {
        let name = || "a".to_owned();
        let engine = |code| EvidenceError::Engine {
            code,
            message: name(),
            help: name(),
        };
        let cases = [
            (EvidenceError::NoRequests, Exit::Evidence),
            (EvidenceError::Unpriced { arms: Vec::new() }, Exit::Evidence),
            (
                EvidenceError::NotCompared {
                    arm: name(),
                    why: name(),
                },
                Exit::Evidence,
            ),
            (EvidenceError::SameRows { share: 1.0 }, Exit::Evidence),
            (
                EvidenceError::UnknownArm {
                    got: name(),
                    known: Vec::new(),
                },
                Exit::Usage,
            ),
            (EvidenceError::UnknownRequest { id: name() }, Exit::Usage),
            (engine("P0130"), Exit::Error),
            (engine("P0503"), Exit::Usage),
            (engine("P0505"), Exit::Evidence),
        ];
        for (error, want) in cases {
            assert_eq!(Exit::of_refusal(&error), want, "{error}");
        }
    }
}
