//! What changed from one catalogue to another.

use std::collections::BTreeSet;

use plimsoll::{Price, Usd};
use serde::Serialize;

use super::rates::{ArmPrices, ConditionalPrices, PricePeriod, TokenPrices};
use super::{Catalogue, NamePattern};

/// What differs between two catalogues, at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CatalogueDiff {
    /// Models of both whose prices differ.
    pub changed: Vec<ModelChange>,
    /// Models of both whose prices are equal.
    pub unchanged: u64,
    /// Models of the second alone.
    pub added: Vec<String>,
    /// Models of the first alone.
    pub removed: Vec<String>,
    /// Models of the first whose name may mean several of the second, and which.
    pub ambiguous: Vec<String>,
}

/// What changed for one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelChange {
    /// Its name in the first catalogue.
    pub model: String,
    /// Its name in the second, when that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_name: Option<String>,
    /// The prices that changed.
    pub prices: Vec<PriceChange>,
}

/// One price that changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PriceChange {
    /// Under which conditions it holds; empty: standard.
    pub condition: String,
    /// Which price.
    pub price: &'static str,
    /// Before, in US dollars (per million tokens, or per request); `None`: not known.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
    /// Change in per cent of the price before; `None` without two prices or from 0.
    pub change_percent: Option<f64>,
}

/// Compares two catalogues at a time; without one, their latest prices.
#[must_use]
pub fn diff_catalogues(
    first: &Catalogue,
    second: &Catalogue,
    timestamp_us: Option<i64>,
    only: Option<&NamePattern>,
) -> CatalogueDiff {
    let mut diff = CatalogueDiff::default();
    let mut met = BTreeSet::new();
    let is_wanted = |name: &str| only.is_none_or(|only| only.matches(name));
    for (name, arm) in first.arms().filter(|(name, _)| is_wanted(name)) {
        let resolution = second.resolve(name);
        let Some(other) = resolution.arm() else {
            match resolution {
                super::Resolution::Ambiguous { .. } => {
                    diff.ambiguous.extend(resolution.explain(name));
                }
                _ => diff.removed.push(name.to_owned()),
            }
            continue;
        };
        met.insert(other);
        let prices = changes(arm, &second.arms[other], timestamp_us);
        if prices.is_empty() {
            diff.unchanged += 1;
        } else {
            diff.changed.push(ModelChange {
                model: name.to_owned(),
                other_name: (other != name).then(|| other.to_owned()),
                prices,
            });
        }
    }
    let new = second.arms().map(|(name, _)| name);
    let is_new = |name: &&str| {
        is_wanted(name) && !met.contains(*name) && first.resolve(name).arm().is_none()
    };
    diff.added = new.filter(is_new).map(str::to_owned).collect();
    diff
}

fn changes(before: &ArmPrices, after: &ArmPrices, timestamp_us: Option<i64>) -> Vec<PriceChange> {
    let before = lists(before.period_at(timestamp_us));
    let after = lists(after.period_at(timestamp_us));
    let conditions: Vec<&String> = {
        let fresh = |(name, _): &&(String, &TokenPrices)| !before.iter().any(|b| b.0 == *name);
        let names = before.iter().chain(after.iter().filter(fresh));
        names.map(|(condition, _)| condition).collect()
    };
    let mut changes = Vec::new();
    for condition in conditions {
        let find = |lists: &[(String, &TokenPrices)]| {
            let list = lists.iter().find(|(name, _)| name == condition);
            list.map_or([None; 7], |(_, prices)| amounts(prices))
        };
        let (old, new) = (find(&before), find(&after));
        for (at, price) in NAMES.into_iter().enumerate() {
            if old[at] != new[at] {
                changes.push(PriceChange {
                    condition: condition.clone(),
                    price,
                    before: old[at].map(|amount| shown(price, amount)),
                    after: new[at].map(|amount| shown(price, amount)),
                    change_percent: percent(old[at], new[at]),
                });
            }
        }
    }
    changes
}

const NAMES: [&str; 7] = [
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "per_request",
];

/// The prices in pico-dollars, in the order of [`NAMES`].
fn amounts(prices: &TokenPrices) -> [Option<i128>; 7] {
    let pico = |price: Price| i128::from(price.pico_per_token());
    [
        Some(pico(prices.input)),
        prices.cached_input.map(pico),
        prices.cache_write.map(pico),
        prices.cache_write_1h.map(pico),
        Some(pico(prices.output)),
        prices.reasoning.map(pico),
        prices.per_request.map(Usd::pico),
    ]
}

fn shown(price: &str, amount: i128) -> String {
    // A price per token in pico-dollars has as many digits as one per million in micro-dollars.
    let scale = if price == "per_request" { 1 } else { 1_000_000 };
    Usd::from_pico(amount * scale).to_string()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a percentage for people; the prices stand beside it"
)]
fn percent(before: Option<i128>, after: Option<i128>) -> Option<f64> {
    let (before, after) = (before?, after?);
    (before != 0).then(|| (after - before) as f64 * 100.0 / before as f64)
}

/// All price lists of a period, by their condition.
fn lists(period: Option<&PricePeriod>) -> Vec<(String, &TokenPrices)> {
    let Some(period) = period else {
        return Vec::new();
    };
    let rates = period.rates.iter();
    let mut lists = vec![(String::new(), &period.prices)];
    lists.extend(rates.map(|rate| (rate.condition(), &rate.prices)));
    lists
}

impl ConditionalPrices {
    /// The conditions in words, for instance `batch above 200000 input tokens`.
    #[must_use]
    pub fn condition(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.service_tier.clone());
        if self.above_input_tokens > 0 {
            words.push(format!("above {} input tokens", self.above_input_tokens));
        }
        if !self.windows.is_empty() {
            let windows: Vec<String> = self.windows.iter().map(ToString::to_string).collect();
            words.push(format!("at {} UTC", windows.join(" or ")));
        }
        words.join(" ")
    }
}
