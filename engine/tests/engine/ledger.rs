//! Hard caps: reserved + spent ≤ cap under every interleaving, windows by event time.

use plimsoll::{
    Account, Cap, Denied, Ledger, LedgerError, Overrun, Scope, ScopeKind, Settlement, Usd,
};
use proptest::prelude::*;

fn usd(pico: i128) -> Usd {
    Usd::from_pico(pico)
}

fn tenant(name: &str) -> Scope {
    Scope::new(ScopeKind::Tenant, name)
}

fn capped(limit: i128, window_ms: Option<u64>) -> Ledger {
    let mut ledger = Ledger::new(1_000);
    let limit = usd(limit);
    let cap = Cap { limit, window_ms };
    ledger.set_cap(tenant("a"), cap).expect("a cap");
    ledger
}

fn account(ledger: &Ledger) -> Account {
    ledger.of(&tenant("a")).expect("an account")
}

/// ROBUSTNESS.md G01 in the engine: 1,000 calls of one cent against one dollar, of which exactly
/// 100 are admitted, whatever is settled in between.
#[test]
fn g01_exactly_what_fits_is_admitted() {
    let mut ledger = capped(1_000_000_000_000, None);
    let cent = usd(10_000_000_000);
    let admitted: Vec<u64> = (0..1_000)
        .filter_map(|i| ledger.reserve(i, &[tenant("a")], Some(cent)).ok())
        .map(|held| held.id)
        .collect();
    assert_eq!(admitted.len(), 100);
    for id in &admitted {
        ledger.settle(999, *id, cent).expect("settles");
    }
    assert_eq!(account(&ledger).spent, usd(1_000_000_000_000));
    assert!(ledger.reserve(999, &[tenant("a")], Some(usd(1))).is_err());
}

#[test]
fn settling_is_idempotent_and_frees_the_rest() {
    let mut ledger = capped(100, None);
    let held = ledger
        .reserve(0, &[tenant("a")], Some(usd(80)))
        .expect("fits");
    assert_eq!(account(&ledger).reserved, usd(80));
    let charged = Settlement::Charged {
        amount: usd(30),
        overrun: None,
    };
    assert_eq!(ledger.settle(1, held.id, usd(30)), Ok(charged));
    let after = ledger.clone();
    assert_eq!(ledger.settle(1, held.id, usd(30)), Ok(Settlement::Before));
    assert_eq!(ledger.release(1, held.id), Ok(Settlement::Before));
    assert_eq!(ledger, after);
    assert_eq!(
        (account(&ledger).spent, account(&ledger).reserved),
        (usd(30), usd(0))
    );
    let unknown = LedgerError::UnknownReservation { got: 7, made: 1 };
    assert_eq!(ledger.settle(1, 7, usd(1)), Err(unknown));
    let released = ledger
        .reserve(2, &[tenant("a")], Some(usd(70)))
        .expect("fits");
    ledger.release(3, released.id).expect("releases");
    assert_eq!(
        (account(&ledger).spent, account(&ledger).reserved),
        (usd(30), usd(0))
    );
}

#[test]
fn what_costs_more_than_reserved_is_charged_and_reported() {
    let mut ledger = capped(100, None);
    let held = ledger
        .reserve(0, &[tenant("a")], Some(usd(90)))
        .expect("fits");
    let overrun = Overrun {
        reserved: usd(90),
        actual: usd(130),
    };
    let charged = Settlement::Charged {
        amount: usd(130),
        overrun: Some(overrun),
    };
    assert_eq!(ledger.settle(1, held.id, usd(130)), Ok(charged));
    let now = account(&ledger);
    assert_eq!(
        (now.spent, now.overruns, now.overrun),
        (usd(130), 1, usd(40))
    );
    assert!(matches!(
        ledger.reserve(2, &[tenant("a")], Some(usd(0))),
        Err(Denied::Cap { .. })
    ));
}

