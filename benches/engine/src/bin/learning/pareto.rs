//! `ParetoBandit`'s first experiment beside ours: seven budgets, three arms, stationary traffic.
//!
//! Theirs learns online on the table's requests and is measured on 1,824 others, which are not
//! public as outcomes here; it starts from priors fitted on a third set. Ours starts
//! cold, learns on one pass over the table and is measured on a second pass in another order;
//! [`pareto_warm`](crate::pareto_warm) has priors and held-out requests.

use crate::contenders;
use crate::play::{Trace, band, mean, order, play, router};
use crate::spread::{over_seeds, reported};
use crate::table::Table;

/// γ of the predictor, as `ParetoBandit` has it.
pub(crate) const FORGETTING: f64 = 0.997;

/// What Taberner-Miller 2026 (arXiv 2604.00136) publishes for a budget per request: 20 seeds,
/// `experiments/01_stationary_budget_pacing/table_budget_compliance.tex` of ParetoBandit/ParetoBandit.
pub(crate) struct Published {
    pub(crate) budget: f64,
    pub(crate) spent: f64,
    pub(crate) quality: f64,
    /// Share of the dearest arm's quality, in percent.
    pub(crate) kept: f64,
    /// Saved against the dearest arm, in percent.
    pub(crate) saved: f64,
}

const fn published(budget: f64, spent: f64, quality: f64, kept: f64, saved: f64) -> Published {
    Published {
        budget,
        spent,
        quality,
        kept,
        saved,
    }
}

pub(crate) const PUBLISHED: [Published; 7] = [
    published(2.9e-5, 0.98, 0.793, 85.1, 99.8),
    published(8.3e-5, 1.00, 0.813, 87.2, 99.5),
    published(2.3e-4, 1.00, 0.859, 92.1, 98.5),
    published(6.6e-4, 0.98, 0.898, 96.3, 95.7),
    published(1.9e-3, 0.91, 0.917, 98.4, 88.7),
    published(5.3e-3, 0.89, 0.924, 99.2, 69.0),
    published(1.5e-2, 0.74, 0.929, 99.7, 26.8),
];

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

/// The table of the three arms that they route between.
pub(crate) fn three(table: &Table) -> Table {
    let theirs = |arm: &usize| !table.arms[*arm].as_str().contains("flash");
    let three: Vec<usize> = (0..table.arms.len()).filter(theirs).collect();
    table.of_arms(&three)
}

pub(crate) fn run(table: &Table, seeds: u64) -> Anyhow<()> {
    let table = three(table);
    let n = table.len();
    println!(
        "\n## ParetoBandit's budgets: R4 on its three arms, {n} requests after {n} to learn\n"
    );
    for arm in 0..3 {
        let (quality, cost) = table.means(arm);
        println!(
            "- `{}`: quality {quality:.4}, cost {cost:.7} USD",
            table.arms[arm]
        );
    }
    println!(
        "\n| budget, USD | spent ÷ budget | worst seed | published | quality | published | % of the dearest arm's quality | published | saved against it, % | published |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let dearest = (0..3).fold(0, |a, b| {
        if table.means(b).1 > table.means(a).1 {
            b
        } else {
            a
        }
    });
    let top = table.means(dearest);
    for theirs in &PUBLISHED {
        let traces = over_seeds(reported(seeds), |seed| {
            let policy = contenders::budget(&table, theirs.budget, true, FORGETTING)?;
            let mut router = router(&table, seed, policy)?;
            play(&mut router, &table, &order(&table, 2 * n, seed), seed)
        })?;
        let of = |pick: &dyn Fn(&Trace) -> f64| band(&traces.iter().map(pick).collect::<Vec<_>>());
        let spent = |t: &Trace| mean(&t.cost[n..]) / theirs.budget;
        let most = traces.iter().map(spent).fold(0.0, f64::max);
        let (a, b) = (of(&spent), of(&|t| mean(&t.quality[n..])));
        println!(
            "| {:.6} | {:.3} ± {:.3} | {most:.3} | {:.2} | {:.4} ± {:.4} | {:.3} | {:.1} | {:.1} | {:.1} | {:.1} |",
            theirs.budget,
            a.0,
            a.1,
            theirs.spent,
            b.0,
            b.1,
            theirs.quality,
            b.0 / top.0 * 100.0,
            theirs.kept,
            (1.0 - a.0 * theirs.budget / top.1) * 100.0,
            theirs.saved
        );
    }
    Ok(())
}
