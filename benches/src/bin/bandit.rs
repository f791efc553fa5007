//! Measures every off-policy estimator on recorded tables turned into bandit logs, against the
//! exact values. `cargo run --release -p plimsoll-benches --bin bandit -- FOLDER [DRAWS] [TABLE]`.
//!
//! Prints one table per recorded table and logging policy, and how often the doubly robust
//! estimate has the least root mean squared error, or one within 5 % of it.

use std::path::Path;
use std::time::Instant;

use plimsoll_benches::bandit::{
    Experiment, Logging, Method, Population, Scores, VALUES, different,
};
use plimsoll_datasets::{Input, ReadOptions, read};
use plimsoll_harness::ope::Estimator;

/// Name of a table, and how many of its arms take part; `None`: all complete ones.
const TABLES: [(&str, Option<usize>); 6] = [
    ("zeroeval", None),
    ("zeroeval", Some(8)),
    ("routellm_mmlu", None),
    ("routellm_gsm8k", None),
    ("ulab9", None),
    ("paretobandit_val", None),
];
/// Share of the best arm's quality that the target policy keeps.
const RETAIN: f64 = 0.97;
const SEED: u64 = 1;
/// How much larger than the least a root mean squared error may be.
const NEAR: f64 = 1.05;

struct Cell {
    extra: bool,
    scores: Scores,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of tables")?;
    let draws: u64 = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let only = arguments.next().unwrap_or_else(|| "all".to_owned());
    let mut cells = Vec::new();
    for (table, arms) in TABLES.iter().filter(|(t, _)| only == "all" || only == *t) {
        let path = Path::new(&folder).join(format!("{table}.parquet"));
        let log = read(
            &Input::parse(&path.to_string_lossy()),
            &ReadOptions::default(),
        )?;
        let include = arms.map(|count| different(&log, count)).transpose()?;
        let name = arms.map_or((*table).to_owned(), |count| {
            format!("{table}, {count} arms")
        });
        let population = Population::new(&name, &log, include, RETAIN, SEED)?;
        for logging in Logging::ALL {
            let start = Instant::now();
            let scores = Experiment {
                population: &population,
                logging,
                draws,
                seed: SEED,
            }
            .run(&Method::all())?;
            print(&population, logging, &scores);
            eprintln!("{:.1} s", start.elapsed().as_secs_f64());
            cells.push(Cell {
                extra: arms.is_some(),
                scores,
            });
        }
    }
    summary("five tables", cells.iter().filter(|c| !c.extra));
    summary("with the narrower table", cells.iter());
    Ok(())
}

fn print(population: &Population, logging: Logging, scores: &Scores) {
    let exact = population.exact();
    println!(
        "\n{} ({} rows, {} arms), {logging} log: quality {:.4}, cost {:.6} USD, savings {:.2} %",
        population.name,
        population.rows(),
        population.arms.len(),
        exact.quality,
        exact.cost,
        exact.savings() * 100.0
    );
    println!(
        "effective sample {:.0} % of rows, largest weight {:.1}; q̂ {:?}; ĉ {:?}",
        scores.effective_share * 100.0,
        scores.weight_max,
        scores.quality_by,
        scores.cost_by
    );
    println!(
        "{:<20} {:>31} | {:>31} | {:>31}",
        "", "quality (points)", "cost (% of exact)", "savings (points)"
    );
    print!("{:<20}", "estimator");
    for _ in VALUES {
        print!(
            " {:>7} {:>6} {:>6} {:>5} {:>5} |",
            "bias", "sd", "rmse", "cover", "±"
        );
    }
    println!();
    let units = [100.0, 100.0 / exact.cost, 100.0];
    for (method, values) in &scores.methods {
        print!("{:<20}", method.to_string());
        for (score, unit) in values.iter().zip(units) {
            if score.draws == 0 {
                print!(" {:>33} |", "–");
            } else {
                print!(
                    " {:>+7.2} {:>6.2} {:>6.2} {:>5.1} {:>5.2} |",
                    score.bias * unit,
                    score.deviation * unit,
                    score.rmse * unit,
                    score.coverage * 100.0,
                    score.width * unit
                );
            }
        }
        println!();
    }
}

/// On how many cells each method is near the least error, and the range of its coverage.
fn summary<'c>(title: &str, cells: impl Iterator<Item = &'c Cell> + Clone) {
    let count = cells.clone().count();
    println!("\n{title}: {count} cells; rmse the least or within 5 % of it");
    println!(
        "{:<20} {:>24} {:>24} {:>24} {:>14} {:>20}",
        "estimator",
        "among all (q, c, s)",
        "among consistent",
        "rmse / least (mean)",
        "",
        "coverage of savings"
    );
    for (at, method) in Method::all().into_iter().enumerate() {
        let mut near = [[0; 3]; 2];
        let mut ratio = [0.0; 3];
        let mut coverage = [(1.0_f64, 0.0_f64); 3];
        for cell in cells.clone() {
            for value in 0..3 {
                let own = cell.scores.methods[at].1[value];
                let least = |consistent: bool| least(&cell.scores, value, consistent);
                near[0][value] += usize::from(own.rmse <= NEAR * least(false));
                near[1][value] += usize::from(own.rmse <= NEAR * least(true));
                #[expect(clippy::cast_precision_loss, reason = "few cells")]
                let share = own.rmse / least(false) / count as f64;
                ratio[value] += share;
                coverage[value].0 = coverage[value].0.min(own.coverage);
                coverage[value].1 = coverage[value].1.max(own.coverage);
            }
        }
        let range = |(low, high): (f64, f64)| format!("{:.1}–{:.1}", low * 100.0, high * 100.0);
        println!(
            "{:<20} {:>24} {:>24} {:>24} {:>14} {:>14} {:>14}",
            method.to_string(),
            format!("{:?}", near[0]),
            format!("{:?}", near[1]),
            format!("{:.2} {:.2} {:.2}", ratio[0], ratio[1], ratio[2]),
            range(coverage[0]),
            range(coverage[1]),
            range(coverage[2]),
        );
    }
}

/// The least error of a value; rejection replay is no competitor where it is biased.
fn least(scores: &Scores, value: usize, consistent: bool) -> f64 {
    scores
        .methods
        .iter()
        .filter(|(method, _)| !consistent || method.is_consistent())
        .filter(|(method, _)| *method != Method::Plain(Estimator::Replay))
        .map(|(_, values)| values[value].rmse)
        .filter(|rmse| rmse.is_finite())
        .fold(f64::INFINITY, f64::min)
}
