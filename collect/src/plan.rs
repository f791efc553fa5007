//! What is to be asked, and what is to be scored.

use plimsoll::{Seed, Usd};
use plimsoll_datasets::{Catalogue, OutcomeLog, Request};

use crate::asker::{Asked, LimitField, Purpose};
use crate::error::CollectError;
use crate::price::ArmPrice;
use crate::rubric::RUBRIC_VERSION;
use crate::sample::{Sample, draw};

/// How to collect.
///
/// | field | default | range | effect |
/// |---|---|---|---|
/// | `arms` | | one or more | arms whose answers are wanted |
/// | `sample` | | ≥ 1 | requests to complete |
/// | `budget` | | > 0 | most that all runs on the folder together may spend |
/// | `judge` | none | | model that scores the answers by [`RUBRIC`](crate::RUBRIC) |
/// | `rejudge` | false | | answers that have a label are scored as well |
/// | `concurrency` | 4 | 1 to 256 | calls under way at once |
/// | `retries_max` | 4 | 0 to 20 | further attempts per call |
/// | `output_tokens_max` | 1024 | 1 to 1,000,000 | limit of an answer, and part of its bound |
/// | `judge_output_tokens_max` | 16 | 1 to 1,000,000 | the same for a score |
/// | `seed` | 7 | | draws the sample, orders it, and spreads waits |
/// | `now_us` | | | time at which calls are priced, in microseconds since 1970 |
/// | `response_column` | `response` | | column of the log with the text of its answers |
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// Arms whose answers are wanted.
    pub arms: Vec<String>,
    /// Requests to complete.
    pub sample: usize,
    /// Most that all runs on the folder together may spend.
    pub budget: Usd,
    /// Model that scores the answers.
    pub judge: Option<String>,
    /// Answers that have a label are scored as well.
    pub rejudge: bool,
    /// Calls under way at once.
    pub concurrency: usize,
    /// Further attempts per call.
    pub retries_max: u32,
    /// Limit of an answer.
    pub output_tokens_max: u64,
    /// Limit of a score.
    pub judge_output_tokens_max: u64,
    /// How the limit is called.
    pub limit_field: LimitField,
    /// Seed of the sample and of the waits.
    pub seed: Seed,
    /// Time at which calls are priced, in microseconds since the Unix epoch.
    pub now_us: i64,
    /// Column of the log with the text of its answers.
    pub response_column: String,
}

impl CollectOptions {
    /// The defaults for these arms, so many requests, and so much money at most.
    #[must_use]
    pub fn new(arms: Vec<String>, sample: usize, budget: Usd, now_us: i64) -> Self {
        Self {
            arms,
            sample,
            budget,
            judge: None,
            rejudge: false,
            concurrency: 4,
            retries_max: 4,
            output_tokens_max: 1024,
            judge_output_tokens_max: 16,
            limit_field: LimitField::default(),
            seed: Seed(7),
            now_us,
            response_column: "response".to_owned(),
        }
    }

    fn check(&self) -> Result<(), CollectError> {
        let wrong = |name, wanted, got: String| Err(CollectError::Option { name, wanted, got });
        let mut names: Vec<&str> = self.arms.iter().map(String::as_str).collect();
        names.sort_unstable();
        if names.is_empty() || names[0].is_empty() || names.windows(2).any(|two| two[0] == two[1]) {
            let wanted = "one or more names, each once";
            return wrong("arms", wanted, format!("`{}`", self.arms.join(",")));
        }
        if self.judge.as_deref() == Some("") {
            return wrong("judge", "the name of a model", "nothing".to_owned());
        }
        if self.budget <= Usd::ZERO {
            return wrong("budget-usd", "more than 0", self.budget.to_string());
        }
        if self.sample == 0 {
            return wrong("sample", "at least 1", "0".to_owned());
        }
        if !(1..=256).contains(&self.concurrency) {
            return wrong("concurrency", "1 to 256", self.concurrency.to_string());
        }
        if self.retries_max > 20 {
            return wrong("max-retries", "0 to 20", self.retries_max.to_string());
        }
        for (name, got) in [
            ("max-output-tokens", self.output_tokens_max),
            ("judge-max-output-tokens", self.judge_output_tokens_max),
        ] {
            if !(1..=1_000_000).contains(&got) {
                return wrong(name, "1 to 1000000", got.to_string());
            }
        }
        Ok(())
    }
}

