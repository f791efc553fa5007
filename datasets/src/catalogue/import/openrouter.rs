//! The answer of OpenRouter's `/api/v1/models`.
//!
//! `data[]` of models with `pricing`: US dollars per token as texts, and `overrides[]` of which
//! those hold whose conditions are all met; the later ones win, price by price.

use std::collections::BTreeMap;

use plimsoll::{Price, Usd};
use serde_json::value::RawValue;

use super::amount::Amount;
use super::fields::Component;
use super::json::{self, Object};
use super::lists::Partial;
use super::{ArmPrices, CatalogueError, Found, RoundedPrice, Skipped};
use crate::catalogue::rates::{ConditionalPrices, PricePeriod};
use crate::catalogue::window::{DAY_MINUTES, EVERY_DAY, Window, day_bit, minute_of};

pub(super) fn read(text: &str) -> Result<Found, CatalogueError> {
    let top = json::object(text)?;
    let not = |what: &str| CatalogueError::NotACatalogue {
        what: what.to_owned(),
    };
    let data = top.get("data").ok_or_else(|| not("no list `data`"))?;
    let models: Vec<&RawValue> =
        serde_json::from_str(data.get()).map_err(|_| not("`data` is not a list"))?;
    let mut found = Found::default();
    for (at, value) in models.into_iter().enumerate() {
        found.models += 1;
        let object = Object::of(value);
        let id = object
            .as_ref()
            .and_then(|model| json::string(model.get("id")?))
            .filter(|id| !id.is_empty());
        let name = id.clone().unwrap_or_else(|| format!("data[{at}]"));
        let mut skip = |reason: String| {
            found.skipped.push(Skipped {
                model: name.clone(),
                reason,
            });
        };
        let (Some(object), Some(_)) = (object, id) else {
            skip("not an object with an `id`, or a key stands twice in it".to_owned());
            continue;
        };
        if found.arms.contains_key(&name) {
            skip("the same `id` stands above already".to_owned());
            continue;
        }
        let mut model = Model {
            name: &name,
            uncovered: BTreeMap::new(),
            rounded: Vec::new(),
        };
        let arm = model.read(&object);
        for (field, not_zero) in &model.uncovered {
            let count = found.unsupported.entry(field.clone()).or_default();
            count.models += 1;
            count.not_zero += u64::from(*not_zero);
        }
        match arm {
            Ok(arm) => {
                found.rounded.extend(model.rounded);
                found.arms.insert(name, arm);
            }
            Err(reason) => found.skipped.push(Skipped {
                model: name,
                reason,
            }),
        }
    }
    Ok(found)
}

/// One model while it is read.
struct Model<'a> {
    name: &'a str,
    /// Unsupported pricing fields, and whether they are other than 0.
    uncovered: BTreeMap<String, bool>,
    rounded: Vec<RoundedPrice>,
}

/// Prices that hold under conditions.
struct Override {
    above_input_tokens: u64,
    windows: Vec<Window>,
    prices: Partial,
}

fn component(field: &str) -> Option<Component> {
    Some(match field {
        "prompt" => Component::Input,
        "completion" => Component::Output,
        "input_cache_read" => Component::CachedInput,
        "input_cache_write" => Component::CacheWrite,
        "input_cache_write_1h" => Component::CacheWriteHour,
        "internal_reasoning" => Component::Reasoning,
        "request" => Component::PerRequest,
        _ => return None,
    })
}

