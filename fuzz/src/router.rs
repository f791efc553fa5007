//! Bytes of a router.

use ciborium::Value;
use plimsoll::{Router, SNAPSHOT_MAGIC};

use crate::seal::{bounded, item, payload, seal};
use crate::work::put_to_work;

/// A router's payload in any version. Layout: a byte, then two CBOR items: the record, and the
/// state that takes the place of the policy's in it, so that neither holds the other's length.
/// Byte 0: what follows is a file as it is.
#[must_use]
pub fn router(data: &[u8]) -> bool {
    let Some((kind, mut rest)) = data.split_first() else {
        return false;
    };
    let bytes = match kind {
        0 => rest.to_vec(),
        kind => {
            let version = u32::from(*kind);
            let assembled = item(&mut rest).and_then(|record| assemble(record, rest));
            let payload = assembled.unwrap_or_else(|| data[1..].to_vec());
            seal(SNAPSHOT_MAGIC, version, &payload)
        }
    };
    match bounded(&bytes, || Router::restore(&bytes)) {
        Ok(mut router) => {
            put_to_work(&mut router, true);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.code().is_empty());
            false
        }
    }
}

/// The record with that state; `None`: it has no place for one, or there is none.
fn assemble(record: &[u8], state: &[u8]) -> Option<Vec<u8>> {
    let Ok(Value::Map(mut fields)) = ciborium::from_reader(record) else {
        return None;
    };
    let own = fields
        .iter_mut()
        .find(|(key, _)| key.as_text() == Some("state"))?;
    own.1 = Value::Bytes(state.to_vec());
    Some(crate::seal::cbor(&Value::Map(fields)))
}

/// The input that makes this router.
pub(crate) fn disassemble(router: &Router) -> Vec<u8> {
    let snapshot = router.snapshot();
    let mut record: Value = ciborium::from_reader(payload(&snapshot)).expect("a record");
    let Value::Map(fields) = &mut record else {
        panic!("a record is a map");
    };
    let field = fields
        .iter_mut()
        .find(|(key, _)| key.as_text() == Some("state"));
    let state = std::mem::replace(&mut field.expect("a state").1, Value::Bytes(vec![]));
    let mut input = vec![2];
    input.extend(crate::seal::cbor(&record));
    input.extend(state.as_bytes().expect("bytes"));
    input
}
