//! The filled log: what was there, what was collected, and what says which is which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use plimsoll_datasets::{LogRow, OutcomeLog, Request, WriteError, write_rows};

use crate::plan::{JUDGE_COLUMNS, Plan, What, named_judge};
use crate::rubric::RUBRIC_VERSION;
use crate::run::Done;

/// Column with the chance of a sampled request of being drawn.
pub const PROPENSITY_COLUMN: &str = "collect_propensity";

/// A log with the collected answers in it.
pub struct Filled {
    rows: Vec<LogRow>,
    /// Ids of the sampled requests.
    sampled: BTreeSet<String>,
    /// Sampled requests on which every named arm has an answer.
    pub(crate) answered: u64,
    /// Sampled requests on which every named arm has a quality.
    pub(crate) labelled: u64,
}

impl std::fmt::Debug for Filled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filled")
            .field("rows", &self.rows.len())
            .finish_non_exhaustive()
    }
}

impl Filled {
    /// All rows: a request's own first, then what was collected for it.
    #[must_use]
    pub fn rows(&self) -> &[LogRow] {
        &self.rows
    }

    /// Writes the log, whole or not at all; the name's ending tells the format.
    ///
    /// With `sample_only` the sampled requests alone are written: a log of every named arm's
    /// answers, as far as they could be had.
    ///
    /// # Errors
    /// [`WriteError`] when the ending is unknown or the disc refuses.
    pub fn write(&self, path: &Path, sample_only: bool) -> Result<(), WriteError> {
        write_rows(path, || {
            let wanted = |row: &&LogRow| !sample_only || self.sampled.contains(&row.request_id);
            self.rows.iter().filter(wanted)
        })
    }
}

/// Puts what was done into the log.
pub(crate) fn fill(log: &OutcomeLog, plan: &Plan, done: &[Done]) -> Filled {
    let sampled = plan.sample.requests.iter().enumerate();
    let sampled: BTreeMap<usize, usize> = sampled.map(|(at, request)| (*request, at)).collect();
    let mut by_sampled: Vec<Vec<(What, &Done)>> = vec![Vec::new(); plan.sample.requests.len()];
    for (task, done) in plan.tasks.iter().zip(done) {
        by_sampled[task.sampled].push((task.what, done));
    }
    let mut filled = Filled {
        rows: Vec::new(),
        sampled: BTreeSet::new(),
        answered: 0,
        labelled: 0,
    };
    for (index, request) in log.requests.iter().enumerate() {
        let Some(at) = sampled.get(&index) else {
            filled
                .rows
                .extend(request.outcomes.iter().map(|o| log.row(request, o)));
            continue;
        };
        let rows = sampled_rows(log, request, plan, &by_sampled[*at]);
        let named = |test: &dyn Fn(&LogRow) -> bool| {
            let has = |arm: &str| rows.iter().any(|row| row.model == arm && test(row));
            plan.arms.iter().all(|asked| has(&asked.arm))
        };
        filled.answered += u64::from(named(&|_| true));
        filled.labelled += u64::from(named(&|row| row.quality.is_some()));
        filled.sampled.insert(request.id.clone());
        filled.rows.extend(rows);
    }
    filled
}

fn sampled_rows(
    log: &OutcomeLog,
    request: &Request,
    plan: &Plan,
    tasks: &[(What, &Done)],
) -> Vec<LogRow> {
    let mut rows: Vec<LogRow> = request
        .outcomes
        .iter()
        .map(|outcome| log.row(request, outcome))
        .collect();
    let collected = tasks.iter().filter_map(|(what, done)| match what {
        What::Ask(arm) => collected_row(log, request, plan, *arm, done),
        What::Score(_) => None,
    });
    let collected: Vec<LogRow> = collected.collect();
    // Beside other answers the one that production used must say so.
    if !collected.is_empty()
        && let [only] = rows.as_mut_slice()
    {
        only.served = only.served.or(Some(true));
    }
    for (what, done) in tasks {
        if let (What::Score(outcome), Some(score)) = (what, done.score) {
            rows[*outcome].quality = Some(score);
        }
    }
    rows.extend(collected);
    let judge = judge_columns(request, plan, &rows, tasks);
    for row in &mut rows {
        row.extra.retain(|(name, _)| name != PROPENSITY_COLUMN);
        let propensity = plan.sample.propensity.to_string();
        row.extra.push((PROPENSITY_COLUMN.to_owned(), propensity));
        if let Some(judge) = &judge {
            row.extra
                .retain(|(name, _)| !JUDGE_COLUMNS.contains(&name.as_str()));
            row.extra.extend(judge.clone());
        }
    }
    rows
}

/// Who scored this request's answers: the judge alone, or others as well.
fn judge_columns(
    request: &Request,
    plan: &Plan,
    rows: &[LogRow],
    tasks: &[(What, &Done)],
) -> Option<Vec<(String, String)>> {
    let judge = &plan.judge.as_ref()?.arm;
    let scored = tasks
        .iter()
        .filter(|(_, done)| done.score.is_some())
        .count();
    if scored == 0 {
        return None;
    }
    let others = rows.iter().filter(|row| row.quality.is_some()).count() - scored;
    let earlier = named_judge(request);
    let is_own = earlier.as_deref() == Some(&crate::plan::own_name(judge));
    let name = match earlier {
        _ if others == 0 || is_own => judge.clone(),
        // Blanks part the names, so that a judge among the arms is still found.
        Some(earlier) => format!("{judge} and {earlier}"),
        None => format!("{judge} and the log's own labels"),
    };
    Some(vec![
        ("judge".to_owned(), name),
        ("judge_version".to_owned(), RUBRIC_VERSION.to_owned()),
    ])
}

fn collected_row(
    log: &OutcomeLog,
    request: &Request,
    plan: &Plan,
    arm: usize,
    done: &Done,
) -> Option<LogRow> {
    let answer = &done.got.as_ref()?.answer;
    let usage = answer.usage;
    #[expect(
        clippy::cast_precision_loss,
        reason = "latencies are far below 2^53 ms"
    )]
    let latency_ms = answer.latency_ms as f64;
    let mut row = LogRow {
        model: plan.arms[arm].arm.clone(),
        quality: done.score,
        cost: answer.cost,
        input_tokens: usage.map(|usage| usage.input_tokens),
        output_tokens: usage.map(|usage| usage.output_tokens),
        cached_input_tokens: usage.map(|usage| usage.cached_input_tokens),
        reasoning_tokens: usage.map(|usage| usage.reasoning_tokens),
        served: Some(false),
        latency_ms: Some(latency_ms),
        status: Some(
            if answer.is_truncated {
                "truncated"
            } else {
                "ok"
            }
            .to_owned(),
        ),
        ..log.request_row(request)
    };
    // The text of another arm's answer is none of this one's.
    row.extra.retain(|(name, _)| *name != plan.response_column);
    Some(row)
}
