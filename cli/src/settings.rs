//! Settings and where they come from: flag, then environment, then `--config`, then default.

use std::path::{Path, PathBuf};

use plimsoll_datasets::ReadOptions;
use serde::Deserialize;

use crate::args::{Global, ReadingArgs};
use crate::exit::Exit;
use crate::input::read_text;
use crate::problem::Failure;
use crate::toml_check::{self, Key, Kind};

/// Everything that more than one source may set.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) threads: Option<usize>,
    pub(crate) prices: Option<PathBuf>,
    pub(crate) max_reject: f64,
    pub(crate) resamples: u32,
    pub(crate) quiet: bool,
    pub(crate) no_color: bool,
}

/// Default of [`Settings::seed`].
pub(crate) const SEED: u64 = 7;
/// Default and least of [`Settings::resamples`].
pub(crate) const RESAMPLES: u32 = 2000;

/// A settings file.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct File {
    seed: Option<u64>,
    threads: Option<usize>,
    prices: Option<PathBuf>,
    max_reject: Option<f64>,
    resamples: Option<u32>,
    quiet: Option<bool>,
    color: Option<bool>,
}

const KEYS: &[Key] = &[
    Key {
        path: "seed",
        kind: Kind::Count,
    },
    Key {
        path: "threads",
        kind: Kind::Count,
    },
    Key {
        path: "prices",
        kind: Kind::Text,
    },
    Key {
        path: "max_reject",
        kind: Kind::Number,
    },
    Key {
        path: "resamples",
        kind: Kind::Count,
    },
    Key {
        path: "quiet",
        kind: Kind::Bool,
    },
    Key {
        path: "color",
        kind: Kind::Bool,
    },
];

impl File {
    /// Reads a settings file; paths in it are relative to it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = read_text(path)?;
        let mut file = Self::parse(&path.display().to_string(), &text)?;
        if let (Some(prices), Some(folder)) = (&mut file.prices, path.parent()) {
            *prices = folder.join(&*prices);
        }
        Ok(file)
    }

    fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        toml_check::check(name, text, KEYS).map_err(|mistakes| Failure {
            exit: Exit::Error,
            problems: mistakes.problems,
        })?;
        let file: Self = toml::from_str(text).map_err(|error| {
            let message = error.message().lines().next().unwrap_or_default();
            let what = format!("{name}: {message}");
            Failure::plain(Exit::Error, "P0725", what, "correct the settings file")
        })?;
        let bad = |what: &str| {
            let help = "correct the settings file";
            Err(Failure::plain(
                Exit::Error,
                "P0726",
                format!("{name}: {what}"),
                help,
            ))
        };
        if file
            .max_reject
            .is_some_and(|share| !(0.0..=1.0).contains(&share))
        {
            return bad("`max_reject` must be in [0, 1]");
        }
        if file.resamples.is_some_and(|n| n < RESAMPLES) {
            return bad("`resamples` must be at least 2000");
        }
        if file.threads == Some(0) {
            return bad("`threads` must be at least 1");
        }
        Ok(file)
    }
}

impl Settings {
    /// Settles every setting.
    pub(crate) fn resolve(
        global: &Global,
        reading: &ReadingArgs,
        resamples: Option<u32>,
        env: impl Fn(&str) -> Option<String>,
        file: &File,
    ) -> Result<Self, Failure> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let threads = match global
            .threads
            .or(whole(set, "PLIMSOLL_THREADS")?)
            .or(file.threads)
        {
            Some(0) => {
                let help = "give at least 1, or leave it out";
                return Err(Failure::plain(
                    Exit::Usage,
                    "P0708",
                    "no thread to compute with",
                    help,
                ));
            }
            threads => threads,
        };
        let prices = || set("PLIMSOLL_PRICES").map(PathBuf::from);
        Ok(Self {
            seed: global
                .seed
                .or(whole(set, "PLIMSOLL_SEED")?)
                .or(file.seed)
                .unwrap_or(SEED),
            threads,
            prices: reading
                .prices
                .clone()
                .or_else(prices)
                .or_else(|| file.prices.clone()),
            max_reject: reading
                .max_reject
                .or(file.max_reject)
                .unwrap_or(ReadOptions::MAX_REJECT),
            resamples: resamples.or(file.resamples).unwrap_or(RESAMPLES),
            quiet: global.quiet || file.quiet.unwrap_or(false),
            no_color: global.no_color || set("NO_COLOR").is_some() || file.color == Some(false),
        })
    }
}

