//! The line at fault with a caret under it; values that may be secret are left out.

use std::fmt;
use std::ops::Range;

use crate::console::printable;

/// One line of a file, and the part of it that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column of the first character meant, from 1.
    pub(crate) column: usize,
    text: String,
    carets: usize,
}

/// What of a line may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// All of it, unless it looks like a secret.
    Line,
    /// Only the key: its value is unknown and may be anything.
    KeyOnly,
}

impl Excerpt {
    /// The excerpt of `text` at the bytes of `span`.
    pub(crate) fn new(text: &str, span: &Range<usize>, show: Show) -> Self {
        let start = floor_boundary(text, span.start);
        let end = floor_boundary(text, span.end.max(span.start));
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let stop = text[begin..].find('\n').map_or(text.len(), |at| begin + at);
        let line_text = text[begin..stop].trim_end_matches('\r');
        let shown = shown(line_text, show);
        let lead = text[begin..start.min(stop)].chars().count();
        let wanted = text[start.min(stop)..end.clamp(start, stop.max(start))]
            .chars()
            .count();
        let room = shown.chars().count().saturating_sub(lead);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: lead + 1,
            text: shown,
            carets: wanted.clamp(1, room.max(1)),
        }
    }
}

/// Carets stand where the characters meant stand, so tabs become single spaces.
fn shown(line: &str, show: Show) -> String {
    let line = line.replace('\t', " ");
    match line.split_once('=') {
        Some((key, value)) if show == Show::KeyOnly || looks_secret(value) => format!("{key}= …"),
        None if looks_secret(&line) => "…".to_owned(),
        _ => line,
    }
}

/// Whether a text may hold a key, a token or an address: rather hidden once too often.
pub(crate) fn looks_secret(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-+/.@".contains(c);
    text.split(|c| !word(c)).any(|token| {
        let digits = token.bytes().filter(u8::is_ascii_digit).count();
        ["sk-", "AKIA", "ghp_", "eyJ", "xox"]
            .iter()
            .any(|prefix| token.starts_with(prefix))
            || token.contains('@')
            || (token.len() >= 24 && digits >= 4)
    })
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", printable(&self.text))?;
        let (lead, carets) = (" ".repeat(self.column - 1), "^".repeat(self.carets));
        writeln!(f, "{gutter} | {lead}{carets}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_key() {
        let text = "[objective]\nretian = 0.98\n";
        let excerpt = Excerpt::new(text, &(12..18), Show::Line);
        assert_eq!((excerpt.line, excerpt.column), (2, 1));
        assert_eq!(excerpt.to_string(), "  |\n2 | retian = 0.98\n  | ^^^^^^\n");
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = "api_key = \"sk-live-0123456789\"";
        for show in [Show::Line, Show::KeyOnly] {
            let excerpt = Excerpt::new(text, &(0..7), show).to_string();
            assert!(!excerpt.contains("live"), "{excerpt}");
            assert!(excerpt.contains("api_key = …"), "{excerpt}");
        }
        assert!(!looks_secret("gpt-4-1106-preview"));
    }

    #[test]
    fn spans_outside_the_text_do_no_harm() {
        for (text, span) in [("", 0..0), ("ä", 1..9), ("a\n", 2..2), ("\n\n", 1..1)] {
            let excerpt = Excerpt::new(text, &span, Show::Line);
            assert!(excerpt.line >= 1 && excerpt.column >= 1);
        }
    }
}
