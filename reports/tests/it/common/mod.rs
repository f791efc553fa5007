//! Evaluations to render: built, not stored, so that every size and every absence can be had.
//! What stands here is used by the tests and by the example `page`; both use all of it.

pub(crate) mod evidence;

pub(crate) use evidence::{hostile_scenario, observational, off_policy, wide};

use plimsoll_harness::{
    ArmCoverage, ArmShare, ArmValue, CalibrationBin, ChangedAnswer, Comparison, Decision,
    Diagnostics, Difference, Evaluation, ExplainedArm, Explanation, Floor, FrontierKind,
    FrontierPoint, Interval, Manifest, Metrics, MixRow, PolicyValue, PredictorRow, Projection,
    Reference, References, RequestCounts, RowCounts, SCHEMA_VERSION, Savings, SavingsAt, Segment,
    SensitivityRow, Verdict,
};

/// A small generator of varied, repeatable numbers in [0, 1).
pub(crate) struct Varied(u64);

impl Varied {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 33).unwrap()) / f64::from(1_u32 << 31)
    }
}

pub(crate) fn around(point: f64, half: f64) -> Interval {
    Interval {
        point,
        low: point - half,
        high: point + half,
    }
}

const NAMES: [&str; 8] = [
    "gpt-4-1106-preview",
    "claude-3-haiku",
    "mixtral-8x7b-instruct",
    "llama-3-70b-chat",
    "mistral-7b-instruct",
    "gemini-1.5-flash",
    "qwen-2-72b",
    "command-r-plus",
];

pub(crate) struct Arm {
    pub(crate) model: String,
    quality: f64,
    cost: f64,
}

fn arms(count: usize, varied: &mut Varied) -> Vec<Arm> {
    (0..count)
        .map(|i| {
            let model = match NAMES.get(i) {
                Some(name) => (*name).to_owned(),
                None => format!("{}-v{}", NAMES[i % NAMES.len()], i / NAMES.len() + 1),
            };
            if i == 0 {
                return Arm {
                    model,
                    quality: 0.9123,
                    cost: 0.004_812,
                };
            }
            let size = varied.next();
            let quality = 0.55 + 0.33 * size + 0.06 * (varied.next() - 0.5);
            Arm {
                model,
                quality,
                cost: 0.000_04 * (1.0 + 90.0 * size * varied.next()),
            }
        })
        .collect()
}

fn reference(about: &str, quality: f64, cost: f64, base: f64, mix: Vec<ArmShare>) -> Reference {
    Reference {
        about: about.to_owned(),
        quality,
        cost_usd: cost,
        savings: 1.0 - cost / base,
        mix,
    }
}

/// A varied, repeatable evaluation with so many arms and segments: savings and floor are proven.
pub(crate) fn fixture(arm_count: usize, segment_count: usize) -> Evaluation {
    let mut varied = Varied(7);
    let arms = arms(arm_count.max(1), &mut varied);
    let base = arms[0].cost;
    let cost = base * 0.385;
    Evaluation {
        schema: SCHEMA_VERSION,
        evidence: serde_json::from_str("\"full-information\"").unwrap(),
        requests: RequestCounts {
            train: 25_548,
            evaluated: 10_949,
            set_aside: 37,
        },
        baseline: ArmValue {
            model: arms[0].model.clone(),
            quality: arms[0].quality,
            cost_usd: base,
        },
        floor: Floor {
            rule: "average-floor".to_owned(),
            quality: 0.894_054,
            relative_to: Some(arms[0].model.clone()),
            retain: Some(0.98),
            confidence: 0.95,
            margin: 0.012_631,
            margin_low: 0.007_912,
            margin_high: 0.017_355,
            feasible: true,
            bound: "betting".to_owned(),
            bound_reason: "qualities are bounded and not all binary".to_owned(),
        },
        policy: PolicyValue {
            name: "average-floor, knn (k=50), λ=0.0021".to_owned(),
            predictor: "knn (k=50)".to_owned(),
            quality: around(0.906_685, 0.005_6),
            cost_usd: Interval {
                point: cost,
                low: cost * 0.968,
                high: cost * 1.034,
            },
        },
        savings: Savings {
            fraction: Interval {
                point: 0.615_02,
                low: 0.602_11,
                high: 0.627_34,
            },
            usd: Interval {
                point: base * 0.615,
                low: base * 0.602,
                high: base * 0.627,
            },
        },
        quality_change: Interval {
            point: -0.005_615,
            low: -0.009_08,
            high: -0.002_15,
        },
        verdict: Verdict {
            decision: Decision::Ship,
            reasons: vec![
                "At least 60.2 % of the baseline's cost is saved.".to_owned(),
                "Quality is at least 0.0079 above the line.".to_owned(),
            ],
        },
        references: references(&arms, base, cost),
        metrics: metrics(arm_count),
        diagnostics: diagnostics(&arms, &mut varied),
        trust: evidence::complete(&arms),
        off_policy: None,
        segments: segments(segment_count, &mut varied),
        mix: mix(&arms),
        frontier: frontier(&arms, base, cost),
        projection: Some(Projection {
            usd_per_month: Interval {
                point: 12_840.4,
                low: 11_902.7,
                high: 13_851.2,
            },
            requests_per_month: 4_338_211.4,
            lookback_days: 41.7,
            note: "Traffic, prices and the mix of requests are taken as in the log; seasons and \
                   growth are not in it."
                .to_owned(),
        }),
        changed: changed(&arms),
        manifest: manifest(),
    }
}

