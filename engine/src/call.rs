//! One request as it is put to a router.

use crate::context::Context;
use crate::router_error::DecideError;
use crate::session::SessionState;
use crate::units::Seed;

/// One request to decide, with what this request alone asks for.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What is known about the request.
    pub context: &'a Context,
    /// The request's key: randomness is a function of key and seed, and feedback names it.
    pub key: &'a str,
    /// The seed.
    pub seed: Seed,
    /// Quality floor for this request, in [0, 1]; `None`: the policy's own promise alone.
    ///
    /// It replaces the floor of a per-request floor. Under the other rules that rank, it comes on
    /// top of the rule: non-inferiority asks for it with probability 1 − δ, average floor and
    /// budget of the expected quality. Where no arm reaches it, the arm of highest expected quality
    /// answers, flagged infeasible. Policies that hold no floor
    /// ([`Policy::heeds_floor`](crate::Policy::heeds_floor)) refuse the request.
    pub floor: Option<f64>,
    /// Most that the request may be expected to cost, in US dollars; `None`: any.
    pub cost_max_usd: Option<f64>,
    /// Event time of the request in milliseconds; `None`: no arm's mark of being down runs out,
    /// and no prompt cache is warm.
    pub at_ms: Option<i64>,
    /// What the session's last answer left warm; `None`: nothing.
    pub session: Option<&'a SessionState>,
    /// Who asks: whose cap the call's cost is held against; `None`: nobody's.
    pub tenant: Option<&'a str>,
    /// Most tokens the answer may have, as the provider is told; `None`: what the arm's window
    /// leaves. Only caps ask for it.
    pub output_tokens_max: Option<u64>,
}

impl<'a> Call<'a> {
    /// A request without wishes of its own.
    #[must_use]
    pub const fn new(context: &'a Context, key: &'a str, seed: Seed) -> Self {
        Self {
            context,
            key,
            seed,
            floor: None,
            cost_max_usd: None,
            at_ms: None,
            session: None,
            tenant: None,
            output_tokens_max: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), DecideError> {
        let within = |value: Option<f64>, most: f64, name, allowed| match value {
            Some(got) if !(0.0..=most).contains(&got) => {
                Err(DecideError::Override { name, got, allowed })
            }
            _ => Ok(()),
        };
        within(self.floor, 1.0, "floor", "[0, 1]")?;
        within(self.cost_max_usd, f64::MAX, "cost_max_usd", "[0, ∞)")
    }
}
