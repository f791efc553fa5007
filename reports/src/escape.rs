//! Text from a log made harmless for the place it goes to.

use std::fmt::Write as _;

/// Characters of a name before it is cut.
pub(crate) const LABEL_CHARS_MAX: usize = 80;

/// Characters of a sentence before it is cut.
const SENTENCE_CHARS_MAX: usize = 600;

/// Shows every control, bidirectional and invisible character as an escape.
///
/// A terminal then executes nothing (CVE-2009-4487 and its class) and no reader sees the
/// characters in another order than they are stored.
pub(crate) fn visible(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                let _ = write!(safe, "\\x{:02x}", c as u32);
            }
            c if is_hidden(c) => {
                let _ = write!(safe, "\\u{{{:x}}}", c as u32);
            }
            c => safe.push(c),
        }
    }
    safe
}

/// [`visible`], but line breaks and tabs stay: for blocks of several lines.
pub(crate) fn visible_lines(text: &str) -> String {
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| {
            visible(
                &line
                    .strip_suffix('\r')
                    .unwrap_or(line)
                    .replace('\t', "    "),
            )
        })
        .collect();
    lines.join("\n")
}

/// [`visible`], cut to a length that a table bears.
pub(crate) fn label(text: &str) -> String {
    shorten(text, LABEL_CHARS_MAX)
}

/// [`visible`], cut to a length that a paragraph bears.
pub(crate) fn sentence(text: &str) -> String {
    shorten(text, SENTENCE_CHARS_MAX)
}

/// A finding of the harness as a sentence: capital, full stop, typographic quotes around names.
pub(crate) fn finding(text: &str) -> String {
    let mut quoted = String::new();
    let mut open = false;
    for character in sentence(text).chars() {
        match character {
            '`' => {
                quoted.push(if open { '”' } else { '“' });
                open = !open;
            }
            c => quoted.push(c),
        }
    }
    let mut characters = quoted.chars();
    let mut whole: String = characters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .collect();
    whole.push_str(characters.as_str());
    if whole.chars().last().is_some_and(char::is_alphanumeric) || whole.ends_with(['%', '”', ')'])
    {
        whole.push('.');
    }
    whole
}

/// [`visible`], cut to `chars_max` characters.
pub(crate) fn shorten(text: &str, chars_max: usize) -> String {
    let safe = visible(text);
    if safe.chars().count() <= chars_max {
        return safe;
    }
    let head: String = safe.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{head}…")
}

fn is_hidden(character: char) -> bool {
    matches!(
        character as u32,
        0x80..=0x9f            // C1
        | 0xad | 0x34f | 0x61c | 0x180e | 0xfeff
        | 0x115f..=0x1160 | 0x3164
        | 0x200b..=0x200f      // zero width, direction marks
        | 0x2028..=0x202e      // line separators, embeddings, overrides
        | 0x2060..=0x206f      // joiners, isolates
        | 0xfff9..=0xfffb
        | 0xe0000..=0xe0fff    // tags, variation selectors
    )
}

/// Text of several lines, cut to `chars_max` characters.
pub(crate) fn passage(text: &str, chars_max: usize) -> String {
    let head: String = text.chars().take(chars_max).collect();
    let cut = if head.len() < text.len() { "…" } else { "" };
    format!("{}{cut}", visible_lines(&head))
}

