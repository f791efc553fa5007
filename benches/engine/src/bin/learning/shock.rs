//! Half-way, the arm that carries most of the traffic loses 18 points.

use plimsoll::Workspace;
use plimsoll_engine_benches::Numbers;

use crate::compare::RETAIN;
use crate::contenders::Held;
use crate::play::{Trace, band, mean, order, router, step};
use crate::spread::over_seeds;
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
    let traces = over_seeds(0..seeds, |seed| play(table, held, seed, Some(victim)))?;
    // A request that all arms find hard says nothing of the router: its difficulty is taken off,
    // which leaves the expectation as it is and the average far less noisy.
    let at = |t: usize| mean(&traces.iter().map(|x| x.adjusted[t]).collect::<Vec<_>>());
    let path: Vec<f64> = (0..REQUESTS).map(at).collect();
    let window = |end: usize| mean(&path[end - WINDOW..end]) - floor;
    let lowest = (SHOCK_AT..=REQUESTS)
        .map(window)
        .fold(f64::INFINITY, f64::min);
    let late = (SHOCK_AT..=REQUESTS).rev().find(|end| window(*end) < -0.01);
    let recovered = late.map_or(0, |end| end + 1 - SHOCK_AT);
    let part = |from: usize, to: usize| {
        band(
            &traces
                .iter()
                .map(|x| (mean(&x.adjusted[from..to]) - floor) * 100.0)
                .collect::<Vec<_>>(),
        )
    };
    let (calm, first, rest) = (
        part(SHOCK_AT / 2, SHOCK_AT),
        part(SHOCK_AT, SHOCK_AT + 500),
        part(SHOCK_AT + 500, REQUESTS),
    );
    println!(
        "| {} | `{}` {:.0} % | {floor:.4} | {:+.2} ± {:.2} | {:+.2} ± {:.2} | {:+.2} ± {:.2} | {:+.2} | {recovered} |",
        table.name,
        table.arms[victim],
        shares[victim] * 100.0,
        calm.0,
        calm.1,
        first.0,
        first.1,
        rest.0,
        rest.1,
        lowest * 100.0
    );
    Ok(())
}

pub(crate) fn head() {
    println!(
        "\n## Shock: R2, {REQUESTS} requests, 18 points lost at {SHOCK_AT}, moving average of {WINDOW} over all seeds, both adjusted for the difficulty of the requests\n"
    );
    println!(
        "| table | arm, its share before | floor | 2,000 before, points | first 500 after | the rest | lowest moving average | requests until it stays within 1 point |"
    );
    println!("|---|---|---|---|---|---|---|---|");
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
