//! Learning quality on recorded tables, played as bandit feedback in random order.
//!
//! ```text
//! cargo run -p plimsoll-benches --bin learning_rows -- TABLES ROWS
//! cargo run --release -p plimsoll-engine-benches --bin learning -- ROWS [SECTION] [SEEDS] [TABLE]
//! ```
//!
//! The first command writes the tables as plain rows, the second plays them; without SECTION, all
//! sections run. Results are Markdown: means and their 95 % bands over seeds (Student's t).
//!
//! - `compare`: the average floor R2 at 97 % of the best single arm's quality, next to classic
//!   bandits. All start cold, see the same features and know the same price sheet (costs of 50
//!   calls per arm). The classic bandits' published settings and their weight of cost are chosen on
//!   three other seeds, with the floor in sight: they are told what R2 has to find out.
//! - `shock`: half-way, the arm that R2 uses most loses 18 points.
//! - `budget`: R4 at budgets between the cheapest and the dearest arm, paced and not paced.
//! - `arrival`: half-way, an arm better and cheaper than the others joins.
//! - `pareto`: `ParetoBandit`'s budgets on its table.

mod arrival;
mod budget;
mod compare;
mod contenders;
mod play;
mod shock;
mod spread;
mod table;

use std::path::Path;

use table::Table;

const TABLES: [&str; 5] = [
    "zeroeval",
    "routellm_mmlu",
    "routellm_gsm8k",
    "ulab9",
    "paretobandit_val",
];

/// Budgets per request of Taberner-Miller 2026, experiment 1, in US dollars.
const PARETO_BUDGETS: [f64; 7] = [2.9e-5, 8.3e-5, 2.3e-4, 6.6e-4, 1.9e-3, 5.3e-3, 1.5e-2];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of rows")?;
    let section = arguments.next().unwrap_or_else(|| "all".to_owned());
    let seeds: u64 = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let only = arguments.next();
    let wanted = |name: &str| section == "all" || section == name;
    let mut tables = Vec::new();
    for name in TABLES {
        if only.as_deref().is_none_or(|only| only == name) {
            tables.push(Table::read(
                &Path::new(&folder).join(format!("{name}.csv")),
            )?);
        }
    }
    if wanted("compare") {
        println!("## Cost at the floor, {seeds} seeds");
        tables
            .iter()
            .try_for_each(|table| compare::run(table, seeds))?;
    }
    if wanted("shock") {
        shock::head();
        tables
            .iter()
            .try_for_each(|table| shock::run(table, seeds))?;
    }
    if wanted("budget") {
        budget::head("Budget: R4");
        tables
            .iter()
            .try_for_each(|table| budget::run(table, seeds))?;
    }
    if wanted("arrival") {
        arrival::head();
        tables
            .iter()
            .try_for_each(|table| arrival::run(table, seeds))?;
    }
    if wanted("pareto") {
        budget::head("ParetoBandit's budgets: R4 on its three arms");
        for table in tables.iter().filter(|t| t.name == "paretobandit_val") {
            let flash = |arm: &usize| !table.arms[*arm].as_str().contains("flash");
            let three: Vec<usize> = (0..table.arms.len()).filter(flash).collect();
            budget::at(&table.of_arms(&three), &PARETO_BUDGETS, seeds)?;
        }
    }
    Ok(())
}
