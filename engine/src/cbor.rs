//! Values in CBOR, read from bytes that may claim anything.

use serde::de::{DeserializeOwned, IgnoredAny};

/// The first value of `bytes`, and taken off them; or what is wrong with it.
///
/// A reader makes room for as many items as a list claims to have, so that nested claims would
/// make a few hundred bytes take a hundred megabytes. Hence a first pass that keeps nothing: after
/// it, all that is claimed is known to be there.
pub(crate) fn take<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, String> {
    let mut whole = *bytes;
    first::<IgnoredAny>(&mut whole)?;
    first(bytes)
}

fn first<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, String> {
    ciborium::from_reader(bytes).map_err(|error| describe(&error))
}

fn describe(error: &ciborium::de::Error<std::io::Error>) -> String {
    match error {
        ciborium::de::Error::Io(_) => "it ends too early".to_owned(),
        ciborium::de::Error::Syntax(offset) => format!("malformed at byte {offset}"),
        ciborium::de::Error::Semantic(Some(offset), what) => format!("{what} at byte {offset}"),
        ciborium::de::Error::Semantic(None, what) => what.clone(),
        ciborium::de::Error::RecursionLimitExceeded => "nested too deeply".to_owned(),
    }
}
