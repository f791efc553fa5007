//! The catalogue's TOML, walked by hand so that every number keeps its digits and its place.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::str::FromStr;

use plimsoll::{MoneyError, Price, Usd};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Catalogue;
use super::error::{CatalogueError, TextPlace};
use super::rates::{ArmPrices, ConditionalPrices, PricePeriod, TokenPrices, tier_of};
use super::window::Window;
use crate::column::did_you_mean;
use crate::timestamp;

const TOP_KEYS: &[&str] = &["date", "arms"];
const ARM_KEYS: &[&str] = &[
    "input",
    "output",
    "cached_input",
    "reasoning",
    "cache_write",
    "cache_write_1h",
    "per_request",
    "rates",
    "valid_from",
    "valid_until",
    "periods",
    "context_window_tokens",
    "capabilities",
    "aliases",
    "provider",
    "source",
    "not_priced",
];
const PERIOD_KEYS: &[&str] = &[
    "input",
    "output",
    "cached_input",
    "reasoning",
    "cache_write",
    "cache_write_1h",
    "per_request",
    "rates",
    "valid_from",
    "valid_until",
];
const RATE_KEYS: &[&str] = &[
    "service_tier",
    "above_input_tokens",
    "windows",
    "input",
    "output",
    "cached_input",
    "reasoning",
    "cache_write",
    "cache_write_1h",
    "per_request",
];

type Result<T> = std::result::Result<T, CatalogueError>;
type Value<'a> = Spanned<DeValue<'a>>;

pub(crate) fn read(text: &str) -> Result<Catalogue> {
    let walk = Walk { text };
    let document = DeTable::parse(text).map_err(|error| CatalogueError::Syntax {
        place: walk.place(&error.span().unwrap_or(0..0)),
        message: error.message().to_owned(),
    })?;
    let mut catalogue = Catalogue {
        date: None,
        arms: BTreeMap::new(),
        aliases: BTreeMap::new(),
        digest: blake3::hash(text.as_bytes()).to_hex().to_string(),
    };
    let top = document.get_ref();
    walk.check_keys(top, TOP_KEYS)?;
    if let Some(date) = top.get("date") {
        let date = walk.time("date", date)?;
        catalogue.date = Some(timestamp::to_day_or_text(date));
    }
    let Some(arms) = top.get("arms") else {
        return Ok(catalogue);
    };
    for (name, arm) in walk.table("arms", arms)? {
        let prices = walk.arm(
            name.get_ref(),
            name.span(),
            walk.table(name.get_ref(), arm)?,
        )?;
        catalogue.arms.insert(name.get_ref().to_string(), prices);
    }
    walk.aliases(&mut catalogue, arms)?;
    Ok(catalogue)
}

struct Walk<'t> {
    text: &'t str,
}

