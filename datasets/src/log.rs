//! The outcome log in memory: requests, and what each arm answered to them.

use std::collections::BTreeMap;

use plimsoll::{ArmId, Propensity, Quality, Usd};
use serde::{Deserialize, Serialize};

use crate::catalogue::tier_of;

/// A validated outcome log: every request once, its outcomes grouped under it.
///
/// Requests keep the order in which they first appear in the input. Arms are sorted by name;
/// an [`Outcome`] names its arm by index into `arms`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutcomeLog {
    /// All arms of the log, sorted by name.
    pub arms: Vec<ArmId>,
    /// The requests, in order of first appearance.
    pub requests: Vec<Request>,
    /// BLAKE3 digest (hex) of the input bytes, in the order of the files' names.
    pub digest: String,
}

/// One request: what was known before an arm was chosen, and the outcomes observed.
#[derive(Clone, Default, PartialEq)]
pub struct Request {
    /// `request_id`.
    pub id: String,
    /// The prompt text; never shown unless the user asks.
    pub prompt: Option<String>,
    /// The caller's own features, shape (d).
    pub embedding: Option<Vec<f32>>,
    /// Task or category.
    pub task: Option<String>,
    /// Tenant, customer or API key group.
    pub tenant: Option<String>,
    /// Session or user: the cluster for intervals.
    pub session_id: Option<String>,
    /// Event time in microseconds since the Unix epoch, UTC.
    pub timestamp_us: Option<i64>,
    /// Input tokens as the first outcome that has them reports.
    pub input_tokens: Option<u64>,
    /// Arms eligible at decision time, as indices into the log's arms; `None`: all.
    pub candidates: Option<Vec<u32>>,
    /// Unknown columns, kept as text, usable as segments. Key: column name.
    pub extra: BTreeMap<String, String>,
    /// Observed outcomes, sorted by arm index; at most one per arm.
    pub outcomes: Vec<Outcome>,
}

/// What one arm answered to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Index into [`OutcomeLog::arms`].
    pub arm: u32,
    /// Quality in [0, 1]; `None`: no label (yet).
    pub quality: Option<Quality>,
    /// Cost of the call; `None`: unpriced, never free.
    pub cost: Option<Usd>,
    /// Input tokens.
    pub input_tokens: Option<u64>,
    /// Output tokens (reasoning tokens are counted apart).
    pub output_tokens: Option<u64>,
    /// Input tokens served from the provider's prompt cache.
    pub cached_input_tokens: Option<u64>,
    /// Hidden reasoning tokens, billed as output.
    pub reasoning_tokens: Option<u64>,
    /// Probability with which the logging policy chose this arm.
    pub propensity: Option<Propensity>,
    /// Whether production used this arm.
    pub served: Option<bool>,
    /// Latency in milliseconds.
    pub latency_ms: Option<f64>,
    /// `ok` or an error class.
    pub status: Option<String>,
    /// What its price depends on besides its tokens; `None`: nothing was logged of it.
    pub billing: Option<Box<Billing>>,
}

/// What the price of a call depends on besides its tokens: the further columns `service_tier`,
/// `cache_write_tokens` and `cache_write_1h_tokens` of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Billing {
    /// The provider's service tier, for instance `batch` or `flex`; `None`: standard.
    pub service_tier: Option<String>,
    /// Input tokens written to the provider's prompt cache, all of them.
    pub cache_write_tokens: Option<u64>,
    /// Of these: kept for an hour.
    pub cache_write_1h_tokens: Option<u64>,
    /// One of the counts is no count, so the call has no known price.
    pub is_unreadable: bool,
}

impl Billing {
    /// What the further columns of a row say, if anything.
    pub(crate) fn of_columns(columns: &[(String, String)]) -> Option<Box<Self>> {
        let mut billing = Self::default();
        for (name, value) in columns {
            let counted = match name.as_str() {
                "service_tier" => {
                    billing.service_tier = tier_of(value);
                    continue;
                }
                "cache_write_tokens" => &mut billing.cache_write_tokens,
                "cache_write_1h_tokens" => &mut billing.cache_write_1h_tokens,
                _ => continue,
            };
            match value.trim() {
                "" => {}
                digits => match digits.strip_suffix(".0").unwrap_or(digits).parse() {
                    Ok(count) => *counted = Some(count),
                    Err(_) => billing.is_unreadable = true,
                },
            }
        }
        (billing != Self::default()).then(|| Box::new(billing))
    }
}

/// What kind of evidence a log is; it decides which claims it can support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EvidenceKind {
    /// At least two arms were observed on (almost) every request.
    FullInformation,
    /// One arm per request, with the probability of its choice.
    LoggedWithPropensities,
    /// One or some arms per request, no propensities: scenarios and bounds only.
    Observational,
}

impl Outcome {
    /// An answer of `arm` of which nothing else is known.
    #[must_use]
    pub fn new(arm: u32) -> Self {
        Self {
            arm,
            quality: None,
            cost: None,
            input_tokens: None,
            output_tokens: None,
            cached_input_tokens: None,
            reasoning_tokens: None,
            propensity: None,
            served: None,
            latency_ms: None,
            status: None,
            billing: None,
        }
    }
}

impl std::fmt::Debug for Request {
    /// Leaves out the prompt and the extra columns: they may hold what must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("task", &self.task)
            .field("outcomes", &self.outcomes.len())
            .finish_non_exhaustive()
    }
}
