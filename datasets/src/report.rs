//! What `validate` says about a log: counts, coverage, evidence and warnings.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use crate::assemble::Tally;
use crate::evidence::{Evidence, labelled_per_arm};
use crate::log::{OutcomeLog, Request};
use crate::misspelt::misspelt;
use crate::timestamp;

/// What is in a log, and what was wrong with it. Holds no prompt and no value of an unknown column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValidationReport {
    /// The files, in the order they were read.
    pub files: Vec<FileSummary>,
    /// BLAKE3 digest (hex) of all input bytes.
    pub digest: String,
    /// Rows read, rejected ones included.
    pub rows_read: u64,
    /// Rows left out, conflicting ones included.
    pub rows_rejected: u64,
    /// Rows identical to an earlier one, merged into it.
    pub rows_duplicate: u64,
    /// Rows left out because rows of one `request_id` and `model` contradict each other.
    pub rows_conflicting: u64,
    /// Rows left out because a time lies before one it must follow.
    pub rows_clock_skew: u64,
    /// Rejected rows by the name of their reason.
    pub rejects_by_reason: BTreeMap<String, u64>,
    /// Requests.
    pub requests: u64,
    /// Outcomes: pairs of request and arm.
    pub outcomes: u64,
    /// What kind of evidence this is.
    pub evidence: Evidence,
    /// Every arm, by name.
    pub arms: Vec<ArmCoverage>,
    /// Share of outcomes without a quality.
    pub unlabelled_share: f64,
    /// Share of outcomes without a cost.
    pub unpriced_share: f64,
    /// First and last event; `None` when no request has a timestamp.
    pub time: Option<TimeSpan>,
    /// What intervals may be clustered by; `None` without sessions and tenants.
    pub clusters: Option<Clusters>,
    /// Columns that can be named as segments.
    pub segments: Vec<SegmentColumn>,
    /// Columns of the request that differ between the rows of one request; the first value holds.
    pub columns_varying: Vec<String>,
    /// How much one tenant weighs; `None` without tenants.
    pub influence: Option<TenantInfluence>,
    /// What a reader of any result should know.
    pub warnings: Vec<Warning>,
}

/// One file of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileSummary {
    /// Its name.
    pub name: String,
    /// `parquet`, `csv` or `jsonl`.
    pub format: &'static str,
    /// Its rows.
    pub rows: u64,
}

/// How well one arm is covered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmCoverage {
    /// The arm.
    pub arm: String,
    /// Requests with an outcome of this arm.
    pub outcomes: u64,
    /// Requests with a quality of this arm.
    pub labelled: u64,
    /// Labelled requests as a share of all requests.
    pub coverage: f64,
    /// Share of its outcomes without a quality.
    pub unlabelled_share: f64,
    /// Share of its outcomes without a cost.
    pub unpriced_share: f64,
}

/// First and last event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeSpan {
    /// First event, RFC 3339.
    pub first: String,
    /// Last event, RFC 3339.
    pub last: String,
    /// Days between them.
    pub days: f64,
    /// Requests without a timestamp.
    pub requests_without: u64,
}

/// Groups of requests that are not independent of each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clusters {
    /// The column: `session_id`, or `tenant` when there are no sessions.
    pub column: &'static str,
    /// Distinct values; requests without one count as clusters of their own.
    pub count: u64,
    /// Share of requests in the largest.
    pub largest_share: f64,
}

/// A column whose values split the requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentColumn {
    /// The column.
    pub column: String,
    /// Distinct values.
    pub values: u64,
    /// Requests without a value.
    pub missing: u64,
}

/// How much the largest tenants weigh in what is learned: a guard against poisoned labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TenantInfluence {
    /// Distinct tenants.
    pub tenants: u64,
    /// The tenant with most labels.
    pub label_tenant: String,
    /// Its share of all labels.
    pub label_share: f64,
    /// The tenant with the largest sum of quality.
    pub reward_tenant: String,
    /// Its share of the sum of quality.
    pub reward_share: f64,
}

