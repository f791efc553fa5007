//! A router as bytes: exact, checked, versioned.
//!
//! Layout, integers little-endian: magic `PLIMSOLL` (8), format version u32 (4), payload length
//! u64 (8), BLAKE3 of everything before and after this field (32), payload (CBOR).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::arm::ArmSpec;
use crate::calibration::Calibration;
use crate::cost::CostPredictor;
use crate::difference::Difference;
use crate::exploration::Exploration;
use crate::features::FeatureMap;
use crate::policy::{Policy, PolicyError, RuleParts, RulePolicy, built_in};
use crate::predictor::Predictor;
use crate::router::{Router, names};
use crate::rule::{LambdaControl, Rule};
use crate::sealed::{bytes, read, seal, unseal};

/// First bytes of every snapshot.
pub const SNAPSHOT_MAGIC: [u8; 8] = *b"PLIMSOLL";
/// Format version written, and the newest that is read.
pub const SNAPSHOT_VERSION: u32 = 2;

/// Why bytes are not a router.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes do not begin like a live state.
    #[error("not a live state: the first 8 bytes are not `PLIMLIVE`")]
    NotLive,
    /// The state was made for other arms or another policy than those wanted.
    #[error("the stored state does not fit what is wanted: {difference}")]
    Mismatch {
        /// What differs.
        difference: Box<Difference>,
    },
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
    /// The policy is not built in, and no loader knows it.
    #[error("snapshot holds policy `{policy}`, which is not built in")]
    UnknownPolicy {
        /// Name of the policy.
        policy: String,
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
            Self::NotLive => "P0557",
            Self::Mismatch { .. } => "P0558",
            Self::Newer { .. } => "P0551",
            Self::UnknownVersion { .. } => "P0552",
            Self::Length { .. } => "P0553",
            Self::Corrupt { .. } => "P0554",
            Self::Invalid { .. } => "P0555",
            Self::UnknownPolicy { .. } => "P0556",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::UnknownPolicy { .. } => {
                "restore with a loader for this policy: `Router::restore_with`"
            }
            Self::NotSnapshot => "check the path: this file was not written by a router",
            Self::NotLive => "check the path; a bare router is read by `Router::restore`",
            Self::Mismatch { .. } => {
                "carry the state over with `Difference::events`, or fit the router again"
            }
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
        seal(SNAPSHOT_MAGIC, SNAPSHOT_VERSION, &self.payload())
    }

    /// The router of a snapshot: it decides and learns bit for bit like the one stored.
    ///
    /// Memory is bounded by a small multiple of the bytes given, whatever they claim, and 64 MiB
    /// for the random projection of a low-rank policy, which is stored as three numbers.
    ///
    /// # Errors
    /// [`SnapshotError`] when the bytes are not a whole, undamaged snapshot of a known version, or
    /// hold a policy that is not built in.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        Self::restore_with(bytes, &|_, _| None)
    }

    /// As [`restore`](Self::restore), with a loader for policies of your own: it gets the name and
    /// the bytes of [`Policy::state`] and answers `None` for names it does not know.
    ///
    /// # Errors
    /// As [`restore`](Self::restore); and the loader's.
    pub fn restore_with(bytes: &[u8], loader: &PolicyLoader<'_>) -> Result<Self, SnapshotError> {
        let other = SnapshotError::NotSnapshot;
        let (version, payload) = unseal(bytes, SNAPSHOT_MAGIC, SNAPSHOT_VERSION, other)?;
        let router = match version {
            1 => read::<First>(payload)?.migrate()?,
            _ => read::<Record>(payload)?.load(loader)?,
        };
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
        let record = RecordRef {
            arms: &self.arms,
            features: self.features.as_deref(),
            cost: &self.cost,
            policy: self.policy.name(),
            state: &self.policy.state(),
            epoch: self.epoch,
            down_until_ms: if self.down_until_ms.iter().any(Option::is_some) {
                &self.down_until_ms
            } else {
                &[]
            },
        };
        let mut payload = Vec::new();
        ciborium::into_writer(&record, &mut payload).expect("writing to memory cannot fail");
        payload
    }
}

/// Makes a policy of its name and state; `None`: the name is not known.
pub type PolicyLoader<'a> =
    dyn Fn(&str, &[u8]) -> Option<Result<Box<dyn Policy>, PolicyError>> + 'a;

/// A router as stored since version 2.
#[derive(Deserialize)]
struct Record {
    arms: Vec<ArmSpec>,
    features: Option<FeatureMap>,
    cost: CostPredictor,
    policy: String,
    #[serde(with = "bytes")]
    state: Vec<u8>,
    epoch: u64,
    /// Empty: no arm is marked down.
    #[serde(default)]
    down_until_ms: Vec<Option<i64>>,
}

/// [`Record`] to write.
#[derive(Serialize)]
struct RecordRef<'a> {
    arms: &'a [ArmSpec],
    features: Option<&'a FeatureMap>,
    cost: &'a CostPredictor,
    policy: &'a str,
    #[serde(with = "bytes")]
    state: &'a [u8],
    epoch: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    down_until_ms: &'a [Option<i64>],
}

/// Version 1: every router had a rule over a predictor.
#[derive(Deserialize)]
struct First {
    arms: Vec<ArmSpec>,
    features: Option<FeatureMap>,
    predictor: Predictor,
    calibration: Vec<Calibration>,
    cost: CostPredictor,
    rule: Rule,
    exploration: Exploration,
    control: Option<LambdaControl>,
    epoch: u64,
}

impl Record {
    fn load(self, loader: &PolicyLoader<'_>) -> Result<Router, SnapshotError> {
        let known = built_in(&self.policy, &self.state);
        let policy = known
            .or_else(|| loader(&self.policy, &self.state))
            .ok_or_else(|| SnapshotError::UnknownPolicy {
                policy: self.policy.clone(),
            })?
            .map_err(|error| invalid(&error))?;
        let mut down_until_ms = self.down_until_ms;
        if down_until_ms.is_empty() {
            down_until_ms.resize(self.arms.len(), None);
        }
        Ok(Router {
            down_until_ms,
            names: names(&self.arms).map_err(|error| invalid(&error))?,
            arms: self.arms,
            features: self.features.map(Arc::new),
            cost: self.cost,
            policy,
            epoch: self.epoch,
        })
    }
}

impl First {
    fn migrate(self) -> Result<Router, SnapshotError> {
        let names = names(&self.arms).map_err(|error| invalid(&error))?;
        let policy = RulePolicy::new(RuleParts {
            arms: names.clone(),
            predictor: self.predictor,
            calibration: self.calibration,
            rule: self.rule,
            exploration: self.exploration,
            control: self.control,
        })
        .map_err(|error| invalid(&error))?;
        if !policy.is_sound() {
            let what = "its parts do not fit together".to_owned();
            return Err(SnapshotError::Invalid { what });
        }
        Ok(Router {
            down_until_ms: vec![None; names.len()],
            names,
            arms: self.arms,
            features: self.features.map(Arc::new),
            cost: self.cost,
            policy: Box::new(policy),
            epoch: self.epoch,
        })
    }
}

pub(crate) fn invalid(error: &dyn std::error::Error) -> SnapshotError {
    SnapshotError::Invalid {
        what: error.to_string(),
    }
}
