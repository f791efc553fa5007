//! Which interval the data allow.

use super::support::Support;

/// Least effective contributions (see [`Robust`](super::Robust)) for an asymptotic interval.
///
/// Set by simulation: below about 40 a nominal 95 % t or bootstrap interval of rare failures or
/// heavy weights covers less than 94 %.
pub const CONTRIBUTIONS_MIN: f64 = 40.0;
/// Least clusters for an asymptotic interval.
pub const CLUSTERS_MIN: u64 = 40;
/// Least effective sample size (Σw)²/Σw² for an asymptotic interval of weighted rows.
pub const ESS_MIN: f64 = 200.0;

/// What an interval is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Something is promised on its strength: a floor, a certificate. Always finite-sample.
    Claim,
    /// It says how sure a figure is.
    Description,
}

/// How an interval is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Exact for independent 0/1 outcomes.
    ClopperPearson,
    /// Betting on bounded outcomes, at a fixed number of them.
    Betting,
    /// Betting, valid after every outcome.
    BettingSequence,
    /// Betting on importance-weighted outcomes without a largest weight.
    WeightedBetting,
    /// The same, valid after every outcome.
    WeightedBettingSequence,
    /// Betting on the difference that a ratio makes zero.
    RatioBetting,
    /// The same, valid after every outcome.
    RatioBettingSequence,
    /// Student's t with cluster-robust errors.
    ClusterNormal,
    /// Percentiles of resampled clusters.
    ClusterBootstrap,
    /// No interval at all.
    Refused,
}

impl Method {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClopperPearson => "clopper-pearson",
            Self::Betting => "betting",
            Self::BettingSequence => "betting sequence",
            Self::WeightedBetting => "weighted betting",
            Self::WeightedBettingSequence => "weighted betting sequence",
            Self::RatioBetting => "ratio betting",
            Self::RatioBettingSequence => "ratio betting sequence",
            Self::ClusterNormal => "cluster-robust t",
            Self::ClusterBootstrap => "cluster bootstrap",
            Self::Refused => "none",
        }
    }

    /// Whether it holds at any number of rows, by proof and not in the limit.
    #[must_use]
    pub const fn is_finite_sample(self) -> bool {
        !matches!(
            self,
            Self::ClusterNormal | Self::ClusterBootstrap | Self::Refused
        )
    }
}

/// What the choice depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of the data, each named in the reason"
)]
pub struct Facts {
    /// A range of the outcomes is known beforehand (of rewards, before weights).
    pub bounded: bool,
    /// Every outcome is 0 or 1.
    pub binary: bool,
    /// Rows come in dependent groups of more than one.
    pub clustered: bool,
    /// Rows carry importance weights.
    pub weighted: bool,
    /// The quantity is a ratio of means.
    pub ratio: bool,
    /// The data were looked at before, or will be again.
    pub looked_before: bool,
    /// Rows.
    pub rows: u64,
    /// Independent groups; equal to `rows` without clusters.
    pub clusters: u64,
    /// (Σw)²/Σw²; `rows` without weights.
    pub ess: f64,
    /// On how many clusters the standard error rests: the least of those of the outcome and of
    /// the weights. See [`Robust`](super::Robust).
    pub contributions: f64,
    /// Whether the log covers the target policy; `Plausible` without weights.
    pub support: Support,
    /// What the interval is for.
    pub purpose: Purpose,
}

/// A method and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The method.
    pub method: Method,
    /// Why, as a sentence without a stop.
    pub reason: &'static str,
}

/// The narrowest method that holds on data of this kind.
///
/// In this order: no rows, nothing; weights whose mean cannot be 1, nothing; a claim, earlier
/// looks, or too few contributions, clusters or effective rows, a finite-sample bound where the
/// range is known and nothing elsewhere; else an asymptotic interval.
#[must_use]
pub fn choose(facts: &Facts) -> Choice {
    if facts.rows == 0 || facts.clusters == 0 {
        return refused("there are no rows");
    }
    if facts.weighted && facts.support == Support::Broken {
        return refused(
            "the mean weight differs from 1: the log does not cover the policy, or its \
             propensities are wrong",
        );
    }
    let why = if facts.purpose == Purpose::Claim {
        "a claim needs a bound that holds at any number of rows"
    } else if facts.looked_before {
        "the data are looked at more than once: a bound that holds after every row"
    } else if let Some(thin) = too_thin(facts) {
        thin
    } else {
        return asymptotic(facts);
    };
    if !facts.bounded {
        return refused(
            "no range of the outcomes is known, and there is too little for an asymptotic interval",
        );
    }
    finite(facts, why)
}

fn refused(reason: &'static str) -> Choice {
    Choice {
        method: Method::Refused,
        reason,
    }
}

