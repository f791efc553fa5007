//! Why an evaluation is refused.

use plimsoll_datasets::EvidenceKind;

/// The evidence does not support an evaluation. Each variant says what to collect.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The log holds no request.
    #[error("the log holds no request")]
    NoRequests,
    /// A policy, baseline or request names an arm that the log does not have.
    #[error("the log has no arm `{got}`")]
    UnknownArm {
        /// The name as given.
        got: String,
        /// Arms of the log.
        known: Vec<String>,
    },
    /// The arm is in the log, but is not one of those compared.
    #[error("the arm `{arm}` is not among the compared arms: {why}")]
    NotCompared {
        /// The arm.
        arm: String,
        /// Why it was left out.
        why: String,
    },
    /// Arms whose outcomes have no cost.
    #[error(
        "{} unpriced: {}; an unpriced arm is never free, so no savings can be stated",
        if arms.len() == 1 { "an arm is" } else { "arms are" },
        list(arms)
    )]
    Unpriced {
        /// Arm and share of its outcomes without a cost.
        arms: Vec<(String, f64)>,
    },
    /// Fewer than two arms were observed on every request.
    #[error("{}", not_full(*evidence, *requests, *arms, *complete, widest.as_ref()))]
    NotFullInformation {
        /// What the log is.
        evidence: EvidenceKind,
        /// Requests in the log.
        requests: u64,
        /// Arms in the log.
        arms: u64,
        /// Arms with a label on every request.
        complete: u64,
        /// The best covered arm that is not complete, and its coverage.
        widest: Option<(String, f64)>,
    },
    /// The policy's `[arms]`, or the log, leaves nothing to choose between.
    #[error("{taking_part} of {arms} arms take part: there is nothing to choose between")]
    TooFewArms {
        /// Arms that the policy lets take part.
        taking_part: usize,
        /// Arms in the log.
        arms: usize,
    },
    /// Fewer than two arms were served and labelled often enough.
    #[error(
        "fewer than two arms were served and labelled at least {least} times: {}",
        served(arms)
    )]
    ThinlyLogged {
        /// Arm and its labelled answers.
        arms: Vec<(String, u64)>,
        /// Least number of labelled answers.
        least: u64,
    },
    /// The policy's rule is for a router that goes on learning.
    #[error("rule `{rule}` adapts while it serves, so a fixed policy cannot be tuned for it")]
    OnlineRule {
        /// Name of the rule.
        rule: &'static str,
    },
    /// The baseline "logged" was asked for, and the log knows every answer.
    #[error("every answer of this log is known, so what production chose is not part of it")]
    NotLogged,
    /// The policy would send requests where the log could never have sent them.
    #[error(
        "{:.1} % of the policy's choices fall on requests where the log could not have chosen \
         otherwise than it did, so nothing is known about them: the policy's quality lies between \
         {:.3} and {:.3}, and no saving can be stated",
        share * 100.0, quality[0], quality[1]
    )]
    NoOverlap {
        /// Share of the policy's probability on such requests.
        share: f64,
        /// Least and greatest quality of the policy, whatever the unseen answers were.
        quality: [f64; 2],
    },
    /// One side of the split is empty or too small to learn from or judge on.
    #[error(
        "the split leaves {train} requests to learn from and {evaluated} to judge on; {least} each are the least"
    )]
    SplitTooSmall {
        /// Training requests.
        train: usize,
        /// Evaluated requests.
        evaluated: usize,
        /// Least number on each side.
        least: usize,
    },
    /// The policy would be judged on the rows it was tuned on.
    #[error(
        "a train share of {share} leaves no untouched rows: a policy tuned and judged on the same rows looks better than it is"
    )]
    SameRows {
        /// The share as given.
        share: f64,
    },
    /// No request has that id.
    #[error("the log has no usable request `{id}`")]
    UnknownRequest {
        /// The id as given.
        id: String,
    },
    /// An engine part refused its input.
    #[error("{message}")]
    Engine {
        /// Code of the engine's error.
        code: &'static str,
        /// Its message.
        message: String,
        /// Its help.
        help: String,
    },
}

impl EvidenceError {
    /// Wraps an error of a lower crate.
    pub(crate) fn engine(code: &'static str, error: &impl std::fmt::Display, help: &str) -> Self {
        Self::Engine {
            code,
            message: error.to_string(),
            help: help.to_owned(),
        }
    }

