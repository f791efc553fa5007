//! Quality labels: where they come from, and what they mean on [0, 1].

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::str::FromStr;

use plimsoll::Quality;
use serde::Serialize;

use super::expression::Computed;
use crate::reject::RejectReason;

/// Where quality labels come from.
///
/// Read from text: `thumbs` or `thumbs:FIELD`, `score:NAME`, or a field or expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QualityFrom {
    /// Thumbs up or down, from a field, or from where the export keeps them.
    Thumbs(Option<String>),
    /// The score of that name, in exports that hold scores by name.
    Score(String),
    /// A field, or an expression over fields.
    Expression(String),
}

impl FromStr for QualityFrom {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.split_once(':') {
            None if text == "thumbs" => Self::Thumbs(None),
            Some(("thumbs", field)) => Self::Thumbs(Some(field.to_owned())),
            Some(("score", name)) => Self::Score(name.to_owned()),
            _ => Self::Expression(text.to_owned()),
        })
    }
}

/// A range of grades that [0, 1] stands for: `1..5`, the worst first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    worst: f64,
    best: f64,
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted =
            || format!("`{text}` is no scale: wanted the worst and the best grade, as 1..5");
        let (worst, best) = text.split_once("..").ok_or_else(wanted)?;
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|x| x.is_finite());
        match (number(worst), number(best)) {
            (Some(worst), Some(best))
                if (best - worst).abs() > 0.0 && (best - worst).is_finite() =>
            {
                Ok(Self { worst, best })
            }
            _ => Err(wanted()),
        }
    }
}

impl Scale {
    fn quality(self, grade: f64) -> Option<Quality> {
        let share = (grade - self.worst) / (self.best - self.worst);
        // The worst grade of a falling scale is −0, which is no quality.
        Quality::new(share + 0.0).ok()
    }
}

/// What the text of a label means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    Thumbs,
    Plain,
    Scale(Scale),
}

impl Meaning {
    /// The quality that a label stands for.
    pub(super) fn quality(self, label: &str) -> Result<Quality, RejectReason> {
        let label = label.trim();
        if self == Self::Thumbs {
            return thumbs(label).ok_or(RejectReason::OutOfRange {
                wanted: "thumbs: up, positive, like, true, 1; or down, negative, dislike, false, 0, -1",
            });
        }
        let grade = match label {
            "true" => 1.0,
            "false" => 0.0,
            label => label.parse::<f64>().map_err(|_| RejectReason::WrongType {
                got: "a text",
                wanted: "a number; for words, use thumbs or an expression",
            })?,
        };
        match self {
            Self::Scale(scale) => scale.quality(grade).ok_or(RejectReason::OutOfRange {
                wanted: "a grade on the scale that was given",
            }),
            _ => Quality::new(grade).map_err(|_| RejectReason::OutOfRange {
                wanted: "a number in [0, 1]; for other grades, give --scale",
            }),
        }
    }
}

/// Up is 1, down is 0.
fn thumbs(word: &str) -> Option<Quality> {
    let word = word.to_lowercase();
    let direction = word
        .strip_prefix("thumbs")
        .map(|rest| rest.trim_start_matches(['_', '-', ' ']));
    match direction.unwrap_or(&word) {
        "up" | "positive" | "like" | "liked" | "good" | "true" | "1" | "1.0" | "+1" | "👍" => {
            Quality::new(1.0).ok()
        }
        "down" | "negative" | "dislike" | "disliked" | "bad" | "false" | "0" | "0.0" | "-1"
        | "-1.0" | "👎" => Quality::new(0.0).ok(),
        _ => None,
    }
}

/// Labels that arrive apart from the calls, by the name of what they are about.
#[derive(Debug, Default)]
pub(super) struct Labels {
    by_name: HashMap<String, Known>,
    /// Names that were given two labels that contradict each other: they have none.
    pub(super) contradicting: u64,
    /// Labels in whose place a later one counts.
    pub(super) superseded: u64,
    /// Labels read.
    pub(super) read: u64,
    /// Score names seen, with how often.
    pub(super) scores: BTreeMap<String, u64>,
}

