//! Bytes that say what they are, which version, and whether they are whole.
//!
//! Layout, integers little-endian: magic (8), format version u32 (4), payload length u64 (8),
//! BLAKE3 of everything before and after this field (32), payload.

use serde::de::DeserializeOwned;

use crate::snapshot::SnapshotError;

/// Bytes before the payload.
const HEADER: usize = 52;
/// Where the checksum begins.
const CHECKSUM: usize = 20;

/// What no count reaches by counting: a stored count above it is forged, and could run over.
pub(crate) const COUNT_MAX: u64 = 1 << 62;

/// `payload` behind a header.
pub(crate) fn seal(magic: [u8; 8], version: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(&magic);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    let checksum = checksum(&bytes, payload);
    bytes.extend_from_slice(&checksum);
    bytes.extend_from_slice(payload);
    bytes
}

/// The version and the checked payload; `other` is the error for bytes of another kind.
pub(crate) fn unseal(
    bytes: &[u8],
    magic: [u8; 8],
    newest: u32,
    other: SnapshotError,
) -> Result<(u32, &[u8]), SnapshotError> {
    if bytes.get(..8).is_none_or(|first| first != magic) {
        return Err(other);
    }
    let got = bytes.len() as u64;
    let Some((header, payload)) = bytes.split_at_checked(HEADER) else {
        return Err(SnapshotError::Length {
            got,
            expected: HEADER as u64,
        });
    };
    let version = u32::from_le_bytes(array(header, 8));
    if version > newest {
        return Err(SnapshotError::Newer {
            got: version,
            newest,
        });
    }
    if version == 0 {
        return Err(SnapshotError::UnknownVersion { got: version });
    }
    let length = u64::from_le_bytes(array(header, 12));
    if length != payload.len() as u64 {
        let expected = length.saturating_add(HEADER as u64);
        return Err(SnapshotError::Length { got, expected });
    }
    if checksum(&header[..CHECKSUM], payload) != array::<32>(header, CHECKSUM) {
        return Err(SnapshotError::Corrupt { offset: CHECKSUM });
    }
    Ok((version, payload))
}

/// The value of a payload in CBOR.
pub(crate) fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, SnapshotError> {
    crate::cbor::take(&mut &*payload).map_err(|what| SnapshotError::Invalid { what })
}

/// N bytes of `bytes` from `at`, which the caller knows to be there.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn checksum(header: &[u8], payload: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}

/// Bytes as one CBOR byte string, not as a list of numbers.
pub(crate) mod bytes {
    use serde::de::{Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl<'de> Visitor<'de> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a byte string")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = seq.next_element()? {
                bytes.push(byte);
            }
            Ok(bytes)
        }
    }
}