/// A whole number from the environment. Its text is not shown: variables may hold secrets.
fn whole<T: std::str::FromStr>(
    set: impl Fn(&str) -> Option<String>,
    name: &str,
) -> Result<Option<T>, Failure> {
    let parse = |text: String| {
        text.trim().parse().map_err(|_| {
            let what = format!("the environment variable {name} is not a whole number");
            Failure::plain(
                Exit::Usage,
                "P0707",
                what,
                format!("set {name} to a number or unset it"),
            )
        })
    };
    set(name).map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Verb};

    /// Settles `flags` after `plimsoll validate LOG`, `env` as `NAME=value` words, and a file.
    fn settle(flags: &str, env: &str, file: &str) -> Result<Settings, Failure> {
        let words = ["plimsoll", "validate", "LOG"]
            .into_iter()
            .chain(flags.split_whitespace());
        let cli = Cli::parse_from(words);
        let Verb::Validate(args) = cli.verb else {
            panic!("the verb is validate")
        };
        let env = |name: &str| {
            let set = env
                .split_whitespace()
                .filter_map(|word| word.split_once('='));
            set.filter(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
                .next()
        };
        let file = File::parse("c.toml", file)?;
        Settings::resolve(&cli.global, &args.log.reading, None, env, &file)
    }

    fn shown(settings: &Settings, name: &str) -> String {
        match name {
            "seed" => settings.seed.to_string(),
            "threads" => settings
                .threads
                .map_or_else(|| "none".to_owned(), |n| n.to_string()),
            "prices" => settings
                .prices
                .as_ref()
                .map_or_else(|| "none".to_owned(), |path| path.display().to_string()),
            "max_reject" => settings.max_reject.to_string(),
            "resamples" => settings.resamples.to_string(),
            "quiet" => settings.quiet.to_string(),
            _ => settings.no_color.to_string(),
        }
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
        let seed = "PLIMSOLL_SEED=2";
        let threads = "PLIMSOLL_THREADS=2";
        let prices = "PLIMSOLL_PRICES=env";
        let empty = "PLIMSOLL_SEED= PLIMSOLL_THREADS= PLIMSOLL_PRICES= NO_COLOR=";
        // setting, flags, environment, file, what holds
        for (name, flags, env, file, want) in [
            ("seed", "--seed 1", seed, "seed = 3", "1"),
            ("seed", "", seed, "seed = 3", "2"),
            ("seed", "", empty, "seed = 3", "3"),
            ("seed", "", "", "", "7"),
            ("threads", "--threads 1", threads, "threads = 3", "1"),
            ("threads", "", threads, "threads = 3", "2"),
            ("threads", "", empty, "threads = 3", "3"),
            ("threads", "", "", "", "none"),
            ("prices", "--prices flag", prices, "prices = 'file'", "flag"),
            ("prices", "", prices, "prices = 'file'", "env"),
            ("prices", "", empty, "prices = 'file'", "file"),
            ("prices", "", "", "", "none"),
            (
                "max_reject",
                "--max-reject 50%",
                "",
                "max_reject = 0.2",
                "0.5",
            ),
            ("max_reject", "", "", "max_reject = 0.2", "0.2"),
            ("max_reject", "", "", "", "0.01"),
            ("resamples", "", "", "resamples = 5000", "5000"),
            ("resamples", "", "", "", "2000"),
            ("quiet", "--quiet", "", "quiet = false", "true"),
            ("quiet", "", "", "quiet = true", "true"),
            ("quiet", "", "", "", "false"),
            ("no_color", "--no-color", "", "color = true", "true"),
            ("no_color", "", "NO_COLOR=1", "color = true", "true"),
            ("no_color", "", empty, "color = false", "true"),
            ("no_color", "", empty, "", "false"),
        ] {
            let settings = settle(flags, env, file).expect("settled");
            assert_eq!(
                shown(&settings, name),
                want,
                "{name}: `{flags}` `{env}` `{file}`"
            );
        }
    }

    #[test]
    fn bad_settings_are_refused_without_their_values() {
        for (env, file, code) in [
            ("PLIMSOLL_SEED=hunter2", "", "P0707"),
            ("PLIMSOLL_THREADS=0", "", "P0708"),
            ("", "max_reject = 2", "P0726"),
            ("", "resamples = 10", "P0726"),
            ("", "threads = 0", "P0726"),
            ("", "sead = 1", "P0722"),
        ] {
            let failure = settle("", env, file).expect_err(code);
            assert_eq!(failure.problems[0].code, code);
            assert!(!failure.to_string().contains("hunter2"));
        }
    }
}
