//! Half-way, the arm that carries most of the traffic loses 18 points.

use plimsoll::Workspace;
use plimsoll_engine_benches::Numbers;

use crate::compare::RETAIN;
use crate::contenders::Held;
use crate::play::{Trace, band, mean, order, router, step};
use crate::spread::{over_seeds, reported};
use crate::table::{Table, float};

const REQUESTS: usize = 8_000;
const SHOCK_AT: usize = 4_000;
/// Points of mean quality that the arm loses.
const LOSS: f64 = 0.18;
/// Requests of the moving average.
const WINDOW: usize = 500;
/// γ of the predictor: about 300 outcomes of each arm are remembered.
const FORGETTING: f64 = 0.997;

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

pub(crate) fn run(table: &Table, seeds: u64) -> Anyhow<()> {
    let best = table.means(table.best());
    let before = RETAIN * best.0;
    let pilot = play(table, Held::new(before, best.1), 1_000, None)?;
    let shares = shares(&pilot.arm[SHOCK_AT / 2..SHOCK_AT], table.arms.len());
    let victim = (0..shares.len()).fold(0, |a, b| if shares[b] > shares[a] { b } else { a });
    // The floor must still be in reach without that arm.
    let others = (0..table.arms.len()).filter(|arm| *arm != victim);
    let reach = others.map(|arm| table.means(arm).0).fold(0.0, f64::max);
    let floor = before.min(RETAIN * reach);
    let held = Held {
        forgetting: FORGETTING,
        ..Held::new(floor, best.1)
    };
    let traces = over_seeds(reported(seeds), |seed| {
        play(table, held, seed, Some(victim))
    })?;
    // A request that all arms find hard says nothing of the router: its difficulty is taken off,
    // which leaves the expectation as it is and the average far less noisy.
    let at = |t: usize| mean(&traces.iter().map(|x| x.adjusted[t]).collect::<Vec<_>>()) - floor;
    let path: Vec<f64> = (0..REQUESTS).map(at).collect();
    let window = |end: usize| mean(&path[end - WINDOW..end]);
    let since = |end: usize| mean(&path[SHOCK_AT..end]);
    let ends = SHOCK_AT + 1..=REQUESTS;
    let lowest = ends.clone().map(window).fold(f64::INFINITY, f64::min);
    let part = |from: usize, to: usize| {
        let of = |x: &Trace| (mean(&x.adjusted[from..to]) - floor) * 100.0;
        band(&traces.iter().map(of).collect::<Vec<_>>())
    };
    let (calm, first, all) = (
        part(SHOCK_AT / 2, SHOCK_AT),
        part(SHOCK_AT, SHOCK_AT + WINDOW),
        part(SHOCK_AT, REQUESTS),
    );
    println!(
        "| {} | `{}` {:.0} % | {floor:.4} | {:+.2} ± {:.2} | {:+.2} ± {:.2} | {:+.2} ± {:.2} | {:+.2} | {} | {} |",
        table.name,
        table.arms[victim],
        shares[victim] * 100.0,
        calm.0,
        calm.1,
        all.0,
        all.1,
        first.0,
        first.1,
        lowest * 100.0,
        held_from(ends.clone(), window),
        held_from(ends, since),
    );
    Ok(())
}

/// Requests after the shock from which on `average` stays within a point of the floor.
fn held_from(ends: std::ops::RangeInclusive<usize>, average: impl Fn(usize) -> f64) -> usize {
    let late = ends.rev().find(|end| average(*end) < -0.01);
    late.map_or(0, |end| end + 1 - SHOCK_AT)
}

pub(crate) fn head() {
    println!(
        "\n## Shock: R2, {REQUESTS} requests, {:.0} points lost at {SHOCK_AT}\n",
        LOSS * 100.0
    );
    println!(
        "Quality − floor, in points, adjusted for the difficulty of the requests; the last three columns are of the average over all seeds, those before with 95 % bands over seeds.\n"
    );
    println!(
        "| table | arm, its share before | floor | 2,000 before | all 4,000 after | first {WINDOW} after | lowest average of {WINDOW} | requests until the average of {WINDOW} stays within 1 point | until the average since the shock does |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
}

pub(crate) fn shares(chosen: &[usize], arms: usize) -> Vec<f64> {
    let count = |arm: usize| float(chosen.iter().filter(|c| **c == arm).count());
    (0..arms)
        .map(|arm| count(arm) / float(chosen.len()))
        .collect()
}

/// The victim's answers fail at random so often that its mean falls by the loss.
fn play(table: &Table, held: Held, seed: u64, victim: Option<usize>) -> Anyhow<Trace> {
    let k = table.arms.len();
    let mut router = router(table, seed, held.cold(table)?)?;
    let fail = victim.map_or(0.0, |arm| LOSS / table.means(arm).0);
    let typical = mean(&table.quality);
    let mut numbers = Numbers::new(seed ^ 0xBAD);
    let (mut work, mut trace) = (Workspace::default(), Trace::default());
    for (t, row) in order(table, REQUESTS, seed).into_iter().enumerate() {
        let mut world = |row: usize, arm: usize| {
            let (quality, cost) = (table.quality[row * k + arm], table.cost[row * k + arm]);
            let fails = numbers.draw() < fail && t >= SHOCK_AT && victim == Some(arm);
            (if fails { 0.0 } else { quality }, cost)
        };
        step(
            &mut router,
            table,
            (t, row),
            seed,
            &mut work,
            &mut trace,
            &mut world,
        )?;
        let usual = mean(&table.quality[row * k..(row + 1) * k]);
        trace.adjusted.push(trace.quality[t] - usual + typical);
    }
    Ok(trace)
}
