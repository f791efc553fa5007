//! Price catalogues: what an arm's tokens cost, exactly, and since when.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll::{Price, Usd};
use serde::Serialize;

use crate::catalogue_error::CatalogueError;
use crate::catalogue_toml;
use crate::column::did_you_mean;
use crate::log::{Outcome, OutcomeLog};

/// Prices of arms in US dollars per million tokens, as exact decimals.
///
/// In TOML:
///
/// ```toml
/// date = 2026-10-01                    # when the prices were looked up; optional
///
/// [arms."small"]
/// input = 0.15                         # USD per million tokens; text or number, kept exactly
/// output = 0.60
/// cached_input = 0.075                 # default: as input
/// reasoning = 0.60                     # default: as output
/// context_window_tokens = 128000
/// capabilities = ["tools", "vision"]
/// aliases = ["vendor/small"]
/// source = "https://…"
///
/// [arms."large"]                       # a price that changed: the periods, in any order
/// periods = [
///   { valid_until = 2026-06-01, input = 5, output = 25 },
///   { valid_from = 2026-06-01, input = 4, output = 20 },
/// ]
/// ```
///
/// `valid_from` (included) and `valid_until` (excluded) also stand directly in an arm with one
/// price. A time outside all periods has no price.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalogue {
    pub(crate) date: Option<String>,
    pub(crate) arms: BTreeMap<String, ArmPrices>,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) digest: String,
}

/// What a catalogue knows of one arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmPrices {
    /// Its prices, by time; never empty, and no two overlap.
    pub periods: Vec<PricePeriod>,
    /// Most tokens of one request.
    pub context_window_tokens: Option<u64>,
    /// What it can do, for instance `tools`.
    pub capabilities: BTreeSet<String>,
    /// Other names of the same arm.
    pub aliases: Vec<String>,
    /// Where the prices were found.
    pub source: Option<String>,
}

/// Prices that hold for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PricePeriod {
    /// First microsecond since the Unix epoch; `None`: since ever.
    pub valid_from_us: Option<i64>,
    /// First microsecond after; `None`: until further notice.
    pub valid_until_us: Option<i64>,
    /// The prices.
    pub prices: TokenPrices,
}

/// The prices of one arm's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TokenPrices {
    /// Input tokens that were not in the provider's cache.
    pub input: Price,
    /// Input tokens that were.
    pub cached_input: Price,
    /// Output tokens.
    pub output: Price,
    /// Hidden reasoning tokens.
    pub reasoning: Price,
}

/// What pricing a log did. Outcomes that stay unpriced are never free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PricingSummary {
    /// Outcomes that had a cost before.
    pub already_priced: u64,
    /// Outcomes that got one.
    pub priced: u64,
    /// Outcomes without a cost still.
    pub unpriced: u64,
    /// Of these: without token counts.
    pub without_tokens: u64,
    /// Of these: with token counts that contradict each other or are absurd.
    pub inconsistent_tokens: u64,
    /// Of these: outside the time for which the arm has a price.
    pub outside_periods: u64,
    /// Of these: of arms the catalogue does not know, with what may be meant.
    pub unknown_arms: BTreeMap<String, UnknownArm>,
}

/// An arm of the log that the catalogue does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnknownArm {
    /// Its outcomes without a cost.
    pub outcomes: u64,
    /// A known name like it.
    pub meant: Option<String>,
}

/// Counts above 2^53 are no token counts.
const TOKENS_MAX: u64 = 1 << 53;

impl TokenPrices {
    /// Price times tokens: input on what was not cached, cached input, output, reasoning; summed.
    ///
    /// `None` when more tokens were cached than came in, or a count is absurd. `input_tokens`
    /// includes the cached ones; `output_tokens` leaves the reasoning tokens out.
    ///
    /// ```
    /// use plimsoll_datasets::Catalogue;
    /// let catalogue = Catalogue::read("[arms.small]\ninput = 0.15\noutput = 0.60")?;
    /// let prices = catalogue.prices_at("small", None).expect("it is there");
    /// assert_eq!(prices.cost(1_000_000, 1_000_000, 0, 0), Some("0.75".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cost(
        &self,
        input_tokens: u64,
        output_tokens: u64,
        cached_input_tokens: u64,
        reasoning_tokens: u64,
    ) -> Option<Usd> {
        let counts = [
            input_tokens,
            output_tokens,
            cached_input_tokens,
            reasoning_tokens,
        ];
        if counts.into_iter().any(|count| count > TOKENS_MAX) {
            return None;
        }
        let uncached = input_tokens.checked_sub(cached_input_tokens)?;
        Some(
            self.input.of(uncached)
                + self.cached_input.of(cached_input_tokens)
                + self.output.of(output_tokens)
                + self.reasoning.of(reasoning_tokens),
        )
    }
}

