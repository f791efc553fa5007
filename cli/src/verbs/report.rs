//! `plimsoll report`: render a saved evaluation, comparison or learning replay again.

use plimsoll_harness::Evaluation;
use plimsoll_reports::{
    ReportError, parse_comparison, parse_evaluation, parse_learning, render_comparison,
    render_evaluation, render_learning,
};
use serde::Deserialize;

use crate::app::Context;
use crate::args::ReportArgs;
use crate::exit::Exit;
use crate::input::read_bytes;
use crate::output::{Output, verdict_line};
use crate::problem::Failure;

pub(crate) fn run(context: &Context, args: &ReportArgs) -> Result<Exit, Failure> {
    let output = Output::new(context, args.format)?;
    let bytes = read_bytes(&args.saved)?;
    let located = |error: ReportError| {
        let saved = args.saved.display();
        let at = match &error {
            ReportError::NotJson { line, column, .. }
            | ReportError::WrongShape { line, column, .. }
                if *column > 0 =>
            {
                format!("{saved}:{line}:{column}")
            }
            _ => saved.to_string(),
        };
        let mut failure = Failure::from(error);
        for problem in &mut failure.problems {
            problem.at = Some(at.clone());
        }
        failure
    };
    let holds = Probe::of(&bytes);
    if holds.learners.is_some() {
        let report = parse_learning(&bytes).map_err(located)?;
        output.write(|form, style| render_learning(&report, form, style))?;
        context.console.next(&report.manifest.command);
        return Ok(Exit::Done);
    }
    let evaluations: Vec<Evaluation> = if holds.evaluations.is_some() {
        let comparison = parse_comparison(&bytes).map_err(located)?;
        output.write(|form, style| render_comparison(&comparison, form, style))?;
        comparison.evaluations
    } else {
        let evaluation = parse_evaluation(&bytes).map_err(located)?;
        output.write(|form, style| render_evaluation(&evaluation, form, style))?;
        vec![evaluation]
    };
    if output.file().is_some() {
        for evaluation in &evaluations {
            context.console.note(&verdict_line(evaluation));
        }
    }
    if let Some(evaluation) = evaluations.first() {
        context.console.next(&evaluation.manifest.command);
    }
    Ok(Exit::of_evaluations(&evaluations))
}

/// What tells the kinds of saved files apart.
#[derive(Default, Deserialize)]
struct Probe {
    /// A comparison's.
    evaluations: Option<serde::de::IgnoredAny>,
    /// A learning replay's.
    learners: Option<serde::de::IgnoredAny>,
}

impl Probe {
    fn of(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }
}
