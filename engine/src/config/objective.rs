//! `[objective]`: the rule, and what it promises.

use serde::{Deserialize, Serialize};

use super::{ConfigError, range};

/// Default of [`ObjectiveConfig::confidence`].
pub const CONFIDENCE: f64 = 0.95;
/// Default of [`ObjectiveConfig::delta`].
pub const DELTA: f64 = 0.1;
/// The value of `relative_to` that means the best arm on the training rows.
pub const BEST_SINGLE: &str = "best-single";

/// `[objective]`: one rule and its line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// The rule.
    pub rule: RuleKind,
    /// The line as a quality in [0, 1]; or `relative_to` and `retain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<f64>,
    /// The arm whose quality is to be kept, or [`BEST_SINGLE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative_to: Option<String>,
    /// Share of that arm's quality to keep, in (0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain: Option<f64>,
    /// Confidence of certificates, in (0, 1).
    #[serde(default = "default_confidence")]
    pub confidence: f64,
    /// What a tuned setting leaves room for.
    #[serde(default, skip_serializing_if = "Aim::is_default")]
    pub aim: Aim,
    /// Per-request floor: accepted probability of falling below the line, in (0, 1);
    /// non-inferiority: of giving away more than the margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// Non-inferiority: quality that may be given away against `relative_to`, in [0, 1].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// Budget: what a request may cost on average, in US dollars, > 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
}

/// What tuning leaves room for beyond the line itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Aim {
    /// As much saving as keeps the floor, at `confidence`, on the training rows.
    #[default]
    Savings,
    /// Less saving, and enough margin that the rows kept for judging can prove the floor.
    Proof,
}

impl Aim {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The decision rules that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RuleKind {
    /// Every request by itself reaches the line with probability 1 − δ.
    PerRequestFloor,
    /// The mean quality stays above the line.
    AverageFloor,
    /// No request is answered worse than by a reference arm, but for a margin.
    NonInferiority,
    /// The best quality that a budget per request pays for.
    Budget,
}

impl RuleKind {
    /// The name used in policy files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PerRequestFloor => "per-request-floor",
            Self::AverageFloor => "average-floor",
            Self::NonInferiority => "non-inferiority",
            Self::Budget => "budget",
        }
    }
}

impl std::fmt::Display for RuleKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl ObjectiveConfig {
    /// Average floor: keep `retain` of the best single arm's quality.
    #[must_use]
    pub fn retain(retain: f64) -> Self {
        Self {
            rule: RuleKind::AverageFloor,
            quality: None,
            relative_to: Some(BEST_SINGLE.to_owned()),
            retain: Some(retain),
            confidence: CONFIDENCE,
            aim: Aim::default(),
            delta: None,
            margin: None,
            budget_usd: None,
        }
    }

    /// A floor at an absolute quality.
    #[must_use]
    pub fn floor(rule: RuleKind, quality: f64) -> Self {
        let quality = Some(quality);
        Self {
            rule,
            quality,
            relative_to: None,
            retain: None,
            confidence: CONFIDENCE,
            aim: Aim::default(),
            delta: None,
            margin: None,
            budget_usd: None,
        }
    }

    /// Not worse than `reference`, an arm or [`BEST_SINGLE`], by more than `margin`.
    #[must_use]
    pub fn non_inferior(reference: &str, margin: f64) -> Self {
        Self {
            rule: RuleKind::NonInferiority,
            relative_to: Some(reference.to_owned()),
            retain: None,
            margin: Some(margin),
            ..Self::retain(1.0)
        }
    }

    /// The best quality for `budget_usd` dollars per request.
    #[must_use]
    pub fn budget(budget_usd: f64) -> Self {
        Self {
            rule: RuleKind::Budget,
            relative_to: None,
            retain: None,
            budget_usd: Some(budget_usd),
            ..Self::retain(1.0)
        }
    }

    pub(super) fn check(&self, errors: &mut Vec<ConfigError>) {
        self.check_line(errors);
        self.check_keys(errors);
        range(
            errors,
            "objective.quality",
            self.quality,
            "in [0, 1]",
            |x| (0.0..=1.0).contains(&x),
        );
        range(errors, "objective.retain", self.retain, "in (0, 1]", |x| {
            x > 0.0 && x <= 1.0
        });
        let open = |x: f64| x > 0.0 && x < 1.0;
        range(
            errors,
            "objective.confidence",
            Some(self.confidence),
            "in (0, 1)",
            open,
        );
        range(errors, "objective.delta", self.delta, "in (0, 1)", open);
        range(errors, "objective.margin", self.margin, "in [0, 1]", |x| {
            (0.0..=1.0).contains(&x)
        });
        // From the smallest amount there is to one that no request costs.
        range(
            errors,
            "objective.budget_usd",
            self.budget_usd,
            "in [1e-12, 1e6]",
            |x| (1e-12..=1e6).contains(&x),
        );
        if self.relative_to.as_deref() == Some("") {
            let (got, allowed) = ("an empty text".to_owned(), "an arm or \"best-single\"");
            errors.push(ConfigError::Range {
                key: "objective.relative_to",
                got,
                allowed,
            });
        }
    }

