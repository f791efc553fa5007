//! TOML against a table of known keys: every mistake at once, each with its place.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::excerpt::{Excerpt, Show};
use crate::problem::Problem;

/// One key of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Path with dots, for instance `objective.rule`.
    pub(crate) path: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
}

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Table,
    Text,
    /// One of a few texts.
    Choice(&'static [&'static str]),
    /// Integer or float, finite.
    Number,
    /// Integer, not negative.
    Count,
    Bool,
    TextList,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Table => "a section",
            Self::Text | Self::Choice(_) => "a text in quotes",
            Self::Number => "a number",
            Self::Count => "a whole number of at least 0",
            Self::Bool => "true or false",
            Self::TextList => "a list of texts",
        }
    }
}

/// Where each key of a checked file stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(BTreeMap<String, Range<usize>>);

impl Places {
    /// The bytes of a key, or of the nearest section that is there.
    pub(crate) fn of(&self, path: &str) -> Option<&Range<usize>> {
        self.0
            .get(path)
            .or_else(|| self.of(path.rsplit_once('.')?.0))
    }
}

/// A file with mistakes.
#[derive(Debug, Default)]
pub(crate) struct Mistakes {
    /// At least one, from the top.
    pub(crate) problems: Vec<Problem>,
    /// The keys at fault; empty when the file is not TOML at all.
    pub(crate) keys: Vec<String>,
    /// Where the keys stand.
    pub(crate) places: Places,
}

/// A file that is being checked.
struct Check<'a> {
    file: &'a str,
    text: &'a str,
    keys: &'a [Key],
    places: Places,
    problems: Vec<Problem>,
    faulty: Vec<String>,
}