/// Something that limits what the log can show.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Warning {
    /// Not a single quality.
    NoLabels,
    /// An unknown column that is most likely a known one, which has no value in any row.
    Misspelt {
        /// The column as it is.
        column: String,
        /// The column that may be meant.
        meant: String,
    },
    /// All qualities are equal: nothing tells good answers from bad ones.
    NoQualitySignal {
        /// The one quality there is.
        quality: f64,
    },
    /// Rows left out because they contradict each other: several runs in one log, or a key that
    /// names more than one request.
    Conflicting {
        /// Their share of all rows.
        share: f64,
    },
    /// Outcomes without a cost: savings are refused above 1 %.
    Unpriced {
        /// Share of outcomes.
        share: f64,
    },
    /// One tenant gives most of the labels or of the reward.
    TenantDominates {
        /// The tenant.
        tenant: String,
        /// The larger of its two shares.
        share: f64,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoLabels => f.write_str("no quality labels: nothing can be said about quality"),
            Self::Misspelt { column, meant } => write!(
                f,
                "no row has a `{meant}`, but there is an unknown column `{column}`: rename it if \
                 that is what it holds"
            ),
            Self::NoQualitySignal { quality } => {
                write!(f, "no quality signal: every label is {quality}")
            }
            Self::Conflicting { share } => write!(
                f,
                "{:.1} % of rows left out: they contradict others with the same request_id and \
                 model (are several runs in one log?)",
                share * 100.0
            ),
            Self::Unpriced { share } => {
                write!(f, "{:.1} % of outcomes have no cost", share * 100.0)
            }
            Self::TenantDominates { tenant, share } => {
                write!(
                    f,
                    "tenant `{tenant}` gives {:.0} % of the labels or reward",
                    share * 100.0
                )
            }
        }
    }
}

/// A tenant above this share of labels or reward is worth a warning.
const TENANT_SHARE_MAX: f64 = 0.5;

impl ValidationReport {
    /// The report on a log in memory, for which no rows are counted.
    #[must_use]
    pub fn of(log: &OutcomeLog) -> Self {
        Self::new(log, &Tally::default(), Vec::new())
    }

    pub(crate) fn new(log: &OutcomeLog, tally: &Tally, files: Vec<FileSummary>) -> Self {
        let reason = |name: &str| tally.by_reason.get(name).copied().unwrap_or(0);
        let mut report = Self {
            files,
            digest: String::new(),
            rows_read: tally.rows_read,
            rows_rejected: tally.rows_rejected,
            rows_duplicate: tally.duplicates,
            rows_conflicting: tally.rows_conflicting,
            rows_clock_skew: reason("clock-skew"),
            rejects_by_reason: tally.by_reason.clone(),
            requests: 0,
            outcomes: 0,
            evidence: log.evidence(),
            arms: Vec::new(),
            unlabelled_share: 0.0,
            unpriced_share: 0.0,
            time: None,
            clusters: None,
            segments: Vec::new(),
            columns_varying: tally.varying.iter().cloned().collect(),
            influence: None,
            warnings: Vec::new(),
        };
        report.measure(log);
        report
    }

    /// Measures the log again, for instance after it was priced; counts of rows stay.
    pub fn measure(&mut self, log: &OutcomeLog) {
        self.digest.clone_from(&log.digest);
        self.requests = log.requests.len() as u64;
        self.evidence = log.evidence();
        self.arms = arms(log);
        self.outcomes = self.arms.iter().map(|arm| arm.outcomes).sum();
        let labelled: u64 = self.arms.iter().map(|arm| arm.labelled).sum();
        let unpriced = outcomes(log)
            .filter(|(_, outcome)| outcome.cost.is_none())
            .count() as u64;
        self.unlabelled_share = share(self.outcomes - labelled, self.outcomes);
        self.unpriced_share = share(unpriced, self.outcomes);
        self.time = time_span(log);
        self.clusters = clusters(log);
        self.segments = segments(log);
        self.influence = influence(log);
        self.warnings = self.warnings_of(log);
    }

    fn warnings_of(&self, log: &OutcomeLog) -> Vec<Warning> {
        let mut warnings = misspelt(log, &self.segments);
        let mut qualities = outcomes(log).filter_map(|(_, outcome)| outcome.quality);
        match qualities.next() {
            None => warnings.push(Warning::NoLabels),
            Some(first) if qualities.all(|quality| quality == first) => {
                warnings.push(Warning::NoQualitySignal {
                    quality: first.get(),
                });
            }
            Some(_) => {}
        }
        if self.rows_conflicting > 0 {
            let share = share(self.rows_conflicting, self.rows_read);
            warnings.push(Warning::Conflicting { share });
        }
        if self.unpriced_share > 0.0 {
            warnings.push(Warning::Unpriced {
                share: self.unpriced_share,
            });
        }
        if let Some(influence) = &self.influence
            && influence.tenants > 1
        {
            let (tenant, share) = if influence.label_share >= influence.reward_share {
                (&influence.label_tenant, influence.label_share)
            } else {
                (&influence.reward_tenant, influence.reward_share)
            };
            if share > TENANT_SHARE_MAX {
                warnings.push(Warning::TenantDominates {
                    tenant: tenant.clone(),
                    share,
                });
            }
        }
        warnings
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts in memory stay below 2^53"
)]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

