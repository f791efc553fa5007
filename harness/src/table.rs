//! The table of outcomes: what every compared arm answered to every request, as far as it is known.

use std::collections::HashMap;

use ndarray::Array2;
use plimsoll::{ArmId, Usd};
use plimsoll_datasets::{EvidenceKind, Outcome, OutcomeLog, Request};

use crate::error::EvidenceError;
use crate::evaluation::ArmCoverage;

/// Share of an arm's outcomes that may lack a cost before savings are refused.
pub const UNPRICED_SHARE_MAX: f64 = 0.01;

/// Least number of labelled answers of an arm in a log with propensities: fewer tell nothing of it.
pub const LOGGED_ROWS_MIN: u64 = 50;

/// Which arms to compare.
#[derive(Clone, Debug)]
pub struct ArmChoice {
    /// Only these arms; empty: every arm of the log.
    pub include: Vec<String>,
    /// Never these.
    pub exclude: Vec<String>,
    /// Least share of requests on which an arm must have a labelled outcome.
    pub coverage_min: f64,
}

/// Outcomes of K compared arms on n requests: all of them, or the served one's alone.
#[derive(Clone, Debug)]
pub struct OutcomeTable {
    /// The compared arms, sorted by name; columns of the arrays below.
    pub arms: Vec<ArmId>,
    /// Rows of the arrays below, as indices into the log's requests, in log order.
    pub requests: Vec<usize>,
    /// Quality in [0, 1], shape (n, K); NaN where the answer was not observed.
    pub quality: Array2<f64>,
    /// Cost in US dollars, shape (n, K): for statistics; NaN where it was not observed.
    pub cost: Array2<f64>,
    /// The same costs, exactly, shape (n, K): for totals; 0 where not observed.
    pub cost_exact: Array2<Usd>,
    /// Which arm was served, when only its answers are known; `None`: every answer is known.
    pub logged: Option<LoggedRows>,
    /// Output tokens including reasoning, where known, shape (n, K).
    pub output_tokens: Array2<Option<u64>>,
    /// Cluster of each row, in 0..`clusters`, numbered by first appearance.
    pub cluster: Vec<usize>,
    /// Number of clusters.
    pub clusters: usize,
    /// What a cluster is: `session_id`, `prompt` or `request_id`.
    pub cluster_by: &'static str,
    /// Every arm of the log and whether it is compared.
    pub coverage: Vec<ArmCoverage>,
    /// Requests of the log that are not rows because a compared arm has no usable outcome there.
    pub set_aside: Vec<usize>,
}

/// What the logging policy did on n requests.
#[derive(Clone, Debug)]
pub struct LoggedRows {
    /// Column of the served arm, shape (n); `None` when that arm is not compared.
    pub chosen: Vec<Option<usize>>,
    /// Its logged propensity, shape (n); `None` when the log records none.
    pub propensity: Option<Vec<f64>>,
    /// Quality of the served answer, shape (n).
    pub quality: Vec<f64>,
    /// Its cost in US dollars, shape (n).
    pub cost: Vec<f64>,
}

/// Tallies of one arm over the whole log.
#[derive(Clone, Copy, Default)]
struct Tally {
    seen: u64,
    labelled: u64,
    priced: u64,
}

impl OutcomeTable {
    /// Builds the table, or says which evidence is lacking.
    ///
    /// # Errors
    /// [`EvidenceError`] when an arm is unknown, unpriced, or fewer than two arms were observed on
    /// (nearly) every request.
    pub fn new(
        log: &OutcomeLog,
        evidence: EvidenceKind,
        choice: &ArmChoice,
    ) -> Result<Self, EvidenceError> {
        let requests = log.requests.len();
        if requests == 0 {
            return Err(EvidenceError::NoRequests);
        }
        let wanted = wanted_arms(log, choice)?;
        let served = log.requests.iter().all(|r| r.served_outcome().is_some());
        if evidence != EvidenceKind::FullInformation && served {
            return Self::logged(log, evidence, &wanted);
        }
        let tallies = tally(
            log.requests.iter().flat_map(|r| &r.outcomes),
            log.arms.len(),
        );
        let complete = complete_arms(&tallies, &wanted, requests, choice.coverage_min);
        let coverage = coverage(log, &tallies, &wanted, &complete, |tally| {
            format!(
                "labelled on {} of {requests} requests, less than coverage_min = {}",
                tally.labelled, choice.coverage_min
            )
        });
        refuse_unpriced(log, &tallies, &complete)?;
        let taking_part = wanted.iter().filter(|w| **w).count();
        if taking_part < 2 {
            return Err(EvidenceError::TooFewArms {
                taking_part,
                arms: log.arms.len(),
            });
        }
        if complete.iter().filter(|c| **c).count() < 2 {
            return Err(EvidenceError::NotFullInformation {
                evidence,
                requests: requests as u64,
                arms: log.arms.len() as u64,
                complete: complete.iter().filter(|c| **c).count() as u64,
                widest: widest_partial(&coverage, &wanted),
            });
        }
        Ok(Self::fill(log, &complete, coverage))
    }

