//! Caps in service: money held by decision id, before the call that spends it may be made.
//!
//! **Invariant:** in every capped scope spent + reserved ≤ cap, under every interleaving of
//! threads, as long as no call costs more than its bound. Which arms a cap denies is known before
//! one is drawn, so that the logged propensity stays the probability with which it was drawn.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::event::Event;
use crate::ledger::{Denied, Ledger, LedgerError, Scope, ScopeKind};
use crate::money::Usd;
use crate::router::Router;
use crate::router_error::DecideError;

/// How long the bill of an expired hold is waited for: one day. After it, what a call cost beyond
/// its hold is not charged.
pub const LATE_MS: i64 = 24 * 60 * 60 * 1_000;

/// What a decision holds, and against whose caps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The tenant, the arm and its provider, as far as they are known.
    pub scopes: Vec<Scope>,
    /// An upper bound of what the call costs.
    pub amount: Usd,
}

/// A [`Ledger`] whose reservations are named by decision ids.
///
/// Another arm that answers in the drawn one's place is charged to the scopes of the drawn one:
/// those are where its money was held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    ledger: Ledger,
    numbers: BTreeMap<String, u64>,
    /// The same by number: in the order in which holds expire.
    ids: BTreeMap<u64, String>,
}

/// [`Spending`] as stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredSpending {
    ledger: Ledger,
    ids: BTreeMap<u64, String>,
}

/// Why money was not held, settled or capped. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpendError {
    /// A cap leaves too little.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// A second call under the id of one whose bill has not come.
    #[error("decision `{id}` holds money for a call already")]
    HeldBefore {
        /// The decision's id.
        id: String,
    },
    /// Caps were spoken of where there is no ledger.
    #[error("there is no ledger that a cap or a hold could be in")]
    NoLedger,
    /// The ledger cannot take the amount or the cap.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl SpendError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Denied(error) => error.code(),
            Self::HeldBefore { .. } => "P0573",
            Self::NoLedger => "P0574",
            Self::Ledger(error) => error.code(),
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Denied(error) => error.help(),
            Self::HeldBefore { .. } => {
                "report what the first call cost, release it, or give every call a key of its own"
            }
            Self::NoLedger => "give the `Live` a ledger with `with_ledger`",
            Self::Ledger(error) => error.help(),
        }
    }
}

impl Spending {
    /// Money by decision id in this ledger.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            ..Self::default()
        }
    }

    /// The ledger: caps, what was spent, what is held.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether a bill for the decision would still be charged.
    #[must_use]
    pub fn awaits(&self, id: &str) -> bool {
        self.numbers.contains_key(id)
    }

    /// Which arms a cap denies, shape (K): `None` for those that it does not.
    pub(crate) fn denials(&self, asks: &[Ask], at_ms: u64) -> Vec<Option<Denied>> {
        let deny = |ask: &Ask| self.ledger.check(time(at_ms), &ask.scopes, ask.bound).err();
        asks.iter().map(deny).collect()
    }

    /// What a call on that arm holds; `None`: no cap covers it.
    pub(crate) fn held(&self, ask: &Ask) -> Option<Held> {
        let capped = ask.scopes.iter().any(|scope| self.ledger.has_cap(scope));
        let amount = ask.bound.filter(|_| capped)?;
        let scopes = ask.scopes.clone();
        Some(Held { scopes, amount })
    }

    /// Books what an event says of money. Equal ledgers stay equal.
    ///
    /// # Errors
    /// [`SpendError`]; nothing has changed then.
    pub(crate) fn apply(&mut self, event: &Event) -> Result<(), SpendError> {
        match event {
            Event::Decided(decided) => {
                let at_ms = time(decided.at_ms);
                if let Some(held) = &decided.held {
                    if self.numbers.contains_key(&decided.id) {
                        let id = decided.id.clone();
                        return Err(SpendError::HeldBefore { id });
                    }
                    // Even a reservation that is denied lets time pass.
                    self.ledger.check(at_ms, &held.scopes, Some(held.amount))?;
                    let made = self
                        .ledger
                        .reserve(at_ms, &held.scopes, Some(held.amount))?;
                    self.numbers.insert(decided.id.clone(), made.id);
                    self.ids.insert(made.id, decided.id.clone());
                }
                self.pass(at_ms);
            }
            Event::Reported(report) => {
                let at_ms = time(report.at_ms);
                if let (Some(cost), Some(number)) = (report.cost, self.numbers.get(&report.id)) {
                    self.ledger.settle(at_ms, *number, cost)?;
                    self.forget(&report.id);
                }
                self.pass(at_ms);
            }
            Event::Released { id, at_ms } => {
                if let Some(number) = self.numbers.get(id) {
                    self.ledger.release(time(*at_ms), *number)?;
                    self.forget(id);
                }
                self.pass(time(*at_ms));
            }
            Event::CapSet { scope, cap } => self.ledger.set_cap(scope.clone(), *cap)?,
            _ => {}
        }
        Ok(())
    }

    fn pass(&mut self, at_ms: i64) {
        self.ledger.advance(at_ms);
        let before = self.ledger.now_ms().saturating_sub(LATE_MS);
        while let Some(number) = self.ledger.forget_oldest(before) {
            if let Some(id) = self.ids.remove(&number) {
                self.numbers.remove(&id);
            }
        }
    }

    fn forget(&mut self, id: &str) {
        if let Some(number) = self.numbers.remove(id) {
            self.ids.remove(&number);
        }
    }

    pub(crate) fn stored(&self) -> StoredSpending {
        StoredSpending {
            ledger: self.ledger.clone(),
            ids: self.ids.clone(),
        }
    }

    /// The state of its stored form; `None`: no state can be so.
    pub(crate) fn load(stored: StoredSpending) -> Option<Self> {
        let StoredSpending { ledger, ids } = stored;
        let numbers: BTreeMap<String, u64> = ids
            .iter()
            .map(|(number, id)| (id.clone(), *number))
            .collect();
        let sound = ledger.is_sound()
            && numbers.len() == ids.len()
            && ids.keys().all(|number| ledger.awaits(*number));
        sound.then_some(Self {
            ledger,
            numbers,
            ids,
        })
    }
}