#[derive(Debug)]
enum Known {
    Label {
        label: String,
        /// When it was given, in microseconds, where that is known.
        at: Option<i64>,
        /// Whether a request had the name.
        is_used: bool,
    },
    Contradicting,
}

impl Labels {
    /// Remembers a label.
    pub(super) fn add(&mut self, name: String, label: String) {
        self.add_dated(name, label, None);
    }

    /// Remembers a label given at a time: of several at different times the latest counts.
    pub(super) fn add_dated(&mut self, name: String, label: String, at: Option<i64>) {
        self.read += 1;
        let new = Known::Label {
            label,
            at,
            is_used: false,
        };
        let mut entry = match self.by_name.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(new);
                return;
            }
            Entry::Occupied(entry) => entry,
        };
        let (
            Known::Label { label, at, .. },
            Known::Label {
                label: own,
                at: then,
                ..
            },
        ) = (&new, entry.get())
        else {
            return;
        };
        if at.is_some() && then.is_some() && at != then {
            self.superseded += 1;
            if at > then {
                entry.insert(new);
            }
        } else if label != own {
            entry.insert(Known::Contradicting);
            self.contradicting += 1;
        }
    }

    /// Counts a score, whether it is wanted or not.
    pub(super) fn count_score(&mut self, name: &str) {
        *self.scores.entry(name.to_owned()).or_default() += 1;
    }

    /// The label of the first name that has one.
    pub(super) fn of<'n>(&mut self, names: impl Iterator<Item = &'n String>) -> Option<String> {
        for name in names {
            match self.by_name.get_mut(name) {
                Some(Known::Label { label, is_used, .. }) => {
                    *is_used = true;
                    return Some(label.clone());
                }
                Some(Known::Contradicting) => return None,
                None => {}
            }
        }
        None
    }

    /// Names with a label that no request had.
    pub(super) fn unmatched(&self) -> u64 {
        let is_unused = |known: &&Known| matches!(known, Known::Label { is_used: false, .. });
        self.by_name.values().filter(is_unused).count() as u64
    }
}

/// The text of what an expression gave.
pub(super) fn label_of(computed: Computed) -> String {
    match computed {
        Computed::Text(text) => text,
        Computed::Number(number) => number.to_string(),
    }
}

/// How the labels of an import are spread over its arms.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LabelReport {
    /// Requests with a label.
    pub labelled: u64,
    /// Requests without.
    pub unlabelled: u64,
    /// Labels that could not be read, by reason; their requests have none.
    pub faults: BTreeMap<String, u64>,
    /// Labels in files of their own.
    pub read_apart: u64,
    /// Names with two labels that contradict each other; they count as unlabelled.
    pub contradicting: u64,
    /// Labels in whose place a later one of the same name counts.
    #[serde(skip_serializing_if = "is_none")]
    pub superseded: u64,
    /// Names of labels that no request had.
    pub unmatched: u64,
    /// Score names that the export holds, with how often.
    pub scores: BTreeMap<String, u64>,
    /// By arm.
    pub arms: Vec<ArmLabels>,
    /// Probability of shares as different as these between the arms if labels were missing at
    /// random (χ² test of homogeneity over arms with at least five expected labels on either
    /// side); `None`: there is nothing to compare.
    pub p_same_share: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// The labels of one arm.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmLabels {
    /// The arm.
    pub arm: String,
    /// Its requests.
    pub requests: u64,
    /// Those with a label.
    pub labelled: u64,
}

