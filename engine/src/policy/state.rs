//! Policies as bytes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    Cascade, Fixed, LinTs, LinUcb, MeanBandit, Policy, PolicyError, PredictorBandit, Random,
    RulePolicy, SharedLinear,
};

/// A state as bytes (CBOR): equal states give equal bytes.
pub fn encode_state<T: Serialize>(state: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(state, &mut bytes).expect("writing to memory cannot fail");
    bytes
}

/// The state of [`encode_state`]'s bytes.
///
/// # Errors
/// [`PolicyError::State`] when the bytes do not hold such a state.
pub fn decode_state<T: DeserializeOwned>(policy: &str, bytes: &[u8]) -> Result<T, PolicyError> {
    crate::cbor::take(&mut &*bytes).map_err(|what| PolicyError::State {
        policy: policy.to_owned(),
        what,
    })
}

/// The built-in policy of that name; `None`: no built-in policy has it.
pub(crate) fn built_in(name: &str, bytes: &[u8]) -> Option<Result<Box<dyn Policy>, PolicyError>> {
    Some(match name {
        RulePolicy::NAME => load(name, bytes, RulePolicy::is_sound),
        Cascade::NAME => load(name, bytes, Cascade::is_sound),
        Fixed::NAME => load(name, bytes, Fixed::is_sound),
        LinTs::NAME => load(name, bytes, LinTs::is_sound),
        LinUcb::NAME => load(name, bytes, LinUcb::is_sound),
        SharedLinear::UCB | SharedLinear::THOMPSON => load(name, bytes, SharedLinear::is_sound),
        Random::NAME => load(name, bytes, Random::is_sound),
        name if MeanBandit::NAMES.contains(&name) => load(name, bytes, MeanBandit::is_sound),
        name if PredictorBandit::NAMES.contains(&name) => {
            load(name, bytes, PredictorBandit::is_sound)
        }
        _ => return None,
    })
}

fn load<P: Policy + DeserializeOwned + 'static>(
    name: &str,
    bytes: &[u8],
    is_sound: impl Fn(&P) -> bool,
) -> Result<Box<dyn Policy>, PolicyError> {
    let policy: P = decode_state(name, bytes)?;
    Ok(Box::new(sound(policy, |policy| {
        is_sound(policy) && policy.name() == name
    })?))
}

/// A decoded policy whose parts fit together.
pub(super) fn sound<P: Policy>(policy: P, is_sound: impl Fn(&P) -> bool) -> Result<P, PolicyError> {
    if is_sound(&policy) {
        Ok(policy)
    } else {
        Err(PolicyError::State {
            policy: policy.name().to_owned(),
            what: "its parts do not fit together".to_owned(),
        })
    }
}
