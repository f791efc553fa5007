//! The first pass: what is in the log, and a sample of it to fit on.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll::{ArmId, Propensity, Quality, Usd};
use plimsoll_datasets::{
    LoggedBatch, LoggedFiles, NO_NAME, NO_TIME, NO_TOKENS, Names, Outcome, OutcomeLog, Request,
    Split, StreamTally,
};
use rayon::prelude::*;

use super::error::StreamError;
use crate::replay::ReplayOptions;
use crate::study::TRAIN_ROWS_MAX;

/// Training requests of the sample of a log without prompts, whose few features need no more;
/// with prompts, [`TRAIN_ROWS_MAX`].
const PLAIN_TRAIN_MAX: usize = 10_000;
/// Evaluated requests of the sample: for references and frontier, which need all answers at once.
const SAMPLE_EVALUATED_MAX: usize = 6_000;
/// Logs with at most so many evaluated rows keep them between the passes, 52 bytes each.
const KEPT_ROWS_MAX: f64 = 10_000_000.0;

/// Keys of what hashes decide.
const SIDE: u64 = 0x7369_6465;
const SAMPLE: u64 = 0x7361_6d70;
const BUCKET: u64 = 0x6275_636b;

/// What the first pass found.
pub(super) struct Survey {
    pub(super) tally: StreamTally,
    pub(super) arms: Vec<String>,
    pub(super) tasks: Vec<String>,
    pub(super) tenants: Vec<String>,
    /// Per arm of `arms`.
    pub(super) seen: Vec<Seen>,
    pub(super) log: OutcomeLog,
    /// Requests of the sample to learn from; they come first in `log`.
    pub(super) sampled_train: usize,
    /// Usable requests on the training side.
    pub(super) train: u64,
    /// Usable requests on the evaluated side.
    pub(super) evaluated: u64,
    pub(super) has_sessions: bool,
    pub(super) first_us: i64,
    pub(super) last_us: i64,
    pub(super) timed: u64,
    pub(super) cost_usd: f64,
    pub(super) digest: String,
    /// Each batch's evaluated rows, if they are few enough to be kept.
    pub(super) kept: Vec<LoggedBatch>,
}

/// How often an arm was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) rows: u64,
    pub(super) labelled: u64,
    pub(super) priced: u64,
}

/// Which side of the split a session is on, and its bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    threshold: u64,
    seed: u64,
}

/// What one batch adds.
struct Part {
    tally: StreamTally,
    arms: BTreeMap<String, Seen>,
    tasks: BTreeSet<String>,
    tenants: BTreeSet<String>,
    sample: Vec<Sampled>,
    requests: Vec<u64>,
    train: u64,
    evaluated: u64,
    without_propensity: u64,
    has_sessions: bool,
    first_us: i64,
    last_us: i64,
    timed: u64,
    cost_usd: f64,
    kept: Option<LoggedBatch>,
}

/// A drawn request.
struct Sampled {
    key: u64,
    is_train: bool,
    arm: String,
    propensity: f64,
    request: Request,
}

impl Sides {
    pub(super) fn new(options: &ReplayOptions) -> Self {
        Self {
            threshold: threshold(options.split.share()),
            seed: options.seed.0,
        }
    }

    pub(super) fn is_train(self, session: u64) -> bool {
        keyed(session, self.seed ^ SIDE) < self.threshold
    }

    /// A bucket in 0..2^`bits`.
    #[expect(clippy::cast_possible_truncation, reason = "few bits are left")]
    pub(super) fn bucket(self, session: u64, bits: u32) -> usize {
        (keyed(session, self.seed ^ BUCKET) >> (64 - bits)) as usize
    }
}

/// A bijective scrambling of a hash under a key (the finaliser of SplitMix64; Steele, Lea & Flood
/// 2014, doi:10.1145/2660193.2660195).
const fn keyed(hash: u64, key: u64) -> u64 {
    let mut z = hash ^ key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The value below which a share of all hashes lies.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of 2^64; casts saturate"
)]
fn threshold(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * u64::MAX as f64) as u64
}

impl Survey {
    pub(super) fn new(files: &LoggedFiles, options: &ReplayOptions) -> Result<Self, StreamError> {
        if !super::fits(options) {
            return Err(StreamError::Options {
                split: options.split_text.clone(),
            });
        }
        let draw = Draw::new(files, options);
        let (parts, digest) = rayon::join(
            || {
                (0..files.batches())
                    .into_par_iter()
                    .map(|index| Ok(draw.survey(files.batch(index)?)))
                    .collect::<Result<Vec<Part>, StreamError>>()
            },
            || files.digest(),
        );
        let mut survey = Self::merge(parts?, files)?;
        survey.digest = digest?;
        survey.log.digest.clone_from(&survey.digest);
        Ok(survey)
    }

