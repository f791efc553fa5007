//! The command line of `collect`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use plimsoll_collect::LimitField;

use super::LogArgs;

/// `collect`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CollectArgs {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// Arms whose answers are wanted, by the names under which the service knows them
    #[arg(long, value_name = "NAME", value_delimiter = ',', required = true)]
    pub(crate) arms: Vec<String>,
    /// Requests to complete, drawn by task and length of the prompt
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub(crate) sample: usize,
    /// Most that may ever be spent through the cache folder, in US dollars
    #[arg(long, value_name = "USD")]
    pub(crate) budget_usd: String,
    /// Have the answers scored by this model, with the fixed rubric; paid from the same budget
    #[arg(long, value_name = "MODEL")]
    pub(crate) judge: Option<String>,
    /// Let the judge score logged answers that have a label already, in its place
    #[arg(long, requires = "judge")]
    pub(crate) rejudge: bool,
    /// Column of the log that holds the text of its answers, for the judge
    #[arg(long, value_name = "COLUMN", default_value = "response")]
    pub(crate) response_column: String,
    /// Base address of an OpenAI-compatible service [default: https://api.openai.com/v1]
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// Environment variable that holds the key [default: OPENAI_API_KEY, but none with --endpoint]
    #[arg(long, value_name = "NAME")]
    pub(crate) key_env: Option<String>,
    /// Folder of the journal: answers that were paid for, and what was spent
    /// [default: the output's name and .collect]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) cache: Option<PathBuf>,
    /// Calls under way at once, 1 to 256
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) concurrency: usize,
    /// Further attempts of a call that met a limit, a fault or a lost connection
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub(crate) max_retries: u32,
    /// Seconds a call may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    /// Most tokens of an answer; part of what is reserved before each call
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(crate) max_output_tokens: u64,
    /// Most tokens of a score; a judge that reasons needs more
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) judge_max_output_tokens: u64,
    /// Field of the request that limits output tokens
    #[arg(long, value_name = "FIELD", default_value = "max_tokens")]
    pub(crate) limit_field: LimitArg,
    /// Write the sampled requests alone
    #[arg(long)]
    pub(crate) sample_only: bool,
}

/// Name of the field that limits output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LimitArg {
    /// Nearly every service
    #[value(name = "max_tokens")]
    MaxTokens,
    /// OpenAI's reasoning models
    #[value(name = "max_completion_tokens")]
    MaxCompletionTokens,
}

impl From<LimitArg> for LimitField {
    fn from(arg: LimitArg) -> Self {
        match arg {
            LimitArg::MaxTokens => Self::MaxTokens,
            LimitArg::MaxCompletionTokens => Self::MaxCompletionTokens,
        }
    }
}
