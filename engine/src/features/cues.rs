//! Structural cues: what a glance at the shape of a prompt tells about it.

use crate::math;

/// Names of the structural cues, in the order in which they follow the hashed dimensions.
pub const CUES: &[&str] = &[
    "log_chars",
    "log_words",
    "log_lines",
    "mean_word_length",
    "digit_share",
    "upper_share",
    "punctuation_share",
    "non_ascii_share",
    "space_share",
    "code_share",
    "math_share",
    "question_marks",
    "options",
    "fenced_code",
    "ends_with_question",
    "bullets",
];

/// log2 of the length at which a log-length cue reaches 1.
const LOG_LENGTH_FULL: f64 = 20.0;

/// What one pass over the bytes counts.
#[derive(Default)]
pub(crate) struct CueCounts {
    chars: u64,
    words: u64,
    lines: u64,
    digits: u64,
    upper: u64,
    punctuation: u64,
    non_ascii: u64,
    spaces: u64,
    code: u64,
    maths: u64,
    questions: u64,
    options: u64,
    fences: u64,
    bullets: u64,
    last_visible: u8,
}

const DIGIT: u8 = 1;
const UPPER: u8 = 2;
const PUNCTUATION: u8 = 4;
const SPACE: u8 = 8;
const CODE: u8 = 16;
const MATHS: u8 = 32;

/// What each byte counts as.
const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0_u8; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let mut class = 0;
        if byte.is_ascii_digit() {
            class |= DIGIT;
        }
        if byte.is_ascii_uppercase() {
            class |= UPPER;
        }
        if byte.is_ascii_punctuation() {
            class |= PUNCTUATION;
        }
        if byte.is_ascii_whitespace() {
            class |= SPACE;
        }
        if matches!(
            byte,
            b'{' | b'}' | b';' | b'<' | b'>' | b'_' | b'=' | b'#' | b'`' | b'[' | b']'
        ) {
            class |= CODE;
        }
        if matches!(byte, b'+' | b'*' | b'/' | b'=' | b'^' | b'\\' | b'$' | b'%') {
            class |= MATHS;
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
}

impl CueCounts {
    /// Counts over the bytes of a text.
    pub(crate) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut counts = Self {
            lines: u64::from(!bytes.is_empty()),
            ..Self::default()
        };
        let (mut before, mut line_start) = (b' ', true);
        for (i, &byte) in bytes.iter().enumerate() {
            let class = CLASSES[usize::from(byte)];
            let space = class & SPACE != 0;
            // Continuation bytes of UTF-8 begin with 10.
            counts.chars += u64::from(byte & 0xC0 != 0x80);
            counts.non_ascii += u64::from(byte >= 0xC0);
            counts.digits += u64::from(class & DIGIT);
            counts.upper += u64::from((class & UPPER) >> 1);
            counts.punctuation += u64::from((class & PUNCTUATION) >> 2);
            counts.spaces += u64::from((class & SPACE) >> 3);
            counts.code += u64::from((class & CODE) >> 4);
            counts.maths += u64::from((class & MATHS) >> 5);
            counts.words += u64::from(!space && CLASSES[usize::from(before)] & SPACE != 0);
            counts.questions += u64::from(byte == b'?');
            if line_start && !space {
                counts.see_line_start(&bytes[i..]);
                line_start = false;
            }
            if byte == b'\n' {
                counts.lines += 1;
                line_start = true;
            }
            if !space {
                counts.last_visible = byte;
            }
            before = byte;
        }
        counts
    }

    fn see_line_start(&mut self, line: &[u8]) {
        match line {
            [b'A'..=b'J', b'.' | b')' | b':', ..] | [b'(', b'A'..=b'J' | b'a'..=b'j', b')', ..] => {
                self.options += 1;
            }
            [b'`', b'`', b'`', ..] => self.fences += 1,
            [b'-' | b'*', b' ', ..] => self.bullets += 1,
            _ => {}
        }
    }

    /// Appends the cues named by [`CUES`], each in [0, 1].
    pub(crate) fn push(&self, out: &mut Vec<f64>) {
        let chars = math::count(self.chars.max(1));
        let share = |n: u64| math::count(n) / chars;
        let log = |n: u64| {
            (math::ln(1.0 + math::count(n)) / (LOG_LENGTH_FULL * std::f64::consts::LN_2)).min(1.0)
        };
        // n/(n+k) rises fast for the first few and never passes 1.
        let few = |n: u64, half: f64| math::count(n) / (math::count(n) + half);
        let word =
            math::count(self.chars - self.spaces.min(self.chars)) / math::count(self.words.max(1));
        out.extend_from_slice(&[
            log(self.chars),
            log(self.words),
            log(self.lines),
            (word / 12.0).min(1.0),
            share(self.digits),
            share(self.upper),
            share(self.punctuation),
            share(self.non_ascii),
            share(self.spaces),
            (share(self.code) * 4.0).min(1.0),
            (share(self.maths) * 4.0).min(1.0),
            few(self.questions, 2.0),
            few(self.options, 2.0),
            few(self.fences, 1.0),
            f64::from(u8::from(self.last_visible == b'?')),
            few(self.bullets, 4.0),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cue(text: &str, name: &str) -> f64 {
        let mut out = Vec::new();
        CueCounts::of(text).push(&mut out);
        assert_eq!(out.len(), CUES.len());
        assert!(
            out.iter().all(|x| (0.0..=1.0).contains(x)),
            "{text:?} {out:?}"
        );
        out[CUES.iter().position(|c| *c == name).expect("a known cue")]
    }

    #[test]
    fn cues_see_what_they_are_named_for() {
        assert!(cue("12 34", "digit_share") > 0.7);
        assert!(cue("日本語のテキスト", "non_ascii_share") > 0.99);
        assert!(cue("ÄÖ", "log_chars") < cue("abcd", "log_chars"));
        assert!(cue("Which?\nA. x\nB. y\nC) z", "options") > 0.5);
        assert!(cue("see\n```rust\nfn f() {}\n```", "fenced_code") > 0.5);
        assert!(cue("is it so? ", "ends_with_question") > 0.5);
        assert!(cue("- one\n* two\n", "bullets") > 0.3);
        assert!(cue("", "log_chars") < 1e-9);
        assert!(cue("x = y; { a[0] }", "code_share") > cue("plain words", "code_share"));
    }
}
