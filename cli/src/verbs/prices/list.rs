//! `plimsoll prices list`.

use std::fmt::Write as _;
use std::path::Path;

use plimsoll_datasets::{ArmPrices, Catalogue, NamePattern, PricePeriod};
use serde_json::{Value, json};

use super::{in_words, load};
use crate::app::Context;
use crate::args::PricesListArgs;
use crate::console::printable;
use crate::exit::Exit;
use crate::log_input::{BUILT_IN, catalogue_failure};
use crate::output::deliver;
use crate::problem::Failure;

/// The models that are shown, and how their names were found.
struct Listed<'c> {
    models: Vec<(&'c str, &'c ArmPrices)>,
    explained: Option<String>,
    at_us: Option<i64>,
}

pub(crate) fn run(context: &Context, args: &PricesListArgs) -> Result<Exit, Failure> {
    let path = args
        .prices
        .as_deref()
        .or(context.settings.prices.as_deref())
        .unwrap_or(Path::new(BUILT_IN));
    let catalogue = load(context, path)?;
    let at_us = args.at.as_ref().map(|at| at.us);
    let listed = select(&catalogue, args.name.as_deref(), at_us)
        .map_err(|error| catalogue_failure(path, &error))?;
    let at = args.at.as_ref().map(|at| at.text.as_str());
    let text = if context.wants_json() {
        format!("{:#}", as_json(&catalogue, &listed, at))
    } else {
        printable(&terminal(&catalogue, &listed, at, args.name.is_some()))
    };
    deliver(context, &text)?;
    context
        .console
        .next("plimsoll prices import FILE -o prices.toml");
    Ok(Exit::Done)
}

/// Models whose name matches; if there are none, the model that the name means.
fn select<'c>(
    catalogue: &'c Catalogue,
    name: Option<&str>,
    at_us: Option<i64>,
) -> Result<Listed<'c>, plimsoll_datasets::CatalogueError> {
    let pattern = name.map(NamePattern::new).transpose()?;
    let is_meant = |name: &str| pattern.as_ref().is_none_or(|pattern| pattern.matches(name));
    let mut models: Vec<_> = catalogue
        .arms()
        .filter(|(name, _)| is_meant(name))
        .collect();
    let mut explained = None;
    if let Some(name) = name {
        let resolution = catalogue.resolve(name);
        explained = resolution.explain(name);
        match resolution.arm() {
            Some(arm) if models.iter().all(|(shown, _)| *shown != arm) => {
                models.insert(0, (arm, catalogue.require(arm)?));
            }
            Some(_) => {}
            None if models.is_empty() => {
                catalogue.require(name)?;
            }
            // A part of a name is no name that could be mistaken.
            None => explained = None,
        }
    }
    Ok(Listed {
        models,
        explained,
        at_us,
    })
}

fn terminal(
    catalogue: &Catalogue,
    listed: &Listed<'_>,
    at: Option<&str>,
    is_detailed: bool,
) -> String {
    let mut text = String::new();
    let date = catalogue.date().unwrap_or("an unknown date");
    let holding = at.map_or_else(String::new, |at| format!(" that hold at {at}"));
    let _ = writeln!(
        text,
        "US dollars per million tokens{holding}, looked up on {date}; your own may differ.\n"
    );
    if let Some(line) = &listed.explained {
        let _ = writeln!(text, "{line}\n");
    }
    for (name, arm) in &listed.models {
        let Some(period) = arm.period_at(listed.at_us) else {
            let _ = writeln!(text, "{name}: not known at this time");
            continue;
        };
        let _ = write!(text, "{name}: {}", in_words(&period.prices));
        if is_detailed {
            text.push('\n');
            details(&mut text, arm, period);
        } else {
            let _ = writeln!(text, "{}", marks(arm, period));
        }
    }
    if !is_detailed {
        text.push_str("\n`plimsoll prices list NAME` shows all that is known of a model.\n");
    }
    text
}

/// In short what the details would say.
fn marks(arm: &ArmPrices, period: &PricePeriod) -> String {
    let mut marks = Vec::new();
    match period.rates.len() {
        0 => {}
        1 => marks.push("1 more price list under a condition".to_owned()),
        n => marks.push(format!("{n} more price lists under conditions")),
    }
    if arm.periods.len() > 1 {
        marks.push(format!("{} prices over time", arm.periods.len()));
    }
    if !arm.not_priced.is_empty() {
        marks.push("not complete".to_owned());
    }
    if marks.is_empty() {
        return String::new();
    }
    format!(" ({})", marks.join("; "))
}

fn details(text: &mut String, arm: &ArmPrices, period: &PricePeriod) {
    for rate in &period.rates {
        let _ = writeln!(text, "  {}: {}", rate.condition(), in_words(&rate.prices));
    }
    if arm.periods.len() > 1 {
        let _ = writeln!(text, "  {} prices over time (--at DATE)", arm.periods.len());
    }
    if !arm.not_priced.is_empty() {
        let _ = writeln!(
            text,
            "  not complete for requests with: {}",
            arm.not_priced.join(", ")
        );
    }
    if !arm.aliases.is_empty() {
        let _ = writeln!(text, "  also called: {}", arm.aliases.join(", "));
    }
    if let Some(tokens) = arm.context_window_tokens {
        let _ = writeln!(text, "  context: {tokens} tokens");
    }
    for (name, value) in [("sold by", &arm.provider), ("source", &arm.source)] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name}: {value}");
        }
    }
}

fn as_json(catalogue: &Catalogue, listed: &Listed<'_>, at: Option<&str>) -> Value {
    let model = |(name, arm): &(&str, &ArmPrices)| {
        let period = arm.period_at(listed.at_us);
        json!({
            "model": name,
            "is_free": period.map(|period| period.prices.is_free()),
            "is_complete": arm.not_priced.is_empty(),
            "period": period,
            "arm": arm,
        })
    };
    json!({
        "schema": 1,
        "date": catalogue.date(),
        "digest": catalogue.digest(),
        "unit": "USD per million tokens",
        "at": at,
        "resolved": listed.explained,
        "models": listed.models.iter().map(model).collect::<Vec<_>>(),
    })
}