#[test]
fn expired_holds_are_charged_in_full_and_late_bills_beyond_them_too() {
    let mut ledger = capped(100, None);
    let held = ledger
        .reserve(0, &[tenant("a")], Some(usd(60)))
        .expect("fits");
    assert_eq!(held.expires_ms, 1_000);
    ledger.advance(999);
    assert_eq!(account(&ledger).reserved, usd(60));
    ledger.advance(1_000);
    assert_eq!(
        (account(&ledger).spent, account(&ledger).reserved),
        (usd(60), usd(0))
    );
    assert_eq!(ledger.open(), 0);
    // A late bill below the hold changes nothing; one beyond it is not lost.
    let mut cheap = ledger.clone();
    let late = Settlement::Late { overrun: None };
    assert_eq!(cheap.settle(1_500, held.id, usd(10)), Ok(late));
    assert_eq!(account(&cheap).spent, usd(60));
    ledger.settle(1_500, held.id, usd(75)).expect("settles");
    assert_eq!(
        (account(&ledger).spent, account(&ledger).overrun),
        (usd(75), usd(15))
    );
    assert_eq!(
        ledger.settle(1_501, held.id, usd(75)),
        Ok(Settlement::Before)
    );
}

/// ROBUSTNESS.md G04 in the engine: a window ends once, and never because time went back.
#[test]
fn g04_windows_end_exactly_once() {
    let mut ledger = capped(100, Some(1_000));
    let spend = |ledger: &mut Ledger, at: i64, amount: i128| {
        let held = ledger.reserve(at, &[tenant("a")], Some(usd(amount)))?;
        ledger.settle(at, held.id, usd(amount)).expect("settles");
        Ok::<(), Denied>(())
    };
    spend(&mut ledger, 500, 80).expect("fits");
    assert!(spend(&mut ledger, 999, 30).is_err());
    spend(&mut ledger, 1_000, 30).expect("a new window");
    assert_eq!(
        (account(&ledger).window, account(&ledger).spent),
        (1, usd(30))
    );
    // An hour back and forth: still the window that it was.
    spend(&mut ledger, -3_600_000, 50).expect("fits");
    assert!(spend(&mut ledger, 1_500, 30).is_err());
    assert_eq!(
        (account(&ledger).window, account(&ledger).spent),
        (1, usd(80))
    );
    // A hold outlives its window and counts in the next one.
    ledger
        .reserve(1_900, &[tenant("a")], Some(usd(20)))
        .expect("fits");
    ledger.advance(2_100);
    assert_eq!(
        (account(&ledger).spent, account(&ledger).reserved),
        (usd(0), usd(20))
    );
    assert!(spend(&mut ledger, 2_100, 81).is_err());
    // Before 1970 windows are as long as after.
    let mut early = capped(100, Some(1_000));
    spend(&mut early, -1_500, 100).expect("fits");
    assert!(spend(&mut early, -1_001, 1).is_err());
    spend(&mut early, -1_000, 1).expect("a new window");
}

/// ROBUSTNESS.md G02 and G06 in the engine: unknown spenders have the default cap, and a call
/// without a price is denied where there is a cap.
#[test]
fn g02_g06_unknown_tenants_and_prices_are_capped() {
    let mut ledger = Ledger::default();
    let cap = Cap {
        limit: usd(50),
        window_ms: None,
    };
    ledger
        .set_default_cap(ScopeKind::Tenant, cap)
        .expect("a cap");
    let free = Scope::new(ScopeKind::Arm, "large");
    assert!(
        ledger
            .reserve(0, &[tenant("new"), free.clone()], Some(usd(51)))
            .is_err()
    );
    ledger
        .reserve(0, &[tenant("new"), free.clone()], Some(usd(50)))
        .expect("fits");
    assert_eq!(
        ledger.reserve(0, &[free.clone(), tenant("other")], None),
        Err(Denied::Unpriced {
            scope: tenant("other")
        })
    );
    assert!(ledger.reserve(0, &[free], None).is_ok());
    let negative = LedgerError::Amount {
        name: "amount",
        got: usd(-1),
    };
    assert_eq!(
        ledger.reserve(0, &[tenant("new")], Some(usd(-1))),
        Err(Denied::Amount(negative))
    );
    let endless = Cap {
        window_ms: Some(0),
        ..cap
    };
    assert_eq!(
        ledger.set_cap(tenant("a"), endless),
        Err(LedgerError::Window)
    );
}