/// Checks that `text` is TOML, that every key is known and holds what it should.
pub(crate) fn check(file: &str, text: &str, keys: &[Key]) -> Result<Places, Mistakes> {
    let mut check = Check {
        file,
        text,
        keys,
        places: Places::default(),
        problems: Vec::new(),
        faulty: Vec::new(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        // The parser's first line says what is wrong; it never quotes a value.
        let message = error.message().lines().next().unwrap_or("not TOML");
        check.report(
            "P0721",
            format!("not TOML: {message}"),
            &span,
            Show::KeyOnly,
            SYNTAX.into(),
        );
    }
    if check.problems.is_empty() {
        check.table(table.get_ref(), "");
    }
    let Check {
        problems,
        faulty: keys,
        places,
        ..
    } = check;
    if problems.is_empty() {
        return Ok(places);
    }
    let mut mistakes = Mistakes {
        problems,
        keys,
        places,
    };
    mistakes.sort();
    Err(mistakes)
}

impl Mistakes {
    /// The parser's tables are sorted by key; people read from the top.
    pub(crate) fn sort(&mut self) {
        self.problems.sort_by_key(|problem| {
            problem
                .excerpt
                .as_ref()
                .map(|excerpt| (excerpt.line, excerpt.column))
        });
    }
}

const SYNTAX: &str = "a line reads `key = value`, texts stand in double quotes, sections in \
                      brackets; `plimsoll init -o -` shows a whole file";

/// A problem at a place of a file.
pub(crate) fn problem_at(
    file: &str,
    text: &str,
    span: &Range<usize>,
    show: Show,
    problem: Problem,
) -> Problem {
    let excerpt = Excerpt::new(text, span, show);
    let at = Some(format!("{file}:{}:{}", excerpt.line, excerpt.column));
    Problem {
        at,
        excerpt: Some(excerpt),
        ..problem
    }
}

impl Check<'_> {
    fn report(
        &mut self,
        code: &'static str,
        what: String,
        span: &Range<usize>,
        show: Show,
        help: String,
    ) {
        let problem = Problem {
            code,
            what,
            help,
            ..Problem::default()
        };
        self.problems
            .push(problem_at(self.file, self.text, span, show, problem));
    }

    fn table(&mut self, table: &DeTable<'_>, prefix: &str) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let path = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}.{name}")
            };
            self.places.0.insert(path.clone(), key.span());
            if let Some(known) = self.keys.iter().find(|known| known.path == path) {
                self.value(*known, value, &path);
            } else {
                self.unknown(name, prefix, &key.span());
                self.faulty.push(path);
            }
        }
    }

    fn value(&mut self, known: Key, value: &Spanned<DeValue<'_>>, path: &str) {
        let inner = value.get_ref();
        let fits = match known.kind {
            Kind::Table => inner
                .as_table()
                .map(|table| self.table(table, path))
                .is_some(),
            Kind::Text => inner.is_str(),
            Kind::Choice(allowed) => {
                if let Some(got) = inner.as_str()
                    && !allowed.contains(&got)
                {
                    self.choice(path, got, allowed, &value.span());
                    self.faulty.push(path.to_owned());
                }
                inner.is_str()
            }
            Kind::Number => number(inner).is_some_and(f64::is_finite),
            Kind::Count => inner
                .as_integer()
                .is_some_and(|i| u64::from_str_radix(&digits(i.as_str()), i.radix()).is_ok()),
            Kind::Bool => inner.is_bool(),
            Kind::TextList => inner
                .as_array()
                .is_some_and(|items| items.iter().all(|item| item.get_ref().is_str())),
        };
        if !fits {
            let what = format!(
                "`{path}` must be {}, got {}",
                known.kind.name(),
                type_name(inner)
            );
            let help = format!("write {}, or leave the key out", example(known));
            self.report("P0723", what, &value.span(), Show::Line, help);
            self.faulty.push(path.to_owned());
        }
    }

    fn unknown(&mut self, name: &str, prefix: &str, span: &Range<usize>) {
        let place = if prefix.is_empty() {
            "at the top".to_owned()
        } else {
            format!("in [{prefix}]")
        };
        let siblings: Vec<&str> = self
            .keys
            .iter()
            .filter_map(|known| match known.path.rsplit_once('.') {
                Some((parent, leaf)) => (parent == prefix).then_some(leaf),
                None => prefix.is_empty().then_some(known.path),
            })
            .collect();
        let elsewhere = self.keys.iter().find_map(|known| {
            let (parent, leaf) = known.path.rsplit_once('.')?;
            (leaf == name).then_some(parent)
        });
        let help = match (nearest(name, &siblings), elsewhere) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, Some(parent)) => format!("`{name}` belongs into [{parent}]"),
            (None, None) => format!("known here: {}", siblings.join(", ")),
        };
        let what = format!("unknown key `{name}` {place}");
        self.report("P0722", what, span, Show::KeyOnly, help);
    }

    fn choice(&mut self, path: &str, got: &str, allowed: &[&str], span: &Range<usize>) {
        let list = allowed.join(", ");
        let help = match nearest(got, allowed) {
            Some(meant) => format!("did you mean \"{meant}\"? Allowed: {list}"),
            None => format!("allowed: {list}"),
        };
        let what = format!("`{path}` holds none of the allowed texts");
        self.report("P0724", what, span, Show::Line, help);
    }
}

/// The known name that is most like `name`, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .copied()
        .map(|other| (likeness(name, other), other))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

/// How alike two names are whatever their case, from 0 to 1.
pub(crate) fn likeness(name: &str, other: &str) -> f64 {
    strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase())
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => digits(float.as_str()).parse().ok(),
        DeValue::Integer(integer) => {
            i64::from_str_radix(&digits(integer.as_str()), integer.radix())
                .ok()
                .map(|_| 0.0)
        }
        _ => None,
    }
}

