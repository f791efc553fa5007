//! The catalogue's TOML, walked by hand so that every number keeps its digits and its place.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::civil::Date;
use plimsoll::Price;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::catalogue::{ArmPrices, Catalogue, PricePeriod, TokenPrices};
use crate::catalogue_error::{CatalogueError, TextPlace};
use crate::column::did_you_mean;
use crate::timestamp;

const TOP_KEYS: &[&str] = &["date", "arms"];
const ARM_KEYS: &[&str] = &[
    "input",
    "output",
    "cached_input",
    "reasoning",
    "valid_from",
    "valid_until",
    "periods",
    "context_window_tokens",
    "capabilities",
    "aliases",
    "source",
];
const PERIOD_KEYS: &[&str] = &[
    "input",
    "output",
    "cached_input",
    "reasoning",
    "valid_from",
    "valid_until",
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
        walk.time("date", date)?;
        catalogue.date = Some(time_text(date.get_ref()));
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
        let window = |value: &Value<'_>| match value.get_ref() {
            DeValue::Integer(count) => count.as_str().parse().ok().filter(|_| count.radix() == 10),
            _ => None,
        };
        let context_window_tokens = match table.get("context_window_tokens") {
            None => None,
            Some(value) => Some(window(value).ok_or_else(|| {
                self.wrong("context_window_tokens", value, "a whole number of tokens")
            })?),
        };
        let list = |key: &str| {
            table
                .get(key)
                .map_or(Ok(Vec::new()), |list| self.texts(key, list))
        };
        let source = match table.get("source").map(|value| (value, value.get_ref())) {
            None => None,
            Some((_, DeValue::String(source))) => Some(source.to_string()),
            Some((value, _)) => return Err(self.wrong("source", value, "a text")),
        };
        Ok(ArmPrices {
            periods,
            context_window_tokens,
            capabilities: list("capabilities")?.into_iter().collect::<BTreeSet<_>>(),
            aliases: list("aliases")?,
            source,
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

    fn period(&self, arm: &str, span: &Range<usize>, table: &DeTable<'_>) -> Result<PricePeriod> {
        let price = |key: &'static str| {
            table
                .get(key)
                .map(|value| self.price(key, value))
                .transpose()
        };
        let required = |key: &'static str| {
            price(key)?.ok_or_else(|| CatalogueError::MissingPrice {
                place: self.place(span),
                arm: arm.to_owned(),
                key,
            })
        };
        let (input, output) = (required("input")?, required("output")?);
        let time = |key| {
            table
                .get(key)
                .map(|value| self.time(key, value))
                .transpose()
        };
        let period = PricePeriod {
            valid_from_us: time("valid_from")?,
            valid_until_us: time("valid_until")?,
            prices: TokenPrices {
                input,
                output,
                cached_input: price("cached_input")?.unwrap_or(input),
                reasoning: price("reasoning")?.unwrap_or(output),
            },
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

    fn price(&self, key: &str, value: &Value<'_>) -> Result<Price> {
        let digits = match value.get_ref() {
            DeValue::String(text) => text.as_ref(),
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
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
        let day = || {
            text.parse::<Date>()
                .ok()
                .map(|day| format!("{day}T00:00:00Z"))
        };
        timestamp::parse(&text)
            .ok()
            .or_else(|| timestamp::parse(&day()?).ok())
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