/// What a call on one arm would ask of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    scopes: Vec<Scope>,
    bound: Option<Usd>,
}

impl Router {
    /// What a call would ask of a ledger, per arm, shape (K).
    pub(crate) fn asks(&self, call: &Call<'_>) -> Vec<Ask> {
        let ask = |(arm, spec): (usize, &crate::arm::ArmSpec)| {
            let tenant = call.tenant.map(|name| Scope::new(ScopeKind::Tenant, name));
            let provider = spec.provider.as_deref();
            let mut scopes: Vec<Scope> = tenant.into_iter().collect();
            scopes.push(Scope::new(ScopeKind::Arm, spec.id.as_str()));
            scopes.extend(provider.map(|name| Scope::new(ScopeKind::Provider, name)));
            Ask {
                scopes,
                bound: self.cost_bound(call, arm),
            }
        };
        self.arms.iter().enumerate().map(ask).collect()
    }

    /// Most that the call can cost on an arm: `p_in·n + p_out·m` at list prices, for n input
    /// tokens and m output tokens at most; `None`: unpriced, or without a limit on its tokens.
    ///
    /// An input of unknown length is taken to fill the arm's window; an answer without a limit of
    /// its own, what is left of the window.
    #[must_use]
    pub fn cost_bound(&self, call: &Call<'_>, arm: usize) -> Option<Usd> {
        let spec = self.arms.get(arm)?;
        let (input_price, output_price) = (spec.input?, spec.output?);
        let window = spec.context_window_tokens;
        let input = call.context.input_tokens.or(window)?;
        let output = match (call.output_tokens_max, call.context.input_tokens) {
            (Some(most), _) => most,
            (None, Some(input)) => window?.saturating_sub(input),
            (None, None) => window?,
        };
        input_price.of(input).checked_add(output_price.of(output))
    }
}

/// Rules out the arms that a cap denies.
pub(crate) fn heed_caps(
    denials: &[Option<Denied>],
    eligible: &mut [bool],
) -> Result<(), DecideError> {
    let mut first = None;
    for (eligible, denied) in eligible.iter_mut().zip(denials) {
        if let Some(denied) = denied.as_ref().filter(|_| *eligible) {
            *eligible = false;
            first = first.or(Some(denied));
        }
    }
    match first {
        Some(denied) if !eligible.contains(&true) => Err(denied.clone().into()),
        _ => Ok(()),
    }
}

fn time(at_ms: u64) -> i64 {
    i64::try_from(at_ms).unwrap_or(i64::MAX)
}
