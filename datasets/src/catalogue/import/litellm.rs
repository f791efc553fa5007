//! LiteLLM's `model_prices_and_context_window.json`.
//!
//! A map from model to row. Prices are US dollars per token, as numbers; suffixes of their names
//! are conditions. Every entry of the file becomes an arm or is skipped by name, and every field
//! about prices is read or counted.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::amount::Amount;
use super::fields::Field;
use super::json::{self, Object};
use super::lists::{self, Lists, Partial};
use super::off_peak;
use super::{ArmPrices, CatalogueError, Found, RoundedPrice, Skipped, UnusableRate};

/// The entry that documents the others.
const SAMPLE: &str = "sample_spec";

/// Modes of models that are paid by the token.
const TOKEN_MODES: [&str; 3] = ["chat", "completion", "responses"];

const CAPABILITIES: [(&str, &str); 4] = [
    ("supports_function_calling", "tools"),
    ("supports_reasoning", "reasoning"),
    ("supports_response_schema", "structured-output"),
    ("supports_vision", "vision"),
];

pub(super) fn read(text: &str) -> Result<Found, CatalogueError> {
    let top = json::object(text)?;
    let mut found = Found::default();
    for (model, value) in &top.0 {
        if model == SAMPLE {
            found.no_models.push(model.clone());
            continue;
        }
        found.models += 1;
        let mut row = Row {
            model,
            lists: Lists::new(),
            uncovered: BTreeMap::new(),
            unknown: Vec::new(),
            rounded: Vec::new(),
        };
        let arm = Object::of(value)
            .ok_or_else(|| "not an object, or a key stands twice in it".to_owned())
            .and_then(|object| row.read(&object));
        for (field, not_zero) in &row.uncovered {
            let count = found.unsupported.entry(field.clone()).or_default();
            count.models += 1;
            count.not_zero += u64::from(*not_zero);
        }
        for field in row.unknown {
            *found.unknown.entry(field).or_default() += 1;
        }
        match arm {
            Ok((arm, unusable)) => {
                found.unusable.extend(unusable);
                found.rounded.extend(row.rounded);
                found.arms.insert(model.clone(), arm);
            }
            Err(reason) => found.skipped.push(Skipped {
                model: model.clone(),
                reason,
            }),
        }
    }
    Ok(found)
}

/// One entry while it is read.
struct Row<'a> {
    model: &'a str,
    lists: Lists,
    /// Unsupported pricing fields, and whether they are other than 0.
    uncovered: BTreeMap<String, bool>,
    unknown: Vec<String>,
    rounded: Vec<RoundedPrice>,
}

