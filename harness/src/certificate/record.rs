//! What is written down: certificates, refusals and checks, as data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::traffic::RequestFilter;
use crate::evaluation::{ArmValue, Interval, Savings};

/// Version of the JSON layout of certificates, refusals and checks.
pub const CERTIFICATE_SCHEMA: u32 = 1;

/// A policy whose quality was proven on rows that had no part in finding it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Layout version, [`CERTIFICATE_SCHEMA`].
    pub schema: u32,
    /// Version of Plimsoll that wrote it.
    pub version: String,
    /// What is claimed, in one sentence.
    pub claim: String,
    /// Who scored the answers, as far as the log says; empty: not recorded. A judge's score is not
    /// quality until people have checked it.
    #[serde(default)]
    pub judges: Vec<String>,
    /// What is certified.
    pub policy: TestedPolicy,
    /// The line.
    pub line: PolicyLine,
    /// One-sided confidence, 1 − δ.
    pub confidence: f64,
    /// Level of the whole procedure: the chance to certify a policy that is below the line.
    pub delta: f64,
    /// The three disjoint parts of the log.
    pub parts: Parts,
    /// What a cluster is: `session_id`, `prompt` or `request_id`.
    pub cluster_by: String,
    /// Most requests that one cluster of the log has: later checks count no more of each.
    pub cluster_requests_max: u64,
    /// The certified policy's margin over the line on the certify part.
    pub bound: Bound,
    /// Its quality there.
    pub quality: Interval,
    /// Its cost there, mean US dollars per request.
    pub cost_usd: Interval,
    /// What it is compared with, on the same rows.
    pub baseline: ArmValue,
    /// What it saves there. Costs of this part had no say in the choice.
    pub savings: Savings,
    /// Whether a segment must be proven, or only not be broken.
    pub segment_mode: SegmentMode,
    /// Columns that make segments.
    pub segment_columns: Vec<String>,
    /// The segments, as the certified policy does there.
    pub segments: Vec<CertifiedSegment>,
    /// Segments that were waived by name, as `column=value`.
    pub waived: Vec<String>,
    /// The tested policies, safest first.
    pub sequence: Vec<Tested>,
    /// Why the sequence ended where it did.
    pub stopped: String,
    /// The next cheaper policy, and what it would take to prove it; null at the cheapest.
    pub next: Option<NextStep>,
    /// How much was searched.
    pub looked_at: LookedAt,
    /// How often the certificate has been looked at: once at birth, and once per recorded check.
    pub looks: u64,
    /// Recorded checks, oldest first.
    pub history: Vec<Look>,
    /// For how long and for which traffic it holds.
    pub expiry: Expiry,
    /// BLAKE3 digests of everything it rests on.
    pub digests: Digests,
    /// Names of the files it belongs with, in its own folder.
    pub files: Files,
    /// The seed.
    pub seed: u64,
    /// A command that gives this certificate again.
    pub command: String,
    /// Which requests had a part in it: later checks set them aside.
    pub requests: RequestFilter,
}

/// A policy in words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestedPolicy {
    /// One line a person can read.
    pub name: String,
    /// The predictor.
    pub predictor: String,
    /// `average-floor` or `per-request-floor`.
    pub rule: String,
}

/// The line to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyLine {
    /// The line as a mean quality on the certify part.
    pub quality: f64,
    /// The arm whose quality is to be kept, when the line is relative.
    pub relative_to: Option<String>,
    /// Share of that arm's quality to keep, when the line is relative.
    pub retain: Option<f64>,
}

/// The three parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// Predictors were fitted here.
    pub fit: Part,
    /// Predictors, rules and thresholds were compared here.
    pub choose: Part,
    /// The path was tested here, once.
    pub certify: Part,
    /// Requests that could not be used because a compared arm has no usable outcome there.
    pub set_aside: u64,
}

/// One part of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its share, as asked for.
    pub share: f64,
    /// Its requests.
    pub requests: u64,
    /// Its clusters.
    pub clusters: u64,
    /// BLAKE3 (hex) of its request ids, sorted, each with its length before it.
    pub digest: String,
}

/// A margin with its one-sided bounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// Quality minus line, mean per request.
    pub margin: f64,
    /// One-sided lower bound; at least 0: proven.
    pub low: f64,
    /// One-sided upper bound; below 0: broken.
    pub high: f64,
    /// P-value of "the margin is at most 0"; null where the method has none.
    pub p_value: Option<f64>,
    /// Name of the method.
    pub method: String,
    /// Why this method.
    pub reason: String,
}

