//! Cascades beside routing: ask a cheap arm, judge its answer, escalate where that pays.
//!
//! The tables hold no judge. One is made up: it sees an answer of quality q as σ(Δz), z = Δ(q − ½) + e
//! with e ~ N(0, 1), so that it ranks a right answer above a wrong one with probability Φ(Δ/√2), its
//! AUC. Where quality is graded, q − ½ is divided by twice its standard deviation. The judge is free:
//! what a judgement may cost is a result.

use plimsoll::{
    CalibrationKind, Call, Cascade, CascadeConfig, CascadeStep, Feedback, NextStep, PostHoc,
    PostHocRow, Predictor, PredictorConfig, PredictorKind, Quality, Reward, Seed, Usd, Workspace,
};
use plimsoll_engine_benches::Numbers;

use crate::compare::{RETAIN, TUNING_SEEDS};
use crate::contenders::{Classic, FEATURE_RIDGE, Held};
use crate::play::{Trace, band, mean, order, play, router};
use crate::spread::{over_seeds, reported};
use crate::table::{Table, float};

/// Share of steps that explore, as R2's.
const EPSILON: f64 = 0.02;
/// Most calls of one request.
const CALLS_MAX: usize = 3;
/// Most arms of a table that is played whole: beyond, a cascade weighs some sets of arms only.
const ARMS_MAX: usize = 12;
/// Judged answers at which the reading of the signal is first fitted; then whenever they double.
const FIRST_FIT: usize = 64;
/// Weights of cost among which one is searched: the quality that the best arm's cost is worth.
const WEIGHTS: (f64, f64) = (1e-3, 1e2);
const HALVINGS: u32 = 10;

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

/// Judges by their AUC, and Δ = √2 Φ⁻¹(AUC).
const JUDGES: [(&str, f64); 3] = [(".70", 0.741_61), (".80", 1.190_23), (".90", 1.812_39)];

pub(crate) fn head(seeds: u64) {
    println!("\n## Cascades, {seeds} seeds\n");
    println!(
        "| table | side | quality − floor, points | cost against the best single arm, % | cost against R2, % | calls per request | a judgement may cost, USD |"
    );
    println!("|---|---|---|---|---|---|---|");
}

