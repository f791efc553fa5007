//! Hard caps: money reserved before a call and settled after it.
//!
//! A scope (a tenant, an arm, a provider) has a cap per window of event time. Before a call, an
//! upper bound of its cost is reserved in all its scopes at once, or in none; after it, the actual
//! cost replaces the reservation. **Invariant:** in every scope, spent + reserved ≤ cap, whatever
//! the order of events, as long as no call costs more than was reserved for it; what does is
//! charged, counted and reported as [`Overrun`].
//!
//! The ledger is a value: it reads no clock, and equal events in equal order give equal ledgers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::money::Usd;
use crate::sealed::COUNT_MAX;

/// Default of [`Ledger::new`]: a hold that is not settled for ten minutes is charged in full.
pub const HOLD_MS: u64 = 600_000;
/// Largest amount of one reservation, cap or bill: sums of 10⁸ of them still fit.
const AMOUNT_MAX: Usd = Usd::from_pico(1_000_000_000_000_000_000_000_000_000_000);
/// Largest sum of a restored account.
const SUM_MAX: Usd = Usd::from_pico(100_000_000_000_000_000_000_000_000_000_000_000_000);

/// What kind of spender a scope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ScopeKind {
    /// Who asks.
    Tenant,
    /// Which arm answers.
    Arm,
    /// Who sells the answer.
    Provider,
}

/// A spender: `tenant:acme`, `arm:large`, `provider:openai`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope {
    /// Its kind.
    pub kind: ScopeKind,
    /// Its name.
    pub name: String,
}

/// The most a scope may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// Most that may be spent and reserved in a window.
    pub limit: Usd,
    /// Length of a window in milliseconds: windows begin at whole multiples of it since 1970;
    /// `None`: one window for ever.
    pub window_ms: Option<u64>,
}

/// How a scope stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its cap.
    pub cap: Cap,
    /// Number of the current window.
    pub window: i64,
    /// Charged in the current window.
    pub spent: Usd,
    /// Held for calls under way, from whatever window.
    pub reserved: Usd,
    /// Calls that cost more than was reserved for them, ever.
    pub overruns: u64,
    /// By how much they did, ever.
    pub overrun: Usd,
}

/// Money held for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Its number: reservations are counted up from 0.
    pub id: u64,
    /// What is held.
    pub amount: Usd,
    /// Event time at which it is charged in full unless settled before.
    pub expires_ms: i64,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Settlement {
    /// Charged now.
    Charged {
        /// What was charged.
        amount: Usd,
        /// What it cost beyond the reservation; `None`: nothing.
        overrun: Option<Overrun>,
    },
    /// It had expired and was charged in full then; what it cost beyond that is charged now.
    Late {
        /// What it cost beyond the reservation; `None`: nothing.
        overrun: Option<Overrun>,
    },
    /// Settled or released before: nothing was changed.
    Before,
}

/// A call that cost more than was reserved for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrun {
    /// What was reserved.
    pub reserved: Usd,
    /// What it cost.
    pub actual: Usd,
}

/// Why nothing was reserved. The ledger is unchanged, but for windows that have ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// A scope's cap leaves too little.
    #[error(
        "`{scope}` may spend {cap} USD, has spent {spent} and holds {reserved}: no room for {asked}"
    )]
    Cap {
        /// The first scope without room.
        scope: Scope,
        /// Its limit.
        cap: Usd,
        /// Charged in the current window.
        spent: Usd,
        /// Held for calls under way.
        reserved: Usd,
        /// What was to be reserved.
        asked: Usd,
    },
    /// The call has no known price, and one of its scopes a cap.
    #[error("the call has no known price, and `{scope}` has a cap")]
    Unpriced {
        /// The first scope with a cap.
        scope: Scope,
    },
    /// The amount cannot be reserved.
    #[error(transparent)]
    Amount(#[from] LedgerError),
}

