//! Names that the command line and the policies take from the log: each must be in it.

use plimsoll::BEST_SINGLE;
use plimsoll_datasets::Warning;
use plimsoll_harness::LOGGED;

use crate::app::Context;
use crate::args::JudgeArgs;
use crate::exit::Exit;
use crate::log_input::Loaded;
use crate::policy_file::Policy;
use crate::problem::{Failure, Problem};
use crate::toml_check::{likeness, nearest};

/// Requests named when none has the id that was asked for.
const NEAR_IDS: usize = 3;

/// Checks segments, baseline and the policies' arms before any work is done; says which columns of
/// the log may be misspelt.
pub(crate) fn check(
    context: &Context,
    loaded: &Loaded,
    args: &JudgeArgs,
    policies: &[Policy],
) -> Result<(), Failure> {
    for warning in &loaded.report.warnings {
        if matches!(warning, Warning::Misspelt { .. }) {
            context.console.note(&format!("warning: {warning}"));
        }
    }
    segments(loaded, args)?;
    let arms: Vec<&str> = loaded
        .log
        .arms
        .iter()
        .map(plimsoll::ArmId::as_str)
        .collect();
    let mut problems = Vec::new();
    let known = |name: &str| [BEST_SINGLE, LOGGED].contains(&name) || arms.contains(&name);
    if !known(&args.baseline) {
        problems.push(unknown_arm("--baseline: ", &args.baseline, &arms));
    }
    for policy in policies {
        for (key, name) in policy.arm_names() {
            if !arms.contains(&name) {
                problems.push(policy.at(key, unknown_arm("", name, &arms)));
            }
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure {
        exit: Exit::Usage,
        problems,
    })
}

/// Refuses an id that no request has, and names some that are like it.
pub(crate) fn check_request(loaded: &Loaded, id: &str) -> Result<(), Failure> {
    let requests = &loaded.log.requests;
    if requests.iter().any(|request| request.id == id) {
        return Ok(());
    }
    let mut near: Vec<(f64, &str)> = requests
        .iter()
        .map(|request| (likeness(id, &request.id), request.id.as_str()))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .collect();
    // The most alike first; among equals, as they stand in the log.
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let near: Vec<String> = near
        .iter()
        .take(NEAR_IDS)
        .map(|(_, id)| format!("`{id}`"))
        .collect();
    let help = match (near.as_slice(), requests.first()) {
        ([], Some(first)) => format!("give a request_id of the log; its first is `{}`", first.id),
        ([], None) => "give a log with requests".to_owned(),
        (near, _) => format!("did you mean {}?", near.join(" or ")),
    };
    let what = format!("the log has no request `{id}`");
    Err(Failure::plain(Exit::Usage, "P0308", what, help))
}

/// Refuses a segment column that no request has a value in: it would be left out silently.
fn segments(loaded: &Loaded, args: &JudgeArgs) -> Result<(), Failure> {
    let known: Vec<&str> = loaded
        .report
        .segments
        .iter()
        .map(|segment| segment.column.as_str())
        .collect();
    let is_unknown = |column: &&String| !known.contains(&column.as_str());
    let Some(column) = args.segments.iter().find(is_unknown) else {
        return Ok(());
    };
    let help = match nearest(column, &known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "this log has no columns to segment by".to_owned(),
        None => format!("the log has: {}", known.join(", ")),
    };
    let what = format!("the log has no column `{column}` to segment by");
    Err(Failure::plain(Exit::Usage, "P0714", what, help))
}

fn unknown_arm(whose: &str, name: &str, arms: &[&str]) -> Problem {
    let all = arms.join(", ");
    let help = match nearest(name, arms) {
        Some(meant) => format!("did you mean `{meant}`? The log's arms: {all}"),
        None => format!("name one of the log's arms: {all}"),
    };
    Problem {
        code: "P0302",
        what: format!("{whose}the log has no arm `{name}`"),
        help,
        ..Problem::default()
    }
}
