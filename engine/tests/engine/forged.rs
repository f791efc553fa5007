//! ROBUSTNESS.md S10: states that no router was ever in, behind a right checksum. Each is what a
//! fuzz target found (`fuzz/README.md`), kept without the fuzzer.

use ciborium::Value;
use plimsoll::{
    ArmBelief, ArmSpec, Cap, Ledger, LinUcb, LinearConfig, Live, OpenLimits, PredictorKind, Price,
    PrincipalComponents, Router, Scope, ScopeKind, SnapshotError,
};

use crate::common::{arm, arms, contexts, plain};

/// Bytes before the payload.
const HEADER: usize = 52;

/// The same sealed bytes, with another value at `path`: keys of maps and positions in lists, through
/// byte strings that hold further states.
fn forge(sealed: &[u8], path: &[&str], value: &Value) -> Vec<u8> {
    let mut payload: Value = ciborium::from_reader(&sealed[HEADER..]).expect("CBOR");
    set(&mut payload, path, value);
    let payload = cbor(&payload);
    let mut bytes = sealed[..12].to_vec();
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes).update(&payload);
    bytes.extend_from_slice(hasher.finalize().as_bytes());
    bytes.extend_from_slice(&payload);
    bytes
}

fn set(at: &mut Value, path: &[&str], value: &Value) {
    let Some((first, rest)) = path.split_first() else {
        *at = value.clone();
        return;
    };
    match at {
        Value::Map(fields) => {
            let found = fields
                .iter_mut()
                .find(|(key, _)| key.as_text() == Some(first));
            set(
                &mut found.unwrap_or_else(|| panic!("no `{first}`")).1,
                rest,
                value,
            );
        }
        Value::Array(items) => set(
            &mut items[first.parse::<usize>().expect("a position")],
            rest,
            value,
        ),
        Value::Bytes(bytes) if bytes.starts_with(b"PLIM") => *bytes = forge(bytes, path, value),
        Value::Bytes(bytes) => {
            let mut state: Value = ciborium::from_reader(bytes.as_slice()).expect("CBOR");
            set(&mut state, path, value);
            *bytes = cbor(&state);
        }
        other => panic!("`{first}` of {other:?}"),
    }
}

fn cbor(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("memory does not fail");
    bytes
}

fn lin_ucb(rank: Option<usize>) -> Router {
    let config = LinearConfig {
        rank,
        ..LinearConfig::default()
    };
    let cost = plimsoll::CostPredictor::fit(&arms(3), []).expect("fits");
    let policy = LinUcb::new(3, 4, 0.5, config).expect("sound");
    Router::with_policy(arms(3), None, cost, Box::new(policy)).expect("fits")
}

#[test]
fn s10_forged_routers_are_refused() {
    let (beta, knn) = (plain(PredictorKind::Beta), plain(PredictorKind::Knn));
    let most = Value::from(u64::MAX);
    let (linear, low_rank) = (lin_ucb(None), lin_ucb(Some(2)));
    for (router, path) in [
        // Counts that would run over.
        (&beta, &["epoch"][..]),
        (&beta, &["cost", "arms", "0", "recorded"]),
        (
            &beta,
            &["cost", "arms", "0", "regression", "precision", "stale"],
        ),
        // Few bytes that ask for much memory.
        (&beta, &["state", "predictor", "dimensions"]),
        (&knn, &["state", "predictor", "dimensions"]),
        (&linear, &["state", "linear", "arms", "0", "outcomes"]),
        (&linear, &["state", "linear", "dimensions"]),
        (&low_rank, &["state", "linear", "projection", "rank"]),
        (&low_rank, &["state", "linear", "projection", "dimensions"]),
    ] {
        let bytes = router.snapshot();
        let same = forge(
            &bytes,
            &[],
            &ciborium::from_reader(&bytes[HEADER..]).expect("CBOR"),
        );
        assert_eq!(same, bytes, "forging nothing changes nothing");
        let restored = Router::restore(&forge(&bytes, path, &most));
        assert!(
            matches!(restored, Err(SnapshotError::Invalid { .. })),
            "{path:?}"
        );
    }
}