    fn merge(mut parts: Vec<Part>, files: &LoggedFiles) -> Result<Self, StreamError> {
        let mut tally = StreamTally::default();
        for part in &mut parts {
            tally.merge(std::mem::take(&mut part.tally));
        }
        files.check(&tally)?;
        let missing = parts.iter().map(|part| part.without_propensity).sum();
        if missing > 0 {
            let rows = tally.rows_read - tally.rows_rejected;
            return Err(StreamError::MissingPropensities { missing, rows });
        }
        let requests = parts
            .iter_mut()
            .map(|part| std::mem::take(&mut part.requests));
        files.check_unique(requests.collect())?;

        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        let (mut tasks, mut tenants) = (BTreeSet::new(), BTreeSet::new());
        let mut sample = Vec::new();
        let mut kept = Vec::with_capacity(parts.len());
        let mut survey = Self {
            tally,
            arms: Vec::new(),
            tasks: Vec::new(),
            tenants: Vec::new(),
            seen: Vec::new(),
            log: OutcomeLog::default(),
            sampled_train: 0,
            train: 0,
            evaluated: 0,
            has_sessions: false,
            first_us: i64::MAX,
            last_us: i64::MIN,
            timed: 0,
            cost_usd: 0.0,
            digest: String::new(),
            kept: Vec::new(),
        };
        for part in parts {
            for (arm, counts) in part.arms {
                let total = seen.entry(arm).or_default();
                total.rows += counts.rows;
                total.labelled += counts.labelled;
                total.priced += counts.priced;
            }
            tasks.extend(part.tasks);
            tenants.extend(part.tenants);
            sample.extend(part.sample);
            kept.extend(part.kept);
            survey.train += part.train;
            survey.evaluated += part.evaluated;
            survey.has_sessions |= part.has_sessions;
            survey.first_us = survey.first_us.min(part.first_us);
            survey.last_us = survey.last_us.max(part.last_us);
            survey.timed += part.timed;
            survey.cost_usd += part.cost_usd;
        }
        survey.arms = seen.keys().cloned().collect();
        survey.seen = seen.into_values().collect();
        survey.tasks = tasks.into_iter().collect();
        survey.tenants = tenants.into_iter().collect();
        kept.par_iter_mut().for_each(|batch| survey.recode(batch));
        survey.kept = kept;
        survey.fill_log(sample, train_max(files));
        Ok(survey)
    }

    /// Puts a batch's names into the log's own numbering.
    pub(super) fn recode(&self, batch: &mut LoggedBatch) {
        batch.arm.recode(&self.arms);
        batch.task.recode(&self.tasks);
        batch.tenant.recode(&self.tenants);
    }

    /// The sample as a log: training requests first, both sides in the order of their keys.
    fn fill_log(&mut self, sample: Vec<Sampled>, train_max: usize) {
        let (mut train, mut evaluated): (Vec<Sampled>, Vec<Sampled>) =
            sample.into_iter().partition(|drawn| drawn.is_train);
        for (side, most) in [
            (&mut train, train_max),
            (&mut evaluated, SAMPLE_EVALUATED_MAX),
        ] {
            side.sort_by_key(|drawn| drawn.key);
            side.truncate(most);
        }
        self.sampled_train = train.len();
        let arm = |name: &str| {
            let at = self.arms.binary_search_by(|arm| arm.as_str().cmp(name));
            let at = at.expect("every sampled arm was surveyed");
            u32::try_from(at).expect("arms are fewer than rows of a batch")
        };
        let requests = train.into_iter().chain(evaluated).map(|drawn| {
            let mut request = drawn.request;
            // Times that put one side before the other: the sample is split by them.
            request.timestamp_us = Some(i64::from(!drawn.is_train));
            for outcome in &mut request.outcomes {
                outcome.arm = arm(&drawn.arm);
                outcome.propensity = Propensity::new(drawn.propensity).ok();
            }
            request
        });
        self.log.requests = requests.collect();
        let arms = self
            .arms
            .iter()
            .map(|name| ArmId::new(name.as_str()).expect("rows without a model are rejected"));
        self.log.arms = arms.collect();
    }

    /// The split of the sample into its two sides.
    pub(super) fn sample_split(&self) -> Split {
        #[expect(clippy::cast_precision_loss, reason = "a sample is small")]
        let share = (self.sampled_train as f64 - 0.25) / self.log.requests.len().max(1) as f64;
        Split::Time {
            share: share.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON),
        }
    }
}