    /// Number of requests, n.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.requests.len()
    }

    /// The column of an arm.
    #[must_use]
    pub fn column(&self, arm: &str) -> Option<usize> {
        self.arms.iter().position(|a| a.as_str() == arm)
    }

    /// The table of a log that knows the served answers only.
    fn logged(
        log: &OutcomeLog,
        evidence: EvidenceKind,
        wanted: &[bool],
    ) -> Result<Self, EvidenceError> {
        let outcomes = log.requests.iter().filter_map(Request::served_outcome);
        let tallies = tally(outcomes, log.arms.len());
        let compared: Vec<bool> = tallies
            .iter()
            .zip(wanted)
            .map(|(tally, wanted)| *wanted && tally.labelled >= LOGGED_ROWS_MIN)
            .collect();
        let mut coverage = coverage(log, &tallies, wanted, &compared, |tally| {
            format!(
                "served and labelled {} times, less than {LOGGED_ROWS_MIN}",
                tally.labelled
            )
        });
        for (arm, tally) in coverage.iter_mut().zip(&tallies) {
            arm.coverage = share(tally.seen, log.requests.len());
        }
        refuse_unpriced(log, &tallies, &compared)?;
        let taking_part = wanted.iter().filter(|w| **w).count();
        if taking_part < 2 {
            return Err(EvidenceError::TooFewArms {
                taking_part,
                arms: log.arms.len(),
            });
        }
        if compared.iter().filter(|c| **c).count() < 2 {
            return Err(EvidenceError::ThinlyLogged {
                arms: (0..log.arms.len())
                    .filter(|&a| wanted[a])
                    .map(|a| (log.arms[a].to_string(), tallies[a].labelled))
                    .collect(),
                least: LOGGED_ROWS_MIN,
            });
        }
        Ok(Self::fill_logged(log, evidence, &compared, coverage))
    }

    fn fill_logged(
        log: &OutcomeLog,
        evidence: EvidenceKind,
        compared: &[bool],
        coverage: Vec<ArmCoverage>,
    ) -> Self {
        let (arms, column) = columns(log, compared);
        let known = |request: &Request| {
            let outcome = request.served_outcome()?;
            let eligible = |arm: u32| request.candidates.as_ref().is_none_or(|c| c.contains(&arm));
            let all_eligible = compared
                .iter()
                .zip(0..)
                .all(|(compared, arm)| !compared || eligible(arm));
            (all_eligible && outcome.quality.is_some() && outcome.cost.is_some()).then_some(())
        };
        let (rows, set_aside): (Vec<usize>, Vec<usize>) =
            (0..log.requests.len()).partition(|&i| known(&log.requests[i]).is_some());
        let shape = (rows.len(), arms.len());
        let mut table = Self {
            arms,
            quality: Array2::from_elem(shape, f64::NAN),
            cost: Array2::from_elem(shape, f64::NAN),
            cost_exact: Array2::from_elem(shape, Usd::ZERO),
            output_tokens: Array2::from_elem(shape, None),
            logged: None,
            cluster: Vec::new(),
            clusters: 0,
            cluster_by: "",
            coverage,
            set_aside,
            requests: rows,
        };
        let mut logged = LoggedRows {
            chosen: Vec::with_capacity(shape.0),
            propensity: (evidence == EvidenceKind::LoggedWithPropensities).then(Vec::new),
            quality: Vec::with_capacity(shape.0),
            cost: Vec::with_capacity(shape.0),
        };
        for (row, &index) in table.requests.iter().enumerate() {
            let outcome = log.requests[index]
                .served_outcome()
                .expect("rows have a served outcome");
            let quality = outcome.quality.map_or(f64::NAN, plimsoll::Quality::get);
            let cost = outcome.cost.unwrap_or(Usd::ZERO);
            let chosen = column[outcome.arm as usize];
            logged.chosen.push(chosen);
            logged.quality.push(quality);
            logged.cost.push(cost.as_f64());
            if let Some(propensity) = &mut logged.propensity {
                propensity.push(
                    outcome
                        .propensity
                        .map_or(f64::NAN, plimsoll::Propensity::get),
                );
            }
            if let Some(arm) = chosen {
                table.quality[[row, arm]] = quality;
                table.cost[[row, arm]] = cost.as_f64();
                table.cost_exact[[row, arm]] = cost;
                table.output_tokens[[row, arm]] = output_tokens(outcome);
            }
        }
        table.logged = Some(logged);
        (table.cluster, table.clusters, table.cluster_by) = clusters(log, &table.requests);
        table
    }

    fn fill(log: &OutcomeLog, complete: &[bool], coverage: Vec<ArmCoverage>) -> Self {
        let (compared, column) = columns(log, complete);
        let arms = compared.len();
        let (mut rows, mut set_aside) = (Vec::new(), Vec::new());
        for (index, request) in log.requests.iter().enumerate() {
            let allowed = |arm: u32| request.candidates.as_ref().is_none_or(|c| c.contains(&arm));
            let usable = |o: &&Outcome| {
                column[o.arm as usize].is_some()
                    && o.quality.is_some()
                    && o.cost.is_some()
                    && allowed(o.arm)
            };
            let full = request.outcomes.iter().filter(usable).count() == arms;
            if full {
                rows.push(index);
            } else {
                set_aside.push(index);
            }
        }
        let shape = (rows.len(), arms);
        let mut quality = Array2::zeros(shape);
        let mut cost_exact = Array2::from_elem(shape, Usd::ZERO);
        let mut output_tokens = Array2::from_elem(shape, None);
        for (row, &index) in rows.iter().enumerate() {
            for outcome in &log.requests[index].outcomes {
                let Some(arm) = column[outcome.arm as usize] else {
                    continue;
                };
                quality[[row, arm]] = outcome.quality.map_or(0.0, plimsoll::Quality::get);
                cost_exact[[row, arm]] = outcome.cost.unwrap_or(Usd::ZERO);
                output_tokens[[row, arm]] = self::output_tokens(outcome);
            }
        }
        let cost = cost_exact.mapv(Usd::as_f64);
        let (cluster, clusters, cluster_by) = clusters(log, &rows);
        Self {
            arms: compared,
            logged: None,
            requests: rows,
            quality,
            cost,
            cost_exact,
            output_tokens,
            cluster,
            clusters,
            cluster_by,
            coverage,
            set_aside,
        }
    }
}

