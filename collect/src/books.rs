//! The budget: money reserved before a call, journalled, and settled after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plimsoll::{Account, Cap, Denied, Ledger, LedgerError, Scope, ScopeKind, Usd};
use tokio::sync::Notify;

use crate::error::CollectError;
use crate::failure::Failure;
use crate::journal::{Answer, Earlier, Journal};

/// The ledger of one run and the journal that makes it durable, behind one lock, so that they
/// never disagree.
///
/// **Invariant:** what all runs spent + what is reserved ≤ the budget, at any moment.
pub(crate) struct Books {
    inner: Mutex<Inner>,
    /// Told whenever a reservation is settled.
    freed: Notify,
    scope: Scope,
    budget: Usd,
    earlier: Earlier,
}

struct Inner {
    ledger: Ledger,
    journal: Journal,
}

/// Money held for one call that may now be sent.
#[derive(Debug)]
#[must_use = "a call that was reserved for is settled"]
pub(crate) struct Held {
    call: u64,
    reservation: u64,
    pub(crate) bound: Usd,
}

/// Why nothing was reserved.
#[derive(Debug)]
pub(crate) enum NotHeld {
    /// Too little is left now; calls under way may leave some over.
    Wait,
    /// The call is not made.
    Never(Failure),
    /// The journal refuses.
    Fatal(CollectError),
}

/// The ledger's clock stands still: reservations end by being settled, never by time.
const NOW_MS: i64 = 0;

impl Books {
    /// A budget that earlier runs have spent from.
    pub(crate) fn new(journal: Journal, budget: Usd) -> Result<Self, LedgerError> {
        let earlier = journal.earlier();
        let mut ledger = Ledger::default();
        let scope = Scope::new(ScopeKind::Tenant, "collect");
        // A budget that was lowered below what is spent leaves nothing.
        let limit = (budget - earlier.spent_usd).max(Usd::ZERO);
        let cap = Cap {
            limit,
            window_ms: None,
        };
        ledger.set_cap(scope.clone(), cap)?;
        Ok(Self {
            inner: Mutex::new(Inner { ledger, journal }),
            freed: Notify::new(),
            scope,
            budget,
            earlier,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing is left half done where a thread could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn answer(&self, digest: &str) -> Option<Arc<Answer>> {
        self.lock().journal.answer(digest)
    }

    /// Holds the bound and makes that durable, or holds nothing.
    ///
    /// The journal is written under the lock: an order that the disk does not know is none.
    pub(crate) fn reserve(&self, digest: &str, arm: &str, bound: Usd) -> Result<Held, NotHeld> {
        let mut inner = self.lock();
        let scopes = std::slice::from_ref(&self.scope);
        let reservation = match inner.ledger.reserve(NOW_MS, scopes, Some(bound)) {
            Ok(reservation) => reservation.id,
            Err(Denied::Cap { cap, spent, .. }) => {
                let is_hopeless = spent + bound > cap || inner.ledger.open() == 0;
                return Err(if is_hopeless {
                    NotHeld::Never(Failure::Budget)
                } else {
                    NotHeld::Wait
                });
            }
            Err(_) => return Err(NotHeld::Never(Failure::NoBound)),
        };
        match inner.journal.reserve(digest, arm, bound) {
            Ok(call) => Ok(Held {
                call,
                reservation,
                bound,
            }),
            Err(error) => {
                let _ = inner.ledger.release(NOW_MS, reservation);
                Err(NotHeld::Fatal(error))
            }
        }
    }

    /// Charges what the call did cost, at most its bound, and keeps its answer.
    pub(crate) fn settle(
        &self,
        held: Held,
        digest: &str,
        charged: Usd,
        outcome: Result<Answer, Failure>,
    ) -> Result<Option<Arc<Answer>>, CollectError> {
        let charged = charged.clamp(Usd::ZERO, held.bound);
        let mut inner = self.lock();
        let answer = inner.journal.settle(held.call, digest, charged, outcome)?;
        let settled = inner.ledger.settle(NOW_MS, held.reservation, charged);
        settled.expect("a reservation of this ledger, and an amount within it");
        drop(inner);
        self.freed.notify_waiters();
        Ok(answer)
    }

    /// Told whenever a reservation is settled.
    pub(crate) fn freed(&self) -> &Notify {
        &self.freed
    }

    pub(crate) fn account(&self) -> Account {
        self.lock()
            .ledger
            .of(&self.scope)
            .expect("the scope has a cap")
    }

    pub(crate) fn earlier(&self) -> Earlier {
        self.earlier
    }

    /// What no run has spent and no call holds.
    pub(crate) fn remaining(&self) -> Usd {
        let account = self.account();
        let left = self.budget - self.earlier.spent_usd - account.spent - account.reserved;
        left.max(Usd::ZERO)
    }
}