/// Training requests of the sample, at most.
fn train_max(files: &LoggedFiles) -> usize {
    if files.reads_prompts() {
        TRAIN_ROWS_MAX
    } else {
        PLAIN_TRAIN_MAX
    }
}

/// How the sample is drawn.
struct Draw {
    sides: Sides,
    seed: u64,
    /// Keys of training and evaluated requests below these are drawn.
    train: u64,
    evaluated: u64,
    keep: bool,
}

impl Draw {
    #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
    fn new(files: &LoggedFiles, options: &ReplayOptions) -> Self {
        let share = options.split.share();
        let rows = files.rows() as f64;
        // A tenth more than wanted: rows may be rejected or lack a label. The rest is cut off.
        let part = |most: usize, share: f64| threshold(1.1 * most as f64 / (rows * share));
        Self {
            sides: Sides::new(options),
            seed: options.seed.0,
            train: part(train_max(files), share),
            evaluated: part(SAMPLE_EVALUATED_MAX, 1.0 - share),
            keep: rows * (1.0 - share) <= KEPT_ROWS_MAX && !files.reads_prompts(),
        }
    }

    fn survey(&self, mut batch: LoggedBatch) -> Part {
        let mut part = Part {
            tally: std::mem::take(&mut batch.tally),
            arms: BTreeMap::new(),
            tasks: batch.task.values.iter().cloned().collect(),
            tenants: batch.tenant.values.iter().cloned().collect(),
            sample: Vec::new(),
            requests: Vec::new(),
            train: 0,
            evaluated: 0,
            without_propensity: 0,
            has_sessions: batch.has_sessions,
            first_us: i64::MAX,
            last_us: i64::MIN,
            timed: 0,
            cost_usd: 0.0,
            kept: None,
        };
        let mut seen = vec![Seen::default(); batch.arm.values.len()];
        let mut evaluated: Vec<u32> = Vec::new();
        for row in 0..batch.len() {
            let (quality, cost) = (batch.quality[row], batch.cost_usd[row]);
            let seen = &mut seen[batch.arm.code[row] as usize];
            seen.rows += 1;
            seen.labelled += u64::from(!quality.is_nan());
            seen.priced += u64::from(!cost.is_nan());
            part.without_propensity += u64::from(batch.propensity[row].is_nan());
            if !cost.is_nan() {
                part.cost_usd += cost;
            }
            let is_train = self.sides.is_train(batch.session[row]);
            if quality.is_nan() || cost.is_nan() {
                continue;
            }
            part.train += u64::from(is_train);
            part.evaluated += u64::from(!is_train);
            if self.keep && !is_train {
                evaluated.push(u32::try_from(row).expect("a batch has fewer than 2^32 rows"));
            }
            let key = keyed(batch.request[row], self.seed ^ SAMPLE);
            if key < if is_train { self.train } else { self.evaluated } {
                part.sample.push(sampled(&batch, row, key, is_train));
            }
        }
        for &time in batch.timestamp_us.iter().filter(|time| **time != NO_TIME) {
            part.first_us = part.first_us.min(time);
            part.last_us = part.last_us.max(time);
            part.timed += 1;
        }
        let names = batch.arm.values.iter().cloned();
        part.arms = names.zip(seen).filter(|(_, seen)| seen.rows > 0).collect();
        part.requests = std::mem::take(&mut batch.request);
        if self.keep {
            part.kept = Some(batch.rows(&evaluated));
        }
        part
    }
}

fn sampled(batch: &LoggedBatch, row: usize, key: u64, is_train: bool) -> Sampled {
    let name = |names: &Names| {
        let code = names.code[row];
        (code != NO_NAME).then(|| names.values[code as usize].clone())
    };
    let tokens = batch.input_tokens[row];
    let input_tokens = (tokens != NO_TOKENS).then_some(u64::from(tokens));
    let outcome = Outcome {
        quality: Quality::new(batch.quality[row]).ok(),
        cost: Usd::from_f64(batch.cost_usd[row]),
        input_tokens,
        served: Some(true),
        ..Outcome::new(0)
    };
    Sampled {
        key,
        is_train,
        arm: batch.arm.values[batch.arm.code[row] as usize].clone(),
        propensity: batch.propensity[row],
        request: Request {
            id: format!("{:016x}", batch.request[row]),
            prompt: batch.prompt(row).map(str::to_owned),
            task: name(&batch.task),
            tenant: name(&batch.tenant),
            session_id: batch
                .has_sessions
                .then(|| format!("{:016x}", batch.session[row])),
            input_tokens,
            outcomes: vec![outcome],
            ..Request::default()
        },
    }
}
