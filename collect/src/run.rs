//! A run: workers that take one task after another until all are done or none can go on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll::{Quality, Usd};
use plimsoll_datasets::{Catalogue, OutcomeLog};

use crate::asker::{Asker, Call, Got, Message, Purpose, Stop};
use crate::books::Books;
use crate::error::CollectError;
use crate::failure::Failure;
use crate::fill::{self, Filled};
use crate::journal::Journal;
use crate::plan::{CollectOptions, Plan, Task, What, logged_text, plan};
use crate::report::{ArmReport, BudgetReport, CollectReport, JudgeReport, SampleReport};
use crate::rubric::{self, RUBRIC, RUBRIC_VERSION};
use crate::transport::{Clock, Transport};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectProgress {
    /// Tasks done: answers to be had, and answers of the log to be scored.
    pub done: usize,
    /// All of them.
    pub total: usize,
    /// Spent and held by this run.
    pub committed: Usd,
}

/// What a run came to.
#[derive(Debug)]
pub struct Collected {
    /// What was done, and what it cost.
    pub report: CollectReport,
    /// The log with what was had; `None`: the run was stopped before it was through, and goes on
    /// where it was when it is started again.
    pub filled: Option<Filled>,
}

/// What came of a task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) got: Option<Got>,
    pub(crate) score: Option<Quality>,
}

/// Fills a log in, on a runtime of its own: [`collect_on`] for callers without one.
///
/// # Errors
/// As [`collect_on`].
#[expect(
    clippy::too_many_arguments,
    reason = "what to fill, how, by what means, and who is told"
)]
pub fn collect<T: Transport, C: Clock>(
    log: &OutcomeLog,
    catalogue: &Catalogue,
    options: &CollectOptions,
    journal: Journal,
    transport: T,
    clock: C,
    stop: &Stop,
    progress: impl Fn(CollectProgress) + Send + Sync + 'static,
) -> Result<Collected, CollectError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_io()
        .enable_time()
        .build();
    let runtime = runtime.map_err(|error| CollectError::Client {
        message: error.to_string(),
    })?;
    runtime.block_on(collect_on(
        log, catalogue, options, journal, transport, clock, stop, progress,
    ))
}

/// Fills a log in: asks the missing arms on a sample of its requests, and has answers scored.
///
/// No call is sent before its bound is held in the budget and the journal has it on disk; what it
/// did cost replaces the bound. With one call at a time, equal replies give equal runs.
///
/// # Errors
/// [`CollectError`] when the run cannot begin, the journal cannot be written, or answers are
/// missing and not one could be had.
#[expect(
    clippy::too_many_arguments,
    reason = "what to fill, how, by what means, and who is told"
)]
pub async fn collect_on<T: Transport, C: Clock>(
    log: &OutcomeLog,
    catalogue: &Catalogue,
    options: &CollectOptions,
    journal: Journal,
    transport: T,
    clock: C,
    stop: &Stop,
    progress: impl Fn(CollectProgress) + Send + Sync + 'static,
) -> Result<Collected, CollectError> {
    let plan = plan(log, catalogue, options)?;
    let books = Books::new(journal, options.budget).map_err(|_| CollectError::Option {
        name: "budget-usd",
        wanted: "an amount that a ledger can hold",
        got: options.budget.to_string(),
    })?;
    let stop = stop.clone();
    let asker = Asker::new(
        transport,
        clock,
        books,
        options.retries_max,
        options.seed,
        stop,
    );
    let requests = plan.sample.requests.iter();
    let texts = requests.map(|request| Text::of(log, *request, options));
    let run = Arc::new(Run {
        texts: texts.collect(),
        done: Mutex::new(vec![Done::default(); plan.tasks.len()]),
        plan,
        asker,
        next: AtomicUsize::new(0),
        finished: AtomicUsize::new(0),
        progress,
    });
    let workers: Vec<_> = (0..options.concurrency.min(run.plan.tasks.len()))
        .map(|_| tokio::spawn(Arc::clone(&run).work()))
        .collect();
    for worker in workers {
        worker.await.expect("a worker does not panic");
    }
    if let Some(error) = run.asker.take_fatal() {
        return Err(error);
    }
    let done = run.done.lock().unwrap_or_else(PoisonError::into_inner);
    run.conclude(log, options, &done)
}

/// The texts of a sampled request. They reach the service, and nothing else.
struct Text {
    prompt: String,
    logged: Option<String>,
}

impl Text {
    fn of(log: &OutcomeLog, request: usize, options: &CollectOptions) -> Self {
        let request = &log.requests[request];
        Self {
            prompt: request.prompt.clone().unwrap_or_default(),
            logged: logged_text(request, &options.response_column).map(str::to_owned),
        }
    }
}

struct Run<T, C, P> {
    plan: Plan,
    texts: Vec<Text>,
    asker: Asker<T, C>,
    /// The next task to begin.
    next: AtomicUsize,
    finished: AtomicUsize,
    /// By task.
    done: Mutex<Vec<Done>>,
    progress: P,
}

