//! New prices beside known ones: what held before goes on holding for its time.

use serde::Serialize;

use super::super::Catalogue;
use super::super::error::CatalogueError;
use super::super::rates::{ArmPrices, PricePeriod};
use super::aliases;
use crate::timestamp;

/// What became of every arm of two catalogues that were joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MergeReport {
    /// Arms that were not known before.
    pub added: Vec<String>,
    /// Arms whose prices changed: a period ends and another begins.
    pub changed: Vec<String>,
    /// Arms with the same prices as before.
    pub unchanged: u64,
    /// Arms that the new catalogue does not have; they keep their prices.
    pub kept: Vec<String>,
    /// Aliases that mean two arms of the joined catalogue and were left out.
    pub dropped_aliases: Vec<String>,
}

/// Adds prices that hold from `since_us` on to a catalogue.
///
/// # Errors
/// [`CatalogueError::MergeRewrites`] when an arm has prices that begin then or later: history is
/// added to and not rewritten.
pub fn merge_prices(
    known: &Catalogue,
    new: &Catalogue,
    since_us: i64,
) -> Result<(Catalogue, MergeReport), CatalogueError> {
    let mut merged = known.clone();
    let mut report = MergeReport::default();
    for (name, arm) in &new.arms {
        let Some(old) = merged.arms.get_mut(name) else {
            merged.arms.insert(name.clone(), arm.clone());
            report.added.push(name.clone());
            continue;
        };
        if join(name, old, arm, since_us)? {
            report.changed.push(name.clone());
        } else {
            report.unchanged += 1;
        }
    }
    let gone = known
        .arms
        .keys()
        .filter(|name| !new.arms.contains_key(*name));
    report.kept = gone.cloned().collect();
    merged.date = new.date.clone().or(merged.date);
    (merged.aliases, report.dropped_aliases) = aliases(&mut merged.arms);
    merged.digest = blake3::hash(merged.to_toml("").as_bytes())
        .to_hex()
        .to_string();
    Ok((merged, report))
}

/// Adds an arm's new prices; `false` when they are the old ones.
fn join(
    name: &str,
    old: &mut ArmPrices,
    new: &ArmPrices,
    since_us: i64,
) -> Result<bool, CatalogueError> {
    let (Some(last), Some(fresh)) = (old.periods.last_mut(), new.periods.last()) else {
        return Ok(false);
    };
    let is_same = last.prices == fresh.prices && last.rates == fresh.rates;
    if is_same && last.valid_until_us.is_none() {
        old.context_window_tokens = new.context_window_tokens.or(old.context_window_tokens);
        old.not_priced.clone_from(&new.not_priced);
        return Ok(false);
    }
    let last_event = last.valid_until_us.or(last.valid_from_us);
    let is_rewriting = match last.valid_until_us {
        Some(until) => since_us < until,
        None => last.valid_from_us.is_some_and(|from| since_us <= from),
    };
    if is_rewriting {
        return Err(CatalogueError::MergeRewrites {
            arm: name.to_owned(),
            from: timestamp::to_text(last_event.unwrap_or(i64::MIN)),
            since: timestamp::to_text(since_us),
        });
    }
    last.valid_until_us = last.valid_until_us.or(Some(since_us));
    old.periods.push(PricePeriod {
        valid_from_us: Some(since_us),
        valid_until_us: None,
        ..fresh.clone()
    });
    let earlier = std::mem::take(&mut old.aliases);
    let periods = std::mem::take(&mut old.periods);
    *old = new.clone();
    old.periods = periods;
    old.aliases.extend(earlier);
    old.aliases.sort();
    old.aliases.dedup();
    Ok(true)
}
