//! A decision, and why it was taken.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::units::{ArmId, Propensity};

/// Which arm answers a request, with what probability it was chosen, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The arm.
    pub arm: ArmId,
    /// Exact probability with which this arm was chosen.
    pub propensity: Propensity,
    /// Every arm that could have been chosen, and its probability; sums to 1 ± 10⁻¹².
    pub distribution: Vec<(ArmId, f64)>,
    /// Expected cost of the arm in US dollars; `None`: unpriced.
    pub expected_cost: Option<f64>,
    /// Expected quality of the arm; `None`: the policy predicts none.
    pub expected_quality: Option<f64>,
    /// Why, as data and as a sentence.
    pub reason: Reason,
    /// Outcomes the router had learned when it decided: names the state that made the propensity.
    pub epoch: u64,
    /// Whether the arm is marked down and answers because every arm that could is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marked_down: bool,
}

/// Why an arm was chosen; its `Display` is one sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Reason {
    /// Per-request floor: the cheapest arm that reaches the line.
    CheapestAboveFloor {
        /// The line.
        floor: f64,
        /// Probability that the arm reaches it.
        probability: f64,
        /// What is saved, if anything is.
        saving: Option<Saving>,
    },
    /// Per-request floor: no arm reaches the line, so the best answers.
    Infeasible {
        /// The line.
        floor: f64,
        /// Probability that the best arm reaches it.
        probability: f64,
    },
    /// Average floor: the best trade of cost against quality.
    BestTrade {
        /// Price of quality in relative cost.
        lambda: f64,
        /// Expected quality.
        quality: f64,
        /// What is saved, if anything is.
        saving: Option<Saving>,
    },
    /// Average floor: one of the share of requests that a known arm answers to hold the average.
    Anchored {
        /// That share.
        share: f64,
    },
    /// Non-inferiority: the cheapest arm that is sure enough not to be worse by more than a margin.
    NotInferior {
        /// The arm compared with.
        reference: ArmId,
        /// Quality that may be given away.
        margin: f64,
        /// Probability that no more is given away.
        probability: f64,
        /// What is saved, if anything is.
        saving: Option<Saving>,
    },
    /// Budget: the best trade of quality against cost at the current pace of spending.
    WithinBudget {
        /// Price of relative cost in quality.
        lambda: f64,
        /// Expected quality.
        quality: f64,
        /// What is saved, if anything is.
        saving: Option<Saving>,
    },
    /// Budget: nothing left pays for any arm, so the cheapest answers.
    OverBudget {
        /// What is left, in US dollars.
        bucket_usd: f64,
    },
    /// Tried in order to learn, within the share allowed.
    Explored {
        /// The arm the rule would have chosen.
        instead_of: ArmId,
        /// Probability of this arm.
        probability: f64,
    },
    /// The rule names one arm.
    Fixed,
    /// Cascade: the cheapest arm of the plan that promises most.
    AskedFirst {
        /// The arms that may follow, if the answers are judged poor.
        then: Vec<ArmId>,
        /// Expected quality of the best answer of the plan.
        quality: f64,
    },
    /// Drawn from the distribution of a policy that says no more.
    Drawn {
        /// Name of the policy.
        policy: String,
        /// Probability of this arm.
        probability: f64,
    },
    /// Drawn from fixed shares.
    Mixed {
        /// Probability of this arm.
        share: f64,
    },
}

/// Expected saving against the arm of highest expected quality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saving {
    /// The arm compared with.
    pub against: ArmId,
    /// Share of that arm's expected cost, in (0, 1].
    pub share: f64,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CheapestAboveFloor {
                floor,
                probability,
                saving,
            } => {
                write!(
                    f,
                    "cheapest arm whose quality reaches {floor:.3} with probability {probability:.3}"
                )?;
                saving
                    .as_ref()
                    .map_or(Ok(()), |saving| write!(f, "; {saving}"))
            }
            Self::Infeasible { floor, probability } => write!(
                f,
                "infeasible: no arm is sure enough to reach quality {floor:.3}; the arm of highest \
                 expected quality answers and reaches it with probability {probability:.3}"
            ),
            Self::BestTrade {
                lambda,
                quality,
                saving,
            } => {
                write!(
                    f,
                    "best trade of cost against quality at lambda {lambda:.4}: expected quality \
                     {quality:.3}"
                )?;
                saving
                    .as_ref()
                    .map_or(Ok(()), |saving| write!(f, "; {saving}"))
            }
            Self::NotInferior {
                reference,
                margin,
                probability,
                saving,
            } => {
                write!(
                    f,
                    "cheapest arm that is not worse than {reference} by more than {margin:.3}, with \
                     probability {probability:.3}"
                )?;
                saving
                    .as_ref()
                    .map_or(Ok(()), |saving| write!(f, "; {saving}"))
            }
            Self::WithinBudget {
                lambda,
                quality,
                saving,
            } => {
                write!(
                    f,
                    "best quality for the budget at lambda {lambda:.4}: expected quality {quality:.3}"
                )?;
                saving
                    .as_ref()
                    .map_or(Ok(()), |saving| write!(f, "; {saving}"))
            }
            Self::OverBudget { bucket_usd } => write!(
                f,
                "over budget: {bucket_usd:.6} USD are left and pay for no arm, so the cheapest \
                 answers"
            ),
            Self::Explored {
                instead_of,
                probability,
            } => write!(
                f,
                "tried instead of {instead_of} in order to learn, with probability {probability:.4}"
            ),
            Self::Anchored { share } => write!(
                f,
                "one of the {:.1} % of requests that this arm answers to hold the average quality",
                share * 100.0
            ),
            Self::AskedFirst { then, quality } => {
                write!(f, "asked first")?;
                for (i, arm) in then.iter().enumerate() {
                    write!(f, "{} {arm}", if i == 0 { ", before" } else { " and" })?;
                }
                write!(
                    f,
                    ": the best answer is expected to reach quality {quality:.3}"
                )
            }
            Self::Drawn {
                policy,
                probability,
            } => write!(f, "drawn by {policy} with probability {probability:.4}"),
            Self::Fixed => f.write_str("the rule sends every request to this arm"),
            Self::Mixed { share } => {
                write!(
                    f,
                    "drawn from fixed shares, this arm with probability {share:.3}"
                )
            }
        }
    }
}

impl fmt::Display for Saving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.share * 100.0;
        write!(f, "saves {percent:.0} % against {}", self.against)
    }
}