/// What is asked of segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentMode {
    /// A segment that is shown to be below its line vetoes (Holm over all segments, at δ).
    #[default]
    Veto,
    /// Every segment must itself be proven, each at δ: all must pass, so nothing is corrected
    /// (intersection–union, Berger 1982).
    Prove,
}

/// A segment under the certified policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertifiedSegment {
    /// The column.
    pub column: String,
    /// Its value.
    pub value: String,
    /// Requests of the certify part.
    pub requests: u64,
    /// Their clusters.
    pub clusters: u64,
    /// The margin there, each segment by itself.
    pub bound: Bound,
    /// What that says.
    pub status: SegmentStatus,
}

/// What is known of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SegmentStatus {
    /// Above its line, by its own bound at δ.
    Proven,
    /// Neither shown to be above nor below.
    Open,
    /// Shown to be below its line.
    Broken,
    /// Waived by name.
    Waived,
}

/// One policy of the sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tested {
    /// The policy.
    pub policy: TestedPolicy,
    /// Savings against the baseline as the choose part saw them.
    pub expected_savings: f64,
    /// Margin as the choose part saw it.
    pub expected_margin: f64,
    /// The test on the certify part; null for policies after the first failure, which were never
    /// tested.
    pub bound: Option<Bound>,
    /// Segments that vetoed it, as `column=value`.
    pub vetoes: Vec<String>,
    /// Whether it passed.
    pub passed: bool,
}

/// The next cheaper policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextStep {
    /// The policy.
    pub policy: TestedPolicy,
    /// Savings against the baseline as the choose part saw them.
    pub expected_savings: f64,
    /// About how many more labelled requests, over all parts, would prove a margin like the one
    /// seen; null when it was seen below the line.
    pub requests_more: Option<u64>,
}

/// How much was searched before the certify part was opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookedAt {
    /// Predictors fitted.
    pub predictors: u64,
    /// Rules tried.
    pub rules: u64,
    /// Policies compared on the choose part: predictors × rules × thresholds × mixes.
    pub policies: u64,
    /// Policies on the path.
    pub sequence: u64,
    /// Policies tested on the certify part.
    pub tested: u64,
}

/// A recorded check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// BLAKE3 of the log.
    pub log_digest: String,
    /// New requests in it.
    pub requests: u64,
    /// What the check found.
    pub standing: Standing,
    /// Lower bound of the margin.
    pub margin_low: f64,
}

/// For how long and for which traffic a certificate holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expiry {
    /// Last timestamp of the certificate's log, RFC 3339; null: the log has none.
    pub certified_at: Option<String>,
    /// End of validity, RFC 3339: as long again as the log spans, 7 to 90 days.
    pub valid_until: Option<String>,
    /// The same in microseconds since the Unix epoch, UTC.
    pub valid_until_us: Option<i64>,
    /// Population stability index of a segment column from which on traffic is another.
    pub shift_max: f64,
    /// Relative change of an arm's cost per request, against what is expected of the requests,
    /// from which on prices are others.
    pub price_shift_max: f64,
    /// The rule in words.
    pub rule: String,
    /// The arms.
    pub arms: Vec<ArmTraffic>,
    /// Shares of segments over all parts.
    pub traffic: Vec<TrafficShare>,
}

/// An arm in the certificate's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArmTraffic {
    /// The arm.
    pub model: String,
    /// Whether the policy may choose it.
    pub compared: bool,
}

/// Share of requests with one value in a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrafficShare {
    /// The column.
    pub column: String,
    /// Its value; empty: none given.
    pub value: String,
    /// Requests with it.
    pub requests: u64,
}

/// Digests, BLAKE3 in hex.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Digests {
    /// The log.
    pub log: String,
    /// The policy file.
    pub policy: String,
    /// The fitted router.
    pub snapshot: String,
    /// The price catalogue, when one was used.
    pub catalogue: Option<String>,
}

/// Names of files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// The policy file.
    pub policy: String,
    /// The fitted router.
    pub snapshot: String,
}