pub(crate) fn run(table: &Table, seeds: u64) -> Anyhow<()> {
    let table = &pool(table);
    let best = table.means(table.best());
    let floor = RETAIN * best.0;
    let held = Held::new(floor, best.1);
    let one = |seed: u64, policy| {
        let mut router = router(table, seed, policy)?;
        play(&mut router, table, &order(table, table.len(), seed), seed)
    };
    let r2 = over_seeds(reported(seeds), |seed| one(seed, held.cold(table)?))?;
    let dollars = |traces: &[Trace]| traces.iter().map(Trace::mean_cost).collect::<Vec<_>>();
    let paid = dollars(&r2);
    let print = |name: &str, traces: &[Trace], calls: Option<&[f64]>| {
        let margins: Vec<f64> = traces
            .iter()
            .map(|t| (t.mean_quality() - floor) * 100.0)
            .collect();
        let against = |unit: &dyn Fn(usize) -> f64| {
            let of = |(seed, cost): (usize, f64)| (cost / unit(seed) - 1.0) * 100.0;
            band(
                &dollars(traces)
                    .into_iter()
                    .enumerate()
                    .map(of)
                    .collect::<Vec<_>>(),
            )
        };
        let (margin, single, routed) = (
            band(&margins),
            against(&|_| best.1),
            against(&|seed| paid[seed]),
        );
        let judged = calls.map(|calls| {
            let worth = (0..traces.len()).map(|i| (paid[i] - traces[i].mean_cost()) / calls[i]);
            let worth = band(&worth.collect::<Vec<_>>());
            format!("{:.2} | {:.2e} ± {:.1e}", mean(calls), worth.0, worth.1)
        });
        println!(
            "| {} | {name} | {:+.2} ± {:.2} | {:+.1} ± {:.1} | {:+.1} ± {:.1} | {} |",
            table.name,
            margin.0,
            margin.1,
            single.0,
            single.1,
            routed.0,
            routed.1,
            judged.unwrap_or_else(|| "1 |".to_owned())
        );
    };
    println!(
        "| {} | best single arm | {:+.2} | 0 | {:+.1} | 1 | |",
        table.name,
        (best.0 - floor) * 100.0,
        (best.1 / mean(&paid) - 1.0) * 100.0
    );
    print("R2", &r2, None);
    let mut chosen: Option<(bool, f64, Classic, f64)> = None;
    for setting in Classic::FAMILIES[0].1 {
        let tried = |weight: f64| {
            over_seeds(TUNING_SEEDS.into_iter(), |seed| {
                one(seed, setting.policy(table, weight, best.1)?)
            })
        };
        let weight = largest(|weight| Ok(mean_quality(&tried(weight)?) >= floor))?;
        let traces = tried(weight)?;
        let quality = mean_quality(&traces);
        let holds = quality >= floor;
        let worth = if holds {
            -mean(&dollars(&traces))
        } else {
            quality
        };
        if chosen.is_none_or(|(held, most, ..)| (holds, worth) > (held, most)) {
            chosen = Some((holds, worth, *setting, weight));
        }
    }
    let (_, _, setting, weight) = chosen.ok_or("a setting")?;
    let tuned = over_seeds(reported(seeds), |seed| {
        one(seed, setting.policy(table, weight, best.1)?)
    })?;
    print(&format!("{setting:?}, weight {weight:.3}"), &tuned, None);
    let none = ("none", 0.0);
    for (auc, distance) in std::iter::once(none).chain(JUDGES) {
        let judge = Judge::new(table, distance);
        let tried = |weight: f64, seed: u64| cascade(table, judge, floor, weight, seed);
        let weight = largest(|weight| {
            let runs = over_seeds(TUNING_SEEDS.into_iter(), |seed| tried(weight, seed))?;
            let traces: Vec<Trace> = runs.into_iter().map(|(trace, _)| trace).collect();
            Ok(mean_quality(&traces) >= floor)
        })?;
        let runs = over_seeds(reported(seeds), |seed| tried(weight, seed))?;
        let (traces, calls): (Vec<Trace>, Vec<f64>) = runs.into_iter().unzip();
        let name = format!("cascade, AUC {auc}, weight {weight:.3}");
        print(&name, &traces, Some(&calls));
    }
    Ok(())
}

/// The table; of more than [`ARMS_MAX`] arms, those that no other arm beats in both means.
fn pool(table: &Table) -> Table {
    let means: Vec<_> = (0..table.arms.len()).map(|arm| table.means(arm)).collect();
    let beaten = |own: &(f64, f64)| {
        means
            .iter()
            .any(|other| other != own && other.0 >= own.0 && other.1 <= own.1)
    };
    if means.len() <= ARMS_MAX {
        return table.clone();
    }
    let kept: Vec<usize> = (0..means.len())
        .filter(|arm| !beaten(&means[*arm]))
        .collect();
    Table {
        name: format!("{}, {} of {} arms", table.name, kept.len(), means.len()),
        ..table.of_arms(&kept)
    }
}

fn mean_quality(traces: &[Trace]) -> f64 {
    mean(&traces.iter().map(Trace::mean_quality).collect::<Vec<_>>())
}