fn outcomes(log: &OutcomeLog) -> impl Iterator<Item = (&Request, &crate::log::Outcome)> {
    log.requests
        .iter()
        .flat_map(|request| request.outcomes.iter().map(move |o| (request, o)))
}

fn arms(log: &OutcomeLog) -> Vec<ArmCoverage> {
    let requests = log.requests.len() as u64;
    let mut counts = vec![(0, 0); log.arms.len()];
    for (_, outcome) in outcomes(log) {
        let (all, unpriced) = &mut counts[outcome.arm as usize];
        *all += 1;
        *unpriced += u64::from(outcome.cost.is_none());
    }
    let row = |((arm, labelled), (outcomes, unpriced)): ((&plimsoll::ArmId, usize), (u64, u64))| {
        let labelled = labelled as u64;
        ArmCoverage {
            arm: arm.to_string(),
            outcomes,
            labelled,
            coverage: share(labelled, requests),
            unlabelled_share: share(outcomes - labelled, outcomes),
            unpriced_share: share(unpriced, outcomes),
        }
    };
    log.arms
        .iter()
        .zip(labelled_per_arm(log))
        .zip(counts)
        .map(row)
        .collect()
}

fn time_span(log: &OutcomeLog) -> Option<TimeSpan> {
    let times = || {
        log.requests
            .iter()
            .filter_map(|request| request.timestamp_us)
    };
    let (first, last) = (times().min()?, times().max()?);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a span in days needs no microseconds"
    )]
    let days = (last - first) as f64 / 86_400e6;
    Some(TimeSpan {
        first: timestamp::to_text(first),
        last: timestamp::to_text(last),
        days,
        requests_without: (log.requests.len() - times().count()) as u64,
    })
}

fn clusters(log: &OutcomeLog) -> Option<Clusters> {
    let by_session = |request: &Request| request.session_id.clone();
    let by_tenant = |request: &Request| request.tenant.clone();
    let count = |column: &'static str, key: &dyn Fn(&Request) -> Option<String>| {
        let mut sizes: HashMap<String, u64> = HashMap::new();
        let mut alone = 0;
        for request in &log.requests {
            match key(request) {
                Some(name) => *sizes.entry(name).or_default() += 1,
                None => alone += 1,
            }
        }
        let largest = sizes.values().copied().max()?;
        Some(Clusters {
            column,
            count: sizes.len() as u64 + alone,
            largest_share: share(largest, log.requests.len() as u64),
        })
    };
    count("session_id", &by_session).or_else(|| count("tenant", &by_tenant))
}

fn segments(log: &OutcomeLog) -> Vec<SegmentColumn> {
    let mut columns: BTreeMap<&str, (HashSet<&str>, u64)> = BTreeMap::new();
    for request in &log.requests {
        let known = [
            ("task", &request.task),
            ("tenant", &request.tenant),
            ("session_id", &request.session_id),
        ];
        let known = known
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let extra = request
            .extra
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in known.chain(extra) {
            let (values, present) = columns.entry(name).or_default();
            values.insert(value);
            *present += 1;
        }
    }
    let all = log.requests.len() as u64;
    let column = |(column, (values, present)): (&str, (HashSet<&str>, u64))| SegmentColumn {
        column: column.to_owned(),
        values: values.len() as u64,
        missing: all - present,
    };
    columns.into_iter().map(column).collect()
}

fn influence(log: &OutcomeLog) -> Option<TenantInfluence> {
    let mut tenants: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
    let (mut labels, mut reward) = (0, 0.0);
    for (request, outcome) in outcomes(log) {
        let Some(quality) = outcome.quality else {
            continue;
        };
        labels += 1;
        reward += quality.get();
        if let Some(tenant) = request.tenant.as_deref() {
            let entry = tenants.entry(tenant).or_default();
            entry.0 += 1;
            entry.1 += quality.get();
        }
    }
    let (label_tenant, most) = tenants.iter().max_by_key(|(_, (count, _))| *count)?;
    let (reward_tenant, best) = tenants.iter().max_by(|a, b| a.1.1.total_cmp(&b.1.1))?;
    Some(TenantInfluence {
        tenants: tenants.len() as u64,
        label_tenant: (*label_tenant).to_owned(),
        label_share: share(most.0, labels),
        reward_tenant: (*reward_tenant).to_owned(),
        reward_share: if reward > 0.0 { best.1 / reward } else { 0.0 },
    })
}
