//! Renders made-up evaluations of every size: `cargo run -p plimsoll-reports --example page DIR`.

use std::path::Path;

use plimsoll_reports::{Format, Style, render_comparison, render_evaluation, render_explanation};

#[path = "../tests/it/common/mod.rs"]
mod common;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let folder = Path::new(&folder);
    let style = Style::default();
    let evaluations = vec![
        ("two", common::fixture(2, 3)),
        ("eleven", common::fixture(11, 7)),
        ("fifty", common::fixture(50, 500)),
        ("bare", common::bare()),
        ("insufficient", common::insufficient()),
        ("off-policy", common::off_policy(5, 7)),
        ("observational", common::observational()),
        ("wide", common::wide()),
        ("hostile", common::hostile()),
        ("hostile-scenario", common::hostile_scenario()),
        ("prompts", common::with_prompts()),
    ];
    for (name, evaluation) in evaluations {
        for (format, ending) in [
            (Format::Html, "html"),
            (Format::Terminal, "txt"),
            (Format::Markdown, "md"),
            (Format::Csv, "csv"),
        ] {
            let text = render_evaluation(&evaluation, format, &style)?;
            std::fs::write(folder.join(format!("{name}.{ending}")), text)?;
        }
    }
    let page = render_comparison(&common::comparison(), Format::Html, &style)?;
    std::fs::write(folder.join("comparison.html"), page)?;
    let text = render_explanation(&common::explanation(), Format::Terminal, &style)?;
    std::fs::write(folder.join("explanation.txt"), text)?;
    Ok(())
}