/// Why nothing was certified, and what would change that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shortfall {
    /// Layout version, [`CERTIFICATE_SCHEMA`].
    pub schema: u32,
    /// Version of Plimsoll that wrote it.
    pub version: String,
    /// Why, one sentence each, the weightiest first.
    pub reasons: Vec<String>,
    /// Whether even the safest policy is shown to be below the line: more labels will not help.
    pub out_of_reach: bool,
    /// The line, as far as it is known.
    pub line: PolicyLine,
    /// One-sided confidence asked for.
    pub confidence: f64,
    /// Usable requests in the log.
    pub requests: u64,
    /// Clusters in the certify part.
    pub certify_clusters: u64,
    /// Clusters that the certify part would need; null when no number of them would do.
    pub certify_clusters_needed: Option<u64>,
    /// More labelled requests needed over all three parts; null when no number of them would do.
    pub requests_more: Option<u64>,
    /// The safest policy and its test, when it came to one.
    pub safest: Option<Tested>,
    /// What to label first.
    pub labels: LabelPlan,
    /// BLAKE3 of the log.
    pub log_digest: String,
    /// The seed.
    pub seed: u64,
    /// The command.
    pub command: String,
}

/// What to label first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelPlan {
    /// Requests of the log that lack a label, those that narrow the bound most first; at most 20.
    pub requests: Vec<LabelRequest>,
    /// Labels missing per arm, most first.
    pub arms: Vec<LabelArm>,
    /// Segments, those with the fewest labelled requests first.
    pub segments: Vec<LabelSegment>,
}

/// A request to label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelRequest {
    /// Its id.
    pub request_id: String,
    /// Arms whose answers lack a label, the policy's own choice first.
    pub arms: Vec<String>,
    /// Whether the policy's own choice is among them.
    pub chosen_unlabelled: bool,
    /// Its smallest segment, as `column=value`.
    pub segment: Option<String>,
}

/// Missing labels of an arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelArm {
    /// The arm.
    pub model: String,
    /// Requests without its label.
    pub missing: u64,
}

/// Labelled requests of a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelSegment {
    /// The column.
    pub column: String,
    /// Its value.
    pub value: String,
    /// Usable requests.
    pub labelled: u64,
    /// Requests that lack a label.
    pub missing: u64,
}

/// A certificate held against a newer log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Layout version, [`CERTIFICATE_SCHEMA`].
    pub schema: u32,
    /// Version of Plimsoll that wrote it.
    pub version: String,
    /// What the certificate claims.
    pub claim: String,
    /// The certified policy.
    pub policy: TestedPolicy,
    /// Whether it stands.
    pub standing: Standing,
    /// Why, one sentence each, the weightiest first.
    pub reasons: Vec<String>,
    /// Which requests were used.
    pub rows: CheckRows,
    /// The line, as a mean quality on the new requests.
    pub line: PolicyLine,
    /// One-sided confidence.
    pub confidence: f64,
    /// The margin on the new requests, by a bound that may be read after every request.
    pub bound: Bound,
    /// About how many more new requests would prove a margin like the one seen; null when it is
    /// proven, or was seen below the line.
    pub requests_more: Option<u64>,
    /// Mean quality on the new requests.
    pub quality: f64,
    /// Mean cost there in US dollars.
    pub cost_usd: f64,
    /// What it is compared with; null when that arm is not in the new log.
    pub baseline: Option<ArmValue>,
    /// Share of the baseline's cost saved, with its interval for this one look.
    pub savings: Option<Interval>,
    /// Segments shown to be below their line (Bonferroni over segments), as `column=value`.
    pub broken_segments: Vec<String>,
    /// How traffic has moved.
    pub shifts: Vec<Shift>,
    /// Looks at this certificate, this one included.
    pub looks: u64,
    /// BLAKE3 of the new log.
    pub log_digest: String,
    /// BLAKE3 of the router that was replayed.
    pub snapshot_digest: String,
    /// The command.
    pub command: String,
}

/// Whether a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The new requests prove the line by themselves.
    Holds,
    /// The new requests prove neither: the certificate stands on its own log alone.
    Open,
    /// The new requests show that the line is broken.
    Broken,
    /// Its time is over, or the traffic is no longer the one it was made for.
    Expired,
}

/// Requests of a checked log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRows {
    /// New requests that were judged.
    pub judged: u64,
    /// Their clusters.
    pub clusters: u64,
    /// Requests that the certificate itself rests on: nothing new.
    pub known: u64,
    /// Requests without usable outcomes.
    pub set_aside: u64,
    /// Requests beyond the size that a cluster may have.
    pub beyond_cluster_size: u64,
}

/// How a column's shares have moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// The column.
    pub column: String,
    /// Population stability index Σ (p − q) ln(p/q), less what chance alone gives.
    pub psi: f64,
    /// Whether it exceeds the certificate's limit.
    pub exceeded: bool,
}
