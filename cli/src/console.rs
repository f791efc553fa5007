//! The two streams: data on stdout, everything else on stderr.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use crate::exit::Exit;
use crate::problem::Failure;

/// What may be written where, decided once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Console {
    /// No notes on stderr.
    pub(crate) quiet: bool,
    /// Colours on stdout.
    pub(crate) color: bool,
    /// Progress bars on stderr.
    pub(crate) progress: bool,
    /// Columns of the terminal.
    pub(crate) width: u16,
}

/// What the surroundings say about colours and bars.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Surroundings {
    pub(crate) stdout_is_terminal: bool,
    pub(crate) stderr_is_terminal: bool,
    /// `NO_COLOR` is set and not empty (no-color.org).
    pub(crate) no_color: bool,
    /// `TERM=dumb`.
    pub(crate) is_dumb: bool,
}

impl Surroundings {
    pub(crate) fn of_process() -> Self {
        Self {
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            is_dumb: std::env::var_os("TERM").is_some_and(|value| value == "dumb"),
        }
    }
}

impl Console {
    pub(crate) fn new(quiet: bool, no_color: bool, around: Surroundings) -> Self {
        let plain = no_color || around.no_color || around.is_dumb;
        Self {
            quiet,
            color: !plain && around.stdout_is_terminal,
            progress: !quiet && !around.is_dumb && around.stderr_is_terminal,
            width: terminal_width(around.stdout_is_terminal),
        }
    }

    /// Writes data to stdout.
    #[expect(clippy::unused_self, reason = "data goes through the console")]
    pub(crate) fn data(self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let mut written = out.write_all(text.as_bytes());
        if written.is_ok() && !text.ends_with('\n') && !text.is_empty() {
            written = out.write_all(b"\n");
        }
        finished(written.and_then(|()| out.flush()))
    }

    /// Copies data to stdout.
    #[expect(clippy::unused_self, reason = "data goes through the console")]
    pub(crate) fn stream(self, mut from: impl io::Read) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        finished(io::copy(&mut from, &mut out).and_then(|_| out.flush()))
    }

    /// How reports on stdout look.
    pub(crate) const fn style(self) -> plimsoll_reports::Style {
        plimsoll_reports::Style {
            color: self.color,
            width: self.width,
        }
    }

    /// A remark on stderr.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            self.stderr(&printable(text));
        }
    }

    /// The next command to try: the last line on stderr.
    pub(crate) fn next(self, command: &str) {
        self.note(&format!("next: {command}"));
    }

    /// An error, whatever the settings.
    pub(crate) fn failure(self, failure: &Failure) {
        self.stderr(failure.to_string().trim_end());
        if let Some(problem) = failure.problems.first() {
            self.next(&format!("plimsoll explain {}", problem.code));
        }
    }

    /// A stderr that is closed cannot be told about; the exit code still says what happened.
    #[expect(clippy::unused_self, reason = "notes go through the console")]
    fn stderr(self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// A reader that has gone away has seen enough: that is no error.
fn finished(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::plain(
            Exit::Error,
            "P0701",
            format!("cannot write to standard output: {error}"),
            "check where the output goes, and that there is room",
        )),
        _ => Ok(()),
    }
}

/// Columns of the terminal, unless `COLUMNS` says otherwise; a pipe or a file is no narrower than
/// a report likes to be.
fn terminal_width(is_terminal: bool) -> u16 {
    let widest = plimsoll_reports::Style::default().width;
    if !is_terminal {
        return widest;
    }
    let columns = std::env::var("COLUMNS").ok();
    let columns = columns.and_then(|columns| columns.parse().ok());
    let measured = || {
        console::Term::stdout()
            .size_checked()
            .map(|(_, width)| width)
    };
    columns
        .or_else(measured)
        .filter(|width| *width > 0)
        .unwrap_or(widest)
}

/// The text with control and bidirectional characters shown as escapes; line ends stay.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_bidi = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}');
        if c != '\n' && (c.is_control() || is_bidi) {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// A word of a command as a shell takes it.
pub(crate) fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,%+@".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_and_no_objection() {
        let terminal = Surroundings {
            stdout_is_terminal: true,
            stderr_is_terminal: true,
            ..Surroundings::default()
        };
        // quiet, --no-color, surroundings, colours, bars
        let cases = [
            (false, false, terminal, true, true),
            (true, false, terminal, true, false),
            (false, true, terminal, false, true),
            (
                false,
                false,
                Surroundings {
                    no_color: true,
                    ..terminal
                },
                false,
                true,
            ),
            (
                false,
                false,
                Surroundings {
                    is_dumb: true,
                    ..terminal
                },
                false,
                false,
            ),
            (
                false,
                false,
                Surroundings {
                    stdout_is_terminal: false,
                    ..terminal
                },
                false,
                true,
            ),
            (
                false,
                false,
                Surroundings {
                    stderr_is_terminal: false,
                    ..terminal
                },
                true,
                false,
            ),
        ];
        for (quiet, no_color, around, color, progress) in cases {
            let console = Console::new(quiet, no_color, around);
            assert_eq!(
                (console.color, console.progress),
                (color, progress),
                "{around:?}"
            );
        }
    }

    #[test]
    fn words_survive_the_shell() {
        for (word, want) in [
            ("a.csv", "a.csv"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), want);
        }
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(
            printable("a\u{1b}]52;c\u{7}\u{202e}\r\nb"),
            "a\\u{1b}]52;c\\u{7}\\u{202e}\\u{d}\nb"
        );
    }
}
