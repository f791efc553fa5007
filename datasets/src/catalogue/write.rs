//! A catalogue as TOML. What is unknown is left out, what is free is written as 0.

use std::fmt::Write as _;

use super::Catalogue;
use super::rates::{ArmPrices, ConditionalPrices, PricePeriod, TokenPrices};
use crate::timestamp;

pub(crate) fn to_toml(catalogue: &Catalogue, comment: &str) -> String {
    let mut text = String::new();
    for line in comment.lines() {
        // TOML has no control characters in comments.
        let line = line.replace(|letter: char| letter.is_control() && letter != '\t', " ");
        let _ = writeln!(text, "# {line}");
    }
    if let Some(date) = &catalogue.date {
        let _ = writeln!(text, "date = {date}");
    }
    for (name, arm) in &catalogue.arms {
        let _ = writeln!(text, "\n[arms.{}]", quoted(name));
        write_arm(&mut text, arm);
    }
    text
}

fn write_arm(text: &mut String, arm: &ArmPrices) {
    match arm.periods.as_slice() {
        [only] => {
            for (key, value) in period_values(only) {
                let _ = writeln!(text, "{key} = {value}");
            }
            if !only.rates.is_empty() {
                text.push_str("rates = [\n");
                for rate in &only.rates {
                    let _ = writeln!(text, "  {},", rate_table(rate));
                }
                text.push_str("]\n");
            }
        }
        periods => {
            text.push_str("periods = [\n");
            for period in periods {
                let mut values = period_values(period);
                if !period.rates.is_empty() {
                    let rates: Vec<String> = period.rates.iter().map(rate_table).collect();
                    values.push(("rates", format!("[{}]", rates.join(", "))));
                }
                let _ = writeln!(text, "  {},", table(&values));
            }
            text.push_str("]\n");
        }
    }
    if let Some(tokens) = arm.context_window_tokens {
        let _ = writeln!(text, "context_window_tokens = {tokens}");
    }
    let lists = [
        ("capabilities", arm.capabilities.iter().collect::<Vec<_>>()),
        ("aliases", arm.aliases.iter().collect()),
        ("not_priced", arm.not_priced.iter().collect()),
    ];
    for (key, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
        let _ = writeln!(
            text,
            "{key} = {}",
            list(values.into_iter().map(String::as_str))
        );
    }
    for (key, value) in [("provider", &arm.provider), ("source", &arm.source)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{key} = {}", quoted(value));
        }
    }
}

type Values = Vec<(&'static str, String)>;

fn period_values(period: &PricePeriod) -> Values {
    let mut values = Vec::new();
    if let Some(from) = period.valid_from_us {
        values.push(("valid_from", timestamp::to_day_or_text(from)));
    }
    if let Some(until) = period.valid_until_us {
        values.push(("valid_until", timestamp::to_day_or_text(until)));
    }
    values.extend(price_values(&period.prices));
    values
}

fn price_values(prices: &TokenPrices) -> Values {
    let mut values = vec![("input", prices.input.to_string())];
    let optional = [
        ("cached_input", prices.cached_input),
        ("cache_write", prices.cache_write),
        ("cache_write_1h", prices.cache_write_1h),
    ];
    let known = |(key, price): (&'static str, Option<plimsoll::Price>)| {
        price.map(|price| (key, price.to_string()))
    };
    values.extend(optional.into_iter().filter_map(known));
    values.push(("output", prices.output.to_string()));
    values.extend(known(("reasoning", prices.reasoning)));
    values.extend(
        prices
            .per_request
            .map(|fee| ("per_request", fee.to_string())),
    );
    values
}

fn rate_table(rate: &ConditionalPrices) -> String {
    let mut values = Vec::new();
    if let Some(tier) = &rate.service_tier {
        values.push(("service_tier", quoted(tier)));
    }
    if rate.above_input_tokens > 0 {
        values.push(("above_input_tokens", rate.above_input_tokens.to_string()));
    }
    if !rate.windows.is_empty() {
        let windows: Vec<String> = rate.windows.iter().map(ToString::to_string).collect();
        values.push(("windows", list(windows.iter().map(String::as_str))));
    }
    values.extend(price_values(&rate.prices));
    table(&values)
}

fn table(values: &Values) -> String {
    let pairs: Vec<String> = values
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn list<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = values.map(quoted).collect();
    format!("[{}]", quoted.join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
