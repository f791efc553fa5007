//! `plimsoll prices`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use plimsoll_datasets::{Catalogue, CatalogueFormat, NamePattern};

/// `prices`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PricesArgs {
    #[command(subcommand)]
    pub(crate) what: PricesVerb,
}

/// What to do with price catalogues.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PricesVerb {
    /// Show the prices of models, and which model a name means
    List(PricesListArgs),
    /// Say what changed from one catalogue to another
    Diff(PricesDiffArgs),
    /// Make a catalogue of ours from LiteLLM's, OpenRouter's or another of ours
    Import(PricesImportArgs),
}

/// `prices list`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PricesListArgs {
    /// Part of a name, or a pattern such as "openai/*" [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Catalogue: our TOML, LiteLLM's or OpenRouter's JSON, or built-in [default: built-in]
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// The prices of a day (2026-03-01) or an RFC 3339 time [default: the latest]
    #[arg(long, value_name = "DATE", value_parser = time)]
    pub(crate) at: Option<Moment>,
}

/// `prices diff`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PricesDiffArgs {
    /// Catalogue before: our TOML, LiteLLM's or OpenRouter's JSON, or built-in
    #[arg(value_name = "BEFORE")]
    pub(crate) before: PathBuf,
    /// Catalogue after
    #[arg(value_name = "AFTER")]
    pub(crate) after: PathBuf,
    /// Compare the prices of a day or time [default: the latest]
    #[arg(long, value_name = "DATE", value_parser = time)]
    pub(crate) at: Option<Moment>,
    /// Only models of such names: a part of them, or a pattern such as "openai/*"
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub(crate) only: Option<NamePattern>,
}

/// `prices import`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PricesImportArgs {
    /// LiteLLM's `model_prices_and_context_window.json`, the answer of OpenRouter's
    /// /api/v1/models, or a catalogue of ours; - for stdin. With -o the catalogue is written
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Whose catalogue it is [default: told by what is in it]
    #[arg(long, value_name = "KIND")]
    pub(crate) from: Option<Source>,
    /// From when on the prices hold; without it they hold for all times
    #[arg(long, value_name = "DATE", value_parser = time)]
    pub(crate) since: Option<Moment>,
    /// Only models of such names: a part of them, or a pattern such as "openai/*"
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub(crate) only: Option<NamePattern>,
    /// Add to this catalogue of ours: what it says of the time before --since stays
    #[arg(long, value_name = "FILE", requires = "since")]
    pub(crate) merge: Option<PathBuf>,
}

/// Whose catalogue a file is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Source {
    /// LiteLLM's JSON
    Litellm,
    /// OpenRouter's JSON
    Openrouter,
    /// Our TOML
    Plimsoll,
}

impl From<Source> for CatalogueFormat {
    fn from(source: Source) -> Self {
        match source {
            Source::Litellm => Self::Litellm,
            Source::Openrouter => Self::Openrouter,
            Source::Plimsoll => Self::Plimsoll,
        }
    }
}

/// A time, as microseconds and as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) us: i64,
    pub(crate) text: String,
}

fn time(text: &str) -> Result<Moment, String> {
    let us = Catalogue::parse_time(text)
        .ok_or("wanted a day such as 2026-03-01, or an RFC 3339 time with its UTC offset")?;
    Ok(Moment {
        us,
        text: text.to_owned(),
    })
}

fn pattern(text: &str) -> Result<NamePattern, String> {
    NamePattern::new(text).map_err(|error| error.to_string())
}
