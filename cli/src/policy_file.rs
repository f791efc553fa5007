//! Policy files: TOML to a checked [`PolicyConfig`], with every mistake at its place.

use std::path::Path;

use plimsoll::{Aim, BEST_SINGLE, ConfigError, ObjectiveConfig, PolicyConfig, RuleKind};

use crate::excerpt::Show;
use crate::exit::Exit;
use crate::input::read_text;
use crate::problem::{Failure, Problem};
use crate::toml_check::{self, Key, Kind, Places, problem_at};

/// A policy, and the text it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// The file's name without folders; `default` for the policy used when none is given.
    pub(crate) name: String,
    /// The file as it was named.
    file: String,
    /// As checked.
    pub(crate) config: PolicyConfig,
    /// As written.
    pub(crate) toml: String,
}

/// The commented policy that `plimsoll init` writes.
pub(crate) const TEMPLATE: &str = include_str!("../examples/policy.toml");

/// Share of the best single arm's quality that the default policy keeps.
const RETAIN: f64 = 0.98;
/// Share of the best single arm's quality that the demo keeps.
const DEMO_RETAIN: f64 = 0.95;

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind }
}

/// Every key of a policy file.
const KEYS: &[Key] = &[
    key("objective", Kind::Table),
    key(
        "objective.rule",
        Kind::Choice(&[
            "average-floor",
            "per-request-floor",
            "non-inferiority",
            "budget",
        ]),
    ),
    key("objective.quality", Kind::Number),
    key("objective.relative_to", Kind::Text),
    key("objective.retain", Kind::Number),
    key("objective.confidence", Kind::Number),
    key("objective.aim", Kind::Choice(&["savings", "proof"])),
    key("objective.delta", Kind::Number),
    key("objective.margin", Kind::Number),
    key("objective.budget_usd", Kind::Number),
    key("predictor", Kind::Table),
    key(
        "predictor.kind",
        Kind::Choice(&[
            "auto", "beta", "tasks", "linear", "logistic", "knn", "clusters",
        ]),
    ),
    key(
        "predictor.calibration",
        Kind::Choice(&["none", "platt", "isotonic"]),
    ),
    key("predictor.prior_mean", Kind::Number),
    key("predictor.prior_strength", Kind::Number),
    key("predictor.ridge", Kind::Number),
    key("predictor.forgetting", Kind::Number),
    key("predictor.neighbours", Kind::Count),
    key("predictor.clusters", Kind::Count),
    key("predictor.nearest", Kind::Count),
    key("predictor.shrink", Kind::Number),
    key("exploration", Kind::Table),
    key(
        "exploration.kind",
        Kind::Choice(&["none", "epsilon", "inverse-gap"]),
    ),
    key("exploration.share_max", Kind::Number),
    key("exploration.epsilon", Kind::Number),
    key("exploration.gamma", Kind::Number),
    key("arms", Kind::Table),
    key("arms.include", Kind::TextList),
    key("arms.exclude", Kind::TextList),
    key("arms.coverage_min", Kind::Number),
];

impl Policy {
    /// Keeps 98 % of the best single arm's quality on average, at 95 % confidence.
    pub(crate) fn default_policy() -> Result<Self, Failure> {
        Self::of("default", ObjectiveConfig::retain(RETAIN))
    }

    /// What `demo` replays the sample under: enough margin that it can be proven.
    pub(crate) fn demo() -> Result<Self, Failure> {
        let objective = ObjectiveConfig {
            aim: Aim::Proof,
            ..ObjectiveConfig::retain(DEMO_RETAIN)
        };
        Self::of("demo", objective)
    }

    fn of(name: &str, objective: ObjectiveConfig) -> Result<Self, Failure> {
        let config = PolicyConfig::new(objective);
        let toml = Self::text_of(&config)?;
        Ok(Self {
            name: name.to_owned(),
            file: name.to_owned(),
            config,
            toml,
        })
    }

    /// A policy made here, as its file reads.
    pub(crate) fn text_of(config: &PolicyConfig) -> Result<String, Failure> {
        toml::to_string(config).map_err(|error| {
            let help = "please report this";
            Failure::plain(Exit::Error, "P0725", error.to_string(), help)
        })
    }