impl Model<'_> {
    fn read(&mut self, model: &Object<'_>) -> Result<ArmPrices, String> {
        let pricing = model.get("pricing").ok_or("no prices")?;
        let pricing =
            Object::of(pricing).ok_or("`pricing` is not an object, or a key stands twice in it")?;
        let mut overrides = Vec::new();
        if let Some(list) = pricing.get("overrides").filter(|list| !json::is_null(list)) {
            let list: Vec<Object<'_>> = serde_json::from_str(list.get())
                .map_err(|_| "`overrides` is not a list of objects")?;
            for entry in &list {
                overrides.push(self.one_override(entry)?);
            }
        }
        let base = self.prices(&pricing, |field| field == "overrides")?;
        if base.is_empty() {
            return Err("no prices".to_owned());
        }
        let period = period(base, &overrides)?;
        let not_priced = self.uncovered.iter().filter(|(_, not_zero)| **not_zero);
        let slug = model.get("canonical_slug").and_then(json::string);
        Ok(ArmPrices {
            periods: vec![period],
            context_window_tokens: model.get("context_length").and_then(json::whole),
            capabilities: capabilities(model),
            aliases: slug
                .filter(|slug| slug != self.name && !slug.is_empty())
                .into_iter()
                .collect(),
            provider: Some("openrouter".to_owned()),
            source: Some(format!("https://openrouter.ai/{}", self.name)),
            not_priced: not_priced.map(|(field, _)| field.clone()).collect(),
        })
    }

    /// The prices of an object; other fields than prices are those `is_other` knows.
    fn prices(
        &mut self,
        object: &Object<'_>,
        is_other: impl Fn(&str) -> bool,
    ) -> Result<Partial, String> {
        let mut prices = Partial::default();
        for (field, value) in &object.0 {
            if json::is_null(value) || is_other(field) {
                continue;
            }
            let Some(component) = component(field) else {
                let is_zero = self.amount(field, value).is_ok_and(|usd| usd == Usd::ZERO);
                let name = match field.as_str() {
                    "" => "(a field without a name)",
                    name => name,
                };
                *self.uncovered.entry(name.to_owned()).or_default() |= !is_zero;
                continue;
            };
            let usd = self.amount(field, value)?;
            let price = match component {
                Component::PerRequest => Price::default(),
                _ => Amount {
                    usd,
                    is_rounded: false,
                }
                .price()?,
            };
            // Reasoning at 0 is said of models that bill it as output, and of those that have none.
            let is_as_output = component == Component::Reasoning && usd == Usd::ZERO;
            // A charge of 0 per request is no charge.
            let is_no_fee = component == Component::PerRequest && usd == Usd::ZERO;
            if !is_as_output && !is_no_fee {
                prices.state(component, usd, price)?;
            }
        }
        Ok(prices)
    }

    fn amount(&mut self, field: &str, value: &RawValue) -> Result<Usd, String> {
        let text = json::string(value).or_else(|| json::number(value).map(str::to_owned));
        let text = text.ok_or_else(|| format!("`{field}` is not a price"))?;
        if text.trim() == "-1" {
            return Err(format!(
                "`{field}` is -1: the price varies with the model that answers"
            ));
        }
        let amount = Amount::read(&text).map_err(|why| format!("`{field}`: {why}"))?;
        if amount.is_rounded {
            self.rounded.push(RoundedPrice {
                model: self.name.to_owned(),
                field: field.to_owned(),
                given: text,
                kept: amount.usd.to_string(),
            });
        }
        Ok(amount.usd)
    }

    fn one_override(&mut self, entry: &Object<'_>) -> Result<Override, String> {
        const CONDITIONS: [&str; 4] = ["min_prompt_tokens", "utc_start", "utc_end", "utc_days"];
        let min = match entry
            .get("min_prompt_tokens")
            .filter(|min| !json::is_null(min))
        {
            None => 0,
            Some(min) => json::whole(min).ok_or("`min_prompt_tokens` is not a whole number")?,
        };
        if let Some((field, _)) = entry.0.iter().find(|(field, _)| {
            let is_condition =
                field.starts_with("min_") || field.starts_with("max_") || field.starts_with("utc_");
            is_condition && !CONDITIONS.contains(&field.as_str())
        }) {
            return Err(format!(
                "an override has a condition that is not known: `{field}`"
            ));
        }
        Ok(Override {
            // From `min` tokens on is above one less.
            above_input_tokens: min.saturating_sub(1),
            windows: windows(entry)?,
            prices: self.prices(entry, |field| CONDITIONS.contains(&field))?,
        })
    }
}

