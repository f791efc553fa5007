//! Sessions: the prompt cache that a switch of arms throws away, as money.
//!
//! The turns of a conversation share a growing prefix, which a provider keeps and sells at a lower
//! price while it is warm. The next turn therefore costs less on the arm that holds it:
//! `p_cached·m + p_in·(n − m)` for n input tokens of which m are cached, against `p_in·n`
//! elsewhere. With that difference in the expected costs, every rule stays with a session's arm as
//! long as switching does not pay, and not longer.

use serde::{Deserialize, Serialize};

use crate::arm::ArmSpec;
use crate::money::{Price, Usd};
use crate::units::ArmId;

/// Default of [`SessionState::ttl_ms`]: five minutes, the shortest that large providers promise.
pub const CACHE_TTL_MS: u64 = 300_000;

/// What a session's last answer left warm.
///
/// ```
/// use plimsoll::{ArmId, ArmSpec, SessionState, Usd};
/// let mut large = ArmSpec::new(ArmId::new("large")?).priced("2.50".parse()?, "10".parse()?);
/// large.cached_input = Some("0.25".parse()?);
/// let session = SessionState::new(large.id.clone(), 8_000, 1_000);
/// // 8,000 tokens at 0.25 instead of 2.50 dollars per million.
/// assert_eq!(session.saving(&large, 9_000, Some(61_000)), "0.018".parse::<Usd>()?);
/// assert_eq!(session.saving(&large, 9_000, Some(301_000)), Usd::ZERO); // cold
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionState {
    /// The arm that answered last.
    pub arm: ArmId,
    /// Tokens of the session that its provider holds.
    pub cached_tokens: u64,
    /// Event time of that answer, in milliseconds.
    pub at_ms: i64,
    /// How long the cache stays warm after it.
    pub ttl_ms: u64,
}

impl SessionState {
    /// A session that `arm` answered at `at_ms`, with the default time to live.
    #[must_use]
    pub const fn new(arm: ArmId, cached_tokens: u64, at_ms: i64) -> Self {
        Self {
            arm,
            cached_tokens,
            at_ms,
            ttl_ms: CACHE_TTL_MS,
        }
    }

    /// Whether the cache is warm: from the last answer, and less than the time to live after it.
    ///
    /// A clock that went backwards finds it warm; without a time it is cold.
    #[must_use]
    pub fn is_warm(&self, now_ms: Option<i64>) -> bool {
        let Some(now) = now_ms else { return false };
        let age = now.saturating_sub(self.at_ms).max(0);
        age.unsigned_abs() < self.ttl_ms
    }

    /// What `input_tokens` tokens cost less on the session's arm than uncached, exactly; nothing
    /// when the cache is cold, the spec is another arm's or a price is not known.
    #[must_use]
    pub fn saving(&self, spec: &ArmSpec, input_tokens: u64, now_ms: Option<i64>) -> Usd {
        let cached = self.cached_tokens.min(input_tokens);
        self.discount(spec, now_ms)
            .map_or(Usd::ZERO, |price| price.of(cached))
    }

    /// What a cached token costs less on the session's arm; `None`: nothing.
    pub(crate) fn discount(&self, spec: &ArmSpec, now_ms: Option<i64>) -> Option<Price> {
        let (input, cached) = (spec.input?, spec.cached_input?);
        let less = input
            .pico_per_token()
            .checked_sub(cached.pico_per_token())?;
        let warm = spec.id == self.arm && self.is_warm(now_ms);
        (warm && less > 0).then(|| Price::from_pico_per_token(less))
    }
}