fn references(arms: &[Arm], base: f64, cost: f64) -> References {
    let share = |i: usize, share: f64| ArmShare {
        model: arms[i % arms.len()].model.clone(),
        share,
    };
    References {
        best_single: reference(
            "the best arm on the training rows",
            arms[0].quality,
            base,
            base,
            vec![share(0, 1.0)],
        ),
        static_mix_hull: reference(
            "the cheapest fixed mix that keeps the promise",
            0.8962,
            base * 0.79,
            base,
            vec![share(0, 0.771), share(1, 0.229)],
        ),
        cost_matched_random: reference(
            "a fixed mix at the policy's cost",
            0.8411,
            cost,
            base,
            vec![share(0, 0.3), share(1, 0.7)],
        ),
        per_task_table: Some(reference(
            "the best arm per task",
            0.8991,
            base * 0.58,
            base,
            Vec::new(),
        )),
        knn: Some(reference(
            "knn (k=50) under the same rule",
            0.9067,
            cost,
            base,
            Vec::new(),
        )),
        oracle: Some(reference(
            "the cheapest best answer per request",
            0.9712,
            base * 0.082,
            base,
            Vec::new(),
        )),
    }
}

fn metrics(arm_count: usize) -> Metrics {
    let two = |v: f64| (arm_count == 2).then_some(v);
    Metrics {
        aiq: 0.8821,
        aiq_code: 0.8793,
        cost_save: Some(0.2133),
        perf_gain: 0.0041,
        qnc: Some(0.7867),
        apgr: two(0.713),
        cpt50: two(0.211),
        cpt80: two(0.482),
        router_arena: Some(0.7221),
        savings_at: vec![
            SavingsAt {
                retain: 0.95,
                savings: Some(0.731),
            },
            SavingsAt {
                retain: 0.99,
                savings: Some(0.447),
            },
            SavingsAt {
                retain: 1.0,
                savings: None,
            },
        ],
    }
}

