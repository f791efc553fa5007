//! What a call may cost at most, and what it did cost: all that is asked of the catalogue.

use plimsoll::Usd;
use plimsoll_datasets::{Catalogue, Conditions, PricePeriod, TokenPrices};

use crate::error::CollectError;
use crate::reply::Usage;

/// The prices of one arm at the time of the run, in the standard service tier.
#[derive(Clone, Debug)]
pub(crate) struct ArmPrice {
    period: PricePeriod,
    now_us: i64,
}

impl ArmPrice {
    /// The arm's prices at `now_us`; an arm without a price is refused.
    pub(crate) fn find(
        catalogue: &Catalogue,
        arm: &str,
        now_us: i64,
    ) -> Result<Self, CollectError> {
        let period = catalogue
            .get(arm)
            .and_then(|prices| prices.period_at(Some(now_us)));
        let unpriced = || CollectError::Unpriced {
            arm: arm.to_owned(),
            meant: catalogue
                .meant(arm)
                .filter(|meant| *meant != arm)
                .map(str::to_owned),
        };
        Ok(Self {
            period: period.cloned().ok_or_else(unpriced)?,
            now_us,
        })
    }

    /// The most that so many tokens can cost, however long, cached, written or reasoned, at any
    /// time of day; `None` when the amount does not fit.
    pub(crate) fn bound(&self, input_max: u64, output_max: u64) -> Option<Usd> {
        let of_tier = |tier: &Option<String>| tier.is_none();
        let rates = self.period.rates.iter();
        let lists = rates
            .filter(|rate| of_tier(&rate.service_tier))
            .map(|rate| &rate.prices);
        let each = lists.chain([&self.period.prices]);
        each.map(|list| dearest(list, input_max, output_max))
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .max()
    }

    /// What these tokens cost.
    pub(crate) fn cost(&self, usage: &Usage) -> Option<Usd> {
        let conditions = Conditions {
            service_tier: None,
            input_tokens: usage.input_tokens,
            timestamp_us: Some(self.now_us),
        };
        let tokens = plimsoll_datasets::Usage {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            ..plimsoll_datasets::Usage::default()
        };
        self.period.prices_for(&conditions).ok()?.cost(&tokens).ok()
    }
}

/// Every token at the dearest price of its side, and the charge per request.
fn dearest(list: &TokenPrices, input_max: u64, output_max: u64) -> Option<Usd> {
    let writes = [list.cache_write, list.cache_write_1h];
    let input = writes.into_iter().flatten().fold(list.input, Ord::max);
    let input = input.max(list.cached_input());
    let output = list.output.max(list.reasoning());
    input
        .of(input_max)
        .checked_add(output.of(output_max))?
        .checked_add(list.per_request.unwrap_or(Usd::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_covers_every_way_to_count_the_same_tokens() {
        let text = "[arms.a]\ninput = 1\ncached_input = 3\noutput = 2\nreasoning = 5\n\
                    per_request = 0.25\nrates = [{ above_input_tokens = 500000, input = 4, output = 6 }, \
                    { service_tier = \"priority\", input = 100, output = 100 }]\n\
                    [arms.b]\nvalid_until = 2026-01-01\ninput = 1\noutput = 2";
        let catalogue = Catalogue::read(text).expect("reads");
        let price = ArmPrice::find(&catalogue, "a", 0).expect("priced");
        let bound = price.bound(1_000_000, 1_000_000).expect("bounded");
        assert_eq!(bound, "10".parse().expect("money"));
        for input in [1, 499_999, 500_001, 1_000_000] {
            for (cached, reasoning) in [(0, 0), (input, 0), (0, 9), (input, 1_000_000)] {
                let usage = Usage {
                    input_tokens: input,
                    cached_input_tokens: cached,
                    output_tokens: 1_000_000 - reasoning,
                    reasoning_tokens: reasoning,
                };
                assert!(price.cost(&usage).expect("priced") <= bound);
            }
        }
        // A price that has run out is none.
        let now = 1_800_000_000_000_000;
        assert_eq!(
            ArmPrice::find(&catalogue, "b", now)
                .expect_err("over")
                .code(),
            "P0903"
        );
        assert!(ArmPrice::find(&catalogue, "b", 0).is_ok());
    }
}
