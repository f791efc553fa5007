//! The outcome log in memory: requests, and what each arm answered to them.

use std::collections::BTreeMap;

use plimsoll::{ArmId, Propensity, Quality, Usd};
use serde::{Deserialize, Serialize};

use crate::catalogue::tier_of;
use crate::row::LogRow;

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
    const SERVICE_TIER: &str = "service_tier";
    const CACHE_WRITES: &str = "cache_write_tokens";
    const CACHE_WRITES_1H: &str = "cache_write_1h_tokens";

    /// The columns that it comes from.
    pub(crate) const COLUMNS: [&str; 3] = [
        Self::SERVICE_TIER,
        Self::CACHE_WRITES,
        Self::CACHE_WRITES_1H,
    ];

    /// What the further columns of a row say, if anything.
    pub(crate) fn of_columns<'c>(
        columns: impl IntoIterator<Item = (&'c String, &'c String)>,
    ) -> Option<Box<Self>> {
        let mut billing = Self::default();
        for (name, value) in columns {
            let counted = match name.as_str() {
                Self::SERVICE_TIER => {
                    billing.service_tier = tier_of(value);
                    continue;
                }
                Self::CACHE_WRITES => &mut billing.cache_write_tokens,
                Self::CACHE_WRITES_1H => &mut billing.cache_write_1h_tokens,
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

    /// The columns that say this; a count that could not be read still cannot.
    fn columns(&self) -> Vec<(String, String)> {
        let count = |count: Option<u64>| count.map(|count| count.to_string());
        let unreadable = || self.is_unreadable.then(|| "unreadable".to_owned());
        let values = [
            self.service_tier.clone(),
            count(self.cache_write_tokens).or_else(unreadable),
            count(self.cache_write_1h_tokens).or_else(unreadable),
        ];
        let named = Self::COLUMNS.into_iter().zip(values);
        named
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

impl OutcomeLog {
    /// The row of one of a request's outcomes, as [`LogWriter`](crate::LogWriter) writes it.
    #[must_use]
    pub fn row(&self, request: &Request, outcome: &Outcome) -> LogRow {
        let mut row = LogRow {
            model: self.arms[outcome.arm as usize].to_string(),
            quality: outcome.quality,
            cost: outcome.cost,
            input_tokens: outcome.input_tokens,
            output_tokens: outcome.output_tokens,
            cached_input_tokens: outcome.cached_input_tokens,
            reasoning_tokens: outcome.reasoning_tokens,
            propensity: outcome.propensity,
            served: outcome.served,
            latency_ms: outcome.latency_ms,
            status: outcome.status.clone(),
            ..self.request_row(request)
        };
        if outcome.billing == Billing::of_columns(&request.extra) {
            // In the words of the input.
            let own = Billing::COLUMNS.into_iter().filter_map(|name| {
                let value = request.extra.get(name)?;
                Some((name.to_owned(), value.clone()))
            });
            row.extra.extend(own);
        } else if let Some(billing) = &outcome.billing {
            row.extra.extend(billing.columns());
        }
        row
    }

    /// What every row of a request says, whatever its arm: a row without a model and an answer.
    #[must_use]
    pub fn request_row(&self, request: &Request) -> LogRow {
        let name = |arm: &u32| self.arms[*arm as usize].to_string();
        let candidates = request.candidates.as_ref();
        let extra = request.extra.iter();
        LogRow {
            request_id: request.id.clone(),
            timestamp_us: request.timestamp_us,
            prompt: request.prompt.clone(),
            embedding: request.embedding.clone(),
            task: request.task.clone(),
            tenant: request.tenant.clone(),
            session_id: request.session_id.clone(),
            candidates: candidates.map(|arms| arms.iter().map(name).collect()),
            extra: extra
                .filter(|(name, _)| !Billing::COLUMNS.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            ..LogRow::default()
        }
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
