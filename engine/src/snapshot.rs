//! A router as bytes: exact, checked, versioned.
//!
//! Layout, integers little-endian: magic `PLIMSOLL` (8), format version u32 (4), payload length
//! u64 (8), BLAKE3 of everything before and after this field (32), payload (CBOR).

use crate::router::Router;

/// First bytes of every snapshot.
pub const SNAPSHOT_MAGIC: [u8; 8] = *b"PLIMSOLL";
/// Format version written, and the newest that is read.
pub const SNAPSHOT_VERSION: u32 = 1;
/// Bytes before the payload.
const HEADER: usize = 52;
/// Where the checksum begins.
const CHECKSUM: usize = 20;

/// Why bytes are not a router.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes do not begin like a snapshot.
    #[error("not a snapshot: the first 8 bytes are not `PLIMSOLL`")]
    NotSnapshot,
    /// Written by a newer release.
    #[error("snapshot has format version {got}, this release reads up to {newest}")]
    Newer {
        /// Version of the snapshot.
        got: u32,
        /// Newest version that can be read.
        newest: u32,
    },
    /// The version was never written by any release.
    #[error("snapshot has format version {got}, which does not exist")]
    UnknownVersion {
        /// Version of the snapshot.
        got: u32,
    },
    /// Bytes are missing or left over.
    #[error("snapshot has {got} bytes, its header promises {expected}")]
    Length {
        /// Bytes given.
        got: u64,
        /// Bytes promised.
        expected: u64,
    },
    /// The checksum does not match.
    #[error("snapshot is damaged: the checksum at byte {offset} does not match")]
    Corrupt {
        /// Where the checksum stands.
        offset: usize,
    },
    /// The payload cannot be read, or holds a state no router can be in.
    #[error("snapshot payload is invalid: {what}")]
    Invalid {
        /// What is wrong.
        what: String,
    },
}

impl SnapshotError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotSnapshot => "P0550",
            Self::Newer { .. } => "P0551",
            Self::UnknownVersion { .. } => "P0552",
            Self::Length { .. } => "P0553",
            Self::Corrupt { .. } => "P0554",
            Self::Invalid { .. } => "P0555",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::NotSnapshot => "check the path: this file was not written by a router",
            Self::Newer { .. } => "upgrade to the release that wrote it, or a newer one",
            Self::UnknownVersion { .. } | Self::Invalid { .. } => {
                "restore an earlier generation, or fit the router again"
            }
            Self::Length { .. } | Self::Corrupt { .. } => {
                "copy the file again, or restore an earlier generation"
            }
        }
    }
}

impl Router {
    /// The router as bytes: equal routers give equal bytes on every machine.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let payload = self.payload();
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend_from_slice(&SNAPSHOT_MAGIC);
        bytes.extend_from_slice(&SNAPSHOT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        let checksum = checksum(&bytes, &payload);
        bytes.extend_from_slice(&checksum);
        bytes.extend_from_slice(&payload);
        bytes
    }

    /// The router of a snapshot: it decides and learns bit for bit like the one stored.
    ///
    /// Memory is bounded by a small multiple of the bytes given, whatever they claim.
    ///
    /// # Errors
    /// [`SnapshotError`] when the bytes are not a whole, undamaged snapshot of a known version.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let payload = payload_of(bytes)?;
        let router: Self =
            ciborium::from_reader(payload).map_err(|error| SnapshotError::Invalid {
                what: describe(&error),
            })?;
        if !router.is_sound() {
            let what = "its parts do not fit together".to_owned();
            return Err(SnapshotError::Invalid { what });
        }
        Ok(router)
    }

    /// BLAKE3 (hex) of the whole state: equal hashes mean equal decisions ever after.
    #[must_use]
    pub fn state_hash(&self) -> String {
        blake3::hash(&self.payload()).to_hex().to_string()
    }

    fn payload(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        ciborium::into_writer(self, &mut payload).expect("writing to memory cannot fail");
        payload
    }
}

/// The checked payload of a snapshot.
fn payload_of(bytes: &[u8]) -> Result<&[u8], SnapshotError> {
    if bytes.get(..8).is_none_or(|magic| magic != SNAPSHOT_MAGIC) {
        return Err(SnapshotError::NotSnapshot);
    }
    let got = bytes.len() as u64;
    let Some((header, payload)) = bytes.split_at_checked(HEADER) else {
        return Err(SnapshotError::Length {
            got,
            expected: HEADER as u64,
        });
    };
    let version = u32::from_le_bytes(array(header, 8));
    if version > SNAPSHOT_VERSION {
        return Err(SnapshotError::Newer {
            got: version,
            newest: SNAPSHOT_VERSION,
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
    Ok(payload)
}

fn array<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&header[at..at + N]);
    out
}

fn checksum(header: &[u8], payload: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    *hasher.finalize().as_bytes()
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