/// All scopes or none: what one denies, the others do not hold.
#[test]
fn a_denied_call_holds_nothing_anywhere() {
    let mut ledger = capped(100, None);
    let provider = Scope::new(ScopeKind::Provider, "p");
    let cap = Cap {
        limit: usd(10),
        window_ms: None,
    };
    ledger.set_cap(provider.clone(), cap).expect("a cap");
    let denied = ledger.reserve(0, &[tenant("a"), provider.clone()], Some(usd(20)));
    let expect = Denied::Cap {
        scope: provider,
        cap: usd(10),
        spent: usd(0),
        reserved: usd(0),
        asked: usd(20),
    };
    assert_eq!(denied, Err(expect));
    assert_eq!(account(&ledger).reserved, usd(0));
    // The same scope twice is one scope.
    ledger
        .reserve(0, &[tenant("a"), tenant("a")], Some(usd(60)))
        .expect("fits");
}

#[derive(Clone, Debug)]
enum Step {
    Reserve { scopes: u8, amount: i128 },
    Settle { pick: usize, share: i128 },
    Release { pick: usize },
    Wait { ms: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u8..8, 0_i128..60).prop_map(|(scopes, amount)| Step::Reserve { scopes, amount }),
        3 => (any::<usize>(), 0_i128..=100).prop_map(|(pick, share)| Step::Settle { pick, share }),
        1 => any::<usize>().prop_map(|pick| Step::Release { pick }),
        2 => (-400_i64..900).prop_map(|ms| Step::Wait { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random interleavings of calls that cost at most what was reserved: no scope ever holds and
    /// spends more than its cap, nothing is lost, and a stored ledger is the same ledger.
    #[test]
    fn reserved_and_spent_stay_below_every_cap(steps in prop::collection::vec(step(), 1..200)) {
        let scopes = [tenant("a"), Scope::new(ScopeKind::Arm, "b"), Scope::new(ScopeKind::Provider, "c")];
        let limits = [100, 150, 120];
        let windows = [None, Some(1_000), Some(2_500)];
        let mut ledger = Ledger::new(1_500);
        for ((scope, limit), window_ms) in scopes.iter().zip(limits).zip(windows) {
            ledger.set_cap(scope.clone(), Cap { limit: usd(limit), window_ms }).expect("a cap");
        }
        let mut now = 0_i64;
        let mut made: Vec<(u64, i128)> = Vec::new();
        for step in steps {
            match step {
                Step::Reserve { scopes: mask, amount } => {
                    let chosen: Vec<Scope> = (0..3).filter(|i| mask >> i & 1 == 1).map(|i| scopes[i].clone()).collect();
                    if let Ok(held) = ledger.reserve(now, &chosen, Some(usd(amount))) {
                        made.push((held.id, amount));
                    }
                }
                Step::Settle { pick, share } if !made.is_empty() => {
                    let (id, amount) = made[pick % made.len()];
                    let actual = usd(amount * share / 100);
                    ledger.settle(now, id, actual).expect("settles");
                    prop_assert_eq!(ledger.settle(now, id, actual), Ok(Settlement::Before));
                }
                Step::Release { pick } if !made.is_empty() => {
                    ledger.release(now, made[pick % made.len()].0).expect("releases");
                }
                Step::Wait { ms } => {
                    now += ms;
                    ledger.advance(now);
                }
                _ => {}
            }
            for (_, account) in ledger.accounts() {
                prop_assert!(account.spent + account.reserved <= account.cap.limit, "{:?}", account);
                prop_assert!(account.spent >= Usd::ZERO && account.reserved >= Usd::ZERO);
                prop_assert_eq!(account.overruns, 0);
            }
            prop_assert!(ledger.is_sound());
        }
        let text = serde_json::to_string(&ledger).expect("serialises");
        let resumed: Ledger = serde_json::from_str(&text).expect("parses");
        prop_assert_eq!(resumed, ledger);
    }
}
