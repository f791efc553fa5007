//! `plimsoll prices diff`.

use std::fmt::Write as _;

use plimsoll_datasets::{CatalogueDiff, PriceChange, diff_catalogues};
use serde_json::json;

use super::load;
use crate::app::Context;
use crate::args::PricesDiffArgs;
use crate::console::printable;
use crate::exit::Exit;
use crate::output::deliver;
use crate::problem::Failure;

pub(crate) fn run(context: &Context, args: &PricesDiffArgs) -> Result<Exit, Failure> {
    let before = load(context, &args.before)?;
    let after = load(context, &args.after)?;
    let at_us = args.at.as_ref().map(|at| at.us);
    let diff = diff_catalogues(&before, &after, at_us, args.only.as_ref());
    let at = args.at.as_ref().map(|at| at.text.as_str());
    let text = if context.wants_json() {
        let value = json!({
            "schema": 1,
            "unit": "USD per million tokens",
            "at": at,
            "before": before.digest(),
            "after": after.digest(),
            "diff": diff,
        });
        format!("{value:#}")
    } else {
        printable(&terminal(&diff, at))
    };
    deliver(context, &text)?;
    context.console.next("plimsoll prices list NAME");
    Ok(Exit::Done)
}

fn terminal(diff: &CatalogueDiff, at: Option<&str>) -> String {
    let mut text = String::new();
    let holding = at.map_or_else(String::new, |at| format!(" at {at}"));
    let _ = writeln!(
        text,
        "{} models changed, {} did not, {} are new, {} are gone{holding}; US dollars per million \
         tokens.",
        diff.changed.len(),
        diff.unchanged,
        diff.added.len(),
        diff.removed.len(),
    );
    for model in &diff.changed {
        let other = model.other_name.as_ref();
        let other = other.map_or_else(String::new, |name| format!(" (now `{name}`)"));
        let _ = writeln!(text, "\n{}{other}", model.model);
        for change in &model.prices {
            let _ = writeln!(text, "  {}", in_words(change));
        }
    }
    for line in &diff.ambiguous {
        let _ = writeln!(text, "\nnot compared: {line}");
    }
    for (what, names) in [("new", &diff.added), ("gone", &diff.removed)] {
        if !names.is_empty() {
            let _ = writeln!(text, "\n{what}: {}", names.join(", "));
        }
    }
    text
}

fn in_words(change: &PriceChange) -> String {
    let condition = match change.condition.as_str() {
        "" => String::new(),
        condition => format!("{condition}, "),
    };
    let price = change.price.replace('_', " ");
    let values = match (&change.before, &change.after) {
        (Some(before), Some(after)) => {
            let percent = match change.change_percent {
                Some(percent) => format!(" ({})", signed_percent(percent)),
                None => " (was free)".to_owned(),
            };
            let free = if after == "0" { ": free now" } else { "" };
            format!("{before} → {after}{percent}{free}")
        }
        (None, Some(after)) => format!("not known before, now {after}"),
        (Some(before), None) => format!("was {before}, not known any more"),
        (None, None) => "not known".to_owned(),
    };
    format!("{condition}{price}: {values}")
}

/// A change in per cent; one that is there never reads as none.
fn signed_percent(percent: f64) -> String {
    let shown = format!("{:.1}", percent.abs());
    let sign = if percent < 0.0 { '−' } else { '+' };
    match shown.as_str() {
        "0.0" => format!("{sign}<0.1 %"),
        _ => format!("{sign}{shown} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_in_words() {
        let change = |before: Option<&str>, after: Option<&str>, change_percent| PriceChange {
            condition: "batch".to_owned(),
            price: "cached_input",
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
            change_percent,
        };
        for (change, want) in [
            (change(Some("2"), Some("1"), Some(-50.0)), "2 → 1 (−50.0 %)"),
            (
                change(Some("2"), Some("2.0001"), Some(0.005)),
                "2 → 2.0001 (+<0.1 %)",
            ),
            (
                change(Some("2"), Some("0"), Some(-100.0)),
                "2 → 0 (−100.0 %): free now",
            ),
            (change(Some("0"), Some("1"), None), "0 → 1 (was free)"),
            (change(None, Some("1"), None), "not known before, now 1"),
            (change(Some("1"), None, None), "was 1, not known any more"),
        ] {
            assert_eq!(in_words(&change), format!("batch, cached input: {want}"));
        }
    }
}
