//! Half-way, an arm joins that is better and cheaper than all others.

use plimsoll::{
    ArmBelief, ArmSpec, Context, PRIOR_STRENGTH_NEW_ARM, Predictor, PredictorConfig, PredictorKind,
    Price, Quality, Router, TrainingRows, Workspace,
};

use crate::compare::RETAIN;
use crate::contenders::Held;
use crate::play::{Trace, band, mean, order, play, router, step};
use crate::shock::shares;
use crate::spread::{over_seeds, reported};
use crate::table::{Table, float};

const REQUESTS: usize = 6_000;
const JOINS_AT: usize = 3_000;
/// Requests over which the new arm's share is counted.
const WINDOW: usize = 200;
/// Part of the best arm's failures that the new arm gets right.
const REPAIRED: usize = 4;
/// Its cost relative to the cheapest arm above the floor.
const CHEAPER: f64 = 0.5;

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

pub(crate) fn head() {
    println!(
        "\n## Arrival: R2, {REQUESTS} requests, the new arm joins at {JOINS_AT}, share over {WINDOW} requests\n"
    );
    println!(
        "| table | new arm: quality against the best, cost against the cheapest above the floor | deserved share, % | requests until half of it: mean | slowest seed | seeds that got there | quality − floor from there on, points | share at the end, % |"
    );
    println!("|---|---|---|---|---|---|---|---|");
}

pub(crate) fn run(table: &Table, seeds: u64) -> Anyhow<()> {
    let best = table.best();
    let (quality, scale) = table.means(best);
    let floor = RETAIN * quality;
    let fixed = table
        .cheapest_above(floor)
        .ok_or("an arm above the floor")?;
    let wide = with_newcomer(table, best, fixed);
    let newcomer = table.arms.len();
    let held = Held::new(floor, scale);
    let deserved = mean(&over_seeds(0..3, |seed| knowing(&wide, held, seed))?);
    let traces = over_seeds(reported(seeds), |seed| joined(table, &wide, held, seed))?;
    let waits: Vec<Option<usize>> = traces
        .iter()
        .map(|trace| {
            let reached = |end: &usize| {
                shares(&trace.arm[end - WINDOW..*end], newcomer + 1)[newcomer] >= deserved / 2.0
            };
            (JOINS_AT + 1..=REQUESTS)
                .find(reached)
                .map(|end| end - JOINS_AT)
        })
        .collect();
    let there: Vec<f64> = waits.iter().flatten().map(|wait| float(*wait)).collect();
    let slowest = there.iter().copied().fold(0.0, f64::max);
    let wait = band(&there);
    let of = |pick: &dyn Fn(&Trace) -> f64| band(&traces.iter().map(pick).collect::<Vec<_>>());
    let margin = of(&|t| (mean(&t.quality[JOINS_AT..]) - floor) * 100.0);
    let last = of(&|t| shares(&t.arm[REQUESTS - 1_000..], newcomer + 1)[newcomer] * 100.0);
    let new = wide.means(newcomer);
    println!(
        "| {} | {:+.1} points, {:.2}× | {:.0} | {:.0} ± {:.0} | {slowest} | {}/{} | {:+.2} ± {:.2} | {:.0} ± {:.0} |",
        table.name,
        (new.0 - quality) * 100.0,
        new.1 / table.means(fixed).1,
        deserved * 100.0,
        wait.0,
        wait.1,
        there.len(),
        waits.len(),
        margin.0,
        margin.1,
        last.0,
        last.1
    );
    Ok(())
}

/// The table with one more arm: as the best one, but that every fourth failure is repaired.
fn with_newcomer(table: &Table, best: usize, fixed: usize) -> Table {
    let k = table.arms.len();
    let every: Vec<usize> = (0..k).chain([best]).collect();
    let mut wide = table.of_arms(&every);
    wide.arms[k] = plimsoll::ArmId::new("newcomer").expect("a name");
    for row in 0..table.len() {
        let cell = row * (k + 1) + k;
        if row % REPAIRED == 0 {
            wide.quality[cell] = 1.0;
        }
        wide.cost[cell] = CHEAPER * table.cost[row * k + fixed];
    }
    wide
}

/// Share of the new arm under the rule that has seen every answer of every arm.
fn knowing(wide: &Table, held: Held, seed: u64) -> Anyhow<f64> {
    let observed: Vec<Option<f64>> = wide.quality.iter().map(|q| Some(*q)).collect();
    let rows = TrainingRows {
        contexts: &wide.contexts,
        arms: wide.arms.len(),
        quality: &observed,
        weights: None,
    };
    let predictor = Predictor::fit(&PredictorConfig::new(PredictorKind::Linear), &rows)?;
    let mut router = router(wide, seed, held.policy(wide, predictor)?)?;
    let trace = play(&mut router, wide, &order(wide, REQUESTS, seed), seed)?;
    let all = wide.arms.len();
    Ok(shares(&trace.arm[REQUESTS - JOINS_AT..], all)[all - 1])
}

/// R2 on the known arms, and then on all.
fn joined(table: &Table, wide: &Table, held: Held, seed: u64) -> Anyhow<Trace> {
    let all = wide.arms.len();
    let mut router = router(table, seed, held.cold(table)?)?;
    let (mut work, mut trace) = (Workspace::default(), Trace::default());
    let mut world =
        |row: usize, arm: usize| (wide.quality[row * all + arm], wide.cost[row * all + arm]);
    for (t, row) in order(wide, REQUESTS, seed).into_iter().enumerate() {
        if t == JOINS_AT {
            join(&mut router, wide, held.control.quality)?;
        }
        step(
            &mut router,
            wide,
            (t, row),
            seed,
            &mut work,
            &mut trace,
            &mut world,
        )?;
    }
    Ok(trace)
}

/// The new arm comes with a price, at which a mean request costs what it will, and the belief that
/// it is as good as the floor, worth ten outcomes: what arms without outcomes are expected to be.
fn join(router: &mut Router, wide: &Table, floor: f64) -> Anyhow<()> {
    let cost = wide.means(wide.arms.len() - 1).1;
    let tokens = |c: &Context| float(usize::try_from(c.input_tokens.unwrap_or(0)).unwrap_or(0));
    let input = mean(&wide.contexts.iter().map(tokens).collect::<Vec<_>>());
    let output = plimsoll::OUTPUT_TOKENS_PRIOR;
    let price: Price = format!("{:.6}", cost / (input + output) * 1e6).parse()?;
    let spec = ArmSpec::new(wide.arms[wide.arms.len() - 1].clone()).priced(price, price);
    let belief = ArmBelief::Stated {
        quality: Quality::new(floor)?,
        strength: PRIOR_STRENGTH_NEW_ARM,
    };
    router.add_arm(spec, &belief)?;
    Ok(())
}
