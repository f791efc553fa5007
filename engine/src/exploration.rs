//! Exploration: a known, capped probability of trying another arm.

use serde::{Deserialize, Serialize};

use crate::rule::{ArmScore, Component};

/// How other arms are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExplorationKind {
    /// Never.
    #[default]
    None,
    /// Each safe arm alike, together with probability `epsilon`.
    Epsilon {
        /// ε in [0, 1].
        epsilon: f64,
    },
    /// Inverse-gap weighting: `p_a = 1/(|S| + γ(u* − u_a))` on the safe set S, the rest to a*.
    ///
    /// Foster & Rakhlin 2020, arXiv 2002.04926, algorithm 1.
    InverseGap {
        /// γ > 0: larger explores less.
        gamma: f64,
    },
}

/// Exploration with exact propensities on a safe set.
///
/// The safe set is `{a : q_a + 2·√v_a ≥ quality_min and E[c_a] ≤ cost_max_usd}` and the arms the
/// rule chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exploration {
    /// How.
    pub kind: ExplorationKind,
    /// Most probability that may be moved away from the rule's choice, in [0, 1].
    pub share_max: f64,
    /// Quality that an explored arm must plausibly reach; `None`: any.
    pub quality_min: Option<f64>,
    /// Expected cost that an explored arm may not exceed; `None`: any, but it must be known.
    pub cost_max_usd: Option<f64>,
}

/// Why exploration cannot be used as configured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExplorationError {
    /// A parameter is out of range.
    #[error("exploration parameter `{name}` must be in {allowed}, got {got}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// The value as given.
        got: f64,
        /// What is allowed.
        allowed: &'static str,
    },
}

impl ExplorationError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "P0155"
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        "choose a value in the allowed range, or `kind = \"none\"`"
    }
}

impl Exploration {
    /// No exploration.
    pub const NONE: Self = Self {
        kind: ExplorationKind::None,
        share_max: 0.0,
        quality_min: None,
        cost_max_usd: None,
    };

    /// Checks every range.
    ///
    /// # Errors
    /// [`ExplorationError::Parameter`] for the first parameter out of range.
    pub fn validate(&self) -> Result<(), ExplorationError> {
        let within = |ok: bool, name, got, allowed| {
            if ok {
                Ok(())
            } else {
                Err(ExplorationError::Parameter { name, got, allowed })
            }
        };
        within(
            (0.0..=1.0).contains(&self.share_max),
            "share_max",
            self.share_max,
            "[0, 1]",
        )?;
        match self.kind {
            ExplorationKind::None => {}
            ExplorationKind::Epsilon { epsilon } => {
                within((0.0..=1.0).contains(&epsilon), "epsilon", epsilon, "[0, 1]")?;
            }
            ExplorationKind::InverseGap { gamma } => {
                within(gamma > 0.0 && gamma <= 1e12, "gamma", gamma, "(0, 1e12]")?;
            }
        }
        if let Some(floor) = self.quality_min {
            within((0.0..=1.0).contains(&floor), "quality_min", floor, "[0, 1]")?;
        }
        if let Some(cost) = self.cost_max_usd {
            within(
                (0.0..=f64::MAX).contains(&cost),
                "cost_max_usd",
                cost,
                "[0, ∞)",
            )?;
        }
        Ok(())
    }

    /// Replaces `part` by the probabilities of the arms under one component of a rule.
    ///
    /// Arms of exactly equal highest utility share the rule's choice evenly. `explored` is
    /// overwritten.
    pub(crate) fn spread(
        &self,
        component: &Component,
        scores: &[ArmScore],
        explored: &mut Vec<f64>,
        part: &mut Vec<f64>,
    ) {
        let utility = &component.utility;
        let best = utility.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        #[expect(clippy::float_cmp, reason = "a tie is an exactly equal utility")]
        let is_chosen = |u: &f64| *u == best;
        let ties = crate::math::len(utility.iter().filter(|u| is_chosen(u)).count());
        let share = |u: &f64| if is_chosen(u) { 1.0 / ties } else { 0.0 };
        part.clear();
        part.extend(utility.iter().map(share));
        self.explore(best, utility, scores, explored);
        let moved: f64 = explored.iter().sum();
        if moved > 0.0 {
            let scale = (self.share_max / moved).min(1.0);
            let kept = 1.0 - moved * scale;
            for (p, explored) in part.iter_mut().zip(&*explored) {
                *p = *p * kept + explored * scale;
            }
        }
    }

    /// Probability that each safe arm takes from the chosen ones, before the cap.
    fn explore(&self, best: f64, utility: &[f64], scores: &[ArmScore], out: &mut Vec<f64>) {
        #[expect(clippy::float_cmp, reason = "a tie is an exactly equal utility")]
        let safe = |s: &ArmScore, u: f64| u != best && self.is_safe(s);
        let arms = || scores.iter().zip(utility.iter().copied());
        let others = crate::math::len(arms().filter(|(s, u)| safe(s, *u)).count());
        // Arms that the rule ruled out have no utility: they count as worst, one unit below.
        let gap = |u: f64| {
            if u.is_finite() {
                (best - u).max(0.0)
            } else {
                1.0
            }
        };
        out.clear();
        out.extend(arms().map(|(s, u)| match self.kind {
            ExplorationKind::Epsilon { epsilon } if safe(s, u) => epsilon / others,
            ExplorationKind::InverseGap { gamma } if safe(s, u) => {
                1.0 / (others + 1.0 + gamma * gap(u))
            }
            _ => 0.0,
        }));
    }

    fn is_safe(&self, score: &ArmScore) -> bool {
        let reaches = self
            .quality_min
            .is_none_or(|floor| score.quality + 2.0 * score.variance.sqrt() >= floor);
        let affordable = score
            .expected_cost
            .is_some_and(|cost| self.cost_max_usd.is_none_or(|most| cost <= most));
        score.eligible && reaches && affordable
    }
}
