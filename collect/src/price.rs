//! What a call may cost at most, and what it did cost: all that is asked of the catalogue.

use plimsoll::Usd;
use plimsoll_datasets::{Catalogue, TokenPrices};

use crate::error::CollectError;
use crate::reply::Usage;

/// The prices of one arm at the time of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArmPrice(TokenPrices);

impl ArmPrice {
    /// The arm's prices at `now_us`; an arm without a price is refused.
    pub(crate) fn find(
        catalogue: &Catalogue,
        arm: &str,
        now_us: i64,
    ) -> Result<Self, CollectError> {
        let prices = catalogue.prices_at(arm, Some(now_us));
        prices
            .copied()
            .map(Self)
            .ok_or_else(|| CollectError::Unpriced {
                arm: arm.to_owned(),
                meant: catalogue
                    .meant(arm)
                    .filter(|meant| *meant != arm)
                    .map(str::to_owned),
            })
    }

    /// The most that so many tokens can cost, however they are cached or reasoned; `None` when the
    /// counts are absurd.
    pub(crate) fn bound(&self, input_max: u64, output_max: u64) -> Option<Usd> {
        let each = [
            self.0.cost(input_max, output_max, 0, 0),
            self.0.cost(input_max, output_max, input_max, 0),
            self.0.cost(input_max, 0, 0, output_max),
            self.0.cost(input_max, 0, input_max, output_max),
        ];
        each.into_iter()
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .max()
    }

    /// What these tokens cost.
    pub(crate) fn cost(&self, usage: &Usage) -> Option<Usd> {
        self.0.cost(
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.reasoning_tokens,
        )
    }
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
}