    /// The stable code that `plimsoll explain` knows.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRequests => "P0301",
            Self::UnknownArm { .. } => "P0302",
            Self::NotCompared { .. } => "P0303",
            Self::Unpriced { .. } => "P0304",
            Self::NotFullInformation { .. } => "P0305",
            Self::TooFewArms { .. } => "P0309",
            Self::ThinlyLogged { .. } => "P0310",
            Self::NoOverlap { .. } => "P0311",
            Self::NotLogged => "P0312",
            Self::OnlineRule { .. } => "P0313",
            Self::SplitTooSmall { .. } => "P0306",
            Self::SameRows { .. } => "P0307",
            Self::UnknownRequest { .. } => "P0308",
            Self::Engine { code, .. } => code,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::OnlineRule { .. } => {
                "replay it as it learns (`plimsoll replay --learning`), or use `rule = \"average-floor\"`"
                    .into()
            }
            Self::NoRequests => "give a log with at least one request answered by two arms".into(),
            Self::UnknownArm { known, .. } => {
                format!("name one of the log's arms: {}", known.join(", "))
            }
            Self::NotCompared { .. } => {
                "collect its outcome for every request, or lower [arms] coverage_min".into()
            }
            Self::Unpriced { .. } => {
                "record cost_usd or input_tokens and output_tokens for every row and give a price \
                 catalogue (--prices FILE) that holds these arms, or leave them out by [arms] \
                 exclude"
                    .into()
            }
            Self::NotFullInformation { widest, .. } => not_full_help(widest.as_ref()),
            Self::TooFewArms { .. } => {
                "let at least two arms take part: see [arms] include and exclude".into()
            }
            Self::ThinlyLogged { .. } => {
                "collect more labelled answers of the arms to compare, or label those that have \
                 none: a log that serves an arm in a few per cent of all requests is enough"
                    .into()
            }
            Self::NotLogged => "name an arm as the baseline, or best-single".into(),
            Self::NoOverlap { .. } => {
                "let the logging policy choose at random in a small share of requests (for \
                 instance [exploration] kind = \"epsilon\") and log each choice's propensity, or \
                 collect the other arms' answers for a sample of these requests"
                    .into()
            }
            Self::SplitTooSmall { .. } => "collect more requests, or move --train-share".into(),
            Self::SameRows { .. } => {
                "choose a train share between 0 and 1, for instance 0.7".into()
            }
            Self::UnknownRequest { .. } => {
                "give a request_id of the log whose outcomes are complete".into()
            }
            Self::Engine { help, .. } => help.clone(),
        }
    }
}

fn list(arms: &[(String, f64)]) -> String {
    let shown = 5;
    let mut text: Vec<String> = arms
        .iter()
        .take(shown)
        .map(|(arm, share)| format!("`{arm}` on {:.0} % of its rows", share * 100.0))
        .collect();
    if arms.len() > shown {
        text.push(format!("and {} more", arms.len() - shown));
    }
    text.join(", ")
}

fn served(arms: &[(String, u64)]) -> String {
    let shown = 5;
    let mut text: Vec<String> = arms
        .iter()
        .take(shown)
        .map(|(arm, labelled)| format!("`{arm}` {labelled}"))
        .collect();
    if arms.len() > shown {
        text.push(format!("and {} more", arms.len() - shown));
    }
    text.join(", ")
}

fn not_full(
    evidence: EvidenceKind,
    requests: u64,
    arms: u64,
    complete: u64,
    widest: Option<&(String, f64)>,
) -> String {
    if complete == 0 && widest.is_none_or(|(_, share)| *share == 0.0) {
        return format!(
            "the log is not fully observed: none of its rows has a quality, so {arms} arms cannot be \
             compared on {requests} requests"
        );
    }
    let lacks = match evidence {
        EvidenceKind::Observational => {
            "and it records no propensities, so what the other arms would have answered is unknown"
        }
        _ => "so what the other arms would have answered is unknown",
    };
    let widest = widest.map_or(String::new(), |(arm, share)| {
        format!(
            "; the widest of the others, `{arm}`, answered {:.1} %",
            share * 100.0
        )
    });
    format!(
        "the log is not fully observed: {complete} of {arms} arms have a labelled outcome on every \
         one of {requests} requests{widest}, {lacks}"
    )
}

fn not_full_help(widest: Option<&(String, f64)>) -> String {
    let collect = "collect the answer, quality and cost of at least two arms for the same requests \
                   (replay a sample of prompts through each arm)";
    match widest {
        Some((_, share)) if *share >= 0.9 => format!(
            "{collect}, or set [arms] coverage_min to {:.2} to compare the nearly complete arms on \
             the requests that all of them answered",
            (share * 100.0).floor() / 100.0
        ),
        _ => collect.to_owned(),
    }
}