/// Why the ledger cannot do what was asked. It is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// An amount is negative or absurdly large.
    #[error("`{name}` must be in [0, 1e18] USD, got {got}")]
    Amount {
        /// Which amount.
        name: &'static str,
        /// The amount as given.
        got: Usd,
    },
    /// A window without length.
    #[error("a window must last at least a millisecond")]
    Window,
    /// The ledger never made this reservation.
    #[error("reservation {got} does not exist, {made} were made")]
    UnknownReservation {
        /// The number as given.
        got: u64,
        /// Reservations made so far.
        made: u64,
    },
    /// The text is not a scope.
    #[error("`{got}` is not a scope like `tenant:name`, `arm:name` or `provider:name`")]
    Scope {
        /// The text as given.
        got: String,
    },
}

/// Money held, and whose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hold {
    scopes: Vec<Scope>,
    amount: Usd,
    expires_ms: i64,
}

/// Caps, what was spent, and what is held.
///
/// ```
/// use plimsoll::{Cap, Denied, Ledger, Scope, ScopeKind};
/// let mut ledger = Ledger::default();
/// let acme = Scope::new(ScopeKind::Tenant, "acme");
/// ledger.set_cap(acme.clone(), Cap { limit: "1".parse()?, window_ms: Some(86_400_000) })?;
/// let held = ledger.reserve(0, &[acme.clone()], Some("0.75".parse()?))?;
/// let denied = ledger.reserve(1, &[acme.clone()], Some("0.50".parse()?));
/// assert!(matches!(denied, Err(Denied::Cap { .. })));
/// ledger.settle(2, held.id, "0.10".parse()?)?;
/// ledger.reserve(3, &[acme], Some("0.50".parse()?))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    accounts: BTreeMap<Scope, Account>,
    /// Caps of scopes that have none of their own.
    defaults: BTreeMap<ScopeKind, Cap>,
    /// For calls under way, by number: as time never goes back, in the order in which they expire.
    holds: BTreeMap<u64, Hold>,
    /// Expired and charged in full; kept so that a late bill beyond them is not lost.
    expired: BTreeMap<u64, Hold>,
    /// Reservations made.
    made: u64,
    /// How long a hold lasts.
    hold_ms: u64,
    /// Latest event time seen: time never goes back.
    now_ms: i64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(HOLD_MS)
    }
}

impl Ledger {
    /// A ledger without caps, whose holds last `hold_ms` milliseconds.
    #[must_use]
    pub const fn new(hold_ms: u64) -> Self {
        Self {
            accounts: BTreeMap::new(),
            defaults: BTreeMap::new(),
            holds: BTreeMap::new(),
            expired: BTreeMap::new(),
            made: 0,
            hold_ms,
            now_ms: i64::MIN,
        }
    }

    /// Caps a scope, or changes its cap; what it spent and holds stays.
    ///
    /// A limit below what is spent and held denies everything until there is room again.
    ///
    /// # Errors
    /// [`LedgerError`] when the limit or the window is out of range.
    pub fn set_cap(&mut self, scope: Scope, cap: Cap) -> Result<(), LedgerError> {
        check_cap(&cap)?;
        let now = self.now_ms;
        let account = self
            .accounts
            .entry(scope)
            .or_insert_with(|| Account::new(cap, now));
        if account.cap.window_ms != cap.window_ms {
            account.window = window_of(&cap, now);
        }
        account.cap = cap;
        Ok(())
    }

    /// The cap of every scope of this kind that has none of its own, first met or not.
    ///
    /// # Errors
    /// [`LedgerError`] when the limit or the window is out of range.
    pub fn set_default_cap(&mut self, kind: ScopeKind, cap: Cap) -> Result<(), LedgerError> {
        check_cap(&cap)?;
        self.defaults.insert(kind, cap);
        Ok(())
    }