/// Components that nothing was fitted with: corrupt, of another shape, or under other settings.
#[test]
fn s10_forged_components_are_refused() {
    let cost = plimsoll::CostPredictor::fit(&arms(3), []).expect("fits");
    let components = PrincipalComponents::fit(&contexts(50, 4, 5), 2).expect("fits");
    let policy = LinUcb::with_components(3, components, 0.5, LinearConfig::default());
    let policy = Box::new(policy.expect("sound"));
    let router = Router::with_policy(arms(3), None, cost, policy).expect("fits");
    let bytes = router.snapshot();
    assert_eq!(Router::restore(&bytes).expect("restores").snapshot(), bytes);
    let floats = |values: &[f64]| Value::Array(values.iter().map(|v| Value::Float(*v)).collect());
    let nan = Value::Float(f64::NAN);
    let projection = ["state", "linear", "projection"];
    for (path, value) in [
        (&["components", "rows", "0"][..], Value::Float(0.9)),
        (&["components", "rows", "7"], nan.clone()),
        (&["components", "rows", "3"], Value::Float(1e30)),
        (
            &["components", "rows"],
            floats(&[0.6, 0.8, 0.0, 0.0, 0.8, 0.6, 0.0, 0.0]),
        ),
        (&["components", "rows"], floats(&[1.0, 0.0, 0.0, 0.0])),
        (
            &["components", "rows"],
            floats(&[1.0, 0.0, 0.0, 0.0, 0.0, 1.0]),
        ),
        (&["components", "rows"], floats(&[])),
        (&["components", "mean"], floats(&[])),
        (&["components", "mean"], floats(&[0.0; 8])),
        (&["components", "mean", "1"], nan.clone()),
        (&["components", "mean", "1"], Value::Float(1e13)),
        (&["components", "variance_share"], nan),
        (&["components", "variance_share"], Value::Float(1.1)),
        (&["components"], Value::Null),
        (&["rank"], Value::from(3)),
        (&["dimensions"], Value::from(u64::MAX)),
    ] {
        let path = [&projection, path].concat();
        let restored = Router::restore(&forge(&bytes, &path, &value));
        assert!(
            matches!(restored, Err(SnapshotError::Invalid { .. })),
            "{path:?}"
        );
    }
    for (path, value) in [
        (["config", "intercept"], Value::Bool(false)),
        (["config", "rank"], Value::from(2)),
    ] {
        let path = [&["state", "linear"][..], &path].concat();
        let restored = Router::restore(&forge(&bytes, &path, &value));
        assert!(
            matches!(restored, Err(SnapshotError::Invalid { .. })),
            "{path:?}"
        );
    }
}

#[test]
fn s10_forged_services_are_refused() {
    let mut ledger = Ledger::default();
    let cap = Cap {
        limit: "1".parse().expect("an amount"),
        window_ms: None,
    };
    let scope = Scope::new(ScopeKind::Tenant, "acme");
    ledger.set_cap(scope, cap).expect("a cap");
    let live = Live::new(lin_ucb(None), OpenLimits::default()).with_ledger(ledger);
    let bytes = live.snapshot();
    for path in [
        &["sequence"][..],
        &["counts", "opened"],
        &["counts", "refused"],
        &["parts", "0", "bytes", "epoch"],
        &["parts", "2", "bytes", "ledger", "made"],
    ] {
        let restored = Live::restore(&forge(&bytes, path, &Value::from(u64::MAX)));
        assert!(
            matches!(restored, Err(SnapshotError::Invalid { .. })),
            "{path:?}"
        );
    }
}

/// A factor whose squares do not fit would make the first outcome the last that can be stored.
#[test]
fn s10_forged_numbers_too_large_to_compute_with_are_refused() {
    for (kind, name) in [
        (PredictorKind::Logistic, "Logistic"),
        (PredictorKind::Linear, "Linear"),
    ] {
        let bytes = plain(kind).snapshot();
        let factor: &[&str] = if kind == PredictorKind::Logistic {
            &["arms", "0", "precision", "factor", "entries", "0"]
        } else {
            &["precisions", "0", "factor", "entries", "0"]
        };
        let path = [&["state", "predictor", "inner", name], factor].concat();
        let restored = Router::restore(&forge(&bytes, &path, &Value::Float(6e163)));
        assert!(
            matches!(restored, Err(SnapshotError::Invalid { .. })),
            "{kind}"
        );
        let large = Router::restore(&forge(&bytes, &path, &Value::Float(6e60)));
        assert!(large.is_ok(), "{kind}: large is not too large");
    }
}

/// Prices may be anything that fits: what is computed of them must not run over.
#[test]
fn s10_the_largest_prices_are_only_expensive() {
    let most = Price::from_pico_per_token(u64::MAX);
    assert_eq!(most.of(u64::MAX).pico(), i128::MAX);
    let mut router = lin_ucb(None);
    let mut dear = ArmSpec::new(arm("arm-0")).priced(most, most);
    dear.context_window_tokens = Some(u64::MAX);
    router.set_arm(dear).expect("known");
    let belief = ArmBelief::Prices { strength: 5.0 };
    let new = ArmSpec::new(arm("new")).priced(most, most);
    router.add_arm(new, &belief).expect("added");
    let context = plimsoll::Context::default();
    let call = plimsoll::Call::new(&context, "k", plimsoll::Seed(1));
    assert_eq!(
        router.cost_bound(&call, 0),
        None,
        "more than the largest amount"
    );
}
