//! What a call may cost at most, and what it did cost: all that is asked of the catalogue.

use plimsoll::{Price, Usd};
use plimsoll_datasets::{Catalogue, PricePeriod, TokenPrices, Usage as Billed};

use crate::error::CollectError;
use crate::reply::Usage;

/// The prices of one arm at the time of the run, of the standard service tier.
#[derive(Clone, Debug)]
pub(crate) struct ArmPrice(PricePeriod);

impl ArmPrice {
    /// The arm's prices at `now_us`; an arm without a price is refused.
    pub(crate) fn find(
        catalogue: &Catalogue,
        arm: &str,
        now_us: i64,
    ) -> Result<Self, CollectError> {
        let prices = catalogue.get(arm);
        prices
            .and_then(|prices| prices.period_at(Some(now_us)))
            .cloned()
            .map(Self)
            .ok_or_else(|| CollectError::Unpriced {
                arm: arm.to_owned(),
                meant: catalogue
                    .meant(arm)
                    .filter(|meant| *meant != arm)
                    .map(str::to_owned),
            })
    }

    /// The most that so many tokens can cost, of whatever kind they are and at whatever time of
    /// day; `None` when the counts are absurd.
    pub(crate) fn bound(&self, input_max: u64, output_max: u64) -> Option<Usd> {
        let lists = self.lists(|above| above < input_max.max(1));
        let most = |list: &TokenPrices| {
            let input = [
                Some(list.input),
                Some(list.cached_input()),
                list.cache_write,
                list.cache_write_1h,
            ];
            let dearest = TokenPrices {
                input: dearest(input),
                output: dearest([Some(list.output), Some(list.reasoning())]),
                per_request: list.per_request,
                ..TokenPrices::default()
            };
            let usage = Billed {
                input_tokens: input_max,
                output_tokens: output_max,
                ..Billed::default()
            };
            dearest.cost(&usage).ok()
        };
        let bounds: Option<Vec<Usd>> = lists.map(most).collect();
        bounds?.into_iter().max()
    }

    /// What these tokens cost, at the dearest time of day.
    pub(crate) fn cost(&self, usage: &Usage) -> Option<Usd> {
        let billed = Billed {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            ..Billed::default()
        };
        let standard = self
            .0
            .rates
            .iter()
            .filter(|rate| rate.service_tier.is_none());
        let levels = standard.map(|rate| rate.above_input_tokens);
        let reached = levels.filter(|above| *above < usage.input_tokens).max();
        let level = reached.unwrap_or(0);
        let costs: Option<Vec<Usd>> = self
            .lists(|above| above == level)
            .map(|list| list.cost(&billed).ok())
            .collect();
        costs?.into_iter().max()
    }

    /// Price lists of the standard tier at lengths that are wanted; the plain one has length 0.
    fn lists(&self, is_wanted: impl Fn(u64) -> bool) -> impl Iterator<Item = &TokenPrices> {
        let plain = (is_wanted(0) || self.0.rates.is_empty()).then_some(&self.0.prices);
        let rates =
            self.0.rates.iter().filter(move |rate| {
                rate.service_tier.is_none() && is_wanted(rate.above_input_tokens)
            });
        plain.into_iter().chain(rates.map(|rate| &rate.prices))
    }
}

fn dearest<const N: usize>(prices: [Option<Price>; N]) -> Price {
    prices.into_iter().flatten().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_covers_every_way_to_count_the_same_tokens() {
        let text = "[arms.a]\ninput = 1\ncached_input = 3\noutput = 2\nreasoning = 5\n\
                    [arms.b]\nvalid_until = 2026-01-01\ninput = 1\noutput = 2";
        let catalogue = Catalogue::read(text).expect("reads");
        let price = ArmPrice::find(&catalogue, "a", 0).expect("priced");
        let bound = price.bound(1_000_000, 1_000_000).expect("bounded");
        assert_eq!(bound, "8".parse().expect("money"));
        for (cached, reasoning) in [(0, 0), (1_000_000, 0), (7, 9), (1_000_000, 1_000_000)] {
            let usage = Usage {
                input_tokens: 1_000_000,
                cached_input_tokens: cached,
                output_tokens: 1_000_000 - reasoning,
                reasoning_tokens: reasoning,
            };
            assert!(price.cost(&usage).expect("priced") <= bound);
        }
        assert_eq!(price.bound(u64::MAX, 1), None);
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

    #[test]
    fn long_requests_and_dear_hours_are_within_the_bound() {
        let text = "[arms.a]\ninput = 1\noutput = 2\n\
                    rates = [{ above_input_tokens = 200000, input = 2, output = 4 }]\n";
        let catalogue = Catalogue::read(text).expect("reads");
        let price = ArmPrice::find(&catalogue, "a", 0).expect("priced");
        let usage = |input_tokens| Usage {
            input_tokens,
            output_tokens: 1_000_000,
            ..Usage::default()
        };
        let cost = |tokens| price.cost(&usage(tokens)).expect("priced");
        assert_eq!(cost(200_000), "2.2".parse().expect("money"));
        assert_eq!(cost(200_001), "4.400002".parse().expect("money"));
        for tokens in [1, 200_000, 200_001, 300_000] {
            assert!(cost(tokens) <= price.bound(300_000, 1_000_000).expect("bounded"));
        }
        assert_eq!(price.bound(200_000, 1_000_000), Some(cost(200_000)));
    }
}
