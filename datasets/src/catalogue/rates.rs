//! What tokens cost under which conditions, and which price holds for one call.

use std::collections::BTreeSet;

use plimsoll::{Price, Usd};
use serde::Serialize;

use super::window::Window;

/// What a catalogue knows of one arm.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ArmPrices {
    /// Its prices, by time; never empty, and no two overlap.
    pub periods: Vec<PricePeriod>,
    /// Most tokens of one request.
    pub context_window_tokens: Option<u64>,
    /// What it can do, for instance `tools`.
    pub capabilities: BTreeSet<String>,
    /// Other names of the same arm.
    pub aliases: Vec<String>,
    /// Who sells it, as the source names them.
    pub provider: Option<String>,
    /// Where the prices were found.
    pub source: Option<String>,
    /// Charges its seller also makes and this catalogue does not hold, by the names of the source:
    /// a cost that involves them is not complete.
    pub not_priced: Vec<String>,
}

/// Prices that hold for a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PricePeriod {
    /// First microsecond since the Unix epoch; `None`: since ever.
    pub valid_from_us: Option<i64>,
    /// First microsecond after; `None`: until further notice.
    pub valid_until_us: Option<i64>,
    /// The prices of the standard service tier.
    pub prices: TokenPrices,
    /// Prices under conditions, each a whole price list of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<ConditionalPrices>,
}

/// Prices that hold under conditions, all of which must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConditionalPrices {
    /// The service tier, for instance `batch`; `None`: standard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// For requests of more input tokens than this, with all of their tokens; 0: of any length.
    #[serde(skip_serializing_if = "is_zero")]
    pub above_input_tokens: u64,
    /// At these times; empty: at any time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// The prices.
    pub prices: TokenPrices,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One price list: what is unknown is `None`, what is free is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TokenPrices {
    /// Input tokens that were neither read from nor written to the provider's cache.
    pub input: Price,
    /// Output tokens.
    pub output: Price,
    /// Input tokens read from the cache; `None`: they cost what input costs, which is never less.
    pub cached_input: Option<Price>,
    /// Hidden reasoning tokens; `None`: they cost what output costs.
    pub reasoning: Option<Price>,
    /// Input tokens written to the cache for the default time (5 minutes).
    pub cache_write: Option<Price>,
    /// Input tokens written to the cache for an hour.
    pub cache_write_1h: Option<Price>,
    /// A charge on every request, in US dollars.
    pub per_request: Option<Usd>,
}

/// The tokens of one call. `input_tokens` includes cached and written ones, `cache_write_tokens`
/// those of an hour; `output_tokens` leaves the reasoning tokens out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens.
    pub input_tokens: u64,
    /// Output tokens without reasoning.
    pub output_tokens: u64,
    /// Of the input: read from the cache.
    pub cached_input_tokens: u64,
    /// Hidden reasoning tokens.
    pub reasoning_tokens: u64,
    /// Of the input: written to the cache.
    pub cache_write_tokens: u64,
    /// Of the written: for an hour.
    pub cache_write_1h_tokens: u64,
}

/// Under which conditions a call was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'a> {
    /// The service tier; `None`: standard.
    pub service_tier: Option<&'a str>,
    /// All input tokens.
    pub input_tokens: u64,
    /// When, in microseconds since the Unix epoch.
    pub timestamp_us: Option<i64>,
}

/// Why no price is known for a call of an arm that has prices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unpriced {
    /// Token counts that contradict each other or are absurd.
    #[error("token counts contradict each other")]
    InconsistentTokens,
    /// No price for this service tier.
    #[error("no price for service tier `{tier}`")]
    ServiceTier {
        /// The tier.
        tier: String,
    },
    /// No price for this service tier at this length.
    #[error("no price for service tier `{tier}` above {above} input tokens")]
    ServiceTierAbove {
        /// The tier.
        tier: String,
        /// The length at which other prices begin.
        above: u64,
    },
    /// The price depends on the time of day, which is not known.
    #[error("the price depends on the time of day, and there is no timestamp")]
    TimeOfDay,
    /// Tokens were written to the cache at an unknown price.
    #[error("no price for cache writes")]
    CacheWrite,
    /// Tokens were written to the cache for an hour at an unknown price.
    #[error("no price for cache writes of an hour")]
    CacheWriteHour,
}

/// Counts above 2^53 are no token counts.
const TOKENS_MAX: u64 = 1 << 53;

/// The service tier that is meant by the absence of one.
pub(crate) fn tier_of(text: &str) -> Option<String> {
    let tier = text.trim().to_ascii_lowercase();
    match tier.as_str() {
        "" | "standard" | "default" => None,
        "batches" => Some("batch".to_owned()),
        _ => Some(tier),
    }
}

impl TokenPrices {
    /// A price list of input and output alone.
    #[must_use]
    pub fn new(input: Price, output: Price) -> Self {
        Self {
            input,
            output,
            ..Self::default()
        }
    }

    /// The price of cached input that is charged when the list does not say: input's.
    #[must_use]
    pub fn cached_input(&self) -> Price {
        self.cached_input.unwrap_or(self.input)
    }

    /// The price of reasoning that is charged when the list does not say: output's.
    #[must_use]
    pub fn reasoning(&self) -> Price {
        self.reasoning.unwrap_or(self.output)
    }

