//! Giving a log its costs. What has no price is told and stays unpriced; it is never free.

use std::collections::BTreeMap;

use plimsoll::Usd;
use serde::Serialize;

use super::rates::{ArmPrices, Conditions, Unpriced, Usage};
use super::{Catalogue, Resolution};
use crate::log::{Billing, Outcome, OutcomeLog};

/// What pricing a log did. Outcomes that stay unpriced are never free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PricingSummary {
    /// Outcomes that had a cost before.
    pub already_priced: u64,
    /// Outcomes that got one.
    pub priced: u64,
    /// Of these: at a cost of nothing, because the arm's price is 0.
    pub free: u64,
    /// Of these: with cached input at the price of input, because no other is known.
    pub cached_as_input: u64,
    /// Of these: without a timestamp, at the latest of several or dated prices.
    pub undated: u64,
    /// Of these: from before the catalogue's date, at prices that do not say since when they hold.
    pub before_catalogue: u64,
    /// Outcomes without a cost still.
    pub unpriced: u64,
    /// Of these: without token counts.
    pub without_tokens: u64,
    /// Of these: with token counts that contradict each other or are absurd.
    pub inconsistent_tokens: u64,
    /// Of these: outside the time for which the arm has a price.
    pub outside_periods: u64,
    /// Of these: made under conditions for which the arm has no price. Key: arm and condition.
    pub without_rate: BTreeMap<String, u64>,
    /// Of these: of arms the catalogue does not know, with what may be meant.
    pub unknown_arms: BTreeMap<String, UnknownArm>,
    /// Arms priced under another name, and how that was found. Key: the log's name.
    pub resolved_names: BTreeMap<String, String>,
    /// Arms that were priced though their sellers make charges that the catalogue does not hold,
    /// and which: costs that involve them are too low. Key: the log's name.
    pub incomplete_arms: BTreeMap<String, Vec<String>>,
}

/// An arm of the log that the catalogue does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnknownArm {
    /// Its outcomes without a cost.
    pub outcomes: u64,
    /// A known name like it.
    pub meant: Option<String>,
    /// Why no price was taken.
    pub why: String,
}

/// An arm of the log, as the catalogue knows it.
struct Known<'c> {
    prices: Option<&'c ArmPrices>,
    resolution: Resolution<'c>,
}

/// What a priced outcome costs, and what is to be told about it.
#[expect(clippy::struct_excessive_bools, reason = "each is counted by itself")]
struct Priced {
    cost: Usd,
    is_cached_as_input: bool,
    is_undated: bool,
    is_before_catalogue: bool,
    is_free: bool,
}

enum Why {
    UnknownArm,
    NoPeriod,
    NoTokens,
    NoRate(Unpriced),
}

impl Catalogue {
    /// Gives a cost to every outcome that has none but has its tokens counted, at the prices of
    /// its request's time.
    pub fn price_log(&self, log: &mut OutcomeLog) -> PricingSummary {
        let mut summary = PricingSummary::default();
        let looked_up_us = self.date.as_deref().and_then(Self::parse_time);
        let known = |name: &str| {
            let resolution = self.resolve(name);
            let prices = resolution.arm().and_then(|arm| self.arms.get(arm));
            Known { prices, resolution }
        };
        let arms: Vec<Known<'_>> = log.arms.iter().map(|arm| known(arm.as_str())).collect();
        for request in &mut log.requests {
            for outcome in &mut request.outcomes {
                if outcome.cost.is_some() {
                    summary.already_priced += 1;
                    continue;
                }
                let arm = &arms[outcome.arm as usize];
                let name = log.arms[outcome.arm as usize].as_str();
                match price(arm.prices, outcome, request.timestamp_us, looked_up_us) {
                    Ok(priced) => {
                        outcome.cost = Some(priced.cost);
                        summary.count_priced(&priced, name, arm);
                    }
                    Err(why) => summary.count_unpriced(&why, name, arm),
                }
            }
        }
        summary
    }
}