impl ArmPrices {
    /// The prices at a time; without one, the latest prices.
    #[must_use]
    pub fn at(&self, timestamp_us: Option<i64>) -> Option<&TokenPrices> {
        let Some(time) = timestamp_us else {
            return self.periods.last().map(|period| &period.prices);
        };
        let holds = |period: &&PricePeriod| {
            period.valid_from_us.is_none_or(|from| from <= time)
                && period.valid_until_us.is_none_or(|until| time < until)
        };
        self.periods.iter().find(holds).map(|period| &period.prices)
    }
}

impl Catalogue {
    /// Reads a catalogue from TOML.
    ///
    /// # Errors
    /// [`CatalogueError`] with line and column.
    pub fn read(text: &str) -> Result<Self, CatalogueError> {
        catalogue_toml::read(text)
    }

    /// The catalogue that comes with the crate: vendors' list prices of well-known models, as of
    /// the [`date`](Self::date) it names. Your own prices differ: discounts, batches, regions.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn embedded() -> Self {
        Self::read(include_str!("../catalogue/default.toml")).expect("the embedded catalogue reads")
    }

    /// When the prices were looked up.
    #[must_use]
    pub fn date(&self) -> Option<&str> {
        self.date.as_deref()
    }

    /// BLAKE3 digest (hex) of the catalogue's text.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// All arms by name, without their aliases.
    pub fn arms(&self) -> impl Iterator<Item = (&str, &ArmPrices)> {
        self.arms
            .iter()
            .map(|(name, prices)| (name.as_str(), prices))
    }

    /// The arm of that name or alias.
    #[must_use]
    pub fn get(&self, arm: &str) -> Option<&ArmPrices> {
        let name = self.aliases.get(arm).map_or(arm, String::as_str);
        self.arms.get(name)
    }

    /// The arm of that name or alias, which must be there.
    ///
    /// # Errors
    /// [`CatalogueError::UnknownArm`], with a name like it.
    pub fn require(&self, arm: &str) -> Result<&ArmPrices, CatalogueError> {
        self.get(arm).ok_or_else(|| CatalogueError::UnknownArm {
            arm: arm.to_owned(),
            meant: self.meant(arm).map(str::to_owned),
        })
    }

    /// The prices of an arm at a time; without one, its latest prices.
    #[must_use]
    pub fn prices_at(&self, arm: &str, timestamp_us: Option<i64>) -> Option<&TokenPrices> {
        self.get(arm)?.at(timestamp_us)
    }

    /// A known name or alias like `arm`.
    #[must_use]
    pub fn meant(&self, arm: &str) -> Option<&str> {
        did_you_mean(
            arm,
            self.arms
                .keys()
                .chain(self.aliases.keys())
                .map(String::as_str),
        )
    }

    /// Gives a cost to every outcome that has none but has its tokens counted.
    pub fn price_log(&self, log: &mut OutcomeLog) -> PricingSummary {
        let mut summary = PricingSummary::default();
        let arms: Vec<_> = log.arms.iter().map(|arm| self.get(arm.as_str())).collect();
        for request in &mut log.requests {
            for outcome in &mut request.outcomes {
                if outcome.cost.is_some() {
                    summary.already_priced += 1;
                    continue;
                }
                let arm = arms[outcome.arm as usize];
                match price(arm, outcome, request.timestamp_us) {
                    Ok(cost) => {
                        outcome.cost = Some(cost);
                        summary.priced += 1;
                    }
                    Err(why) => {
                        summary.unpriced += 1;
                        let name = log.arms[outcome.arm as usize].as_str();
                        self.count(&mut summary, why, name);
                    }
                }
            }
        }
        summary
    }

    fn count(&self, summary: &mut PricingSummary, why: Unpriced, arm: &str) {
        match why {
            Unpriced::NoTokens => summary.without_tokens += 1,
            Unpriced::BadTokens => summary.inconsistent_tokens += 1,
            Unpriced::NoPeriod => summary.outside_periods += 1,
            Unpriced::UnknownArm => {
                if !summary.unknown_arms.contains_key(arm) {
                    let meant = self.meant(arm).map(str::to_owned);
                    summary
                        .unknown_arms
                        .insert(arm.to_owned(), UnknownArm { outcomes: 0, meant });
                }
                if let Some(unknown) = summary.unknown_arms.get_mut(arm) {
                    unknown.outcomes += 1;
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Unpriced {
    UnknownArm,
    NoPeriod,
    NoTokens,
    BadTokens,
}

fn price(
    arm: Option<&ArmPrices>,
    outcome: &Outcome,
    timestamp_us: Option<i64>,
) -> Result<Usd, Unpriced> {
    let prices = arm
        .ok_or(Unpriced::UnknownArm)?
        .at(timestamp_us)
        .ok_or(Unpriced::NoPeriod)?;
    let input = outcome.input_tokens.ok_or(Unpriced::NoTokens)?;
    let output = outcome.output_tokens.ok_or(Unpriced::NoTokens)?;
    let cached = outcome.cached_input_tokens.unwrap_or(0);
    let reasoning = outcome.reasoning_tokens.unwrap_or(0);
    prices
        .cost(input, output, cached, reasoning)
        .ok_or(Unpriced::BadTokens)
}