/// Output tokens including reasoning.
fn output_tokens(outcome: &Outcome) -> Option<u64> {
    outcome
        .output_tokens
        .map(|t| t + outcome.reasoning_tokens.unwrap_or(0))
}

/// The compared arms, and the column of every arm of the log.
fn columns(log: &OutcomeLog, compared: &[bool]) -> (Vec<ArmId>, Vec<Option<usize>>) {
    let mut arms = Vec::new();
    let mut column = vec![None; log.arms.len()];
    for arm in (0..log.arms.len()).filter(|&a| compared[a]) {
        column[arm] = Some(arms.len());
        arms.push(log.arms[arm].clone());
    }
    (arms, column)
}

fn wanted_arms(log: &OutcomeLog, choice: &ArmChoice) -> Result<Vec<bool>, EvidenceError> {
    let known = |name: &String| log.arms.iter().any(|a| a.as_str() == name);
    if let Some(unknown) = choice
        .include
        .iter()
        .chain(&choice.exclude)
        .find(|n| !known(n))
    {
        return Err(EvidenceError::UnknownArm {
            got: unknown.clone(),
            known: log.arms.iter().map(ToString::to_string).collect(),
        });
    }
    Ok(log
        .arms
        .iter()
        .map(|arm| {
            let listed = |list: &[String]| list.iter().any(|n| n == arm.as_str());
            (choice.include.is_empty() || listed(&choice.include)) && !listed(&choice.exclude)
        })
        .collect())
}

fn tally<'a>(outcomes: impl Iterator<Item = &'a Outcome>, arms: usize) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); arms];
    for outcome in outcomes {
        let tally = &mut tallies[outcome.arm as usize];
        tally.seen += 1;
        tally.labelled += u64::from(outcome.quality.is_some());
        tally.priced += u64::from(outcome.cost.is_some());
    }
    tallies
}