/// The price lists that base and overrides make: one for each length and window.
fn period(base: Partial, overrides: &[Override]) -> Result<PricePeriod, String> {
    let mut lengths: Vec<u64> = overrides.iter().map(|one| one.above_input_tokens).collect();
    lengths.push(0);
    lengths.sort_unstable();
    lengths.dedup();
    let mut spans: Vec<&[Window]> = overrides
        .iter()
        .map(|one| one.windows.as_slice())
        .filter(|windows| !windows.is_empty())
        .collect();
    spans.sort_unstable();
    spans.dedup();
    if spans.len() > 1 {
        return Err("overrides at several times of the day are not supported".to_owned());
    }
    let span = spans.first().copied().unwrap_or_default();
    let list = |above: u64, in_window: bool| {
        let holds = |one: &&Override| {
            one.above_input_tokens <= above && (one.windows.is_empty() || in_window)
        };
        let all = overrides.iter().filter(holds);
        all.fold(base, |list, one| list.overridden(one.prices))
            .complete()
    };
    let mut period = PricePeriod {
        prices: list(0, false)?,
        ..PricePeriod::default()
    };
    for above in lengths {
        let rate = |windows: &[Window], prices| ConditionalPrices {
            service_tier: None,
            above_input_tokens: above,
            windows: windows.to_vec(),
            prices,
        };
        if above > 0 {
            period.rates.push(rate(&[], list(above, false)?));
        }
        if !span.is_empty() {
            period.rates.push(rate(span, list(above, true)?));
        }
    }
    Ok(period)
}

/// The times of an override; `utc_start` and `utc_end` are `1630` or `"16:30"`.
fn windows(entry: &Object<'_>) -> Result<Vec<Window>, String> {
    let days = match entry.get("utc_days").filter(|days| !json::is_null(days)) {
        None => EVERY_DAY,
        Some(days) => {
            let names: Option<Vec<String>> = serde_json::from_str(days.get()).ok();
            let bits: Option<Vec<u8>> =
                names.and_then(|names| names.iter().map(|name| day_bit(name)).collect());
            let bits = bits.ok_or("`utc_days` is not a list of weekdays")?;
            bits.into_iter().fold(0, |all, day| all | day)
        }
    };
    let minute = |field: &str| match entry.get(field).filter(|value| !json::is_null(value)) {
        None => Ok(None),
        Some(value) => {
            let text = json::string(value).and_then(|text| minute_of(&text));
            let number = || {
                let hhmm = u16::try_from(json::whole(value)?).ok()?;
                let minutes = hhmm / 100 * 60 + hhmm % 100;
                (hhmm % 100 < 60 && minutes <= DAY_MINUTES).then_some(minutes)
            };
            let minute = text.or_else(number);
            minute
                .map(Some)
                .ok_or(format!("`{field}` is not a time of day"))
        }
    };
    let (from, until) = match (minute("utc_start")?, minute("utc_end")?) {
        (None, None) if days == EVERY_DAY => return Ok(Vec::new()),
        (None, None) => (0, DAY_MINUTES),
        (Some(from), Some(0)) => (from, DAY_MINUTES),
        (Some(from), Some(until)) => (from, until),
        _ => return Err("`utc_start` and `utc_end` must stand together".to_owned()),
    };
    if from >= until && days != EVERY_DAY {
        return Err("an override goes on after midnight on some weekdays only".to_owned());
    }
    let parts = if from < until {
        vec![(from, until)]
    } else {
        vec![(from, DAY_MINUTES), (0, until)]
    };
    let windows: Vec<Window> = parts
        .into_iter()
        .filter_map(|(from, until)| Window::new(days, from, until))
        .collect();
    Ok(windows)
}

fn capabilities(model: &Object<'_>) -> std::collections::BTreeSet<String> {
    let list = |value: Option<&RawValue>| -> Vec<String> {
        value
            .and_then(|value| serde_json::from_str(value.get()).ok())
            .unwrap_or_default()
    };
    let parameters = list(model.get("supported_parameters"));
    let architecture = model.get("architecture").and_then(Object::of);
    let inputs = list(
        architecture
            .as_ref()
            .and_then(|a| a.get("input_modalities")),
    );
    let has = |name: &str| parameters.iter().any(|parameter| parameter == name);
    let known = [
        ("tools", has("tools")),
        ("reasoning", has("reasoning")),
        ("structured-output", has("structured_outputs")),
        ("vision", inputs.iter().any(|input| input == "image")),
    ];
    let held = known.into_iter().filter(|(_, held)| *held);
    held.map(|(name, _)| name.to_owned()).collect()
}