fn diagnostics(arms: &[Arm], varied: &mut Varied) -> Diagnostics {
    Diagnostics {
        arms: arms
            .iter()
            .enumerate()
            .map(|(i, arm)| ArmCoverage {
                model: arm.model.clone(),
                requests: 36_497 - 11 * i as u64,
                coverage: 1.0 - 0.0004 * float(i),
                unlabelled_share: if i % 5 == 3 { 0.0121 } else { 0.0 },
                unpriced_share: 0.0,
                compared: i % 17 != 9,
                left_out: (i % 17 == 9)
                    .then(|| "seen on 41 % of requests, 99 % are needed".to_owned()),
            })
            .collect(),
        rows: RowCounts {
            read: 401_467,
            rejected: 12,
            duplicates: 3,
            conflicts: 1,
        },
        unlabelled_share: 0.0031,
        unpriced_share: 0.0,
        clusters: 10_949,
        cluster_by: "request_id".to_owned(),
        lambda: Some(0.002_134_9),
        tau: None,
        train_margin: 0.0098,
        train_savings: 0.6214,
        predictors: vec![
            PredictorRow {
                name: "knn (k=50)".to_owned(),
                train_savings: 0.6214,
                chosen: true,
            },
            PredictorRow {
                name: "clusters (m=32)".to_owned(),
                train_savings: 0.5983,
                chosen: false,
            },
            PredictorRow {
                name: "linear".to_owned(),
                train_savings: 0.5702,
                chosen: false,
            },
        ],
        calibration: (0..10)
            .map(|i| {
                let predicted = 0.05 + 0.1 * f64::from(i);
                CalibrationBin {
                    predicted,
                    observed: (predicted + 0.06 * (varied.next() - 0.5)).clamp(0.0, 1.0),
                    count: 400 + 900 * u64::try_from(i).unwrap(),
                }
            })
            .collect(),
        calibration_error: Some(0.0193),
        sensitivity: vec![
            SensitivityRow {
                change: "seed 2".to_owned(),
                savings: 0.6101,
                margin: 0.0119,
            },
            SensitivityRow {
                change: "without the most used arm".to_owned(),
                savings: 0.4012,
                margin: -0.0031,
            },
            SensitivityRow {
                change: "prices 20 % lower".to_owned(),
                savings: 0.6149,
                margin: 0.0126,
            },
        ],
        warnings: vec![
            "The oracle is inflated by luck: each arm was sampled once per request.".to_owned(),
        ],
    }
}

fn segments(count: usize, varied: &mut Varied) -> Vec<Segment> {
    const TASKS: [&str; 6] = [
        "mmlu",
        "hellaswag",
        "grade-school-math",
        "winogrande",
        "mbpp",
        "arc-challenge",
    ];
    (0..count)
        .map(|i| {
            let half = 0.01 + 0.03 * varied.next();
            let change = if i == 2 {
                -0.05
            } else {
                0.03 * (varied.next() - 0.6)
            };
            Segment {
                column: if i < TASKS.len() { "task" } else { "tenant" }.to_owned(),
                value: TASKS
                    .get(i)
                    .map_or_else(|| format!("customer-{i:03}"), |t| (*t).to_owned()),
                requests: 4_200 / (i as u64 + 1) + 9,
                baseline_quality: 0.9,
                quality: around(0.9 + change, half),
                quality_change: around(change, half),
                savings: around(0.3 + 0.5 * varied.next(), half),
                broken: i == 2,
                waived: false,
            }
        })
        .collect()
}

fn float(index: usize) -> f64 {
    f64::from(u32::try_from(index).unwrap())
}

fn mix(arms: &[Arm]) -> Vec<MixRow> {
    let rest = arms.len().saturating_sub(2).min(4);
    let after = |i: usize| match i {
        0 if arms.len() == 1 => 1.0,
        0 => 0.281,
        1 => 0.719 - 0.05 * float(rest),
        i if i < 2 + rest => 0.05,
        _ => 0.0,
    };
    arms.iter()
        .enumerate()
        .map(|(i, arm)| MixRow {
            model: arm.model.clone(),
            before: if i == 0 { 1.0 } else { 0.0 },
            after: after(i),
            quality: arm.quality,
            cost_usd: arm.cost,
        })
        .collect()
}

fn frontier(arms: &[Arm], base: f64, cost: f64) -> Vec<FrontierPoint> {
    let point = |kind, label: &str, quality: f64, cost: f64, retain, certified| FrontierPoint {
        kind,
        label: label.to_owned(),
        quality: around(quality, 0.0056),
        cost_usd: Interval {
            point: cost,
            low: cost * 0.97,
            high: cost * 1.03,
        },
        savings: 1.0 - cost / base,
        retain,
        certified,
    };
    let mut points: Vec<FrontierPoint> = arms
        .iter()
        .map(|a| point(FrontierKind::Arm, &a.model, a.quality, a.cost, None, false))
        .collect();
    let mut by_cost: Vec<&Arm> = arms.iter().collect();
    by_cost.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    let mut corners: Vec<&Arm> = Vec::new();
    for arm in by_cost {
        if corners
            .last()
            .is_some_and(|last| last.quality >= arm.quality)
        {
            continue;
        }
        while let [.., a, b] = corners.as_slice() {
            let slope = |p: &Arm, q: &Arm| (q.quality - p.quality) / (q.cost - p.cost);
            if slope(a, b) > slope(b, arm) {
                break;
            }
            corners.pop();
        }
        corners.push(arm);
    }
    points.extend(
        corners
            .iter()
            .map(|a| point(FrontierKind::Hull, &a.model, a.quality, a.cost, None, false)),
    );
    for (i, retain) in [0.90, 0.93, 0.95, 0.96, 0.97, 0.98, 0.99, 1.0]
        .into_iter()
        .enumerate()
    {
        let quality = 0.9123 * retain + 0.0126;
        let cost = cost * [0.22, 0.34, 0.48, 0.60, 0.77, 1.0, 1.35, 1.9][i];
        points.push(point(
            FrontierKind::Sweep,
            &format!("keep {retain}"),
            quality,
            cost,
            Some(retain),
            retain < 0.985,
        ));
    }
    points.push(point(
        FrontierKind::Oracle,
        "oracle",
        0.9712,
        base * 0.082,
        None,
        false,
    ));
    points.push(point(
        FrontierKind::Here,
        "this policy",
        0.906_685,
        cost,
        Some(0.98),
        true,
    ));
    points
}

