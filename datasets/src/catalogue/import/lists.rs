//! Price lists as they are put together from single prices.

use std::collections::BTreeMap;

use plimsoll::{Price, Usd};

use super::UnusableRate;
use super::fields::Component;
use crate::catalogue::rates::{ConditionalPrices, PricePeriod, TokenPrices};

/// The prices of one list that are known so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) input: Option<Price>,
    pub(super) output: Option<Price>,
    cached_input: Option<Price>,
    reasoning: Option<Price>,
    cache_write: Option<Price>,
    cache_write_1h: Option<Price>,
    pub(super) per_request: Option<Usd>,
}

impl Partial {
    /// States a price; a second statement must agree with the first.
    pub(super) fn state(
        &mut self,
        component: Component,
        usd: Usd,
        price: Price,
    ) -> Result<(), String> {
        let slot = match component {
            Component::Input => &mut self.input,
            Component::Output => &mut self.output,
            Component::CachedInput => &mut self.cached_input,
            Component::Reasoning => &mut self.reasoning,
            Component::CacheWrite => &mut self.cache_write,
            Component::CacheWriteHour => &mut self.cache_write_1h,
            Component::PerRequest => {
                self.per_request = Some(usd);
                return Ok(());
            }
        };
        match slot.replace(price) {
            Some(before) if before != price => Err(format!("two prices for {}", component.name())),
            _ => Ok(()),
        }
    }

    /// What `over` states, and for the rest what is stated here.
    pub(super) fn overridden(self, over: Self) -> Self {
        Self {
            input: over.input.or(self.input),
            output: over.output.or(self.output),
            cached_input: over.cached_input.or(self.cached_input),
            reasoning: over.reasoning.or(self.reasoning),
            cache_write: over.cache_write.or(self.cache_write),
            cache_write_1h: over.cache_write_1h.or(self.cache_write_1h),
            per_request: over.per_request.or(self.per_request),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The whole list.
    pub(super) fn complete(&self) -> Result<TokenPrices, String> {
        let missing = |component: Component| format!("no price for {}", component.name());
        Ok(TokenPrices {
            input: self.input.ok_or_else(|| missing(Component::Input))?,
            output: self.output.ok_or_else(|| missing(Component::Output))?,
            cached_input: self.cached_input,
            reasoning: self.reasoning,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            per_request: self.per_request,
        })
    }
}

impl Component {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Input => "input tokens",
            Self::Output => "output tokens",
            Self::CachedInput => "cached input",
            Self::Reasoning => "reasoning tokens",
            Self::CacheWrite => "cache writes",
            Self::CacheWriteHour => "cache writes of an hour",
            Self::PerRequest => "a request",
        }
    }
}

/// The lists of one model, by service tier (empty: standard) and length.
pub(super) type Lists = BTreeMap<(&'static str, u64), Partial>;

/// The period that the lists make, and which of them could not be used.
///
/// A list without a price for input or output takes a base price of 0 over, and no other: a guess
/// could be too low. A standard list that is not complete makes the model unusable; one of a
/// service tier is left out, and all of that tier's with it when it is one of long requests, which
/// would otherwise be priced like short ones.
pub(super) fn period(
    lists: &Lists,
    model: &str,
) -> Result<(PricePeriod, Vec<UnusableRate>), String> {
    let base = lists.get(&("", 0)).copied().unwrap_or_default();
    let prices = base.complete()?;
    let free = |price: Option<Price>| price.filter(|price| *price == Price::default());
    let default = Partial {
        input: free(base.input),
        output: free(base.output),
        per_request: base.per_request,
        ..Partial::default()
    };
    let mut rates: Vec<ConditionalPrices> = Vec::new();
    let mut unusable = Vec::new();
    let mut broken = Vec::new();
    for ((tier, above), list) in lists.iter().filter(|(key, _)| **key != ("", 0)) {
        let rate = |prices| ConditionalPrices {
            service_tier: (!tier.is_empty()).then(|| (*tier).to_owned()),
            above_input_tokens: *above,
            windows: Vec::new(),
            prices,
        };
        match default.overridden(*list).complete() {
            Ok(prices) => rates.push(rate(prices)),
            Err(reason) if tier.is_empty() => {
                return Err(format!("{reason} above {above} input tokens"));
            }
            Err(reason) => {
                if *above > 0 {
                    broken.push(*tier);
                }
                unusable.push(UnusableRate {
                    model: model.to_owned(),
                    rate: rate(prices).condition(),
                    reason,
                });
            }
        }
    }
    let is_broken = |rate: &ConditionalPrices| {
        let tier = rate.service_tier.as_deref();
        tier.is_some_and(|tier| broken.contains(&tier))
    };
    for rate in rates.iter().filter(|rate| is_broken(rate)) {
        unusable.push(UnusableRate {
            model: model.to_owned(),
            rate: rate.condition(),
            reason: "the tier's price of longer requests is not known".to_owned(),
        });
    }
    rates.retain(|rate| !is_broken(rate));
    let period = PricePeriod {
        prices,
        rates,
        ..PricePeriod::default()
    };
    Ok((period, unusable))
}
