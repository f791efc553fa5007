//! Price catalogues of others: told apart, read whole, and every model accounted for.

mod amount;
mod fields;
mod json;
mod lists;
mod litellm;
mod merge;
mod off_peak;
mod openrouter;
mod pattern;

use std::collections::BTreeMap;

use serde::Serialize;

pub use merge::{MergeReport, merge_prices};
pub use pattern::NamePattern;

use super::error::CatalogueError;
use super::rates::ArmPrices;
use super::{Catalogue, toml};
use crate::timestamp;

/// Whose catalogue a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CatalogueFormat {
    /// Our TOML.
    Plimsoll,
    /// LiteLLM's `model_prices_and_context_window.json`: US dollars per token, as numbers.
    Litellm,
    /// The answer of OpenRouter's `/api/v1/models`: US dollars per token, as texts.
    Openrouter,
}

/// How a catalogue is imported.
#[derive(Clone, Debug, Default)]
pub struct PriceImportOptions {
    /// Whose it is; `None`: detected.
    pub format: Option<CatalogueFormat>,
    /// From when on its prices hold, in microseconds since the Unix epoch; `None`: since ever.
    pub since_us: Option<i64>,
    /// Only models of such names.
    pub only: Option<NamePattern>,
}

/// An imported catalogue, and what became of everything in its source.
#[derive(Clone, Debug)]
pub struct PriceImport {
    /// The models with prices.
    pub catalogue: Catalogue,
    /// What became of the others, and of the fields.
    pub report: PriceImportReport,
}

/// What became of everything in a catalogue's source: `imported + not_selected + skipped = models`.
#[derive(Clone, Debug, Serialize)]
pub struct PriceImportReport {
    /// Whose catalogue it is.
    pub format: CatalogueFormat,
    /// BLAKE3 digest (hex) of the source.
    pub source_digest: String,
    /// Entries of the source, without those in `no_models`.
    pub models: u64,
    /// Models with prices.
    pub imported: u64,
    /// Models that `only` leaves out.
    pub not_selected: u64,
    /// Models without prices that can be used, by name.
    pub skipped: Vec<Skipped>,
    /// Entries that are documentation, by name.
    pub no_models: Vec<String>,
    /// Pricing fields that are not supported, and how many entries of the source have them.
    pub unsupported_fields: BTreeMap<String, FieldCount>,
    /// Fields of which it is not known whether they are about prices, and how many have them.
    pub unknown_fields: BTreeMap<String, u64>,
    /// Imported models with charges that are not held here: `not_priced` names them.
    pub incomplete: u64,
    /// Price lists that lack a price they need, so that they are left out.
    pub unusable_rates: Vec<UnusableRate>,
    /// Prices of the source that were finer than a pico-dollar per token by the noise of binary
    /// floats alone.
    pub rounded: Vec<RoundedPrice>,
    /// Imported models whose every price is 0.
    pub free: Vec<String>,
    /// Aliases of the source that mean two models and were left out.
    pub dropped_aliases: Vec<String>,
}

/// A model that was not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Its name.
    pub model: String,
    /// Why.
    pub reason: String,
}

/// How many entries of a source have a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldCount {
    /// Entries with it.
    pub models: u64,
    /// Of these: at another value than 0.
    pub not_zero: u64,
}

/// A price list that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusableRate {
    /// The model.
    pub model: String,
    /// The condition.
    pub rate: String,
    /// Why.
    pub reason: String,
}

/// A price that was finer than a pico-dollar per token by the noise of binary floats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoundedPrice {
    /// The model.
    pub model: String,
    /// The field.
    pub field: String,
    /// As in the source.
    pub given: String,
    /// As kept, in US dollars per token.
    pub kept: String,
}

/// Reads a catalogue of any supported format.
///
/// # Errors
/// [`CatalogueError`] when the text is no catalogue or no model of it can be used.
pub fn import_prices(
    text: &str,
    options: &PriceImportOptions,
) -> Result<PriceImport, CatalogueError> {
    let format = match options.format {
        Some(format) => format,
        None => json::detect(text)?,
    };
    let mut found = match format {
        CatalogueFormat::Plimsoll => ours(text)?,
        CatalogueFormat::Litellm => litellm::read(text)?,
        CatalogueFormat::Openrouter => openrouter::read(text)?,
    };
    found.select(options.only.as_ref());
    found.into_import(format, text, options.since_us)
}