fn changed(arms: &[Arm]) -> Vec<ChangedAnswer> {
    let other = &arms[arms.len().min(2) - 1];
    (0..3)
        .map(|i| ChangedAnswer {
            request_id: format!("mmlu-{:05}", 17 * (i + 1)),
            task: (i > 0).then(|| "mmlu".to_owned()),
            prompt: None,
            before: arms[0].model.clone(),
            after: other.model.clone(),
            quality_before: 1.0,
            quality_after: 0.25 * f64::from(i),
            cost_usd_before: 0.0051,
            cost_usd_after: 0.000_071,
        })
        .collect()
}

fn manifest() -> Manifest {
    Manifest {
        version: "0.1.0".to_owned(),
        log_digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        catalogue_digest: Some(
            "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".to_owned(),
        ),
        policy_digest: "fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"
            .to_owned(),
        policy_toml:
            "[objective]\nrule = \"average-floor\"\nrelative_to = \"best-single\"\nretain = 0.98\n"
                .to_owned(),
        seed: 1,
        split: "hash:0.7".to_owned(),
        resamples: 2_000,
        interval_confidence: 0.95,
        interval_method: "paired bootstrap".to_owned(),
        command: "plimsoll replay log.parquet --policy policy.toml --seed 1".to_owned(),
    }
}

/// The same evaluation with the prompts that the user asked for.
pub(crate) fn with_prompts() -> Evaluation {
    let mut e = fixture(5, 3);
    for changed in &mut e.changed {
        changed.prompt = Some("Which of these is a noble gas?\n\nA) neon\nB) iron".to_owned());
    }
    e
}

/// The same evaluation, but the evidence settles nothing.
pub(crate) fn insufficient() -> Evaluation {
    let mut e = fixture(5, 3);
    e.verdict = Verdict {
        decision: Decision::InsufficientEvidence,
        reasons: vec![
            "90 requests cannot prove a line: the margin may lie on either side.".to_owned(),
        ],
    };
    e.floor.margin_low = -0.004;
    e.savings.fraction = Interval {
        point: 0.312,
        low: -0.0002,
        high: 0.61,
    };
    e.requests = RequestCounts {
        train: 210,
        evaluated: 90,
        set_aside: 4,
    };
    e.diagnostics.clusters = 90;
    e.trust.clusters = 90;
    e
}

/// The least an evaluation can hold: every option absent, every list empty.
pub(crate) fn bare() -> Evaluation {
    let mut e = fixture(1, 0);
    e.requests = RequestCounts {
        train: 0,
        evaluated: 1,
        set_aside: 0,
    };
    e.floor.relative_to = None;
    e.floor.retain = None;
    e.references.per_task_table = None;
    e.references.knn = None;
    e.metrics.cost_save = None;
    e.metrics.qnc = None;
    e.metrics.router_arena = None;
    e.metrics.savings_at.clear();
    e.diagnostics = Diagnostics {
        cluster_by: "request_id".to_owned(),
        ..Diagnostics::default()
    };
    e.trust = plimsoll_harness::Trust::default();
    e.mix.clear();
    e.frontier.clear();
    e.projection = None;
    e.changed.clear();
    e.manifest.catalogue_digest = None;
    e
}