impl Walk<'_> {
    fn place(&self, span: &Range<usize>) -> TextPlace {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        TextPlace {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn check_keys(&self, table: &DeTable<'_>, known: &'static [&'static str]) -> Result<()> {
        match table
            .keys()
            .find(|key| !known.contains(&key.get_ref().as_ref()))
        {
            None => Ok(()),
            Some(key) => Err(CatalogueError::UnknownKey {
                place: self.place(&key.span()),
                key: key.get_ref().to_string(),
                meant: did_you_mean(key.get_ref(), known.iter().copied()).map(str::to_owned),
                known,
            }),
        }
    }

    fn wrong(&self, key: &str, value: &Value<'_>, wanted: &'static str) -> CatalogueError {
        CatalogueError::WrongType {
            place: self.place(&value.span()),
            key: key.to_owned(),
            wanted,
        }
    }

    fn table<'v, 'i>(&self, key: &str, value: &'v Value<'i>) -> Result<&'v DeTable<'i>> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.wrong(key, value, "a table")),
        }
    }

    fn texts(&self, key: &str, value: &Value<'_>) -> Result<Vec<String>> {
        let wanted = "a list of texts";
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong(key, value, wanted));
        };
        let text = |item: &Value<'_>| match item.get_ref() {
            DeValue::String(text) if !text.is_empty() => Ok(text.to_string()),
            _ => Err(self.wrong(key, item, wanted)),
        };
        items.iter().map(text).collect()
    }

    fn arm(&self, name: &str, span: Range<usize>, table: &DeTable<'_>) -> Result<ArmPrices> {
        self.check_keys(table, ARM_KEYS)?;
        let periods = match table.get("periods") {
            None => vec![self.period(name, &span, table)?],
            Some(list) => {
                if let Some(key) = PERIOD_KEYS.iter().find(|key| table.contains_key(**key)) {
                    let value = table.get(*key).unwrap_or(list);
                    return Err(self.wrong(key, value, "in the periods, once there are any"));
                }
                self.periods(name, list)?
            }
        };
        let list = |key: &str| {
            table
                .get(key)
                .map_or(Ok(Vec::new()), |list| self.texts(key, list))
        };
        Ok(ArmPrices {
            periods,
            context_window_tokens: self.count("context_window_tokens", table)?,
            capabilities: list("capabilities")?.into_iter().collect::<BTreeSet<_>>(),
            aliases: list("aliases")?,
            provider: self.text_of("provider", table)?,
            source: self.text_of("source", table)?,
            not_priced: list("not_priced")?,
        })
    }

    /// The periods in order of time, which must not overlap.
    fn periods(&self, arm: &str, list: &Value<'_>) -> Result<Vec<PricePeriod>> {
        let DeValue::Array(items) = list.get_ref() else {
            return Err(self.wrong("periods", list, "a list of tables"));
        };
        let mut periods = Vec::new();
        for item in items {
            let table = self.table("periods", item)?;
            self.check_keys(table, PERIOD_KEYS)?;
            periods.push(self.period(arm, &item.span(), table)?);
        }
        periods.sort_by_key(|period| period.valid_from_us);
        // `None` sorts first as a beginning, but as an end it lies after everything.
        let overlap = periods.windows(2).any(|pair| {
            let (end, begin) = (pair[0].valid_until_us, pair[1].valid_from_us);
            begin.is_none_or(|begin| end.is_some_and(|end| begin < end))
                || (end.is_none() && pair[0].valid_from_us == begin)
        });
        let what = match (periods.is_empty(), overlap) {
            (true, _) => "are an empty list",
            (_, true) => "overlap",
            _ => {
                close_open_ends(&mut periods);
                return Ok(periods);
            }
        };
        Err(CatalogueError::BadPeriods {
            place: self.place(&list.span()),
            arm: arm.to_owned(),
            what,
        })
    }

    fn count(&self, key: &str, table: &DeTable<'_>) -> Result<Option<u64>> {
        let count = |value: &Value<'_>| match value.get_ref() {
            DeValue::Integer(count) => count.as_str().parse().ok().filter(|_| count.radix() == 10),
            _ => None,
        };
        let wrong = |value| self.wrong(key, value, "a whole number of tokens");
        let read = |value| count(value).ok_or_else(|| wrong(value));
        table.get(key).map(read).transpose()
    }

    fn text_of(&self, key: &str, table: &DeTable<'_>) -> Result<Option<String>> {
        let read = |value: &Value<'_>| match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err(self.wrong(key, value, "a text")),
        };
        table.get(key).map(read).transpose()
    }

    fn period(&self, arm: &str, span: &Range<usize>, table: &DeTable<'_>) -> Result<PricePeriod> {
        let time = |key| {
            table
                .get(key)
                .map(|value| self.time(key, value))
                .transpose()
        };
        let rates = match table.get("rates") {
            None => Vec::new(),
            Some(list) => self.rates(arm, list)?,
        };
        let period = PricePeriod {
            valid_from_us: time("valid_from")?,
            valid_until_us: time("valid_until")?,
            prices: self.prices(arm, span, table)?,
            rates,
        };
        match (period.valid_from_us, period.valid_until_us) {
            (Some(from), Some(until)) if until <= from => Err(CatalogueError::BadPeriods {
                place: self.place(span),
                arm: arm.to_owned(),
                what: "hold one that ends before it begins",
            }),
            _ => Ok(period),
        }
    }

    /// One price list.
    fn prices(&self, arm: &str, span: &Range<usize>, table: &DeTable<'_>) -> Result<TokenPrices> {
        let price = |key: &'static str| {
            table
                .get(key)
                .map(|value| self.money::<Price>(key, value))
                .transpose()
        };
        let required = |key: &'static str| {
            price(key)?.ok_or_else(|| CatalogueError::MissingPrice {
                place: self.place(span),
                arm: arm.to_owned(),
                key,
            })
        };
        let fee = |value| {
            let fee: Usd = self.money("per_request", value)?;
            if fee < Usd::ZERO {
                return Err(self.wrong("per_request", value, "0 or more US dollars"));
            }
            Ok(fee)
        };
        Ok(TokenPrices {
            input: required("input")?,
            output: required("output")?,
            cached_input: price("cached_input")?,
            reasoning: price("reasoning")?,
            cache_write: price("cache_write")?,
            cache_write_1h: price("cache_write_1h")?,
            per_request: table.get("per_request").map(fee).transpose()?,
        })
    }

    /// Price lists under conditions, of which no two may hold alike.
    fn rates(&self, arm: &str, list: &Value<'_>) -> Result<Vec<ConditionalPrices>> {
        let DeValue::Array(items) = list.get_ref() else {
            return Err(self.wrong("rates", list, "a list of tables"));
        };
        let mut rates: Vec<ConditionalPrices> = Vec::new();
        for item in items {
            let table = self.table("rates", item)?;
            self.check_keys(table, RATE_KEYS)?;
            let rate = ConditionalPrices {
                service_tier: self
                    .text_of("service_tier", table)?
                    .as_deref()
                    .and_then(tier_of),
                above_input_tokens: self.count("above_input_tokens", table)?.unwrap_or(0),
                windows: self.windows(table)?,
                prices: self.prices(arm, &item.span(), table)?,
            };
            let bad = |what| CatalogueError::BadRates {
                place: self.place(&item.span()),
                arm: arm.to_owned(),
                what,
            };
            let is_always = rate.windows.is_empty();
            if rate.service_tier.is_none() && rate.above_input_tokens == 0 && is_always {
                return Err(bad("hold one without a condition"));
            }
            let is_twice = |other: &ConditionalPrices| {
                other.service_tier == rate.service_tier
                    && other.above_input_tokens == rate.above_input_tokens
                    && other.windows.is_empty()
            };
            if is_always && rates.iter().any(is_twice) {
                return Err(bad("hold two for the same condition"));
            }
            rates.push(rate);
        }
        Ok(rates)
    }

    fn windows(&self, table: &DeTable<'_>) -> Result<Vec<Window>> {
        let Some(value) = table.get("windows") else {
            return Ok(Vec::new());
        };
        let wrong = || {
            let wanted = "a list of windows in UTC, such as \"sat,sun 16:30-24:00\"";
            self.wrong("windows", value, wanted)
        };
        let texts = self.texts("windows", value)?;
        if texts.is_empty() {
            return Err(wrong());
        }
        texts
            .iter()
            .map(|text| text.parse().map_err(|_| wrong()))
            .collect()
    }

    fn money<T: FromStr<Err = MoneyError>>(&self, key: &str, value: &Value<'_>) -> Result<T> {
        let digits = match value.get_ref() {
            DeValue::String(text) => text.as_ref(),
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            _ if key == "per_request" => {
                return Err(self.wrong(key, value, "a number of US dollars"));
            }
            _ => return Err(self.wrong(key, value, "a number of US dollars per million tokens")),
        };
        digits.parse().map_err(|source| CatalogueError::BadPrice {
            place: self.place(&value.span()),
            key: key.to_owned(),
            source,
        })
    }

    /// A day (its first moment, UTC) or an RFC 3339 time, as a TOML date or a text.
    fn time(&self, key: &str, value: &Value<'_>) -> Result<i64> {
        let text = time_text(value.get_ref());
        timestamp::parse_day_or_time(&text)
            .ok_or_else(|| self.wrong(key, value, "a date such as 2026-10-01"))
    }

    fn aliases(&self, catalogue: &mut Catalogue, arms: &Value<'_>) -> Result<()> {
        for name in self.table("arms", arms)?.keys() {
            let name_text = name.get_ref().to_string();
            let aliases = catalogue
                .arms
                .get(&name_text)
                .map(|arm| arm.aliases.clone());
            for alias in aliases.unwrap_or_default() {
                let is_arm = catalogue.arms.contains_key(&alias).then(|| alias.clone());
                let first = catalogue.aliases.get(&alias).cloned().or(is_arm);
                if let Some(first) = first {
                    return Err(CatalogueError::AliasClash {
                        place: self.place(&name.span()),
                        alias,
                        first,
                        second: name_text,
                    });
                }
                catalogue.aliases.insert(alias, name_text.clone());
            }
        }
        Ok(())
    }
}

/// A period without an end lasts until the next begins.
fn close_open_ends(periods: &mut [PricePeriod]) {
    for at in 1..periods.len() {
        let begin = periods[at].valid_from_us;
        let end = &mut periods[at - 1].valid_until_us;
        *end = end.or(begin);
    }
}

fn time_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        _ => String::new(),
    }
}