    /// Whether [`reserve`](Self::reserve) would hold the amount then; nothing changes.
    ///
    /// # Errors
    /// [`Denied`] as `reserve`.
    pub fn check(&self, at_ms: i64, scopes: &[Scope], amount: Option<Usd>) -> Result<(), Denied> {
        if let Some(amount) = amount {
            check_amount("amount", amount)?;
        }
        let now = self.now_ms.max(at_ms);
        for scope in scopes {
            let Some(account) = self.standing(scope, now) else {
                continue;
            };
            let Some(asked) = amount else {
                let scope = scope.clone();
                return Err(Denied::Unpriced { scope });
            };
            // Holds that expire until then are charged: the sum stays.
            if account.spent + account.reserved + asked > account.cap.limit {
                return Err(Denied::Cap {
                    scope: scope.clone(),
                    cap: account.cap.limit,
                    spent: account.spent,
                    reserved: account.reserved,
                    asked,
                });
            }
        }
        Ok(())
    }

    /// Holds `amount`, an upper bound of a call's cost, in all its scopes, or in none.
    ///
    /// `None` is a call without a known price: it is denied where any of its scopes has a cap, and
    /// holds nothing elsewhere. Scopes without a cap are not counted.
    ///
    /// # Errors
    /// [`Denied`] when a cap leaves too little room, or the amount cannot be reserved.
    pub fn reserve(
        &mut self,
        at_ms: i64,
        scopes: &[Scope],
        amount: Option<Usd>,
    ) -> Result<Reservation, Denied> {
        if let Some(amount) = amount {
            check_amount("amount", amount)?;
        }
        self.advance(at_ms);
        let mut capped: Vec<Scope> = Vec::with_capacity(scopes.len());
        for scope in scopes {
            if !capped.contains(scope) && self.has_cap(scope) {
                capped.push(scope.clone());
            }
        }
        self.check(at_ms, &capped, amount)?;
        let asked = amount.unwrap_or(Usd::ZERO);
        for scope in &capped {
            self.account(scope).reserved += asked;
        }
        let id = self.made;
        self.made += 1;
        let lasts = i64::try_from(self.hold_ms).unwrap_or(i64::MAX);
        let expires_ms = self.now_ms.saturating_add(lasts);
        let hold = Hold {
            scopes: capped,
            amount: asked,
            expires_ms,
        };
        self.holds.insert(id, hold);
        Ok(Reservation {
            id,
            amount: asked,
            expires_ms,
        })
    }

    /// Charges what a call did cost and frees the rest of its hold; only the first time counts.
    ///
    /// It is charged to the windows current now. Of a hold that has expired, only what the call
    /// cost beyond it is charged: it was charged in full then.
    ///
    /// # Errors
    /// [`LedgerError`] when the amount is out of range or the reservation was never made.
    pub fn settle(&mut self, at_ms: i64, id: u64, actual: Usd) -> Result<Settlement, LedgerError> {
        check_amount("actual", actual)?;
        let Some((hold, charged)) = self.close(at_ms, id)? else {
            return Ok(Settlement::Before);
        };
        let reserved = hold.amount;
        let overrun = (actual > reserved).then_some(Overrun { reserved, actual });
        let beyond = overrun.map_or(Usd::ZERO, |_| actual - reserved);
        for scope in &hold.scopes {
            let account = self.account(scope);
            if charged {
                account.spent += beyond;
            } else {
                account.reserved = account.reserved - reserved;
                account.spent += actual;
            }
            account.overruns += u64::from(overrun.is_some());
            account.overrun += beyond;
        }
        Ok(if charged {
            Settlement::Late { overrun }
        } else {
            Settlement::Charged {
                amount: actual,
                overrun,
            }
        })
    }

    /// Frees the hold of a call that was never made, and charges nothing; only the first time
    /// counts. Of a hold that has expired, the charge stays.
    ///
    /// # Errors
    /// [`LedgerError::UnknownReservation`] when the reservation was never made.
    pub fn release(&mut self, at_ms: i64, id: u64) -> Result<Settlement, LedgerError> {
        let Some((hold, charged)) = self.close(at_ms, id)? else {
            return Ok(Settlement::Before);
        };
        if charged {
            return Ok(Settlement::Late { overrun: None });
        }
        for scope in &hold.scopes {
            let account = self.account(scope);
            account.reserved = account.reserved - hold.amount;
        }
        Ok(Settlement::Charged {
            amount: Usd::ZERO,
            overrun: None,
        })
    }