impl Row<'_> {
    fn read(&mut self, row: &Object<'_>) -> Result<(ArmPrices, Vec<UnusableRate>), String> {
        let mut wrong = None;
        // Every field is looked at, so that all are counted, whatever becomes of the row.
        for (field, value) in &row.0 {
            if let Err(reason) = self.field(field, value) {
                wrong.get_or_insert(reason);
            }
        }
        if let Some(reason) = wrong {
            return Err(reason);
        }
        let mode = row.get("mode").and_then(json::string);
        if mode.is_none() && row.get("litellm_provider").is_none() {
            return Err("not a model: neither `mode` nor `litellm_provider`".to_owned());
        }
        self.refuse_unpriced()?;
        let (mut period, mut unusable) = lists::period(&self.lists, self.model)?;
        let elsewhere = self.uncovered.iter().find(|(_, not_zero)| **not_zero);
        if let Some((field, _)) = elsewhere
            && period.prices.is_free()
            && !mode.is_some_and(|mode| TOKEN_MODES.contains(&mode.as_str()))
        {
            return Err(format!(
                "tokens cost 0, and the price is elsewhere: {field}"
            ));
        }
        if let Some(value) = row.get("off_peak_pricing") {
            match self.off_peak(value) {
                Ok(rate) => period.rates.push(rate),
                Err(reason) => {
                    self.uncovered.insert("off_peak_pricing".to_owned(), true);
                    unusable.push(UnusableRate {
                        model: self.model.to_owned(),
                        rate: "off peak".to_owned(),
                        reason,
                    });
                }
            }
        }
        let capable =
            |(field, _): &&(&str, &str)| row.get(field).is_some_and(|value| value.get() == "true");
        let not_priced = self.uncovered.iter().filter(|(_, not_zero)| **not_zero);
        let arm = ArmPrices {
            periods: vec![period],
            context_window_tokens: row.get("max_input_tokens").and_then(json::whole),
            capabilities: CAPABILITIES
                .iter()
                .filter(capable)
                .map(|(_, name)| (*name).to_owned())
                .collect(),
            aliases: Vec::new(),
            provider: row.get("litellm_provider").and_then(json::string),
            source: row.get("source").and_then(json::string),
            not_priced: not_priced.map(|(field, _)| field.clone()).collect(),
        };
        Ok((arm, unusable))
    }

    fn field(&mut self, name: &str, value: &RawValue) -> Result<(), String> {
        if json::is_null(value) {
            return Ok(());
        }
        match name {
            "tiered_pricing" => return self.tiers(value),
            // Read once the base prices are known.
            "off_peak_pricing" => return Ok(()),
            "provider_specific_entry" => {
                self.provider_specific(value);
                return Ok(());
            }
            _ => {}
        }
        match Field::named(name) {
            Field::Price {
                component,
                service_tier,
                above_input_tokens,
            } => {
                let amount = self.amount(name, value)?;
                let price = amount.price().map_err(|why| format!("`{name}`: {why}"))?;
                let list = self.lists.entry((service_tier, above_input_tokens));
                list.or_default().state(component, amount.usd, price)
            }
            Field::Unsupported => {
                self.uncovered.insert(name.to_owned(), is_not_zero(value));
                Ok(())
            }
            Field::Unknown => {
                self.unknown.push(name.to_owned());
                Ok(())
            }
            Field::Descriptive => Ok(()),
        }
    }

    fn amount(&mut self, field: &str, value: &RawValue) -> Result<Amount, String> {
        let digits = json::number(value).ok_or_else(|| format!("`{field}` is not a number"))?;
        let amount = Amount::read(digits).map_err(|why| format!("`{field}`: {why}"))?;
        if amount.is_rounded {
            self.rounded.push(RoundedPrice {
                model: self.model.to_owned(),
                field: field.to_owned(),
                given: digits.to_owned(),
                kept: amount.usd.to_string(),
            });
        }
        Ok(amount)
    }

    /// `tiered_pricing`: all tokens of a request at the prices of the range that its input is in.
    fn tiers(&mut self, value: &RawValue) -> Result<(), String> {
        let bad = |what: &str| format!("`tiered_pricing` {what}");
        let tiers: Vec<Object<'_>> =
            serde_json::from_str(value.get()).map_err(|_| bad("is not a list of objects"))?;
        let mut end_before = 0;
        for (at, tier) in tiers.iter().enumerate() {
            let Some(range) = tier.get("range") else {
                // By results and not by tokens.
                for (field, value) in &tier.0 {
                    let name = format!("tiered_pricing[].{field}");
                    *self.uncovered.entry(name).or_default() |= is_not_zero(value);
                }
                continue;
            };
            let range: Vec<&RawValue> =
                serde_json::from_str(range.get()).map_err(|_| bad("has a range that is none"))?;
            let ends: Option<Vec<u64>> = range.into_iter().map(json::whole).collect();
            let Some([begin, end]) = ends.as_deref() else {
                return Err(bad("has a range that is none"));
            };
            if *begin != end_before || end <= begin {
                return Err(bad("has ranges that do not follow each other from 0"));
            }
            end_before = *end;
            let mut list = Partial::default();
            for (field, value) in tier.0.iter().filter(|(field, _)| field != "range") {
                if let Field::Price {
                    component,
                    service_tier: "",
                    above_input_tokens: 0,
                } = Field::named(field)
                {
                    let amount = self.amount(&format!("tiered_pricing[{at}].{field}"), value)?;
                    list.state(component, amount.usd, amount.price()?)?;
                } else {
                    let name = format!("tiered_pricing[].{field}");
                    *self.uncovered.entry(name).or_default() |= is_not_zero(value);
                }
            }
            if self.lists.insert(("", *begin), list).is_some() {
                return Err(bad("stands beside flat prices"));
            }
        }
        Ok(())
    }

    /// Factors on the whole price for some of a provider's options.
    fn provider_specific(&mut self, value: &RawValue) {
        let factors = Object::of(value).map(|object| object.0).unwrap_or_default();
        for (option, factor) in factors {
            if json::number(factor).is_some() && !option.starts_with("minimax_") {
                let name = format!("provider_specific_entry.{option}");
                self.uncovered.insert(name, true);
            }
        }
    }

    fn off_peak(
        &mut self,
        value: &RawValue,
    ) -> Result<crate::catalogue::ConditionalPrices, String> {
        let row = Object::of(value).ok_or("not an object")?;
        let mut over = Partial::default();
        for (field, value) in &row.0 {
            match Field::named(field) {
                _ if matches!(field.as_str(), "windows" | "weekday_timezone") => {}
                Field::Price {
                    component,
                    service_tier: "",
                    above_input_tokens: 0,
                } => {
                    let amount = self.amount(&format!("off_peak_pricing.{field}"), value)?;
                    over.state(component, amount.usd, amount.price()?)?;
                }
                _ => return Err(format!("`{field}` is not supported off peak")),
            }
        }
        if self
            .lists
            .keys()
            .any(|(tier, above)| tier.is_empty() && *above > 0)
        {
            return Err("beside prices by length".to_owned());
        }
        let windows = off_peak::windows(&row)?;
        let base = self.lists.get(&("", 0)).copied().unwrap_or_default();
        Ok(crate::catalogue::ConditionalPrices {
            windows,
            prices: base.overridden(over).complete()?,
            ..Default::default()
        })
    }

    /// Why there is no price per token at all, if so.
    fn refuse_unpriced(&self) -> Result<(), String> {
        let base = self.lists.get(&("", 0)).copied().unwrap_or_default();
        if base.input.is_some() || base.output.is_some() {
            return Ok(());
        }
        let fields: Vec<&str> = self.uncovered.keys().map(String::as_str).collect();
        Err(match (fields.as_slice(), self.lists.keys().next()) {
            (_, Some((tier, _))) if !tier.is_empty() => {
                format!("prices for service tier `{tier}` alone")
            }
            (_, Some(_)) => "no price for input and output tokens".to_owned(),
            ([], None) => "no prices".to_owned(),
            (fields, None) => format!("not priced by the token: {}", fields.join(", ")),
        })
    }
}

/// Whether a value is other than null, 0 or a list or table of these.
fn is_not_zero(value: &RawValue) -> bool {
    fn walk(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::Array(items) => items.iter().any(walk),
            Value::Object(entries) => entries.values().any(walk),
            Value::Bool(_) | Value::String(_) => true,
        }
    }
    serde_json::from_str(value.get()).map_or(true, |value| walk(&value))
}
