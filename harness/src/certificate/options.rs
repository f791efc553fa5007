//! How to tune, and what comes of it.

use plimsoll::{PolicyConfig, Router, RuleKind, Seed};

use super::parts::Shares;
use super::record::{Certificate, Files, SegmentMode, Shortfall};
use crate::replay::RESAMPLES;

/// How to tune.
#[derive(Clone, Debug)]
pub struct TuneOptions {
    /// Line, confidence, predictors (`auto`: all that suit the log) and arms.
    pub policy: PolicyConfig,
    /// The rules to try.
    pub rules: Vec<RuleKind>,
    /// Shares of the three parts.
    pub parts: Shares,
    /// The arm to compare with; `None` or `best-single`: the best arm on the fit part.
    pub baseline: Option<String>,
    /// Columns that make segments, besides task and tenant.
    pub segments: Vec<String>,
    /// What is asked of segments.
    pub segment_mode: SegmentMode,
    /// Segments, as `column=value`, that may fall below the line.
    pub waived: Vec<String>,
    /// The seed.
    pub seed: Seed,
    /// Bootstrap resamples of the intervals.
    pub resamples: usize,
    /// The command, for the record.
    pub command: String,
}

impl TuneOptions {
    /// Both rules, the default parts, segments that may veto.
    #[must_use]
    pub fn new(policy: PolicyConfig, seed: Seed) -> Self {
        Self {
            policy,
            rules: vec![RuleKind::AverageFloor, RuleKind::PerRequestFloor],
            parts: Shares::DEFAULT,
            baseline: None,
            segments: Vec::new(),
            segment_mode: SegmentMode::default(),
            waived: Vec::new(),
            seed,
            resamples: RESAMPLES,
            command: String::new(),
        }
    }
}

/// Where tuning stands, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TuneStage {
    /// Features and costs are fitted.
    Features,
    /// Predictors are cross-fitted.
    Predictors {
        /// Finished predictors.
        done: usize,
        /// All predictors.
        total: usize,
    },
    /// Predictors, rules and thresholds are compared.
    Choosing,
    /// The path is tested.
    Certifying {
        /// Tested policies.
        done: usize,
        /// Policies of the path.
        total: usize,
    },
}

/// What came of tuning.
#[derive(Clone, Debug)]
pub enum Tuning {
    /// A policy whose line is proven.
    Certified(Box<Certified>),
    /// Nothing could be proven, and what is lacking.
    Refused(Box<Shortfall>),
}

/// A certified policy.
#[derive(Clone, Debug)]
pub struct Certified {
    /// What is proven of it. Its policy digest and file names are set by [`Certified::seal`].
    pub certificate: Certificate,
    /// The policy file: objective, predictor and arms as certified. Fitting it anew gives another
    /// router; the certified one is `router`.
    pub policy: PolicyConfig,
    /// The certified router.
    pub router: Router,
}

impl Certified {
    /// The router as bytes, and the certificate that names them and the policy file.
    #[must_use]
    pub fn seal(mut self, policy_toml: &str, files: Files) -> (Certificate, Vec<u8>) {
        let digest = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let snapshot = self.router.snapshot();
        self.certificate.digests.snapshot = digest(&snapshot);
        self.certificate.digests.policy = digest(policy_toml.as_bytes());
        self.certificate.files = files;
        (self.certificate, snapshot)
    }
}