/// Text inside a Markdown paragraph or table cell: no markup, mention, reference or link.
pub(crate) fn markdown(text: &str) -> String {
    // A zero-width space ends what GitHub would turn into a mention, a reference or a link after
    // it has resolved the escapes.
    const BREAK: char = '\u{200b}';
    let mut safe = String::with_capacity(text.len() + 16);
    let characters: Vec<char> = visible(text).chars().collect();
    for (index, character) in characters.iter().enumerate() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // GitHub reads dollar signs as mathematics.
            '$' => safe.push_str("&#36;"),
            '@' => {
                safe.push('@');
                safe.push(BREAK);
            }
            '#' => {
                safe.push_str("\\#");
                safe.push(BREAK);
            }
            ':' if characters.get(index + 1) == Some(&'/') => {
                safe.push(':');
                safe.push(BREAK);
            }
            '.' if ends_with_www(&characters[..index]) => {
                safe.push(BREAK);
                safe.push('.');
            }
            '-' if ends_with_gh(&characters[..index]) => {
                safe.push('-');
                safe.push(BREAK);
            }
            '(' if index > 0 && characters[index - 1] == ']' => safe.push_str("\\("),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '!' | '^' => {
                safe.push('\\');
                safe.push(*character);
            }
            // At the start these make lists, rules and headings, unless a word follows.
            '-' | '+' | '=' if index == 0 && !followed_by_word(&characters) => {
                safe.push('\\');
                safe.push(*character);
            }
            c => safe.push(*c),
        }
    }
    safe
}

fn followed_by_word(characters: &[char]) -> bool {
    characters
        .get(1)
        .is_some_and(|c| c.is_alphanumeric() || *c == '$')
}

fn ends_with_www(before: &[char]) -> bool {
    before.len() >= 3
        && before[before.len() - 3..]
            .iter()
            .all(|c| matches!(c, 'w' | 'W'))
}

fn ends_with_gh(before: &[char]) -> bool {
    matches!(before, [.., 'G' | 'g', 'H' | 'h'])
}

/// A fenced Markdown block that its text cannot close.
pub(crate) fn markdown_fence(text: &str) -> String {
    let text = visible_lines(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}", text.trim_end())
}

/// A text cell of a CSV file that no spreadsheet takes for a formula.
pub(crate) fn csv(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠') => {
            format!("'{text}")
        }
        _ => text.to_owned(),
    }
}

/// JSON that may stand inside a `<script>` element.
pub(crate) fn json_island(json: &str) -> String {
    let mut safe = String::with_capacity(json.len() + json.len() / 16);
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(safe, "\\u{:04x}", character as u32);
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r02_control_characters_are_shown() {
        assert_eq!(visible("a\u{1b}]52;c;aGk=\u{7}b"), "a\\x1b]52;c;aGk=\\x07b");
        assert_eq!(
            visible("\u{9b}31m\u{202e}x\r\n\t\u{7f}"),
            "\\u{9b}31m\\u{202e}x\\r\\n\\t\\x7f"
        );
        assert_eq!(visible("Größe 漢字 \u{202f}%"), "Größe 漢字 \u{202f}%");
        assert_eq!(visible_lines("a\r\n\tb\u{1b}"), "a\n    b\\x1b");
    }

    #[test]
    fn findings_read_as_sentences() {
        assert_eq!(finding("nothing beats `gpt-4`"), "Nothing beats “gpt-4”.");
        assert_eq!(finding("At most 3 %."), "At most 3 %.");
        assert_eq!(finding(""), "");
    }

    #[test]
    fn r03_formulas_become_text() {
        for bad in ["=1+1", "+1", "-1", "@SUM", "\tx", "\rx"] {
            assert_eq!(csv(bad), format!("'{bad}"));
        }
        assert_eq!(csv("a=1"), "a=1");
    }

    #[test]
    fn r04_markdown_is_neutral() {
        assert_eq!(markdown("@bob | <b>&"), "@\u{200b}bob \\| &lt;b&gt;&amp;");
        assert_eq!(
            markdown("[x](http://e.org)"),
            "\\[x\\]\\(http:\u{200b}//e.org)"
        );
        assert_eq!(
            markdown("www.e.org #12 GH-7"),
            "www\u{200b}.e.org \\#\u{200b}12 GH-\u{200b}7"
        );
        assert_eq!(markdown("- a"), "\\- a");
        assert_eq!(markdown("+0.1 (b)"), "+0.1 (b)");
        assert_eq!(markdown_fence("a\n```\nb"), "````text\na\n```\nb\n````");
    }

    #[test]
    fn r01_an_island_cannot_be_left() {
        assert_eq!(
            json_island("</script>&\u{2028}"),
            "\\u003c/script\\u003e\\u0026\\u2028"
        );
    }
}