    /// Reads a file; `-` is standard input.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let file = path.display().to_string();
        let text = read_text(path)?;
        let name = path
            .file_name()
            .map_or_else(|| file.clone(), |n| n.to_string_lossy().into());
        let config = parse(&file, &text).map_err(|problems| Failure {
            exit: Exit::Error,
            problems,
        })?;
        Ok(Self {
            name,
            file,
            config,
            toml: text,
        })
    }

    /// The arms it names, each with the path of its key.
    pub(crate) fn arm_names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let PolicyConfig {
            objective, arms, ..
        } = &self.config;
        let relative = objective.relative_to.as_deref();
        let relative = relative.filter(|name| *name != BEST_SINGLE);
        let included = arms.include.iter().flatten();
        let excluded = arms.exclude.iter();
        relative
            .map(|name| ("objective.relative_to", name))
            .into_iter()
            .chain(included.map(|arm| ("arms.include", arm.as_str())))
            .chain(excluded.map(|arm| ("arms.exclude", arm.as_str())))
    }

    /// The problem, at a key of the file.
    pub(crate) fn at(&self, key: &str, problem: Problem) -> Problem {
        let places = toml_check::check(&self.file, &self.toml, KEYS).unwrap_or_default();
        let span = places.of(key).cloned().unwrap_or(0..0);
        problem_at(&self.file, &self.toml, &span, Show::Line, problem)
    }
}

/// The checked policy, or everything that is wrong with it.
fn parse(file: &str, text: &str) -> Result<PolicyConfig, Vec<Problem>> {
    let places = match toml_check::check(file, text, KEYS) {
        Ok(places) => places,
        Err(mut mistakes) => {
            // The rest of the file is checked as well, so that one run shows everything.
            let rest = without(text, &mistakes.keys);
            let errors = rest
                .and_then(|config| config.validate().err())
                .unwrap_or_default();
            // What is missing may be what was mistyped.
            let sure = errors
                .iter()
                .filter(|e| !matches!(e, ConfigError::Missing { .. }));
            let more = sure.map(|error| located(file, text, &mistakes.places, error));
            let more: Vec<Problem> = more.collect();
            mistakes.problems.extend(more);
            mistakes.sort();
            return Err(mistakes.problems);
        }
    };
    let config: PolicyConfig = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        // What the parser says may quote a value; its first words say what is wrong.
        let message = error.message().lines().next().unwrap_or_default();
        let problem = Problem {
            code: "P0725",
            what: format!("not a policy: {message}"),
            help: "a policy needs [objective] with `rule` and a line: `plimsoll init -o -` shows \
                   one"
            .to_owned(),
            ..Problem::default()
        };
        vec![problem_at(file, text, &span, Show::Line, problem)]
    })?;
    config.validate().map_err(|errors| {
        errors
            .iter()
            .map(|error| located(file, text, &places, error))
            .collect::<Vec<_>>()
    })?;
    Ok(config)
}

/// What the engine says about a key, at the key.
fn located(file: &str, text: &str, places: &Places, error: &ConfigError) -> Problem {
    let problem = Problem {
        code: error.code(),
        what: error.to_string(),
        help: error.help().to_owned(),
        ..Problem::default()
    };
    let span = places.of(error.key()).cloned().unwrap_or(0..0);
    problem_at(file, text, &span, Show::Line, problem)
}