/// The largest weight of cost that holds, by bisection of its logarithm.
fn largest(mut holds: impl FnMut(f64) -> Anyhow<bool>) -> Anyhow<f64> {
    let (mut low, mut high) = WEIGHTS;
    for _ in 0..HALVINGS {
        let middle = (low * high).sqrt();
        if holds(middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// What is made up about a judge.
#[derive(Clone, Copy)]
struct Judge {
    /// Δ over the width of the qualities.
    distance: f64,
}

impl Judge {
    fn new(table: &Table, distance: f64) -> Self {
        let binary = table.quality.iter().all(|q| q * (1.0 - q) == 0.0);
        let centre = mean(&table.quality);
        let squares: Vec<f64> = table.quality.iter().map(|q| (q - centre).powi(2)).collect();
        let width = if binary {
            1.0
        } else {
            2.0 * mean(&squares).sqrt()
        };
        let distance = distance / width;
        Self { distance }
    }

    fn signal(self, quality: f64, numbers: &mut Numbers) -> f64 {
        let radius = (-2.0 * (1.0 - numbers.draw()).ln()).sqrt();
        let noise = radius * (std::f64::consts::TAU * numbers.draw()).cos();
        let z = self.distance * (quality - 0.5) + noise;
        1.0 / (1.0 + (-z).exp())
    }
}

/// One pass over the table, starting cold: the bill of a request is that of all its calls, its
/// quality that of the answer used; the mean number of calls. Every call's answer is labelled.
fn cascade(
    table: &Table,
    judge: Judge,
    floor: f64,
    weight: f64,
    seed: u64,
) -> Anyhow<(Trace, f64)> {
    let (k, n) = (table.arms.len(), table.len());
    let config = PredictorConfig {
        prior_mean: floor,
        ridge: FEATURE_RIDGE,
        ..PredictorConfig::new(PredictorKind::Linear)
    };
    let predictor = Predictor::prior(&config, k, table.dimensions())?;
    let config = CascadeConfig {
        reward: Reward {
            cost_weight: weight,
            cost_scale: table.means(table.best()).1,
        },
        epsilon: EPSILON,
        calls_max: Some(CALLS_MAX),
    };
    let policy = Cascade::new(predictor, vec![PostHoc::WORTHLESS; k], config)?;
    let mut router = router(table, seed, Box::new(policy))?;
    let mut numbers = Numbers::new(seed ^ 0x1D6E);
    let (mut work, mut trace) = (Workspace::default(), Trace::default());
    let (mut judged, mut next_fit, mut before) = (Vec::new(), FIRST_FIT, Vec::new());
    for (t, row) in order(table, n, seed).into_iter().enumerate() {
        let context = &table.contexts[row];
        held(&router)?.predictor().predict(context, &mut before)?;
        let mut run: Vec<CascadeStep> = Vec::new();
        let used = loop {
            let key = format!("{t}#{}", run.len());
            match router.next_step(&Call::new(context, &key, Seed(seed)), &run, &mut work)? {
                NextStep::Ask { arm, .. } => {
                    let cell = row * k + arm;
                    let signal = judge.signal(table.quality[cell], &mut numbers);
                    let bill = Usd::from_f64(table.cost[cell]).ok_or("a bill")?;
                    run.push(CascadeStep::new(arm, signal, bill));
                }
                NextStep::Stop { arm, .. } => break arm,
            }
        };
        for step in &run {
            let quality = table.quality[row * k + step.arm];
            judged.push(PostHocRow {
                expected: before[step.arm].mean,
                signal: step.signal.unwrap_or_default(),
                observed: quality,
                weight: 1.0,
            });
            let mut feedback = Feedback::new(table.arms[step.arm].clone(), Quality::new(quality)?);
            feedback.cost = Some(step.cost);
            router.feedback(context, &feedback)?;
        }
        trace.arm.push(run.len());
        trace.quality.push(table.quality[row * k + used]);
        trace
            .cost
            .push(run.iter().map(|step| step.cost.as_f64()).sum());
        if judged.len() >= next_fit {
            next_fit *= 2;
            let reading = PostHoc::fit(CalibrationKind::Platt, &judged)?;
            let cascade = router
                .policy_mut()
                .downcast_mut::<Cascade>()
                .ok_or("a cascade")?;
            for arm in 0..k {
                cascade.set_post_hoc(arm, reading.clone())?;
            }
        }
    }
    let calls = float(trace.arm.iter().sum()) / float(n);
    Ok((trace, calls))
}

fn held(router: &plimsoll::Router) -> Anyhow<&Cascade> {
    let cascade = router.policy().downcast_ref::<Cascade>();
    cascade.ok_or_else(|| "a cascade".into())
}
