//! Fixed-sequence testing: each policy at level δ, in order, until the first that fails.

use ndarray::Array2;

use super::evidence::examine;
use super::path::Step;
use super::record::{Bound, CertifiedSegment, SegmentMode, Tested};
use super::segments::{Group, examine_all, vetoes};
use crate::candidate::Candidate;
use crate::judge::saved_share;
use crate::promise::Line;
use crate::study::Study;

/// The certify part, opened once.
pub(super) struct Trial<'s, 'a> {
    pub(super) study: &'s Study<'a>,
    pub(super) candidates: &'s [Candidate],
    /// Rows of the evaluated side.
    pub(super) rows: &'s [usize],
    pub(super) line: Line,
    pub(super) confidence: f64,
    pub(super) groups: &'s [Group],
    pub(super) mode: SegmentMode,
    pub(super) cost_scale: f64,
    /// Mean cost of the baseline on the choose part.
    pub(super) baseline_cost: f64,
}

/// One policy on the certify part.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) bound: Bound,
    pub(super) segments: Vec<CertifiedSegment>,
    pub(super) vetoes: Vec<String>,
}

impl Outcome {
    pub(super) fn passed(&self) -> bool {
        self.bound.proven() && self.vetoes.is_empty()
    }
}

impl Trial<'_, '_> {
    /// Tests probabilities of shape (n, K) on the certify part, segments included.
    pub(super) fn outcome(&self, probabilities: &Array2<f64>) -> Outcome {
        let Self {
            study,
            line,
            confidence,
            ..
        } = *self;
        let bound = examine(study, probabilities, line, self.rows, confidence).bound;
        // A policy that fails as a whole needs no look at its segments.
        let segments = if bound.proven() {
            examine_all(study, probabilities, line, self.groups, confidence)
        } else {
            Vec::new()
        };
        Outcome {
            vetoes: vetoes(&segments, self.mode),
            bound,
            segments,
        }
    }

    /// Walks the path; the policies that passed are the first ones of it.
    ///
    /// Let the j-th policy be the first that is truly below the line. Nothing worse is ever
    /// certified unless its own test at level δ errs: so the chance of certifying any policy below
    /// the line is at most δ, however many were compared before (Angelopoulos et al. 2021,
    /// arXiv:2110.01052, §4.2; Bauer 1991). Vetoes only stop it earlier.
    pub(super) fn walk(&self, path: &[Step], progress: &(dyn Fn(usize) + Sync)) -> Vec<Tested> {
        let mut stopped = false;
        path.iter()
            .enumerate()
            .map(|(index, step)| {
                let mut tested = self.untested(step);
                if !stopped {
                    progress(index);
                    let probabilities =
                        step.probabilities(self.study, self.candidates, self.cost_scale);
                    let outcome = self.outcome(&probabilities);
                    tested.passed = outcome.passed();
                    tested.vetoes = outcome.vetoes;
                    tested.bound = Some(outcome.bound);
                    stopped = !tested.passed;
                }
                tested
            })
            .collect()
    }

    fn untested(&self, step: &Step) -> Tested {
        Tested {
            policy: step.describe(self.study, self.candidates),
            expected_savings: saved_share(step.cost, self.baseline_cost),
            expected_margin: step.margin,
            bound: None,
            vetoes: Vec::new(),
            passed: false,
        }
    }
}