/// Three policies on the same rows.
pub(crate) fn comparison() -> Comparison {
    let first = fixture(5, 2);
    let mut second = fixture(5, 2);
    second.verdict.decision = Decision::Hold;
    second.policy.cost_usd = around(0.0011, 0.00004);
    second.policy.quality = around(0.871, 0.006);
    let third = insufficient();
    Comparison {
        schema: SCHEMA_VERSION,
        names: vec![
            "careful.toml".to_owned(),
            "bold.toml".to_owned(),
            "thin.toml".to_owned(),
        ],
        evaluations: vec![first, second, third],
        differences: ["bold.toml", "thin.toml"]
            .map(|name| Difference {
                name: name.to_owned(),
                against: "careful.toml".to_owned(),
                quality: around(-0.0357, 0.006),
                cost_usd: around(-0.000_75, 0.000_04),
                savings: around(0.156, 0.009),
            })
            .to_vec(),
    }
}

/// One decision among three arms.
pub(crate) fn explanation() -> Explanation {
    let arm = |model: &str, probability: f64, observed: Option<f64>| ExplainedArm {
        model: model.to_owned(),
        probability,
        predicted_quality: 0.83 + probability / 10.0,
        expected_cost_usd: 0.000_071,
        observed_quality: observed,
        observed_cost_usd: observed.map(|_| 0.000_07),
    };
    Explanation {
        schema: SCHEMA_VERSION,
        request_id: "mmlu-00017".to_owned(),
        task: Some("mmlu".to_owned()),
        seen_in_training: false,
        chosen: "claude-3-haiku".to_owned(),
        propensity: 0.98,
        reason: "the cheapest arm whose quality is worth its price at λ = 0.0021".to_owned(),
        arms: vec![
            arm("mistral-7b-instruct", 0.01, None),
            arm("claude-3-haiku", 0.98, Some(1.0)),
            arm("gpt-4-1106-preview", 0.01, Some(1.0)),
        ],
    }
}

/// Text that attacks every place it may go to.
pub(crate) const HOSTILE: &str = "</script><img src=x onerror=alert(1)><!-- @everyone | [x](http://evil.example/) \
     `code` \u{1b}[31m\u{1b}]8;;http://evil.example\u{7}\u{9b}2J\u{202e}\u{2028}\r\n=cmd()";

/// An evaluation with hostile text in every text field.
pub(crate) fn hostile() -> Evaluation {
    let mut e = off_policy(4, 3);
    let bad = || HOSTILE.to_owned();
    e.baseline.model = bad();
    e.floor.rule = bad();
    e.floor.relative_to = Some(bad());
    e.floor.bound = bad();
    e.floor.bound_reason = bad();
    e.policy.name = bad();
    e.policy.predictor = bad();
    e.verdict.reasons = vec![bad()];
    for r in [
        &mut e.references.best_single,
        &mut e.references.static_mix_hull,
        e.references
            .per_task_table
            .as_mut()
            .expect("the fixture has one"),
    ] {
        r.about = bad();
        r.mix = vec![ArmShare {
            model: bad(),
            share: 0.5,
        }];
    }
    for arm in &mut e.diagnostics.arms {
        arm.model = bad();
        arm.compared = false;
        arm.left_out = Some(bad());
    }
    e.diagnostics.cluster_by = bad();
    e.diagnostics.predictors[0].name = bad();
    e.diagnostics.sensitivity[0].change = bad();
    e.diagnostics.warnings = vec![bad()];
    for s in &mut e.segments {
        s.column = bad();
        s.value = bad();
    }
    for m in &mut e.mix {
        m.model = bad();
    }
    for p in &mut e.frontier {
        p.label = bad();
    }
    if let Some(p) = &mut e.projection {
        p.note = bad();
    }
    for c in &mut e.changed {
        c.request_id = bad();
        c.task = Some(bad());
        c.prompt = Some(bad());
        c.before = bad();
        c.after = bad();
    }
    evidence::poison(&mut e, HOSTILE);
    let m = &mut e.manifest;
    for text in [
        &mut m.version,
        &mut m.log_digest,
        &mut m.policy_digest,
        &mut m.policy_toml,
        &mut m.split,
        &mut m.interval_method,
        &mut m.command,
    ] {
        *text = bad();
    }
    e
}
