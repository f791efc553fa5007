//! What a run did and what it cost, as data.

use std::collections::BTreeMap;

use plimsoll::Usd;
use serde::Serialize;

use crate::failure::Failure;
use crate::journal::{Answer, Earlier};
use crate::reply::Usage;

/// The report of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CollectReport {
    /// Who was sampled.
    pub sample: SampleReport,
    /// The arms that were asked, in the order given.
    pub arms: Vec<ArmReport>,
    /// The judge, if there is one.
    pub judge: Option<JudgeReport>,
    /// The money.
    pub budget: BudgetReport,
    /// What a reader of the filled log should know.
    pub warnings: Vec<String>,
}

/// Which requests were asked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SampleReport {
    /// Requests of the log.
    pub requests: u64,
    /// Of these: with a prompt, so that they could be drawn.
    pub eligible: u64,
    /// Drawn.
    pub sampled: u64,
    /// Strata by task and length of the prompt.
    pub strata: u64,
    /// Chance of each of being drawn, in (0, 1].
    pub propensity: f64,
    /// Of the sampled: every named arm has an answer now.
    pub answered: u64,
    /// Of the sampled: every named arm has a quality now.
    pub labelled: u64,
}

/// Calls to one arm, and their cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ArmReport {
    /// The arm.
    pub arm: String,
    /// Answers that the log lacks on the sample.
    pub missing: u64,
    /// Of the sampled requests: the arm was not eligible when they were made, so it is not asked.
    pub ineligible: u64,
    /// What was done about the missing ones.
    #[serde(flatten)]
    pub calls: Calls,
}

/// The judge's calls, and their cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct JudgeReport {
    /// The judge.
    pub judge: String,
    /// Version of the rubric.
    pub rubric: String,
    /// BLAKE3 digest (hex) of the rubric.
    pub rubric_digest: String,
    /// Answers with a score now.
    pub scored: u64,
    /// Answers of the log itself among them.
    pub scored_logged: u64,
    /// Answers of the log that keep a label of another origin.
    pub labels_kept: u64,
    /// Answers of the log without a label, whose text the log does not hold.
    pub without_text: u64,
    /// What was done.
    #[serde(flatten)]
    pub calls: Calls,
}

/// Calls of one kind: each needed answer is in exactly one of `answered`, `cached` and `failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Calls sent, further attempts included.
    pub sent: u64,
    /// Answers had in this run.
    pub answered: u64,
    /// Answers kept from earlier runs, or from an equal call of this one.
    pub cached: u64,
    /// Answers that could not be had, by the last reason.
    pub failed: BTreeMap<String, u64>,
    /// Answers cut off by the limit of output tokens.
    pub truncated: u64,
    /// Tokens of this run's answers.
    pub tokens: Tokens,
    /// Charged to the budget by this run, [`unknown_usd`](Self::unknown_usd) included.
    pub spent_usd: Usd,
    /// Calls of this run whose cost is not known: no reply, or a reply without token counts.
    pub unknown_calls: u64,
    /// What these are charged at: their bounds in full.
    pub unknown_usd: Usd,
}

/// Tokens of several calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Input tokens, cached ones included.
    pub input: u64,
    /// Input tokens from the provider's cache.
    pub cached_input: u64,
    /// Output tokens without reasoning.
    pub output: u64,
    /// Reasoning tokens.
    pub reasoning: u64,
}

/// How the budget stands. It covers all that was ever spent through the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetReport {
    /// The cap.
    pub cap_usd: Usd,
    /// What earlier runs spent of it.
    pub earlier: Earlier,
    /// What this run spent.
    pub spent_usd: Usd,
    /// Of that: by the judge.
    pub judge_usd: Usd,
    /// What is left.
    pub remaining_usd: Usd,
}

impl Calls {
    /// Answers that could not be had.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        *self.failed.entry(failure.name()).or_default() += 1;
    }

    /// A call was charged; `cost` as far as it is known.
    pub(crate) fn charge(&mut self, charged: Usd, cost: Option<Usd>) {
        self.sent += 1;
        self.spent_usd += charged;
        if cost.is_none() {
            self.unknown_calls += 1;
            self.unknown_usd += charged;
        }
    }

    pub(crate) fn answer(&mut self, answer: &Answer, is_cached: bool) {
        self.truncated += u64::from(answer.is_truncated);
        if is_cached {
            self.cached += 1;
        } else {
            self.answered += 1;
            self.tokens.add(answer.usage.unwrap_or_default());
        }
    }
}

impl Tokens {
    fn add(&mut self, usage: Usage) {
        self.input += usage.input_tokens;
        self.cached_input += usage.cached_input_tokens;
        self.output += usage.output_tokens;
        self.reasoning += usage.reasoning_tokens;
    }
}

impl CollectReport {
    /// Says what a reader of the filled log should know and may not see.
    pub(crate) fn warn(&mut self, response_column: &str) {
        let mut warnings = Vec::new();
        let sample = self.sample;
        if sample.answered < sample.sampled {
            warnings.push(format!(
                "{} of {} sampled requests are complete: collect_propensity is the chance of being \
                 drawn, and what kept the others from completing may not be chance",
                sample.answered, sample.sampled
            ));
        }
        if sample.eligible < sample.requests {
            let without = sample.requests - sample.eligible;
            warnings.push(format!(
                "{without} of {} requests have no prompt and could not be drawn: the sample stands \
                 for the others",
                sample.requests
            ));
        }
        let judge = self.judge.iter().map(|judge| (&judge.judge, &judge.calls));
        let arms = self.arms.iter().map(|arm| (&arm.arm, &arm.calls));
        for (arm, calls) in arms.chain(judge) {
            if calls.failed.contains_key("bad-usage") {
                warnings.push(format!(
                    "the service reports more tokens of `{arm}` than it was allowed, or impossible \
                     counts, so its costs cannot be capped and it was given up: try another \
                     --limit-field, or higher limits of output tokens, and check the invoice"
                ));
            }
            if let Some(count) = calls.failed.get("budget") {
                warnings.push(format!(
                    "{count} calls of `{arm}` did not fit into the budget: a higher --budget-usd \
                     goes on from here"
                ));
            }
        }
        let truncated: u64 = self.arms.iter().map(|arm| arm.calls.truncated).sum();
        if truncated > 0 {
            warnings.push(format!(
                "{truncated} answers were cut off by --max-output-tokens: their status is `truncated`"
            ));
        }
        if let Some(judge) = &self.judge {
            if self.arms.iter().any(|arm| arm.arm == judge.judge) {
                warnings.push(format!(
                    "`{}` judges its own answers: models favour these, and a report's gate will say so",
                    judge.judge
                ));
            }
            if judge.labels_kept > 0 {
                warnings.push(format!(
                    "{} answers keep a label that the judge did not give: the two kinds are not \
                     comparable unless the judge is calibrated on them; --rejudge scores what has \
                     a text in `{response_column}`",
                    judge.labels_kept
                ));
            }
            if judge.without_text > 0 {
                warnings.push(format!(
                    "{} logged answers have no label and could not be scored: the log must hold \
                     the text of its answer in `{response_column}` (--response-column), one answer \
                     per request",
                    judge.without_text
                ));
            }
        }
        self.warnings = warnings;
    }
}
