//! `plimsoll import`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use plimsoll_datasets::{ImportKind, QualityFrom, Scale};

use super::{LimitArgs, Unit, share};

/// `import`.
#[derive(Args, Clone, Debug)]
#[command(after_help = after_help())]
pub(crate) struct ImportArgs {
    /// Files of the export: JSONL, JSON, CSV or Parquet (.gz, .zst); a folder, a pattern, or - for
    /// stdin
    #[arg(value_name = "EXPORT", required = true)]
    pub(crate) exports: Vec<String>,
    /// What kind of export it is [default: what its first record looks like]
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub(crate) from: Option<ImportKind>,
    /// Say what kind of export it looks like and why, and do nothing
    #[arg(long)]
    pub(crate) detect: bool,
    /// Where quality comes from: thumbs, thumbs:FIELD, score:NAME, a field, or an expression such
    /// as 'if(stars >= 4, 1, 0)'
    #[arg(long, value_name = "WHAT")]
    pub(crate) quality: Option<QualityFrom>,
    /// The grades that quality is given in, the worst first: 1..5 becomes 0 to 1
    #[arg(
        long,
        value_name = "A..B",
        requires = "quality",
        allow_hyphen_values = true
    )]
    pub(crate) scale: Option<Scale>,
    /// A file of labels that arrived later; --quality names its column [default: quality]
    #[arg(long, value_name = "FILE")]
    pub(crate) join: Option<String>,
    /// The field of that file that names a request, call, session or trace
    #[arg(
        long,
        value_name = "FIELD",
        requires = "join",
        default_value = "request_id"
    )]
    pub(crate) on: String,
    /// For --from table: a column of the log from a field or expression, for instance
    /// cost_usd='cost_cents/100'; may be repeated
    #[arg(long = "map", value_name = "COLUMN=WHAT", value_parser = map)]
    pub(crate) maps: Vec<(String, String)>,
    /// Keep a field as a column of its own, to name as a segment; may be repeated
    #[arg(long, value_name = "FIELD")]
    pub(crate) keep: Vec<String>,
    /// The field that the calls of one request have in common [default: the kind's own]
    #[arg(long, value_name = "FIELD")]
    pub(crate) group_by: Option<String>,
    /// Leave prompts out of the log
    #[arg(long)]
    pub(crate) no_prompts: bool,
    /// Keep keys, tokens and mail addresses in prompts as they are
    #[arg(long, conflicts_with = "no_prompts")]
    pub(crate) no_redact: bool,
    /// Share of records that may be rejected, for instance 1% or 0.01 [default: 1%]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) max_reject: Option<f64>,
    /// Write rejected records to this file: place and reason of each, never its content
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Unit of integer times that are mapped by hand
    #[arg(long, value_name = "UNIT")]
    pub(crate) timestamp_unit: Option<Unit>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Memory for requests whose further calls may still come, in MB
    #[arg(long, value_name = "MB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub(crate) window_mb: u32,
}

fn kind(name: &str) -> Result<ImportKind, String> {
    ImportKind::named(name).ok_or_else(|| {
        let names: Vec<&str> = ImportKind::ALL.iter().map(|kind| kind.name()).collect();
        let meant = crate::toml_check::nearest(name, &names);
        let meant = meant.map_or_else(String::new, |meant| format!("did you mean `{meant}`? "));
        format!("{meant}known kinds: {}", names.join(", "))
    })
}

fn map(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, what)) if !column.trim().is_empty() && !what.trim().is_empty() => {
            Ok((column.trim().to_owned(), what.trim().to_owned()))
        }
        _ => Err("wanted COLUMN=FIELD or COLUMN='EXPRESSION'".to_owned()),
    }
}

fn after_help() -> String {
    let mut text = "Kinds of exports:\n".to_owned();
    for kind in ImportKind::ALL {
        let _ = writeln!(text, "  {:12}  {}", kind.name(), kind.about());
    }
    text += "\nA label is a number in [0, 1] unless --scale or --quality thumbs says otherwise.";
    text
}
