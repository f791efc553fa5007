//! Where a report goes, and in which form.

use std::path::Path;

use plimsoll_harness::{Decision, Evaluation};
use plimsoll_reports::{Format, ReportError, Style};

use crate::app::Context;
use crate::args::Form;
use crate::console::shell_word;
use crate::exit::Exit;
use crate::problem::Failure;
use crate::staging;

/// Where a report goes.
pub(crate) struct Output<'a> {
    context: &'a Context,
    form: Format,
    file: Option<&'a Path>,
}

impl<'a> Output<'a> {
    /// Settles form and place before any work is done.
    ///
    /// The form is `--format`, else what the file's ending says, else `--json`, else text.
    pub(crate) fn new(context: &'a Context, form: Option<Form>) -> Result<Self, Failure> {
        let file = context
            .global
            .output
            .as_deref()
            .filter(|path| *path != Path::new("-"));
        let form = match (form, file) {
            (Some(form), _) => format_of(form),
            (None, Some(file)) => match by_ending(file) {
                Some(form) => form,
                None if context.global.json => Format::Json,
                None => return Err(unclear(file)),
            },
            (None, None) if context.global.json => Format::Json,
            (None, None) => Format::Terminal,
        };
        if let Some(file) = file {
            staging::refuse_existing(file, context.global.force)?;
        }
        Ok(Self {
            context,
            form,
            file,
        })
    }

    /// Renders and writes. With a file, `--json` still puts the JSON on stdout.
    pub(crate) fn write(
        &self,
        render: impl Fn(Format, &Style) -> Result<String, ReportError>,
    ) -> Result<(), Failure> {
        let console = self.context.console;
        let Some(file) = self.file else {
            let style = Style {
                color: console.color,
                width: console.width,
            };
            return console.data(&render(self.form, &style)?);
        };
        let mut text = render(self.form, &Style::default())?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        staging::write_file(file, text.as_bytes(), self.context.global.force)?;
        console.note(&format!("wrote {}", file.display()));
        if self.context.global.json && self.form != Format::Json {
            console.data(&render(Format::Json, &Style::default())?)?;
        }
        Ok(())
    }

    /// The file, if there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file
    }
}

/// Writes a text to the output file, or to stdout.
pub(crate) fn deliver(context: &Context, text: &str) -> Result<(), Failure> {
    match &context.global.output {
        Some(file) if file.as_os_str() != "-" => {
            let end = if text.ends_with('\n') { "" } else { "\n" };
            staging::write_file(
                file,
                format!("{text}{end}").as_bytes(),
                context.global.force,
            )?;
            context.console.note(&format!("wrote {}", file.display()));
            Ok(())
        }
        _ => context.console.data(text),
    }
}

pub(crate) const fn format_of(form: Form) -> Format {
    match form {
        Form::Terminal => Format::Terminal,
        Form::Json => Format::Json,
        Form::Markdown => Format::Markdown,
        Form::Csv => Format::Csv,
        Form::Html => Format::Html,
    }
}

fn by_ending(file: &Path) -> Option<Format> {
    match file.extension()?.to_str()?.to_lowercase().as_str() {
        "html" | "htm" => Some(Format::Html),
        "json" => Some(Format::Json),
        "md" | "markdown" => Some(Format::Markdown),
        "csv" => Some(Format::Csv),
        "txt" => Some(Format::Terminal),
        _ => None,
    }
}

fn unclear(file: &Path) -> Failure {
    Failure::plain(
        Exit::Usage,
        "P0712",
        format!("the name {} does not tell the format", file.display()),
        "end it in .html, .md, .json, .csv or .txt, or pass --format",
    )
}

/// The verdict in one line.
pub(crate) fn verdict_line(evaluation: &Evaluation) -> String {
    let decision = match evaluation.verdict.decision {
        Decision::Ship => "ship",
        Decision::Hold => "hold",
        Decision::InsufficientEvidence => "insufficient evidence",
    };
    match evaluation.verdict.reasons.first() {
        Some(reason) => format!("{decision}: {reason}"),
        None => decision.to_owned(),
    }
}

/// What to try after a judged policy.
pub(crate) fn next_after(evaluation: &Evaluation, log: &str, policy: Option<&Path>) -> String {
    let log = shell_word(log);
    let policy = policy.map_or_else(String::new, |path| {
        format!(" --policy {}", shell_word(&path.to_string_lossy()))
    });
    match evaluation.verdict.decision {
        Decision::InsufficientEvidence => format!("plimsoll validate {log}"),
        _ => match evaluation.changed.first() {
            Some(changed) => {
                let id = shell_word(&changed.request_id);
                format!("plimsoll explain {log} --request {id}{policy}")
            }
            None => "plimsoll init".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_the_format() {
        for (name, want) in [
            ("a.html", Some(Format::Html)),
            ("a.HTM", Some(Format::Html)),
            ("a.json", Some(Format::Json)),
            ("a.md", Some(Format::Markdown)),
            ("a.csv", Some(Format::Csv)),
            ("a.txt", Some(Format::Terminal)),
            ("a.pdf", None),
            ("html", None),
        ] {
            assert_eq!(by_ending(Path::new(name)), want, "{name}");
        }
    }
}
