//! Logged rows beside the policy to be judged.

use ndarray::ArrayView2;
use plimsoll::ArmId;

use super::{Covariate, SampleError};
use crate::judge::Clusters;

/// n rows of a log with propensities, and what the judged policy would do there.
///
/// Rows on which the log chose an arm that is not compared stay in the sample: leaving them out
/// would make the other arms look more frequent than their propensities.
#[derive(Clone, Copy, Debug)]
pub struct LoggedSample<'a> {
    /// The K compared arms.
    pub arms: &'a [ArmId],
    /// The arm that was chosen, in 0..K, shape (n); `None`: one that is not compared.
    pub chosen: &'a [Option<usize>],
    /// Probability in (0, 1] with which the log chose it, shape (n).
    pub propensity: &'a [f64],
    /// Probabilities of the judged policy, rows sum to 1, shape (n, K).
    pub target: ArrayView2<'a, f64>,
    /// Arms that could be chosen at all, shape (n, K); `None`: all of them everywhere.
    pub eligible: Option<ArrayView2<'a, bool>>,
    /// Dependent rows.
    pub clusters: &'a Clusters,
    /// What was known before the arm was chosen.
    pub covariates: &'a [Covariate],
}

impl LoggedSample<'_> {
    /// Number of rows, n.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.chosen.len()
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`SampleError`] naming the first part, row and value that does not.
    pub fn check(&self) -> Result<(), SampleError> {
        let n = self.rows();
        if n == 0 {
            return Err(SampleError::Empty);
        }
        self.check_lengths(n)?;
        for (row, (&arm, &p)) in self.chosen.iter().zip(self.propensity).enumerate() {
            if let Some(got) = arm.filter(|&arm| arm >= self.arms.len()) {
                return Err(SampleError::Arm {
                    row,
                    got,
                    arms: self.arms.len(),
                });
            }
            if !(p > 0.0 && p <= 1.0) {
                return Err(value("propensity", row, p, "above 0, at most 1"));
            }
            let probabilities = self.target.row(row);
            if let Some(&bad) = probabilities.iter().find(|t| !(0.0..=1.0).contains(*t)) {
                return Err(value("target", row, bad, "0 to 1"));
            }
            let sum = probabilities.sum();
            if (sum - 1.0).abs() > 1e-6 {
                return Err(value("sum of target", row, sum, "1"));
            }
        }
        Ok(())
    }

    fn check_lengths(&self, n: usize) -> Result<(), SampleError> {
        let mut parts = vec![
            ("propensity", self.propensity.len()),
            ("target", self.target.nrows()),
            ("clusters", self.clusters.of.len()),
        ];
        if let Some(eligible) = self.eligible {
            parts.push(("eligible", eligible.nrows()));
        }
        parts.extend(
            self.covariates
                .iter()
                .map(|c| (c.name.as_str(), c.values.len())),
        );
        if let Some((part, got)) = parts.into_iter().find(|(_, got)| *got != n) {
            return Err(SampleError::Length {
                part: part.to_owned(),
                got,
                expected: n,
            });
        }
        let columns = [Some(self.target.ncols()), self.eligible.map(|e| e.ncols())];
        if let Some(got) = columns
            .into_iter()
            .flatten()
            .find(|&c| c != self.arms.len())
        {
            return Err(SampleError::Length {
                part: "columns of target or eligible".to_owned(),
                got,
                expected: self.arms.len(),
            });
        }
        for covariate in self.covariates {
            if let Some(row) = covariate.values.iter().position(|v| !v.is_finite()) {
                return Err(value(
                    &covariate.name,
                    row,
                    covariate.values[row],
                    "a finite number",
                ));
            }
        }
        Ok(())
    }
}

fn value(part: &str, row: usize, got: f64, allowed: &'static str) -> SampleError {
    SampleError::Value {
        part: part.to_owned(),
        row,
        got,
        allowed,
    }
}