impl<T: Transport, C: Clock, P: Fn(CollectProgress) + Send + Sync + 'static> Run<T, C, P> {
    async fn work(self: Arc<Self>) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = self.plan.tasks.get(index) else {
                return;
            };
            let done = self.perform(task).await;
            self.done.lock().unwrap_or_else(PoisonError::into_inner)[index] = done;
            let account = self.asker.books.account();
            (self.progress)(CollectProgress {
                done: self.finished.fetch_add(1, Ordering::Relaxed) + 1,
                total: self.plan.tasks.len(),
                committed: account.spent + account.reserved,
            });
        }
    }

    async fn perform(&self, task: &Task) -> Done {
        let text = &self.texts[task.sampled];
        match task.what {
            What::Ask(arm) => {
                let asked = &self.plan.arms[arm];
                let messages = [Message {
                    role: "user",
                    content: &text.prompt,
                }];
                let call = Call::new(self.asker.transport.endpoint(), asked, &messages);
                let Ok(got) = self.asker.ask(asked, &call).await else {
                    return Done::default();
                };
                let score = self.score(&text.prompt, &got.answer.content).await;
                Done {
                    got: Some(got),
                    score,
                }
            }
            What::Score(_) => {
                let logged = text.logged.as_deref().unwrap_or_default();
                Done {
                    got: None,
                    score: self.score(&text.prompt, logged).await,
                }
            }
        }
    }

    async fn score(&self, prompt: &str, answer: &str) -> Option<Quality> {
        let judge = self.plan.judge.as_ref()?;
        let material = rubric::material(prompt, answer);
        let messages = [
            Message {
                role: "system",
                content: RUBRIC,
            },
            Message {
                role: "user",
                content: &material,
            },
        ];
        let call = Call::new(self.asker.transport.endpoint(), judge, &messages);
        let got = self.asker.ask(judge, &call).await.ok()?;
        match rubric::score(&got.answer.content) {
            Ok(score) => Some(score),
            Err(failure) => {
                self.asker.count_failure(judge, failure, &got);
                None
            }
        }
    }

    fn conclude(
        &self,
        log: &OutcomeLog,
        options: &CollectOptions,
        done: &[Done],
    ) -> Result<Collected, CollectError> {
        let filled = fill::fill(log, &self.plan, done);
        let report = self.report(log, options, done, &filled);
        let calls = || {
            report
                .arms
                .iter()
                .map(|arm| &arm.calls)
                .chain(report.judge.iter().map(|j| &j.calls))
        };
        let interrupted = Failure::Interrupted.name();
        if calls().any(|calls| calls.failed.contains_key(&interrupted)) {
            return Ok(Collected {
                report,
                filled: None,
            });
        }
        let is_nothing = done
            .iter()
            .all(|done| done.got.is_none() && done.score.is_none());
        if is_nothing && !done.is_empty() {
            let mut why = std::collections::BTreeMap::new();
            for (reason, count) in calls().flat_map(|calls| &calls.failed) {
                *why.entry(reason.clone()).or_default() += count;
            }
            return Err(CollectError::Nothing {
                missing: done.len() as u64,
                spent_usd: report.budget.spent_usd,
                why,
            });
        }
        Ok(Collected {
            report,
            filled: Some(filled),
        })
    }

    fn report(
        &self,
        log: &OutcomeLog,
        options: &CollectOptions,
        done: &[Done],
        filled: &Filled,
    ) -> CollectReport {
        let plan = &self.plan;
        let arms = plan.arms.iter().enumerate().map(|(arm, asked)| ArmReport {
            arm: asked.arm.clone(),
            missing: plan
                .tasks
                .iter()
                .filter(|task| task.what == What::Ask(arm))
                .count() as u64,
            ineligible: plan.ineligible[arm],
            calls: self.asker.tally(Purpose::Answer, &asked.arm),
        });
        let arms: Vec<ArmReport> = arms.collect();
        let judge = plan.judge.as_ref().map(|asked| {
            let scored = || {
                plan.tasks
                    .iter()
                    .zip(done)
                    .filter(|(_, done)| done.score.is_some())
            };
            let logged = |(task, _): &(&Task, &Done)| matches!(task.what, What::Score(_));
            JudgeReport {
                judge: asked.arm.clone(),
                rubric: RUBRIC_VERSION.to_owned(),
                rubric_digest: rubric::rubric_digest(),
                scored: scored().count() as u64,
                scored_logged: scored().filter(logged).count() as u64,
                labels_kept: plan.labels_kept,
                without_text: plan.without_text,
                calls: self.asker.tally(Purpose::Judge, &asked.arm),
            }
        });
        let books = &self.asker.books;
        let budget = BudgetReport {
            cap_usd: options.budget,
            earlier: books.earlier(),
            spent_usd: books.account().spent,
            judge_usd: judge
                .as_ref()
                .map_or(Usd::ZERO, |judge| judge.calls.spent_usd),
            remaining_usd: books.remaining(),
        };
        let sample = SampleReport {
            requests: log.requests.len() as u64,
            eligible: plan.sample.eligible as u64,
            sampled: plan.sample.requests.len() as u64,
            strata: plan.sample.strata as u64,
            propensity: plan.sample.propensity,
            answered: filled.answered,
            labelled: filled.labelled,
        };
        let mut report = CollectReport {
            sample,
            arms,
            judge,
            budget,
            warnings: Vec::new(),
        };
        report.warn(&options.response_column);
        report
    }
}