impl PricingSummary {
    fn count_priced(&mut self, priced: &Priced, name: &str, arm: &Known<'_>) {
        self.priced += 1;
        self.free += u64::from(priced.is_free);
        self.cached_as_input += u64::from(priced.is_cached_as_input);
        self.undated += u64::from(priced.is_undated);
        self.before_catalogue += u64::from(priced.is_before_catalogue);
        if !self.resolved_names.contains_key(name)
            && let Some(how) = arm.resolution.explain(name)
        {
            self.resolved_names.insert(name.to_owned(), how);
        }
        let missing = arm.prices.map(|arm| &arm.not_priced);
        if let Some(missing) = missing.filter(|missing| !missing.is_empty())
            && !self.incomplete_arms.contains_key(name)
        {
            self.incomplete_arms
                .insert(name.to_owned(), missing.clone());
        }
    }

    fn count_unpriced(&mut self, why: &Why, name: &str, arm: &Known<'_>) {
        self.unpriced += 1;
        match why {
            Why::NoTokens => self.without_tokens += 1,
            Why::NoRate(Unpriced::InconsistentTokens) => self.inconsistent_tokens += 1,
            Why::NoPeriod => self.outside_periods += 1,
            Why::NoRate(why) => {
                let key = format!("`{name}`: {why}");
                *self.without_rate.entry(key).or_default() += 1;
            }
            Why::UnknownArm => {
                let unknown = self.unknown_arms.entry(name.to_owned());
                let new = || UnknownArm {
                    outcomes: 0,
                    meant: match &arm.resolution {
                        Resolution::Unknown { meant } => meant.map(str::to_owned),
                        _ => None,
                    },
                    why: arm.resolution.explain(name).unwrap_or_default(),
                };
                unknown.or_insert_with(new).outcomes += 1;
            }
        }
    }
}

fn price(
    arm: Option<&ArmPrices>,
    outcome: &Outcome,
    timestamp_us: Option<i64>,
    looked_up_us: Option<i64>,
) -> Result<Priced, Why> {
    let arm = arm.ok_or(Why::UnknownArm)?;
    let period = arm.period_at(timestamp_us).ok_or(Why::NoPeriod)?;
    let input_tokens = outcome.input_tokens.ok_or(Why::NoTokens)?;
    let none = Billing::default();
    let billing = outcome.billing.as_deref().unwrap_or(&none);
    if billing.is_unreadable {
        return Err(Why::NoRate(Unpriced::InconsistentTokens));
    }
    let cached_input_tokens = outcome.cached_input_tokens.unwrap_or(0);
    let cache_write_1h_tokens = billing.cache_write_1h_tokens.unwrap_or(0);
    let usage = Usage {
        input_tokens,
        output_tokens: outcome.output_tokens.ok_or(Why::NoTokens)?,
        cached_input_tokens,
        reasoning_tokens: outcome.reasoning_tokens.unwrap_or(0),
        // A log that counts only the hour's writes has no others.
        cache_write_tokens: billing.cache_write_tokens.unwrap_or(cache_write_1h_tokens),
        cache_write_1h_tokens,
    };
    let conditions = Conditions {
        service_tier: billing.service_tier.as_deref(),
        input_tokens,
        timestamp_us,
    };
    let prices = period.prices_for(&conditions).map_err(Why::NoRate)?;
    let cost = prices.cost(&usage).map_err(Why::NoRate)?;
    Ok(Priced {
        cost,
        is_cached_as_input: cached_input_tokens > 0 && prices.cached_input.is_none(),
        is_undated: timestamp_us.is_none() && arm.is_dated(),
        is_before_catalogue: period.valid_from_us.is_none()
            && timestamp_us
                .zip(looked_up_us)
                .is_some_and(|(time, looked_up)| time < looked_up),
        is_free: prices.is_free(),
    })
}