/// Why an asymptotic interval would not cover.
fn too_thin(facts: &Facts) -> Option<&'static str> {
    if facts.clusters < CLUSTERS_MIN {
        Some("too few independent clusters for an asymptotic interval: a finite-sample bound")
    } else if facts.weighted && facts.ess < ESS_MIN {
        Some("too small an effective sample for an asymptotic interval: a finite-sample bound")
    } else if facts.weighted && facts.support == Support::Doubtful {
        Some(
            "the mean weight is barely compatible with 1: a finite-sample bound that holds \
             without full support",
        )
    } else if facts.contributions < CONTRIBUTIONS_MIN {
        Some(
            "the spread rests on too few rows (rare failures or large weights) for an asymptotic \
             interval: a finite-sample bound",
        )
    } else {
        None
    }
}

fn asymptotic(facts: &Facts) -> Choice {
    let (method, reason) = match (facts.ratio, facts.clustered) {
        (true, true) => (
            Method::ClusterBootstrap,
            "a ratio over ample clusters: whole clusters are resampled, both sums together",
        ),
        (true, false) => (
            Method::ClusterBootstrap,
            "a ratio over ample rows: rows are resampled, both sums together",
        ),
        (false, true) => (
            Method::ClusterNormal,
            "ample clusters: Student's t with cluster-robust errors",
        ),
        (false, false) => (Method::ClusterNormal, "ample independent rows: Student's t"),
    };
    Choice { method, reason }
}

fn finite(facts: &Facts, reason: &'static str) -> Choice {
    let looked = facts.looked_before;
    let exact = facts.binary && !facts.clustered && !looked;
    let method = match (facts.ratio, facts.weighted) {
        (true, _) if looked => Method::RatioBettingSequence,
        (true, _) => Method::RatioBetting,
        (false, true) if looked => Method::WeightedBettingSequence,
        (false, true) => Method::WeightedBetting,
        (false, false) if exact => Method::ClopperPearson,
        (false, false) if looked => Method::BettingSequence,
        (false, false) => Method::Betting,
    };
    Choice { method, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ample() -> Facts {
        Facts {
            bounded: true,
            binary: false,
            clustered: false,
            weighted: false,
            ratio: false,
            looked_before: false,
            rows: 1000,
            clusters: 1000,
            ess: 1000.0,
            contributions: 300.0,
            support: Support::Plausible,
            purpose: Purpose::Description,
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of cases")]
    fn each_fact_moves_the_choice() {
        let check = |facts: Facts, method| {
            let choice = choose(&facts);
            assert_eq!(choice.method, method, "{facts:?}: {}", choice.reason);
        };
        let claim = Facts {
            purpose: Purpose::Claim,
            ..ample()
        };
        let weighted = Facts {
            weighted: true,
            ..ample()
        };
        check(ample(), Method::ClusterNormal);
        check(
            Facts {
                ratio: true,
                ..ample()
            },
            Method::ClusterBootstrap,
        );
        check(weighted, Method::ClusterNormal);
        check(claim, Method::Betting);
        check(
            Facts {
                binary: true,
                ..claim
            },
            Method::ClopperPearson,
        );
        check(
            Facts {
                binary: true,
                clustered: true,
                ..claim
            },
            Method::Betting,
        );
        check(
            Facts {
                binary: true,
                looked_before: true,
                ..claim
            },
            Method::BettingSequence,
        );
        check(
            Facts {
                weighted: true,
                ..claim
            },
            Method::WeightedBetting,
        );
        check(
            Facts {
                ratio: true,
                ..claim
            },
            Method::RatioBetting,
        );
        check(
            Facts {
                bounded: false,
                ..claim
            },
            Method::Refused,
        );
        check(
            Facts {
                looked_before: true,
                ..ample()
            },
            Method::BettingSequence,
        );
        check(
            Facts {
                looked_before: true,
                ..weighted
            },
            Method::WeightedBettingSequence,
        );
        check(
            Facts {
                contributions: 11.0,
                ..ample()
            },
            Method::Betting,
        );
        check(
            Facts {
                contributions: 11.0,
                bounded: false,
                ..ample()
            },
            Method::Refused,
        );
        check(
            Facts {
                clusters: 10,
                ..ample()
            },
            Method::Betting,
        );
        check(
            Facts {
                ess: 30.0,
                ..weighted
            },
            Method::WeightedBetting,
        );
        check(
            Facts {
                support: Support::Doubtful,
                ..weighted
            },
            Method::WeightedBetting,
        );
        check(
            Facts {
                support: Support::Broken,
                ..weighted
            },
            Method::Refused,
        );
        check(
            Facts {
                rows: 0,
                clusters: 0,
                ..ample()
            },
            Method::Refused,
        );
    }

    #[test]
    fn a_claim_never_rests_on_a_limit() {
        for bits in 0..64_u32 {
            let on = |bit: u32| bits & (1 << bit) != 0;
            let choice = choose(&Facts {
                bounded: on(0),
                binary: on(1),
                clustered: on(2),
                weighted: on(3),
                ratio: on(4),
                looked_before: on(5),
                purpose: Purpose::Claim,
                ..ample()
            });
            assert!(choice.method.is_finite_sample() || choice.method == Method::Refused);
        }
    }
}
