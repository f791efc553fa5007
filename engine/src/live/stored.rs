//! A router in service as bytes: parts by name, each in its own format.

use serde::{Deserialize, Serialize};

use super::open::{OpenDecisions, Stored};
use super::{Counts, Live};
use crate::policy::{decode_state, encode_state};
use crate::router::Router;
use crate::sealed::{COUNT_MAX, bytes, read, seal, unseal};
use crate::snapshot::{PolicyLoader, SnapshotError};
use crate::spending::Spending;

/// First bytes of every stored [`Live`].
pub const LIVE_MAGIC: [u8; 8] = *b"PLIMLIVE";
/// Format version written, and the newest that is read.
pub const LIVE_VERSION: u32 = 1;

const ROUTER: &str = "router";
const DECISIONS: &str = "decisions";
/// Only where there are caps.
const SPENDING: &str = "spending";

/// Layout of the payload: every part serialises by itself.
#[derive(Serialize, Deserialize)]
struct Payload {
    sequence: u64,
    counts: Counts,
    parts: Vec<Part>,
}

#[derive(Serialize, Deserialize)]
struct Part {
    name: String,
    #[serde(with = "bytes")]
    bytes: Vec<u8>,
}

impl Live {
    /// The whole state as bytes: equal states give equal bytes on every machine.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let part = |name: &str, bytes| Part {
            name: name.to_owned(),
            bytes,
        };
        let mut parts = vec![
            part(ROUTER, self.router.snapshot()),
            part(DECISIONS, encode_state(&self.open.stored())),
        ];
        if let Some(spending) = &self.spending {
            parts.push(part(SPENDING, encode_state(&spending.stored())));
        }
        let payload = encode_state(&Payload {
            sequence: self.sequence,
            counts: self.counts,
            parts,
        });
        seal(LIVE_MAGIC, LIVE_VERSION, &payload)
    }

    /// The state of a snapshot: it decides and learns bit for bit like the one stored.
    ///
    /// Memory is bounded by a small multiple of the bytes given, whatever they claim, and 64 MiB
    /// for the random projection of a low-rank policy, which is stored as three numbers.
    ///
    /// # Errors
    /// [`SnapshotError`] when the bytes are not a whole, undamaged state of a known version.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        Self::restore_with(bytes, &|_, _| None)
    }

    /// As [`restore`](Self::restore), with a loader for policies of your own: see
    /// [`Router::restore_with`].
    ///
    /// # Errors
    /// As [`restore`](Self::restore); and the loader's.
    pub fn restore_with(bytes: &[u8], loader: &PolicyLoader<'_>) -> Result<Self, SnapshotError> {
        let (_, payload) = unseal(bytes, LIVE_MAGIC, LIVE_VERSION, SnapshotError::NotLive)?;
        let payload: Payload = read(payload)?;
        if payload.sequence > COUNT_MAX || !payload.counts.is_sound() {
            return Err(invalid("its counts are too large".to_owned()));
        }
        let (mut router, mut open, mut spending) = (None, None, None);
        for part in &payload.parts {
            match part.name.as_str() {
                ROUTER if router.is_none() => {
                    router = Some(Router::restore_with(&part.bytes, loader)?);
                }
                DECISIONS if open.is_none() => {
                    open = Some(decisions(&part.bytes, payload.sequence)?);
                }
                SPENDING if spending.is_none() => {
                    spending = Some(spending_of(&part.bytes)?);
                }
                // Left out, it would be lost at the next snapshot without a word.
                name => {
                    return Err(invalid(format!(
                        "part `{name}` is not known, or twice there"
                    )));
                }
            }
        }
        let (Some(router), Some(open)) = (router, open) else {
            return Err(invalid("a part is missing".to_owned()));
        };
        if let Some(arm) = open.arms().find(|arm| router.index(arm).is_err()) {
            return Err(invalid(format!(
                "a decision names arm `{arm}`, which is not there"
            )));
        }
        Ok(Self {
            router,
            open,
            counts: payload.counts,
            spending,
            sequence: payload.sequence,
        })
    }

    /// BLAKE3 (hex) of the whole state: equal hashes mean equal decisions ever after.
    #[must_use]
    pub fn state_hash(&self) -> String {
        blake3::hash(&self.snapshot()).to_hex().to_string()
    }
}

fn decisions(bytes: &[u8], events: u64) -> Result<OpenDecisions, SnapshotError> {
    let stored: Stored =
        decode_state(DECISIONS, bytes).map_err(|error| invalid(error.to_string()))?;
    OpenDecisions::load(stored, events)
        .ok_or_else(|| invalid("its decisions do not fit together".into()))
}

fn spending_of(bytes: &[u8]) -> Result<Spending, SnapshotError> {
    let stored = decode_state(SPENDING, bytes).map_err(|error| invalid(error.to_string()))?;
    Spending::load(stored).ok_or_else(|| invalid("its holds do not add up".into()))
}

fn invalid(what: String) -> SnapshotError {
    SnapshotError::Invalid { what }
}