    /// Keys that say nothing under the rule.
    fn check_keys(&self, errors: &mut Vec<ConfigError>) {
        let floor = matches!(
            self.rule,
            RuleKind::PerRequestFloor | RuleKind::AverageFloor
        );
        let inferior = self.rule == RuleKind::NonInferiority;
        let budget = self.rule == RuleKind::Budget;
        let keys = [
            ("objective.quality", self.quality.is_some(), floor),
            ("objective.retain", self.retain.is_some(), floor),
            ("objective.relative_to", self.relative_to.is_some(), !budget),
            ("objective.delta", self.delta.is_some(), !budget),
            ("objective.margin", self.margin.is_some(), inferior),
            ("objective.budget_usd", self.budget_usd.is_some(), budget),
        ];
        let unused = keys.into_iter().filter(|(_, given, used)| *given && !used);
        errors.extend(unused.map(|(key, ..)| ConfigError::Unused {
            key,
            rule: self.rule,
        }));
    }

    /// Whether the line is given, and once.
    fn check_line(&self, errors: &mut Vec<ConfigError>) {
        let missing = |key, needed| ConfigError::Missing { key, needed };
        match self.rule {
            RuleKind::PerRequestFloor | RuleKind::AverageFloor => self.check_floor(errors),
            RuleKind::NonInferiority => {
                if self.relative_to.is_none() {
                    let needed = "name the arm to compare with, or \"best-single\"";
                    errors.push(missing("objective.relative_to", needed));
                }
                if self.margin.is_none() {
                    let needed = "it is the quality that may be given away";
                    errors.push(missing("objective.margin", needed));
                }
            }
            RuleKind::Budget => {
                if self.budget_usd.is_none() {
                    let needed = "it is what a request may cost on average";
                    errors.push(missing("objective.budget_usd", needed));
                }
            }
        }
    }

    fn check_floor(&self, errors: &mut Vec<ConfigError>) {
        let relative = self.relative_to.is_some() || self.retain.is_some();
        if self.quality.is_some() && relative {
            let other = if self.relative_to.is_some() {
                "relative_to"
            } else {
                "retain"
            };
            let other = if other == "retain" {
                "objective.retain"
            } else {
                "objective.relative_to"
            };
            errors.push(ConfigError::Conflict {
                key: "objective.quality",
                other,
            });
        }
        if self.quality.is_none() && !relative {
            let needed = "give the line as `quality`, or as `relative_to` and `retain`";
            errors.push(ConfigError::Missing {
                key: "objective.quality",
                needed,
            });
        }
        if relative && self.retain.is_none() {
            let needed = "it is the share of `relative_to`'s quality to keep";
            errors.push(ConfigError::Missing {
                key: "objective.retain",
                needed,
            });
        }
        if relative && self.relative_to.is_none() {
            let needed = "name an arm, or \"best-single\"";
            errors.push(ConfigError::Missing {
                key: "objective.relative_to",
                needed,
            });
        }
    }
}

fn default_confidence() -> f64 {
    CONFIDENCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PolicyConfig;

    #[track_caller]
    fn check(objective: ObjectiveConfig, expect: &[&str]) {
        let errors = PolicyConfig::new(objective).validate().err();
        let got: Vec<String> = errors
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn every_rule_has_its_keys_and_no_others() {
        check(ObjectiveConfig::retain(0.98), &[]);
        check(ObjectiveConfig::non_inferior(BEST_SINGLE, 0.02), &[]);
        check(ObjectiveConfig::budget(0.002), &[]);
        check(
            ObjectiveConfig {
                relative_to: None,
                retain: Some(0.9),
                ..ObjectiveConfig::non_inferior("large", 1.5)
            },
            &[
                "`objective.relative_to` is missing: name the arm to compare with, or \"best-single\"",
                "`objective.retain` means nothing under rule `non-inferiority`",
                "`objective.margin` must be in [0, 1], got 1.5",
            ],
        );
        check(
            ObjectiveConfig {
                quality: Some(0.9),
                budget_usd: None,
                margin: Some(0.1),
                ..ObjectiveConfig::budget(0.0)
            },
            &[
                "`objective.budget_usd` is missing: it is what a request may cost on average",
                "`objective.quality` means nothing under rule `budget`",
                "`objective.margin` means nothing under rule `budget`",
            ],
        );
        check(
            ObjectiveConfig::budget(0.0),
            &["`objective.budget_usd` must be in [1e-12, 1e6], got 0"],
        );
        check(
            ObjectiveConfig {
                budget_usd: Some(1.0),
                ..ObjectiveConfig::retain(0.9)
            },
            &["`objective.budget_usd` means nothing under rule `average-floor`"],
        );
    }

    #[test]
    fn new_rules_are_read_as_they_are_written() {
        for objective in [
            ObjectiveConfig::non_inferior("large", 0.02),
            ObjectiveConfig::budget(0.002),
        ] {
            let text = serde_json::to_string(&objective).expect("serialises");
            assert!(text.contains(&format!("\"rule\":\"{}\"", objective.rule)));
            let read: ObjectiveConfig = serde_json::from_str(&text).expect("parses");
            assert_eq!(read, objective);
        }
    }
}