    /// Whether nothing costs anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        let prices = [
            Some(self.input),
            Some(self.output),
            self.cached_input,
            self.reasoning,
            self.cache_write,
            self.cache_write_1h,
        ];
        prices
            .into_iter()
            .flatten()
            .all(|price| price == Price::default())
            && self.per_request.is_none_or(|fee| fee == Usd::ZERO)
    }

    /// Price times tokens, summed exactly, plus the charge per request.
    ///
    /// # Errors
    /// [`Unpriced`] when counts contradict each other or a price is not known.
    ///
    /// ```
    /// use plimsoll_datasets::{Catalogue, Usage};
    /// let catalogue = Catalogue::read("[arms.small]\ninput = 0.15\noutput = 0.60")?;
    /// let prices = catalogue.prices_at("small", None).expect("it is there");
    /// let usage = Usage { input_tokens: 1_000_000, output_tokens: 1_000_000, ..Usage::default() };
    /// assert_eq!(prices.cost(&usage)?, "0.75".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cost(&self, usage: &Usage) -> Result<Usd, Unpriced> {
        let counts = [
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.reasoning_tokens,
            usage.cache_write_tokens,
            usage.cache_write_1h_tokens,
        ];
        if counts.into_iter().any(|count| count > TOKENS_MAX) {
            return Err(Unpriced::InconsistentTokens);
        }
        let plain = usage
            .input_tokens
            .checked_sub(usage.cached_input_tokens)
            .and_then(|rest| rest.checked_sub(usage.cache_write_tokens))
            .ok_or(Unpriced::InconsistentTokens)?;
        let write_short = usage
            .cache_write_tokens
            .checked_sub(usage.cache_write_1h_tokens)
            .ok_or(Unpriced::InconsistentTokens)?;
        let write = |tokens: u64, price: Option<Price>, why: Unpriced| match price {
            _ if tokens == 0 => Ok(Usd::ZERO),
            Some(price) => Ok(price.of(tokens)),
            None => Err(why),
        };
        Ok(self.input.of(plain)
            + self.cached_input().of(usage.cached_input_tokens)
            + write(write_short, self.cache_write, Unpriced::CacheWrite)?
            + write(
                usage.cache_write_1h_tokens,
                self.cache_write_1h,
                Unpriced::CacheWriteHour,
            )?
            + self.output.of(usage.output_tokens)
            + self.reasoning().of(usage.reasoning_tokens)
            + self.per_request.unwrap_or(Usd::ZERO))
    }
}

impl PricePeriod {
    /// The price list for a call.
    ///
    /// Of the lists of its service tier, the one of the greatest length that the request exceeds;
    /// of those, the first whose window it falls into, else the one without. A tier other than the
    /// standard that has no list at a length where the standard has one is not priced there: its
    /// price for short requests would be a guess.
    ///
    /// # Errors
    /// [`Unpriced`] when there is none.
    pub fn prices_for(&self, conditions: &Conditions<'_>) -> Result<&TokenPrices, Unpriced> {
        let Conditions {
            service_tier: tier,
            input_tokens,
            timestamp_us,
        } = *conditions;
        let is_of = |rate: &&ConditionalPrices, tier: Option<&str>| {
            rate.service_tier.as_deref() == tier && rate.above_input_tokens < input_tokens
        };
        let lengths = self
            .rates
            .iter()
            .filter(|rate| is_of(rate, tier) || is_of(rate, None));
        let above = lengths.map(|rate| rate.above_input_tokens).max();
        let above = above.unwrap_or(0);
        let mut plain = (tier.is_none() && above == 0).then_some(&self.prices);
        let lists = self.rates.iter().filter(|rate| {
            rate.service_tier.as_deref() == tier && rate.above_input_tokens == above
        });
        for rate in lists {
            if rate.windows.is_empty() {
                plain = Some(&rate.prices);
                continue;
            }
            let time = timestamp_us.ok_or(Unpriced::TimeOfDay)?;
            if rate.windows.iter().any(|window| window.holds_at(time)) {
                return Ok(&rate.prices);
            }
        }
        plain.ok_or_else(|| {
            let tier = tier.unwrap_or("standard").to_owned();
            match above {
                0 => Unpriced::ServiceTier { tier },
                _ => Unpriced::ServiceTierAbove { tier, above },
            }
        })
    }
}

impl ArmPrices {
    /// The prices at a time; without one, the latest prices.
    #[must_use]
    pub fn at(&self, timestamp_us: Option<i64>) -> Option<&TokenPrices> {
        self.period_at(timestamp_us).map(|period| &period.prices)
    }

    /// The period that a time falls into; without a time, the latest.
    #[must_use]
    pub fn period_at(&self, timestamp_us: Option<i64>) -> Option<&PricePeriod> {
        let Some(time) = timestamp_us else {
            return self.periods.last();
        };
        let holds = |period: &&PricePeriod| {
            period.valid_from_us.is_none_or(|from| from <= time)
                && period.valid_until_us.is_none_or(|until| time < until)
        };
        self.periods.iter().find(holds)
    }

    /// Whether its price depends on the day.
    #[must_use]
    pub fn is_dated(&self) -> bool {
        self.periods.len() > 1
            || self
                .periods
                .iter()
                .any(|period| period.valid_from_us.is_some() || period.valid_until_us.is_some())
    }
}