    /// Lets event time pass: windows end, and holds that were not settled in time are charged in
    /// full, because releasing them would permit overspending. Time that goes back changes nothing.
    pub fn advance(&mut self, at_ms: i64) {
        if at_ms <= self.now_ms {
            return;
        }
        self.now_ms = at_ms;
        while let Some(first) = self.holds.first_entry() {
            if first.get().expires_ms > at_ms {
                break;
            }
            let (id, hold) = first.remove_entry();
            for scope in &hold.scopes {
                let account = self.account(scope);
                account.reserved = account.reserved - hold.amount;
                account.spent += hold.amount;
            }
            self.expired.insert(id, hold);
        }
    }

    /// Drops expired holds of before `before_ms`, which were charged in full: a bill for one of them
    /// changes nothing from then on.
    pub fn forget_expired(&mut self, before_ms: i64) {
        self.expired.retain(|_, hold| hold.expires_ms >= before_ms);
    }

    /// Drops the oldest hold that expired before `before_ms`: its number.
    pub(crate) fn forget_oldest(&mut self, before_ms: i64) -> Option<u64> {
        let oldest = self.expired.first_entry()?;
        (oldest.get().expires_ms < before_ms).then(|| oldest.remove_entry().0)
    }

    /// Whether a bill for this reservation would still change anything.
    pub(crate) fn awaits(&self, id: u64) -> bool {
        self.holds.contains_key(&id) || self.expired.contains_key(&id)
    }

    /// Latest event time seen.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// How a scope stands in the window of the latest event; `None`: it has no cap, or was never
    /// met.
    #[must_use]
    pub fn of(&self, scope: &Scope) -> Option<Account> {
        let account = self.accounts.get(scope)?;
        Some(account.at(self.now_ms))
    }

    /// Every scope that has a cap and was met, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (&Scope, Account)> {
        let now = self.now_ms;
        self.accounts
            .iter()
            .map(move |(scope, account)| (scope, account.at(now)))
    }

    /// Reservations under way.
    #[must_use]
    pub fn open(&self) -> usize {
        self.holds.len()
    }

    /// Whether a restored ledger can be one: what is held adds up.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let mut held: BTreeMap<&Scope, Usd> = BTreeMap::new();
        for hold in self.holds.values() {
            for scope in &hold.scopes {
                let sum = held.entry(scope).or_default();
                let Some(more) = sum.checked_add(hold.amount) else {
                    return false;
                };
                *sum = more;
            }
        }
        let all = || self.holds.iter().chain(&self.expired);
        let known = |hold: &Hold| {
            let amount = check_amount("amount", hold.amount).is_ok();
            amount && hold.scopes.iter().all(|s| self.accounts.contains_key(s))
        };
        self.made <= COUNT_MAX
            && all().all(|(id, hold)| *id < self.made && known(hold))
            && self.holds.values().is_sorted_by_key(|hold| hold.expires_ms)
            && self.defaults.values().all(|cap| check_cap(cap).is_ok())
            && self.accounts.iter().all(|(scope, account)| {
                check_cap(&account.cap).is_ok()
                    && account.overruns <= COUNT_MAX
                    && (Usd::ZERO..=SUM_MAX).contains(&account.spent)
                    && (Usd::ZERO..=SUM_MAX).contains(&account.overrun)
                    && account.reserved == held.get(scope).copied().unwrap_or_default()
            })
    }

    /// Takes the hold out, and whether it was charged in full; `None`: it was taken out before.
    fn close(&mut self, at_ms: i64, id: u64) -> Result<Option<(Hold, bool)>, LedgerError> {
        if id >= self.made {
            let made = self.made;
            return Err(LedgerError::UnknownReservation { got: id, made });
        }
        self.advance(at_ms);
        let open = self.holds.remove(&id).map(|hold| (hold, false));
        Ok(open.or_else(|| self.expired.remove(&id).map(|hold| (hold, true))))
    }

    /// How a scope that has a cap would stand at `now_ms`, first met or not.
    fn standing(&self, scope: &Scope, now_ms: i64) -> Option<Account> {
        let met = self.accounts.get(scope).map(|account| account.at(now_ms));
        met.or_else(|| {
            let cap = self.defaults.get(&scope.kind)?;
            Some(Account::new(*cap, now_ms))
        })
    }

    /// Whether a scope has a cap, its own or its kind's.
    #[must_use]
    pub fn has_cap(&self, scope: &Scope) -> bool {
        self.accounts.contains_key(scope) || self.defaults.contains_key(&scope.kind)
    }

    /// The account of a scope that has a cap, in the current window.
    fn account(&mut self, scope: &Scope) -> &mut Account {
        let (defaults, now) = (&self.defaults, self.now_ms);
        if !self.accounts.contains_key(scope) {
            let cap = defaults.get(&scope.kind).expect("a scope with a cap");
            self.accounts.insert(scope.clone(), Account::new(*cap, now));
        }
        let account = self.accounts.get_mut(scope).expect("it is there now");
        *account = account.at(now);
        account
    }
}

