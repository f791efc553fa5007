//! One run: settle the settings, do what the verb says, turn the outcome into an exit.

use std::io::{self, Write as _};

use clap::Parser;

use crate::args::{Cli, Global, ReadingArgs, Verb};
use crate::console::{Console, Surroundings};
use crate::exit::Exit;
use crate::interrupt;
use crate::problem::Failure;
use crate::settings::{File, Settings};
use crate::verbs;

/// What every verb is given.
pub(crate) struct Context {
    pub(crate) console: Console,
    pub(crate) settings: Settings,
    pub(crate) global: Global,
}

impl Context {
    /// Whether a list is to be JSON: by flag, or by the ending of the output file.
    pub(crate) fn wants_json(&self) -> bool {
        let ending = self
            .global
            .output
            .as_deref()
            .and_then(std::path::Path::extension);
        self.global.json || ending.is_some_and(|ending| ending == "json")
    }
}

/// Runs the command line of this process.
pub(crate) fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are what was asked for.
            let _ = error.print();
            let _ = io::stdout().flush();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
        }
    };
    interrupt::install();
    // Until the settings are known, errors are shown as the flags alone say.
    let around = Surroundings::of_process();
    let early = Console::new(cli.global.quiet, cli.global.no_color, around);
    let settings = match settle(&cli) {
        Ok(settings) => settings,
        Err(failure) => {
            early.failure(&failure);
            return failure.exit;
        }
    };
    let console = Console::new(settings.quiet, settings.no_color, around);
    let context = Context {
        console,
        settings,
        global: cli.global,
    };
    dispatch(&context, &cli.verb).unwrap_or_else(|failure| {
        console.failure(&failure);
        failure.exit
    })
}

fn settle(cli: &Cli) -> Result<Settings, Failure> {
    let none = ReadingArgs::default();
    let (reading, resamples) = match &cli.verb {
        Verb::Validate(args) => (&args.log.reading, None),
        Verb::Collect(args) => (&args.log.reading, None),
        Verb::Replay(args) => (&args.log.reading, args.judge.resamples),
        Verb::Tune(args) => (&args.log.reading, args.resamples),
        Verb::Compare(args) => (&args.log.reading, args.judge.resamples),
        Verb::Explain(args) => (&args.reading, args.judge.resamples),
        _ => (&none, None),
    };
    let file = cli
        .global
        .config
        .as_deref()
        .map(File::read)
        .transpose()?
        .unwrap_or_default();
    let env = |name: &str| std::env::var(name).ok();
    let settings = Settings::resolve(&cli.global, reading, resamples, env, &file)?;
    if let Some(threads) = settings.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|error| {
                let what = format!("cannot start {threads} threads: {error}");
                Failure::plain(Exit::Error, "P0708", what, "give a smaller --threads")
            })?;
    }
    Ok(settings)
}

fn dispatch(context: &Context, verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Demo => verbs::demo::run(context),
        Verb::Init => verbs::init::run(context),
        Verb::Validate(args) => verbs::validate::run(context, args),
        Verb::Simulate(args) => verbs::simulate::run(context, args),
        Verb::Collect(args) => verbs::collect::run(context, args),
        Verb::Replay(args) => verbs::replay::run(context, args),
        Verb::Tune(args) => verbs::tune::run(context, args),
        Verb::Compare(args) => verbs::compare::run(context, args),
        Verb::Report(args) => verbs::report::run(context, args),
        Verb::Explain(args) => verbs::explain::run(context, args),
        Verb::Models(args) => verbs::models::run(context, args),
        Verb::Prices(args) => verbs::prices::run(context, args),
        Verb::Completions { shell } => verbs::manual::completions(context, *shell),
        Verb::Man => verbs::manual::man(context),
    }
}
