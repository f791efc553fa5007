//! Price catalogues: what an arm's tokens cost, exactly, under which conditions and since when.

mod diff;
mod error;
mod import;
mod names;
mod pricing;
mod rates;
mod toml;
mod window;
mod write;

use std::collections::BTreeMap;

pub use diff::{CatalogueDiff, ModelChange, PriceChange, diff_catalogues};
pub use error::{CatalogueError, TextPlace};
pub use import::{
    CatalogueFormat, FieldCount, ImportOptions, ImportReport, MergeReport, NamePattern,
    PriceImport, RoundedPrice, Skipped, UnusableRate, import_prices, merge_prices,
};
pub use names::Resolution;
pub use pricing::{PricingSummary, UnknownArm};
pub(crate) use rates::tier_of;
pub use rates::{
    ArmPrices, ConditionalPrices, Conditions, PricePeriod, TokenPrices, Unpriced, Usage,
};
pub use window::{Window, WindowError};

use crate::timestamp;

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
/// cache_write = 0.1875                 # to the cache for 5 minutes; no default
/// cache_write_1h = 0.30                # to the cache for an hour; no default
/// per_request = 0.005                  # USD per request, besides its tokens
/// context_window_tokens = 128000
/// capabilities = ["tools", "vision"]
/// aliases = ["vendor/small"]
/// provider = "vendor"
/// source = "https://…"
/// not_priced = ["web_search"]          # charges that this catalogue does not hold
/// rates = [                            # price lists under conditions, each complete
///   { service_tier = "batch", input = 0.075, output = 0.30 },
///   { above_input_tokens = 200000, input = 0.30, output = 0.90 },
///   { windows = ["sat,sun 00:00-24:00", "16:30-24:00"], input = 0.10, output = 0.40 },
/// ]
///
/// [arms."large"]                       # a price that changed: the periods, in any order
/// periods = [
///   { valid_until = 2026-06-01, input = 5, output = 25 },
///   { valid_from = 2026-06-01, input = 4, output = 20 },
/// ]
/// ```
///
/// `valid_from` (included) and `valid_until` (excluded) also stand directly in an arm with one
/// price. A time outside all periods has no price. Windows are in UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalogue {
    pub(crate) date: Option<String>,
    pub(crate) arms: BTreeMap<String, ArmPrices>,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) digest: String,
}

impl Catalogue {
    /// Reads a catalogue from TOML.
    ///
    /// # Errors
    /// [`CatalogueError`] with line and column.
    pub fn read(text: &str) -> Result<Self, CatalogueError> {
        toml::read(text)
    }

    /// The catalogue that comes with the crate: vendors' list prices of well-known models, as of
    /// the [`date`](Self::date) it names. Your own prices differ: discounts, batches, regions.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn embedded() -> Self {
        Self::read(include_str!("../../catalogue/default.toml"))
            .expect("the embedded catalogue reads")
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

    /// The arm of that name, as far as [`resolve`](Self::resolve) is sure of it.
    #[must_use]
    pub fn get(&self, arm: &str) -> Option<&ArmPrices> {
        self.arms.get(self.resolve(arm).arm()?)
    }

    /// The arm of that name or alias, which must be there.
    ///
    /// # Errors
    /// [`CatalogueError::UnknownArm`], with a name like it.
    pub fn require(&self, arm: &str) -> Result<&ArmPrices, CatalogueError> {
        self.get(arm).ok_or_else(|| CatalogueError::UnknownArm {
            arm: arm.to_owned(),
            why: self.resolve(arm).explain(arm).unwrap_or_default(),
            meant: self.meant(arm).map(str::to_owned),
        })
    }

    /// The standard prices of an arm at a time; without one, its latest.
    #[must_use]
    pub fn prices_at(&self, arm: &str, timestamp_us: Option<i64>) -> Option<&TokenPrices> {
        self.get(arm)?.at(timestamp_us)
    }

    /// The catalogue as TOML, which reads as the same prices.
    #[must_use]
    pub fn to_toml(&self, comment: &str) -> String {
        write::to_toml(self, comment)
    }

    /// The moment that a day (`2026-03-01`, its first moment in UTC) or an RFC 3339 time names, in
    /// microseconds since the Unix epoch.
    #[must_use]
    pub fn parse_time(text: &str) -> Option<i64> {
        timestamp::parse_day_or_time(text)
    }
}