/// An arm is complete when at most max(1, (1 − `coverage_min`)·n) requests lack its label: one
/// damaged line must not throw a whole arm out of a small log.
fn complete_arms(tallies: &[Tally], wanted: &[bool], n: usize, coverage_min: f64) -> Vec<bool> {
    tallies
        .iter()
        .zip(wanted)
        .map(|(tally, wanted)| {
            let missing = n as u64 - tally.labelled.min(n as u64);
            *wanted
                && tally.labelled > 0
                && (missing <= 1 || share(tally.labelled, n) >= coverage_min)
        })
        .collect()
}

fn coverage(
    log: &OutcomeLog,
    tallies: &[Tally],
    wanted: &[bool],
    compared: &[bool],
    why_not: impl Fn(&Tally) -> String,
) -> Vec<ArmCoverage> {
    let n = log.requests.len();
    let of_seen = |part: u64, t: &Tally| {
        if t.seen == 0 {
            0.0
        } else {
            1.0 - share(part, usize::try_from(t.seen).unwrap_or(n))
        }
    };
    (0..log.arms.len())
        .map(|a| {
            let left_out = if !wanted[a] {
                Some("left out by the policy's [arms]".to_owned())
            } else if compared[a] {
                None
            } else {
                Some(why_not(&tallies[a]))
            };
            ArmCoverage {
                model: log.arms[a].to_string(),
                requests: tallies[a].seen,
                coverage: share(tallies[a].labelled, n),
                unlabelled_share: of_seen(tallies[a].labelled, &tallies[a]),
                unpriced_share: of_seen(tallies[a].priced, &tallies[a]),
                compared: compared[a],
                left_out,
            }
        })
        .collect()
}

fn refuse_unpriced(
    log: &OutcomeLog,
    tallies: &[Tally],
    complete: &[bool],
) -> Result<(), EvidenceError> {
    let unpriced: Vec<(String, f64)> = (0..log.arms.len())
        .filter(|&a| complete[a])
        .map(|a| {
            let missing = tallies[a].seen - tallies[a].priced;
            let seen = usize::try_from(tallies[a].seen).unwrap_or(usize::MAX);
            (log.arms[a].to_string(), share(missing, seen))
        })
        .filter(|(_, missing)| *missing > UNPRICED_SHARE_MAX)
        .collect();
    if unpriced.is_empty() {
        Ok(())
    } else {
        Err(EvidenceError::Unpriced { arms: unpriced })
    }
}

/// The best covered arm that was left out for its coverage, for the message.
fn widest_partial(coverage: &[ArmCoverage], wanted: &[bool]) -> Option<(String, f64)> {
    coverage
        .iter()
        .zip(wanted)
        .filter(|(arm, wanted)| !arm.compared && **wanted)
        .map(|(arm, _)| arm)
        .max_by(|a, b| a.coverage.total_cmp(&b.coverage))
        .map(|arm| (arm.model.clone(), arm.coverage))
}

/// Sessions are clusters; without them identical prompts are, so that a log that repeats itself
/// does not look like more evidence.
fn clusters(log: &OutcomeLog, rows: &[usize]) -> (Vec<usize>, usize, &'static str) {
    let request = |row: &usize| &log.requests[*row];
    if rows.iter().any(|r| request(r).session_id.is_some()) {
        let key = |r: &usize| {
            let request = request(r);
            request
                .session_id
                .as_deref()
                .map_or((1, request.id.as_str()), |s| (0, s))
        };
        let (cluster, count) = number(rows.iter().map(key));
        return (cluster, count, "session_id");
    }
    let key = |r: &usize| {
        let request = request(r);
        match request.prompt.as_deref() {
            Some(prompt) if !prompt.is_empty() => (0, prompt),
            _ => (1, request.id.as_str()),
        }
    };
    let (cluster, count) = number(rows.iter().map(key));
    let by = if count < rows.len() {
        "prompt"
    } else {
        "request_id"
    };
    (cluster, count, by)
}

/// Numbers keys by first appearance.
fn number<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> (Vec<usize>, usize) {
    let mut numbers = HashMap::new();
    let cluster = keys
        .map(|key| {
            let next = numbers.len();
            *numbers.entry(key).or_insert(next)
        })
        .collect();
    (cluster, numbers.len())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn share(part: u64, whole: usize) -> f64 {
    part as f64 / whole as f64
}
