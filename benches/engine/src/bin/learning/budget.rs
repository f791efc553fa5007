//! R4 with and without pacing, at budgets between the cheapest and the dearest arm.

use crate::contenders;
use crate::play::{Trace, band, order, play, router};
use crate::spread::{over_seeds, reported};
use crate::table::{Table, float};

/// Requests: enough that the bucket's burst of 50 is no part of a percent.
const REQUESTS: usize = 8_000;
/// γ of the predictor, as `ParetoBandit` has it.
const FORGETTING: f64 = 0.997;

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

pub(crate) fn head() {
    println!("\n## Budget: R4, {REQUESTS} requests\n");
    println!(
        "| table | budget, USD | paced: spent ÷ budget | worst seed | paced: quality | not paced: spent ÷ budget | not paced: quality |"
    );
    println!("|---|---|---|---|---|---|---|");
}

/// Budgets at a quarter, half and three quarters of the way from the cheapest arm's cost to the
/// dearest's, by logarithm.
pub(crate) fn run(table: &Table, seeds: u64) -> Anyhow<()> {
    let costs = (0..table.arms.len()).map(|arm| table.means(arm).1);
    let low = costs.clone().fold(f64::INFINITY, f64::min);
    let high = costs.fold(0.0, f64::max);
    let budgets = [0.25, 0.5, 0.75].map(|part: f64| low * (high / low).powf(part));
    at(table, &budgets, seeds)
}

fn at(table: &Table, budgets: &[f64], seeds: u64) -> Anyhow<()> {
    for budget in budgets {
        let traces = |paced: bool| {
            over_seeds(reported(seeds), |seed| {
                let policy = contenders::budget(table, *budget, paced, FORGETTING)?;
                let mut router = router(table, seed, policy)?;
                play(&mut router, table, &order(table, REQUESTS, seed), seed)
            })
        };
        let (paced, free) = (traces(true)?, traces(false)?);
        let of = |traces: &[Trace], pick: &dyn Fn(&Trace) -> f64| {
            band(&traces.iter().map(pick).collect::<Vec<_>>())
        };
        let spent = |t: &Trace| t.cost.iter().sum::<f64>() / float(REQUESTS) / budget;
        let most = paced.iter().map(spent).fold(0.0, f64::max);
        let (a, b) = (of(&paced, &spent), of(&paced, &Trace::mean_quality));
        let (c, d) = (of(&free, &spent), of(&free, &Trace::mean_quality));
        println!(
            "| {} | {budget:.6} | {:.4} ± {:.4} | {most:.4} | {:.4} ± {:.4} | {:.3} ± {:.3} | {:.4} ± {:.4} |",
            table.name, a.0, a.1, b.0, b.1, c.0, c.1, d.0, d.1
        );
    }
    Ok(())
}