fn digits(text: &str) -> String {
    text.replace('_', "")
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

fn example(key: Key) -> String {
    let leaf = key.path.rsplit('.').next().unwrap_or(key.path);
    match key.kind {
        Kind::Table => format!("`[{}]` and its keys below", key.path),
        Kind::Text => format!("`{leaf} = \"…\"`"),
        Kind::Choice(allowed) => format!("`{leaf} = \"{}\"`", allowed[0]),
        Kind::Number => format!("`{leaf} = 0.5`"),
        Kind::Count => format!("`{leaf} = 10`"),
        Kind::Bool => format!("`{leaf} = true`"),
        Kind::TextList => format!("`{leaf} = [\"…\"]`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[Key] = &[
        Key {
            path: "objective",
            kind: Kind::Table,
        },
        Key {
            path: "objective.rule",
            kind: Kind::Choice(&["average-floor", "per-request-floor"]),
        },
        Key {
            path: "objective.retain",
            kind: Kind::Number,
        },
        Key {
            path: "seed",
            kind: Kind::Count,
        },
        Key {
            path: "arms",
            kind: Kind::Table,
        },
        Key {
            path: "arms.include",
            kind: Kind::TextList,
        },
    ];

    #[track_caller]
    fn expect(text: &str, want: &[(&str, &str, &str)]) {
        let problems = check("p.toml", text, KEYS)
            .err()
            .unwrap_or_default()
            .problems;
        let got: Vec<_> = problems
            .iter()
            .map(|p| (p.code, p.at.as_deref().unwrap_or_default(), p.help.as_str()))
            .collect();
        assert_eq!(got.len(), want.len(), "{got:?}");
        for (got, want) in got.iter().zip(want) {
            assert_eq!((got.0, got.1), (want.0, want.1), "{got:?}");
            assert!(got.2.contains(want.2), "{got:?}");
        }
    }

    #[test]
    fn every_mistake_is_found_with_its_place() {
        expect("[objective]\nrule = \"average-floor\"\nretain = 1", &[]);
        expect(
            "[objective]\nretian = 1\n",
            &[("P0722", "p.toml:2:1", "did you mean `retain`")],
        );
        expect(
            "[objectiv]\n",
            &[("P0722", "p.toml:1:2", "did you mean `objective`")],
        );
        expect(
            "retain = 1\n",
            &[("P0722", "p.toml:1:1", "belongs into [objective]")],
        );
        expect(
            "zzz = 1\n",
            &[("P0722", "p.toml:1:1", "known here: objective, seed, arms")],
        );
        expect(
            "objective = 3\n",
            &[("P0723", "p.toml:1:13", "[objective]")],
        );
        expect("seed = -1\n", &[("P0723", "p.toml:1:8", "seed = 10")]);
        expect("seed = 1.5\n", &[("P0723", "p.toml:1:8", "seed = 10")]);
        expect(
            "[objective]\nretain = nan\n",
            &[("P0723", "p.toml:2:10", "retain = 0.5")],
        );
        expect(
            "[arms]\ninclude = [\"a\", 1]\n",
            &[("P0723", "p.toml:2:11", "include = [")],
        );
        expect("seed = \n", &[("P0721", "p.toml:1:8", "key = value")]);
        expect(
            "[objective]\nrule = \"averge-floor\"\nretain = \"x\"\nfoo = 1\n",
            &[
                ("P0724", "p.toml:2:8", "did you mean \"average-floor\""),
                ("P0723", "p.toml:3:10", "retain = 0.5"),
                ("P0722", "p.toml:4:1", "known here"),
            ],
        );
    }

    #[test]
    fn values_of_unknown_keys_are_never_shown() {
        for text in [
            "api_key = \"hunter2\"\n",
            "[objective]\npassword = \"hunter2\"\n",
            "token = \"hunter2\n",
            "seed = sk-hunter2\n",
            "seed = \"hunter2\" \"hunter2\"\n",
        ] {
            let problems = check("p.toml", text, KEYS).expect_err("a mistake").problems;
            let shown: String = problems.iter().map(ToString::to_string).collect();
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