/// Pearson's χ² test of whether all arms have the same share of labels.
pub(super) fn p_same_share(arms: &[ArmLabels]) -> Option<f64> {
    use statrs::distribution::{ChiSquared, ContinuousCDF};
    let float = |n: u64| {
        #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
        let x = n as f64;
        x
    };
    let total = |arms: &[&ArmLabels]| {
        let all: u64 = arms.iter().map(|arm| arm.requests).sum();
        let with: u64 = arms.iter().map(|arm| arm.labelled).sum();
        float(with) / float(all)
    };
    let all: Vec<&ArmLabels> = arms.iter().collect();
    let share = total(&all);
    let is_large = |arm: &&ArmLabels| float(arm.requests) * share.min(1.0 - share) >= 5.0;
    let arms: Vec<&ArmLabels> = all.into_iter().filter(is_large).collect();
    if arms.len() < 2 {
        return None;
    }
    let share = total(&arms);
    if share <= 0.0 || share >= 1.0 {
        return None;
    }
    let statistic: f64 = arms
        .iter()
        .map(|arm| {
            let n = float(arm.requests);
            let gap = float(arm.labelled) - n * share;
            gap * gap / (n * share * (1.0 - share))
        })
        .sum();
    let degrees = float(arms.len() as u64 - 1);
    ChiSquared::new(degrees).ok().map(|law| law.sf(statistic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_mean_what_they_say() {
        let plain = |label| Meaning::Plain.quality(label).map(Quality::get);
        assert_eq!(plain("0.25"), Ok(0.25));
        assert_eq!(plain("true"), Ok(1.0));
        assert!(plain("4").is_err() && plain("good").is_err() && plain("NaN").is_err());
        let scale = Meaning::Scale("1..5".parse().expect("a scale"));
        let graded = |label| scale.quality(label).map(Quality::get);
        assert_eq!(
            (graded("1"), graded("4"), graded("5")),
            (Ok(0.0), Ok(0.75), Ok(1.0))
        );
        assert!(graded("0").is_err() && graded("6").is_err());
        let ranks = Meaning::Scale("3..1".parse().expect("best last"));
        assert_eq!(ranks.quality("1").map(Quality::get), Ok(1.0));
        let worst = ranks.quality("3").map(Quality::get);
        assert!(worst.is_ok_and(|worst| worst == 0.0 && worst.is_sign_positive()));
        for (word, want) in [
            ("up", 1.0),
            ("thumbs_down", 0.0),
            ("👍", 1.0),
            ("-1", 0.0),
            ("TRUE", 1.0),
        ] {
            assert_eq!(
                Meaning::Thumbs.quality(word).map(Quality::get),
                Ok(want),
                "{word}"
            );
        }
        assert!(Meaning::Thumbs.quality("maybe").is_err());
        assert!("5".parse::<Scale>().is_err() && "1..1".parse::<Scale>().is_err());
        assert!("1..inf".parse::<Scale>().is_err());
    }

    #[test]
    fn the_latest_label_counts() {
        let mut labels = Labels::default();
        for (name, label, at) in [
            ("a", "1", Some(2)),
            ("a", "0", Some(1)),
            ("b", "0", Some(1)),
            ("b", "1", Some(3)),
            ("c", "0", Some(1)),
            ("c", "1", Some(1)),
            ("d", "0", None),
            ("d", "1", Some(1)),
            ("e", "1", None),
            ("e", "1", Some(1)),
        ] {
            labels.add_dated(name.to_owned(), label.to_owned(), at);
        }
        let mut of = |name: &str| labels.of([name.to_owned()].iter());
        let got = ["a", "b", "c", "d", "e"].map(|name| of(name).unwrap_or_default());
        assert_eq!(got, ["1", "1", "", "", "1"]);
        assert_eq!((labels.superseded, labels.contradicting), (2, 2));
    }

    #[test]
    fn shares_of_labels_are_compared() {
        let arm = |requests, labelled| ArmLabels {
            arm: String::new(),
            requests,
            labelled,
        };
        // χ² = 100·(30·30 − 20·20)²/(50·50·50·50) = 4 on one degree: p = .0455.
        let p = p_same_share(&[arm(50, 30), arm(50, 20)]).expect("two arms");
        assert!((p - 0.045_500_26).abs() < 1e-7, "{p}");
        assert_eq!(p_same_share(&[arm(50, 30)]), None);
        assert_eq!(p_same_share(&[arm(50, 0), arm(50, 0)]), None);
    }
}
