//! `plimsoll models`: the price catalogue, as a list.

use std::fmt::Write as _;

use plimsoll::Price;
use plimsoll_datasets::{ArmPrices, Catalogue, TokenPrices};
use serde_json::{Value, json};

use crate::app::Context;
use crate::args::{ListForm, ModelsArgs};
use crate::console::printable;
use crate::exit::Exit;
use crate::log_input::catalogue;
use crate::output::deliver;
use crate::problem::Failure;

pub(crate) fn run(context: &Context, args: &ModelsArgs) -> Result<Exit, Failure> {
    let path = args
        .prices
        .as_deref()
        .or(context.settings.prices.as_deref());
    let catalogue = path.map_or_else(|| Ok(Catalogue::embedded()), catalogue)?;
    let ending = context
        .global
        .output
        .as_deref()
        .and_then(|path| path.extension());
    let form = args
        .format
        .unwrap_or(match ending.and_then(|ending| ending.to_str()) {
            Some("csv") => ListForm::Csv,
            Some("json") => ListForm::Json,
            _ if context.global.json => ListForm::Json,
            _ => ListForm::Terminal,
        });
    let text = match form {
        ListForm::Terminal => printable(&terminal(&catalogue)),
        ListForm::Json => format!("{:#}", as_json(&catalogue)),
        ListForm::Csv => csv(&catalogue),
    };
    deliver(context, &text)?;
    context
        .console
        .next("plimsoll validate LOG --prices built-in");
    Ok(Exit::Done)
}

/// Prices that hold until further notice, in US dollars per million tokens.
fn latest(arm: &ArmPrices) -> [Option<Price>; 4] {
    let prices = arm.at(None);
    [
        prices.map(|p| p.input),
        prices.map(TokenPrices::cached_input),
        prices.map(|p| p.output),
        prices.map(TokenPrices::reasoning),
    ]
}

fn show(price: Option<Price>) -> String {
    price.map_or_else(|| "–".to_owned(), |price| price.to_string())
}

fn terminal(catalogue: &Catalogue) -> String {
    let width = catalogue
        .arms()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    let mut text = String::new();
    let date = catalogue.date().unwrap_or("an unknown date");
    let _ = writeln!(
        text,
        "US dollars per million tokens, as of {date}; your own may differ.\n"
    );
    let _ = writeln!(
        text,
        "{:width$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>12}",
        "model", "input", "cached", "output", "reasoning", "context"
    );
    for (name, arm) in catalogue.arms() {
        let [input, cached, output, reasoning] = latest(arm).map(show);
        let window = arm
            .context_window_tokens
            .map_or_else(|| "–".to_owned(), |tokens| tokens.to_string());
        let _ = writeln!(
            text,
            "{name:width$}  {input:>9}  {cached:>9}  {output:>9}  {reasoning:>9}  {window:>12}"
        );
    }
    text
}

fn as_json(catalogue: &Catalogue) -> Value {
    let models: Vec<Value> = catalogue
        .arms()
        .map(|(name, arm)| json!({ "model": name, "prices": arm }))
        .collect();
    json!({
        "schema": 1,
        "date": catalogue.date(),
        "digest": catalogue.digest(),
        "unit": "USD per million tokens",
        "models": models,
    })
}

fn csv(catalogue: &Catalogue) -> String {
    let mut text = "model,input,cached_input,output,reasoning,context_window_tokens\n".to_owned();
    for (name, arm) in catalogue.arms() {
        let prices = latest(arm).map(|price| price.map_or_else(String::new, |p| p.to_string()));
        let window = arm
            .context_window_tokens
            .map_or_else(String::new, |t| t.to_string());
        let _ = writeln!(text, "{},{},{window}", field(name), prices.join(","));
    }
    text
}

/// A name as a field of CSV; formulas are kept from running.
fn field(name: &str) -> String {
    let name = printable(name);
    let name = if name.starts_with(['=', '+', '-', '@']) {
        format!("'{name}")
    } else {
        name
    };
    if name.contains([',', '"', '\n']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_csv() {
        for (name, want) in [
            ("a", "a"),
            ("=1+1", "'=1+1"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
        ] {
            assert_eq!(field(name), want);
        }
    }
}
