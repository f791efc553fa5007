//! Who holds the floor, and at what cost.

use plimsoll::{DELTA, NonInferiority, PerRequestFloor, Policy, Rule};

use crate::contenders::{Classic, Held};
use crate::play::{Trace, band, order, play, router};
use crate::spread::{over_seeds, reported};
use crate::table::{Table, float};

/// Share of the best single arm's quality to keep.
pub(crate) const RETAIN: f64 = 0.97;
/// Seeds that settings are chosen on; results are on others.
pub(crate) const TUNING_SEEDS: [u64; 3] = [1_000, 1_001, 1_002];
/// So far below the floor no larger weight of cost is tried.
const HOPELESS: f64 = 0.05;
/// Quality that the reference arm's cost is worth, to choose among.
const WEIGHTS: [f64; 9] = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6];

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

/// What everyone is measured against.
struct Line {
    floor: f64,
    /// Mean quality and cost of the cheapest arm above the floor.
    fixed: (f64, f64),
    /// Cost of the best single arm: the unit of costs.
    scale: f64,
}

pub(crate) fn run(table: &Table, seeds: u64, only: Option<&str>) -> Anyhow<()> {
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    let best = table.means(table.best());
    let floor = RETAIN * best.0;
    let fixed = table
        .cheapest_above(floor)
        .ok_or("an arm above the floor")?;
    let line = Line {
        floor,
        fixed: table.means(fixed),
        scale: best.1,
    };
    println!(
        "\n### {}: {} requests, {} arms, {} features, floor {floor:.4}\n",
        table.name,
        table.len(),
        table.arms.len(),
        table.dimensions()
    );
    println!(
        "| policy | quality − floor, points | worst seed | cost, USD | cost regret per request against `{}`, % | quality regret per request, points |",
        table.arms[fixed]
    );
    println!("|---|---|---|---|---|---|");
    let known = |name: &str, cost: f64, quality: f64| {
        println!(
            "| *{name}* | {:+.2} | | {:.4} | {:+.1} | {:+.2} |",
            (quality - floor) * 100.0,
            cost * float(table.len()),
            (cost / line.fixed.1 - 1.0) * 100.0,
            (line.fixed.0 - quality) * 100.0
        );
    };
    known("best single arm", best.1, best.0);
    known("cheapest arm above the floor", line.fixed.1, line.fixed.0);
    known(
        "cheapest mix at the floor, means known",
        table.static_mix(floor),
        floor,
    );
    known("every answer known", table.clairvoyant(floor), floor);
    let held = Held::new(floor, line.scale);
    if wanted("Plimsoll R2") {
        let traces = over_seeds(reported(seeds), |seed| {
            play_policy(table, held.cold(table)?, seed)
        })?;
        print("Plimsoll R2", &line, &traces);
    }
    let others = [
        (
            "Plimsoll R1",
            Rule::PerRequestFloor(PerRequestFloor {
                quality: floor,
                delta: DELTA,
            }),
        ),
        (
            "Plimsoll R3",
            Rule::NonInferiority(NonInferiority {
                reference: table.arms[table.best()].clone(),
                margin: best.0 - floor,
                delta: DELTA,
            }),
        ),
    ];
    for (name, rule) in others.into_iter().filter(|(name, _)| wanted(name)) {
        let traces = over_seeds(reported(seeds), |seed| {
            play_policy(table, held.other(table, rule.clone())?, seed)
        })?;
        print(name, &line, &traces);
    }
    for (family, settings) in Classic::FAMILIES {
        if !wanted(family) {
            continue;
        }
        let (setting, weight) = tuned(table, &line, settings)?;
        let traces = over_seeds(reported(seeds), |seed| {
            play_classic(table, &line, setting, weight, seed)
        })?;
        print(
            &format!("{family}: {setting:?}, weight {weight}"),
            &line,
            &traces,
        );
    }
    Ok(())
}

fn play_policy(table: &Table, policy: Box<dyn Policy>, seed: u64) -> Anyhow<Trace> {
    let mut router = router(table, seed, policy)?;
    play(&mut router, table, &order(table, table.len(), seed), seed)
}

fn play_classic(
    table: &Table,
    line: &Line,
    setting: Classic,
    weight: f64,
    seed: u64,
) -> Anyhow<Trace> {
    play_policy(table, setting.policy(table, weight, line.scale)?, seed)
}

/// The setting and weight that cost least while they hold the floor on the tuning seeds; where none
/// holds it, those of highest quality.
fn tuned(table: &Table, line: &Line, settings: &[Classic]) -> Anyhow<(Classic, f64)> {
    let mut best: Option<(bool, f64, Classic, f64)> = None;
    for setting in settings {
        for weight in WEIGHTS {
            let traces = over_seeds(TUNING_SEEDS.into_iter(), |seed| {
                play_classic(table, line, *setting, weight, seed)
            })?;
            let mean = |of: &dyn Fn(&Trace) -> f64| {
                traces.iter().map(of).sum::<f64>() / float(traces.len())
            };
            let quality = mean(&Trace::mean_quality);
            let holds = quality >= line.floor;
            let worth = if holds {
                -mean(&Trace::mean_cost)
            } else {
                quality
            };
            let better = best.is_none_or(|(held, other, ..)| (holds, worth) > (held, other));
            if better {
                best = Some((holds, worth, *setting, weight));
            }
            // Larger weights are further still from the floor.
            if quality < line.floor - HOPELESS {
                break;
            }
        }
    }
    let (_, _, setting, weight) = best.ok_or("a setting")?;
    Ok((setting, weight))
}

fn print(name: &str, line: &Line, traces: &[Trace]) {
    let of = |pick: &dyn Fn(&Trace) -> f64| band(&traces.iter().map(pick).collect::<Vec<_>>());
    let margin = |t: &Trace| (t.mean_quality() - line.floor) * 100.0;
    let worst = traces.iter().map(margin).fold(f64::INFINITY, f64::min);
    let above = of(&margin);
    let cost = of(&|t| t.cost.iter().sum());
    let dearer = of(&|t| (t.mean_cost() / line.fixed.1 - 1.0) * 100.0);
    let regret = of(&|t| (line.fixed.0 - t.mean_quality()) * 100.0);
    println!(
        "| {name} | {:+.2} ± {:.2} | {worst:+.2} | {:.4} ± {:.4} | {:+.1} ± {:.1} | {:+.2} ± {:.2} |",
        above.0, above.1, cost.0, cost.1, dearer.0, dearer.1, regret.0, regret.1
    );
}
