//! Measures every off-policy estimator on recorded tables turned into bandit logs, against the
//! exact values.
//! `cargo run --release -p plimsoll-benches --bin bandit -- FOLDER [DRAWS] [TABLE|all] [ROWS]`; a
//! draw has as many rows as the table has rows to evaluate, unless ROWS says otherwise.
//!
//! Prints one table per recorded table and logging policy; how often each estimator has the least
//! root mean squared error, or one within 5 % of it; and how often its intervals cover.

use std::path::Path;
use std::time::Instant;

use plimsoll_benches::bandit::{
    Experiment, Logging, Method, Population, Scores, VALUES, different,
};
use plimsoll_datasets::{Input, ReadOptions, read};

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

/// Share of draws that pass the gates for a cell to count as evidence.
const PASSED: f64 = 0.5;

struct Cell {
    extra: bool,
    scores: Scores,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of tables")?;
    let draws: u64 = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let only = arguments.next().unwrap_or_else(|| "all".to_owned());
    let rows: Option<usize> = arguments.next().map(|text| text.parse()).transpose()?;
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
            let experiment = Experiment {
                population: &population,
                logging,
                rows: rows.unwrap_or(population.rows()),
                draws,
                seed: SEED,
            };
            let start = Instant::now();
            let scores = experiment.run(&Method::all())?;
            print(&experiment, &scores);
            eprintln!("{:.1} s", start.elapsed().as_secs_f64());
            cells.push(Cell {
                extra: arms.is_some(),
                scores,
            });
        }
    }
    let main: Vec<&Cell> = cells.iter().filter(|c| !c.extra).collect();
    errors("whole tables", &main);
    errors(
        "and the table of fewer arms",
        &cells.iter().collect::<Vec<_>>(),
    );
    let (passed, failed): (Vec<&Cell>, Vec<&Cell>) =
        cells.iter().partition(|c| c.scores.passed >= PASSED);
    coverage("coverage where weights pass the gates", &passed);
    coverage("coverage where they do not: a verdict is refused", &failed);
    Ok(())
}

fn print(experiment: &Experiment<'_>, scores: &Scores) {
    let population = experiment.population;
    let exact = population.exact();
    println!(
        "\n{} ({} of {} rows, {} arms), {} log: quality {:.4}, cost {:.6} USD, savings {:.2} %",
        population.name,
        experiment.rows,
        population.rows(),
        population.arms.len(),
        experiment.logging,
        exact.quality,
        exact.cost,
        exact.savings() * 100.0
    );
    println!(
        "effective sample {:.0} rows, largest weight {:.1}, gates passed {:.0} %; q̂ {:?}; ĉ {:?}",
        scores.effective_rows,
        scores.weight_max,
        scores.passed * 100.0,
        scores.quality_by,
        scores.cost_by
    );
    println!(
        "{:<28} {:>31} | {:>31} | {:>31}",
        "", "quality (points)", "cost (% of exact)", "savings (points)"
    );
    print!("{:<22} {:>5}", "estimator", "draws");
    for _ in VALUES {
        print!(
            " {:>7} {:>6} {:>6} {:>5} {:>5} |",
            "bias", "sd", "rmse", "cover", "±"
        );
    }
    println!();
    let units = [100.0, 100.0 / exact.cost, 100.0];
    for (method, values) in &scores.methods {
        // Fewer draws where a method has nothing to say, or an interval was refused.
        print!("{:<22} {:>5}", method.to_string(), values[0].draws);
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

/// On how many cells each method is near the least error, and how far from it at most.
fn errors(title: &str, cells: &[&Cell]) {
    println!(
        "\n{title}: {} cells; root mean squared error of quality, cost, savings",
        cells.len()
    );
    println!(
        "{:<22} {:>20} {:>22} {:>20} {:>20}",
        "estimator",
        "near least of all",
        "near least consistent",
        "mean ratio to least",
        "worst ratio"
    );
    for (at, method) in Method::all().into_iter().enumerate() {
        if method == Method::Chosen {
            continue;
        }
        let mut near = [[0; 3]; 2];
        let (mut mean, mut worst) = ([0.0; 3], [0.0_f64; 3]);
        for cell in cells {
            for value in 0..3 {
                let own = cell.scores.methods[at].1[value].rmse;
                let least = |consistent: bool| least(&cell.scores, value, consistent);
                near[0][value] += usize::from(own <= NEAR * least(false));
                near[1][value] += usize::from(own <= NEAR * least(true));
                #[expect(clippy::cast_precision_loss, reason = "few cells")]
                let count = cells.len() as f64;
                mean[value] += own / least(false) / count;
                worst[value] = worst[value].max(own / least(false));
            }
        }
        let three = |x: [f64; 3]| format!("{:.2} {:.2} {:.2}", x[0], x[1], x[2]);
        println!(
            "{:<22} {:>20} {:>22} {:>20} {:>20}",
            method.to_string(),
            format!("{:?}", near[0]),
            format!("{:?}", near[1]),
            three(mean),
            three(worst),
        );
    }
}

/// Range and mean of each method's coverage.
fn coverage(title: &str, cells: &[&Cell]) {
    println!("\n{title}: {} cells; least, mean, most in %", cells.len());
    println!(
        "{:<22} {:>20} {:>20} {:>20}",
        "estimator", VALUES[0], VALUES[1], VALUES[2]
    );
    for (at, method) in Method::all().into_iter().enumerate() {
        let of = |value: usize| {
            let all: Vec<f64> = cells
                .iter()
                .map(|cell| cell.scores.methods[at].1[value].coverage * 100.0)
                .filter(|coverage| coverage.is_finite())
                .collect();
            if all.is_empty() {
                return "–".to_owned();
            }
            #[expect(clippy::cast_precision_loss, reason = "few cells")]
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let (low, high) = all.iter().fold((100.0_f64, 0.0_f64), |(low, high), x| {
                (low.min(*x), high.max(*x))
            });
            format!("{low:.1} {mean:.1} {high:.1}")
        };
        println!(
            "{:<22} {:>20} {:>20} {:>20}",
            method.to_string(),
            of(0),
            of(1),
            of(2)
        );
    }
}

/// The least error of a value, of all estimators or of those that are consistent.
fn least(scores: &Scores, value: usize, consistent: bool) -> f64 {
    scores
        .methods
        .iter()
        .filter(|(method, _)| !consistent || method.is_consistent())
        .map(|(_, values)| values[value].rmse)
        .filter(|rmse| rmse.is_finite())
        .fold(f64::INFINITY, f64::min)
}