/// What an importer found in a source.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) date: Option<String>,
    pub(super) models: u64,
    pub(super) arms: BTreeMap<String, ArmPrices>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) no_models: Vec<String>,
    pub(super) unsupported: BTreeMap<String, FieldCount>,
    pub(super) unknown: BTreeMap<String, u64>,
    pub(super) unusable: Vec<UnusableRate>,
    pub(super) rounded: Vec<RoundedPrice>,
    pub(super) not_selected: u64,
}

fn ours(text: &str) -> Result<Found, CatalogueError> {
    let catalogue = toml::read(text)?;
    Ok(Found {
        models: catalogue.arms.len() as u64,
        date: catalogue.date,
        arms: catalogue.arms,
        ..Found::default()
    })
}

impl Found {
    fn select(&mut self, only: Option<&NamePattern>) {
        let Some(only) = only else { return };
        let before = self.arms.len() + self.skipped.len();
        self.arms.retain(|name, _| only.matches(name));
        self.skipped.retain(|skipped| only.matches(&skipped.model));
        self.unusable.retain(|rate| only.matches(&rate.model));
        self.rounded.retain(|price| only.matches(&price.model));
        self.not_selected = (before - self.arms.len() - self.skipped.len()) as u64;
    }

    fn into_import(
        mut self,
        format: CatalogueFormat,
        text: &str,
        since_us: Option<i64>,
    ) -> Result<PriceImport, CatalogueError> {
        if self.arms.is_empty() {
            return Err(CatalogueError::NothingImported {
                why: self.why_nothing(),
            });
        }
        if let Some(since) = since_us {
            // Prices with dates of their own keep them.
            for arm in self.arms.values_mut().filter(|arm| !arm.is_dated()) {
                for period in &mut arm.periods {
                    period.valid_from_us = since_us;
                }
            }
            self.date = self.date.or_else(|| Some(timestamp::to_day_or_text(since)));
        }
        self.skipped.sort_by(|a, b| a.model.cmp(&b.model));
        self.unusable.sort_by(|a, b| a.model.cmp(&b.model));
        self.rounded.sort_by(|a, b| a.model.cmp(&b.model));
        let source_digest = blake3::hash(text.as_bytes()).to_hex().to_string();
        let (aliases, dropped_aliases) = aliases(&mut self.arms);
        let arms = &self.arms;
        let is_free = |arm: &ArmPrices| arm.at(None).is_some_and(super::TokenPrices::is_free);
        let free = arms.iter().filter(|(_, arm)| is_free(arm));
        let report = PriceImportReport {
            format,
            source_digest: source_digest.clone(),
            models: self.models,
            imported: arms.len() as u64,
            not_selected: self.not_selected,
            skipped: self.skipped,
            no_models: self.no_models,
            unsupported_fields: self.unsupported,
            unknown_fields: self.unknown,
            incomplete: arms
                .values()
                .filter(|arm| !arm.not_priced.is_empty())
                .count() as u64,
            unusable_rates: self.unusable,
            rounded: self.rounded,
            free: free.map(|(name, _)| name.clone()).collect(),
            dropped_aliases,
        };
        let catalogue = Catalogue {
            date: self.date,
            arms: self.arms,
            aliases,
            digest: source_digest,
        };
        Ok(PriceImport { catalogue, report })
    }

    fn why_nothing(&self) -> String {
        if self.not_selected > 0 && self.skipped.is_empty() {
            return "no model's name matches".to_owned();
        }
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for skipped in &self.skipped {
            *counts.entry(&skipped.reason).or_default() += 1;
        }
        let most = counts.iter().max_by_key(|(_, count)| **count);
        most.map_or_else(
            || "the catalogue is empty".to_owned(),
            |(reason, count)| format!("{count} of them because of: {reason}"),
        )
    }
}

/// The arms' aliases; one that is an arm's name, or of two arms, is taken out and named.
fn aliases(arms: &mut BTreeMap<String, ArmPrices>) -> (BTreeMap<String, String>, Vec<String>) {
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, arm) in &*arms {
        for alias in &arm.aliases {
            owners.entry(alias.clone()).or_default().push(name.clone());
        }
    }
    let (mut kept, mut dropped) = (BTreeMap::new(), Vec::new());
    for (alias, mut names) in owners {
        let is_arm = arms.contains_key(&alias);
        match names.pop() {
            Some(name) if names.is_empty() && !is_arm => {
                kept.insert(alias, name);
            }
            _ => dropped.push(alias),
        }
    }
    for arm in arms.values_mut() {
        arm.aliases.retain(|alias| kept.contains_key(alias));
    }
    (kept, dropped)
}
