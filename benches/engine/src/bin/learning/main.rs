//! Learning quality on recorded tables, played as bandit feedback in random order.
//!
//! ```text
//! cargo run -p plimsoll-benches --bin learning_rows -- TABLES ROWS
//! cargo run --release -p plimsoll-engine-benches --bin learning -- ROWS [SECTION] [SEEDS] [TABLE] [POLICY]
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
//! - `pareto`: `ParetoBandit`'s first experiment on its table, beside what it published.
//! - `pareto-warm`: the same from priors of other rows, measured on rows that nobody has seen.
//! - `cascade`: cascades with a made-up judge beside R2 and `LinUCB`.

mod arrival;
mod budget;
mod cascade;
mod compare;
mod contenders;
mod pareto;
mod pareto_warm;
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name the folder of rows")?;
    let section = arguments.next().unwrap_or_else(|| "all".to_owned());
    let seeds: u64 = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let only = arguments.next().filter(|name| name != "all");
    let contender = arguments.next();
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
            .try_for_each(|table| compare::run(table, seeds, contender.as_deref()))?;
    }
    if wanted("shock") {
        shock::head();
        tables
            .iter()
            .try_for_each(|table| shock::run(table, seeds))?;
    }
    if wanted("budget") {
        budget::head();
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
        let theirs = tables.iter().filter(|t| t.name == "paretobandit_val");
        theirs
            .into_iter()
            .try_for_each(|table| pareto::run(table, seeds))?;
    }
    if wanted("pareto-warm") {
        let theirs = tables.iter().filter(|t| t.name == "paretobandit_val");
        theirs
            .into_iter()
            .try_for_each(|table| pareto_warm::run(table, seeds))?;
    }
    if wanted("cascade") {
        cascade::head(seeds);
        tables
            .iter()
            .try_for_each(|table| cascade::run(table, seeds))?;
    }
    Ok(())
}