/// The policy without the keys at fault, if there is one.
fn without(text: &str, keys: &[String]) -> Option<PolicyConfig> {
    let mut table: toml::Table = text.parse().ok()?;
    for key in keys {
        match key.split_once('.') {
            None => drop(table.remove(key)),
            Some((section, leaf)) => drop(table.get_mut(section)?.as_table_mut()?.remove(leaf)),
        }
    }
    let objective = table.get_mut("objective")?.as_table_mut()?;
    let rule = toml::Value::String(RuleKind::AverageFloor.name().to_owned());
    objective.entry("rule").or_insert(rule);
    table.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn expect(text: &str, want: &[(&str, &str)]) {
        let problems = parse("p.toml", text).err().unwrap_or_default();
        let got: Vec<_> = problems
            .iter()
            .map(|p| (p.code, p.at.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(got, want, "{problems:#?}");
    }

    const LINE: &str = "[objective]\nrule = \"average-floor\"\n";

    #[test]
    fn mistakes_have_their_places() {
        expect(&format!("{LINE}quality = 0.9\n"), &[]);
        expect("", &[("P0725", "p.toml:1:1")]);
        expect(LINE, &[("P0102", "p.toml:1:2")]);
        expect(
            &format!("{LINE}quality = 1.5\nconfidence = 0\n[exploration]\nshare_max = 2\n"),
            &[
                ("P0101", "p.toml:3:1"),
                ("P0101", "p.toml:4:1"),
                ("P0101", "p.toml:6:1"),
            ],
        );
        expect(
            "[objective]\nrule = \"averge\"\nretian = 0.9\nconfidence = 2\n[arms]\ncoverage_min = -1\n",
            &[
                ("P0724", "p.toml:2:8"),
                ("P0722", "p.toml:3:1"),
                ("P0101", "p.toml:4:1"),
                ("P0101", "p.toml:6:1"),
            ],
        );
        expect(
            &format!("{LINE}quality = 0.9\nretain = 0.9\nrelative_to = \"best-single\"\n"),
            &[("P0103", "p.toml:3:1")],
        );
        expect(
            &format!("{LINE}quality = 0.9\n[arms]\ninclude = [\"a\"]\nexclude = [\"a\"]\n"),
            &[("P0104", "p.toml:6:1")],
        );
    }

    #[test]
    fn the_template_and_the_default_are_policies() {
        let template = parse("policy.toml", TEMPLATE).expect("the template");
        let default = Policy::default_policy().expect("the default");
        assert_eq!(
            parse("default", &default.toml).expect("the default"),
            default.config
        );
        assert_eq!(template, default.config);
    }

    /// The table of keys and the engine's type name the same keys.
    #[test]
    fn every_key_is_one_of_the_engines() {
        for key in KEYS {
            let value = match key.kind {
                Kind::Table => continue,
                Kind::Text => "\"x\"".to_owned(),
                Kind::Choice(allowed) => format!("\"{}\"", allowed[0]),
                Kind::Number => "0.95".to_owned(),
                Kind::Count => "3".to_owned(),
                Kind::Bool => "true".to_owned(),
                Kind::TextList => "[\"x\"]".to_owned(),
            };
            let (section, leaf) = key.path.split_once('.').expect("a section");
            let line = match section {
                "objective" if leaf == "rule" => format!("[objective]\nrule = {value}\n"),
                "objective" => format!("{LINE}{leaf} = {value}\n"),
                _ => format!("{LINE}[{section}]\n{leaf} = {value}\n"),
            };
            let parsed: Result<PolicyConfig, _> = toml::from_str(&line);
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
        // And the engine knows no key that the table lacks: serde names them all.
        for (section, known) in sections() {
            let text = if section.is_empty() {
                "zzz = 1\n".to_owned()
            } else {
                format!("{LINE}[{section}]\nzzz = 1\n").replace("[objective]\nzzz", "zzz")
            };
            let text = if section == "objective" {
                format!("{LINE}zzz = 1\n")
            } else {
                text
            };
            let error = toml::from_str::<PolicyConfig>(&text)
                .expect_err("unknown")
                .to_string();
            let listed: Vec<&str> = error
                .rsplit_once("expected")
                .expect("a list")
                .1
                .split('`')
                .skip(1)
                .step_by(2)
                .collect();
            assert_eq!(listed, known, "[{section}]");
        }
    }

    fn sections() -> Vec<(&'static str, Vec<&'static str>)> {
        let mut all = vec![("", Vec::new())];
        for key in KEYS {
            match key.path.split_once('.') {
                None => {
                    all[0].1.push(key.path);
                    all.push((key.path, Vec::new()));
                }
                Some((_, leaf)) => all.last_mut().expect("a section").1.push(leaf),
            }
        }
        all
    }
}