/// A run, planned.
pub(crate) struct Plan {
    pub(crate) sample: Sample,
    pub(crate) arms: Vec<Asked>,
    pub(crate) judge: Option<Asked>,
    /// In the order in which they are begun.
    pub(crate) tasks: Vec<Task>,
    /// Per arm: sampled requests whose candidates leave it out.
    pub(crate) ineligible: Vec<u64>,
    /// Answers of the log that keep a label of another origin.
    pub(crate) labels_kept: u64,
    /// Answers of the log without label and without text.
    pub(crate) without_text: u64,
    pub(crate) response_column: String,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// Index into the sample.
    pub(crate) sampled: usize,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Ask this arm of the plan, and have the answer scored.
    Ask(usize),
    /// Have this outcome of the log scored.
    Score(usize),
}

/// Draws the sample and finds out what it lacks.
pub(crate) fn plan(
    log: &OutcomeLog,
    catalogue: &Catalogue,
    options: &CollectOptions,
) -> Result<Plan, CollectError> {
    options.check()?;
    let asked = |purpose, arm: &String, output_max| {
        Ok(Asked {
            purpose,
            arm: arm.clone(),
            price: ArmPrice::find(catalogue, arm, options.now_us)?,
            output_max,
            limit_field: options.limit_field,
        })
    };
    let arms = options.arms.iter();
    let arms = arms.map(|arm| asked(Purpose::Answer, arm, options.output_tokens_max));
    let arms: Vec<Asked> = arms.collect::<Result<_, CollectError>>()?;
    let judge = options.judge.as_ref();
    let judge = judge.map(|arm| asked(Purpose::Judge, arm, options.judge_output_tokens_max));
    let judge = judge.transpose()?;
    let sample = draw(log, options.sample, options.seed);
    if sample.requests.is_empty() {
        return Err(CollectError::NoPrompts {
            requests: log.requests.len() as u64,
        });
    }
    let indices: Vec<Option<u32>> = arms.iter().map(|asked| index_of(log, &asked.arm)).collect();
    let mut plan = Plan {
        ineligible: vec![0; arms.len()],
        sample,
        arms,
        judge,
        tasks: Vec::new(),
        labels_kept: 0,
        without_text: 0,
        response_column: options.response_column.clone(),
    };
    for sampled in 0..plan.sample.requests.len() {
        let request = &log.requests[plan.sample.requests[sampled]];
        plan.add_unscored(sampled, request, options);
        plan.add_missing(sampled, request, &indices);
    }
    Ok(plan)
}

fn index_of(log: &OutcomeLog, arm: &str) -> Option<u32> {
    let index = log.arms.iter().position(|known| known.as_str() == arm)?;
    u32::try_from(index).ok()
}

/// The text of the log's own answer, where there is one answer it can belong to.
pub(crate) fn logged_text<'r>(request: &'r Request, column: &str) -> Option<&'r str> {
    let text = request.extra.get(column)?;
    (request.outcomes.len() == 1 && !text.is_empty()).then_some(text)
}

/// Columns that name who scored a request's answers.
pub(crate) const JUDGE_COLUMNS: [&str; 3] = ["judge", "judge_model", "judge_version"];

/// Who scored the request's answers, as far as the log says.
pub(crate) fn named_judge(request: &Request) -> Option<String> {
    let named = JUDGE_COLUMNS
        .iter()
        .filter_map(|column| request.extra.get(*column));
    let parts: Vec<&str> = named.map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The same of what this judge scored alone.
pub(crate) fn own_name(judge: &str) -> String {
    format!("{judge} {RUBRIC_VERSION}")
}

impl Plan {
    fn add_missing(&mut self, sampled: usize, request: &Request, indices: &[Option<u32>]) {
        for (arm, index) in indices.iter().enumerate() {
            let is_there = |index| request.outcomes.iter().any(|outcome| outcome.arm == index);
            if index.is_some_and(is_there) {
                continue;
            }
            // An arm that is new to the log could not be a candidate then, and is asked.
            let excluded = |index| {
                request
                    .candidates
                    .as_ref()
                    .is_some_and(|c| !c.contains(&index))
            };
            if index.is_some_and(excluded) {
                self.ineligible[arm] += 1;
                continue;
            }
            self.tasks.push(Task {
                sampled,
                what: What::Ask(arm),
            });
        }
    }

    fn add_unscored(&mut self, sampled: usize, request: &Request, options: &CollectOptions) {
        let Some(judge) = &self.judge else { return };
        let is_own = named_judge(request).as_deref() == Some(&own_name(&judge.arm));
        let text = logged_text(request, &options.response_column);
        for (at, outcome) in request.outcomes.iter().enumerate() {
            if outcome.quality.is_some() && is_own {
                continue;
            }
            let is_wanted = outcome.quality.is_none() || options.rejudge;
            if is_wanted && text.is_some() {
                self.tasks.push(Task {
                    sampled,
                    what: What::Score(at),
                });
            } else if outcome.quality.is_some() {
                self.labels_kept += 1;
            } else {
                self.without_text += 1;
            }
        }
    }
}
