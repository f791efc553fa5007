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
        toml_check::check(name, text, KEYS).map_err(|problems| Failure {
            exit: Exit::Error,
            problems,
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
            .or(whole(&set, "PLIMSOLL_THREADS")?)
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
                .or(whole(&set, "PLIMSOLL_SEED")?)
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
    use super::*;

    type Env<'a> = &'a [(&'a str, &'a str)];

    fn settle(flags: (Global, ReadingArgs), env: Env<'_>, file: &str) -> Result<Settings, Failure> {
        let env = |name: &str| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::resolve(&flags.0, &flags.1, None, env, &File::parse("c.toml", file)?)
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
        let none = || (Global::default(), ReadingArgs::default());
        let seed = || {
            (
                Global {
                    seed: Some(1),
                    ..Global::default()
                },
                ReadingArgs::default(),
            )
        };
        let threads = || {
            (
                Global {
                    threads: Some(1),
                    ..Global::default()
                },
                ReadingArgs::default(),
            )
        };
        let quiet = || {
            (
                Global {
                    quiet: true,
                    ..Global::default()
                },
                ReadingArgs::default(),
            )
        };
        let prices = || {
            let reading = ReadingArgs {
                prices: Some("flag".into()),
                ..ReadingArgs::default()
            };
            (Global::default(), reading)
        };
        let reject = || {
            (
                Global::default(),
                ReadingArgs {
                    max_reject: Some(0.5),
                    ..ReadingArgs::default()
                },
            )
        };
        let env_seed: Env<'_> = &[("PLIMSOLL_SEED", "2")];
        let env_threads: Env<'_> = &[("PLIMSOLL_THREADS", "2")];
        let env_prices: Env<'_> = &[("PLIMSOLL_PRICES", "env")];
        let empty: Env<'_> = &[("PLIMSOLL_SEED", ""), ("NO_COLOR", "")];
        type Case<'a> = (
            (Global, ReadingArgs),
            Env<'a>,
            &'a str,
            fn(&Settings) -> String,
            &'a str,
        );
        let cases: Vec<Case<'_>> = vec![
            (seed(), env_seed, "seed = 3", |s| s.seed.to_string(), "1"),
            (none(), env_seed, "seed = 3", |s| s.seed.to_string(), "2"),
            (none(), empty, "seed = 3", |s| s.seed.to_string(), "3"),
            (none(), &[], "", |s| s.seed.to_string(), "7"),
            (
                threads(),
                env_threads,
                "threads = 3",
                |s| format!("{:?}", s.threads),
                "Some(1)",
            ),
            (
                none(),
                env_threads,
                "threads = 3",
                |s| format!("{:?}", s.threads),
                "Some(2)",
            ),
            (
                none(),
                &[],
                "threads = 3",
                |s| format!("{:?}", s.threads),
                "Some(3)",
            ),
            (none(), &[], "", |s| format!("{:?}", s.threads), "None"),
            (
                prices(),
                env_prices,
                "prices = 'f'",
                |s| format!("{:?}", s.prices),
                "Some(\"flag\")",
            ),
            (
                none(),
                env_prices,
                "prices = 'f'",
                |s| format!("{:?}", s.prices),
                "Some(\"env\")",
            ),
            (
                none(),
                &[],
                "prices = 'f'",
                |s| format!("{:?}", s.prices),
                "Some(\"f\")",
            ),
            (
                reject(),
                &[],
                "max_reject = 0.2",
                |s| s.max_reject.to_string(),
                "0.5",
            ),
            (
                none(),
                &[],
                "max_reject = 0.2",
                |s| s.max_reject.to_string(),
                "0.2",
            ),
            (none(), &[], "", |s| s.max_reject.to_string(), "0.01"),
            (
                none(),
                &[],
                "resamples = 5000",
                |s| s.resamples.to_string(),
                "5000",
            ),
            (none(), &[], "", |s| s.resamples.to_string(), "2000"),
            (
                quiet(),
                &[],
                "quiet = false",
                |s| s.quiet.to_string(),
                "true",
            ),
            (none(), &[], "quiet = true", |s| s.quiet.to_string(), "true"),
            (
                none(),
                &[("NO_COLOR", "1")],
                "color = true",
                |s| s.no_color.to_string(),
                "true",
            ),
            (
                none(),
                empty,
                "color = false",
                |s| s.no_color.to_string(),
                "true",
            ),
            (none(), empty, "", |s| s.no_color.to_string(), "false"),
        ];
        for (index, (flags, env, file, read, want)) in cases.into_iter().enumerate() {
            let settings = settle(flags, env, file).expect("settled");
            assert_eq!(read(&settings), want, "case {index}");
        }
    }

    #[test]
    fn bad_settings_are_refused_without_their_values() {
        let none = || (Global::default(), ReadingArgs::default());
        let cases: &[(Env<'_>, &str, &str)] = &[
            (&[("PLIMSOLL_SEED", "hunter2")], "", "P0707"),
            (&[("PLIMSOLL_THREADS", "0")], "", "P0708"),
            (&[], "max_reject = 2", "P0726"),
            (&[], "resamples = 10", "P0726"),
            (&[], "threads = 0", "P0726"),
            (&[], "sead = 1", "P0722"),
        ];
        for (env, file, code) in cases {
            let failure = settle(none(), env, file).expect_err(code);
            assert_eq!(failure.problems[0].code, *code);
            assert!(!failure.to_string().contains("hunter2"));
        }
    }
}