impl Account {
    fn new(cap: Cap, now_ms: i64) -> Self {
        Self {
            cap,
            window: window_of(&cap, now_ms),
            spent: Usd::ZERO,
            reserved: Usd::ZERO,
            overruns: 0,
            overrun: Usd::ZERO,
        }
    }

    /// The account in the window of `now_ms`, unless that is over already; holds stay held.
    fn at(mut self, now_ms: i64) -> Self {
        let window = window_of(&self.cap, now_ms);
        if window > self.window {
            self.window = window;
            self.spent = Usd::ZERO;
        }
        self
    }
}

impl Scope {
    /// A scope of this kind and name.
    #[must_use]
    pub fn new(kind: ScopeKind, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { kind, name }
    }
}

impl ScopeKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Arm => "arm",
            Self::Provider => "provider",
        }
    }
}

impl LedgerError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Amount { .. } => "P0195",
            Self::Window => "P0196",
            Self::UnknownReservation { .. } => "P0197",
            Self::Scope { .. } => "P0198",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Amount { .. } => "give an amount that a call or a cap can have",
            Self::Window => "give the window's length in milliseconds, or none for one window",
            Self::UnknownReservation { .. } => {
                "settle the number that `reserve` gave, in the ledger that gave it"
            }
            Self::Scope { .. } => "write the kind, a colon and the name",
        }
    }
}

impl Denied {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Cap { .. } => "P0193",
            Self::Unpriced { .. } => "P0194",
            Self::Amount(error) => error.code(),
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Cap { .. } => "wait for the next window, raise the cap, or send less",
            Self::Unpriced { .. } => "add the arm to the price catalogue",
            Self::Amount(error) => error.help(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.name)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl TryFrom<String> for Scope {
    type Error = LedgerError;

    fn try_from(text: String) -> Result<Self, LedgerError> {
        let kinds = [ScopeKind::Tenant, ScopeKind::Arm, ScopeKind::Provider];
        let found = text.split_once(':').and_then(|(kind, name)| {
            let kind = kinds.into_iter().find(|known| known.name() == kind)?;
            Some(Self::new(kind, name))
        });
        found.ok_or(LedgerError::Scope { got: text })
    }
}

/// The number of the window of an event time; before the first event, that of the beginning.
fn window_of(cap: &Cap, now_ms: i64) -> i64 {
    match cap.window_ms.map(i64::try_from) {
        Some(Ok(length)) => now_ms.div_euclid(length),
        // Longer than time lasts.
        Some(Err(_)) | None => 0,
    }
}

fn check_cap(cap: &Cap) -> Result<(), LedgerError> {
    check_amount("limit", cap.limit)?;
    if cap.window_ms == Some(0) {
        return Err(LedgerError::Window);
    }
    Ok(())
}

fn check_amount(name: &'static str, got: Usd) -> Result<(), LedgerError> {
    if (Usd::ZERO..=AMOUNT_MAX).contains(&got) {
        Ok(())
    } else {
        Err(LedgerError::Amount { name, got })
    }
}
