//! Trust panels and off-policy estimates for the made-up evaluations.

use plimsoll_harness::{
    ArmOverlap, BalanceRow, Confounding, Decision, EstimatorRow, Evaluation, GammaBounds, Gate,
    IntervalChoice, LoggedValue, MissingLabels, OffPolicy, Trust, Verdict, WeightSummary,
    WorstCase,
};

use super::{Arm, Varied, around, fixture};

fn gate(name: &str, measured: &str, passed: bool, about: &str) -> Gate {
    Gate {
        name: name.to_owned(),
        measured: measured.to_owned(),
        passed,
        about: about.to_owned(),
    }
}

fn choice(quantity: &str, method: &str, reason: &str) -> IntervalChoice {
    IntervalChoice {
        quantity: quantity.to_owned(),
        method: method.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The trust panel of a fully observed log.
pub(crate) fn complete(arms: &[Arm]) -> Trust {
    let share = |i: usize| match i {
        0 if arms.len() == 1 => 1.0,
        0 => 0.281,
        1 => 0.719,
        _ => 0.0,
    };
    Trust {
        overlap: arms
            .iter()
            .enumerate()
            .map(|(i, arm)| ArmOverlap {
                model: arm.model.clone(),
                logged: 10_949,
                logged_share: 1.0,
                target_share: share(i),
                ess: 10_949.0,
                mean_weight: None,
                propensity_min: None,
            })
            .collect(),
        missing: arms
            .iter()
            .skip(1)
            .step_by(5)
            .map(|arm| MissingLabels {
                model: arm.model.clone(),
                outcomes: 36_486,
                unlabelled_share: 0.0121,
                quality_low: 0.731,
                quality_high: 0.743,
            })
            .collect(),
        clusters: 10_949,
        cluster_by: "request_id".to_owned(),
        largest_cluster_share: 1.0 / 10_949.0,
        looks: 1,
        intervals: vec![
            choice(
                "floor",
                "betting",
                "qualities are bounded and not all binary",
            ),
            choice(
                "quality, cost and savings",
                "paired cluster bootstrap",
                "policy and baseline answer the same requests",
            ),
        ],
        gates: vec![
            gate(
                "clusters",
                "10949, at least 30",
                true,
                "intervals need independent clusters; log more sessions when it fails",
            ),
            gate(
                "largest cluster",
                "0.01 % of requests, at most 5 %",
                true,
                "one session must not decide the result; log others when it fails",
            ),
        ],
        ..Trust::default()
    }
}

/// The trust panel of a log with propensities.
fn weighted(e: &Evaluation, varied: &mut Varied) -> Trust {
    let mut trust = e.trust.clone();
    let count = trust.overlap.len();
    for (i, arm) in trust.overlap.iter_mut().enumerate() {
        arm.logged_share = if i == 0 {
            0.52
        } else {
            0.48 / f64::from(u32::try_from(count - 1).unwrap())
        };
        arm.logged = if i == 0 {
            5_693
        } else {
            5_256 / (count as u64 - 1)
        };
        arm.ess = 0.61 * 10_949.0 * arm.logged_share;
        arm.mean_weight = Some(around(
            1.0 + 0.01 * (varied.next() - 0.5),
            0.02 + 0.01 * varied.next(),
        ));
        arm.propensity_min = Some(0.02);
    }
    trust.weights = Some(WeightSummary {
        ess: 4_312.4,
        ess_share: 4_312.4 / 10_949.0,
        weight_max: 41.27,
        weight_max_share: 0.0031,
        clip: 20.0,
        clipped_mass: 0.0123,
        mean_weight: around(1.0021, 0.0193),
        unsupported_share: 0.0,
        largest: vec![41.27, 38.1, 33.33, 29.9, 25.2, 22.0, 21.3, 18.7, 18.0, 17.4],
    });
    trust.balance = trust
        .overlap
        .iter()
        .flat_map(|arm| ["task = mmlu", "input_tokens"].map(|c| (arm.model.clone(), c)))
        .map(|(model, covariate)| BalanceRow {
            model,
            covariate: covariate.to_owned(),
            difference: 0.03 * (varied.next() - 0.5),
            p_value: 0.05 + 0.9 * varied.next(),
            broken: false,
        })
        .collect();
    trust.gates.splice(
        0..0,
        [
            gate(
                "effective sample size",
                "4312, at least 100",
                true,
                "few requests speak for the policy when it fails; log with more exploration",
            ),
            gate(
                "largest weight",
                "0.31 % of all weight, at most 5 %",
                true,
                "one request must not decide the result",
            ),
            gate(
                "mean weight",
                "1.002 (0.983 to 1.021), must contain 1",
                true,
                "the propensities in the log are wrong when it fails; log them where the choice is \
                 made",
            ),
        ],
    );
    trust.intervals[0] = choice(
        "floor",
        "betting, importance-weighted",
        "weights are bounded by the least propensity",
    );
    trust
}

fn estimator(
    name: &str,
    savings: f64,
    half: f64,
    chosen: bool,
    caution: Option<&str>,
) -> EstimatorRow {
    EstimatorRow {
        name: name.to_owned(),
        quality: around(0.906_685 + (savings - 0.615) / 8.0, half / 3.0),
        cost_usd: around(0.001_85, 0.001_85 * half),
        savings: around(savings, half),
        chosen,
        caution: caution.map(str::to_owned),
    }
}

fn estimates() -> OffPolicy {
    OffPolicy {
        propensities: "logged".to_owned(),
        chosen: "dr".to_owned(),
        reason: "unbiased with logged propensities, and the narrowest of those".to_owned(),
        estimators: vec![
            estimator(
                "replay",
                0.533,
                0.21,
                false,
                Some("unbiased for uniform logging only"),
            ),
            estimator("ips", 0.642, 0.11, false, None),
            estimator("clipped ips (λ = 20)", 0.571, 0.06, false, None),
            estimator("snips", 0.621, 0.072, false, None),
            estimator(
                "dm",
                0.668,
                0.006,
                false,
                Some("as good as its outcome model, and its interval knows nothing of that"),
            ),
            estimator("dr", 0.615_02, 0.0126, true, None),
            estimator("sndr", 0.6139, 0.0131, false, None),
            estimator("switch-dr (τ = 10)", 0.6171, 0.012, false, None),
            estimator("dros (λ = 31.6)", 0.6166, 0.0121, false, None),
        ],
        confounding: None,
        worst_case: None,
        logging: LoggedValue {
            quality: around(0.8821, 0.0061),
            cost_usd: around(0.002_71, 0.000_06),
        },
    }
}

/// A log with propensities whose policy may be shipped.
pub(crate) fn off_policy(arm_count: usize, segment_count: usize) -> Evaluation {
    let mut e = fixture(arm_count.max(2), segment_count);
    e.evidence = serde_json::from_str("\"logged-with-propensities\"").unwrap();
    e.references.oracle = None;
    e.trust = weighted(&e, &mut Varied(11));
    e.off_policy = Some(estimates());
    e.diagnostics.sensitivity.extend(
        [
            ("estimator snips", 0.621, 0.0102),
            ("propensities clipped at 0.05", 0.598, 0.0141),
            ("intervals clustered by tenant", 0.615_02, 0.012_631),
        ]
        .map(
            |(change, savings, margin)| plimsoll_harness::SensitivityRow {
                change: change.to_owned(),
                savings,
                margin,
            },
        ),
    );
    e
}

/// A log without propensities: they were estimated, and two gates fail.
pub(crate) fn observational() -> Evaluation {
    let mut e = off_policy(5, 3);
    e.evidence = serde_json::from_str("\"observational\"").unwrap();
    e.verdict = Verdict {
        decision: Decision::InsufficientEvidence,
        reasons: vec![
            "The log has no propensities, so the savings can only be bounded.".to_owned(),
        ],
    };
    let t = &mut e.trust;
    t.looks = 3;
    t.balance[2].difference = 0.31;
    t.balance[2].p_value = 1.3e-9;
    t.balance[2].broken = true;
    t.overlap[1].mean_weight = Some(around(0.83, 0.04));
    t.overlap[4].logged = 0;
    t.overlap[4].logged_share = 0.0;
    t.overlap[4].target_share = 0.04;
    t.overlap[4].propensity_min = None;
    t.overlap[4].mean_weight = None;
    t.weights.as_mut().unwrap().mean_weight = around(0.912, 0.031);
    t.gates[2] = gate(
        "mean weight",
        "0.912 (0.881 to 0.943), must contain 1",
        false,
        "the propensities are wrong; log them where the choice is made",
    );
    t.gates.push(gate(
        "propensities",
        "estimated",
        false,
        "without logged propensities nothing can be claimed; log them, or replay a sample on every arm",
    ));
    let o = e.off_policy.as_mut().unwrap();
    "estimated".clone_into(&mut o.propensities);
    "doubly robust: right when either model is".clone_into(&mut o.reason);
    o.confounding = Some(Confounding {
        bounds: [1.0, 1.2, 1.5, 2.0, 3.0]
            .into_iter()
            .map(|gamma| {
                let width = gamma - 1.0;
                GammaBounds {
                    gamma,
                    quality: [0.9067 - 0.05 * width, 0.9067 + 0.04 * width],
                    margin: [0.0126 - 0.05 * width, 0.0126 + 0.04 * width],
                    savings: [0.615 - 0.8 * width, 0.615 + 0.3 * width],
                }
            })
            .collect(),
        gamma_margin: Some(1.252),
        gamma_savings: Some(1.768),
    });
    o.worst_case = Some(WorstCase {
        observed_share: 0.413,
        quality: [0.391, 0.978],
    });
    e
}

/// As long as an evaluation gets: many arms, segments and balance checks.
pub(crate) fn wide() -> Evaluation {
    let mut e = off_policy(60, 500);
    let row = e.trust.balance[0].clone();
    e.trust.balance = (0..200)
        .map(|i| BalanceRow {
            covariate: format!("covariate {i:03}"),
            broken: i % 4 == 0,
            ..row.clone()
        })
        .collect();
    let missing = e.trust.missing[0].clone();
    e.trust.missing = (0..60)
        .map(|i| MissingLabels {
            model: format!("arm {i}"),
            ..missing.clone()
        })
        .collect();
    let gate = e.trust.gates[0].clone();
    e.trust.gates = vec![gate; 60];
    let estimators = &mut e.off_policy.as_mut().unwrap().estimators;
    let row = estimators[1].clone();
    estimators.resize(60, row);
    let change = e.diagnostics.sensitivity[0].clone();
    e.diagnostics.sensitivity.resize(100, change);
    e
}

/// The scenario with hostile text in every text field of its evidence.
pub(crate) fn hostile_scenario() -> Evaluation {
    let mut e = observational();
    poison(&mut e, super::HOSTILE);
    let o = e.off_policy.as_mut().unwrap();
    super::HOSTILE.clone_into(&mut o.propensities);
    e
}

/// Puts `text` into every text field of the trust panel and the estimates.
pub(crate) fn poison(e: &mut Evaluation, text: &str) {
    let bad = || text.to_owned();
    let t = &mut e.trust;
    for arm in &mut t.overlap {
        arm.model = bad();
    }
    for row in &mut t.balance {
        row.model = bad();
        row.covariate = bad();
    }
    for row in &mut t.missing {
        row.model = bad();
    }
    for row in &mut t.intervals {
        row.quantity = bad();
        row.method = bad();
        row.reason = bad();
    }
    for gate in &mut t.gates {
        gate.name = bad();
        gate.measured = bad();
        gate.about = bad();
    }
    t.cluster_by = bad();
    for row in &mut e.diagnostics.sensitivity {
        row.change = bad();
    }
    if let Some(o) = &mut e.off_policy {
        o.chosen = bad();
        o.reason = bad();
        for row in &mut o.estimators {
            row.name = bad();
            row.caution = Some(bad());
        }
    }
}
