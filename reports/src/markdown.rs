//! A comment on a pull request: the verdict in sight, the rest folded, never too long.

use std::fmt::Write as _;

use crate::document::{Block, Cell, Document, Figure, Headline, Section, Table};
use crate::escape::{markdown, markdown_fence};

/// GitHub refuses comments above 65,536 characters.
const BYTES_MAX: usize = 65_000;
const ROWS_MAX: usize = 25;
const ITEMS_MAX: usize = 30;
/// Room for the note on what was left out, and the colophon.
const RESERVE: usize = 700;

pub(crate) fn render(document: &Document) -> String {
    let mut text = headline(&document.headline, &document.kicker);
    let bytes = BYTES_MAX.saturating_sub(text.len() + RESERVE);
    let parts: Vec<String> = document
        .sections
        .iter()
        .map(|section| shortened(section, bytes))
        .collect();
    let fits = fitting(document, &parts, bytes);
    let mut left_out: Vec<&str> = Vec::new();
    for ((section, part), fits) in document.sections.iter().zip(parts).zip(fits) {
        if fits {
            text.push_str(&part);
        } else {
            left_out.push(section.title);
        }
    }
    if !left_out.is_empty() {
        let _ = writeln!(
            text,
            "Left out, too long for a comment: {}.\n",
            left_out.join(", ")
        );
    }
    if !document.colophon.is_empty() {
        let _ = writeln!(text, "<sub>{}</sub>", markdown(&document.colophon));
    }
    text
}

/// A section, with fewer rows where it would be too long by itself.
fn shortened(section: &Section, bytes: usize) -> String {
    let short = [ROWS_MAX, 8, 2].map(|rows_max| fold(section, rows_max));
    let fitting = short.iter().position(|part| part.len() <= bytes);
    short
        .into_iter()
        .nth(fitting.unwrap_or(0))
        .unwrap_or_default()
}

/// Which sections fit into `bytes`: how far to trust the figures comes before the figures.
fn fitting(document: &Document, parts: &[String], bytes: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|i| document.sections[*i].id != "trust");
    let mut left = bytes;
    let mut fits = vec![false; parts.len()];
    for index in order {
        if let Some(rest) = left.checked_sub(parts[index].len()) {
            left = rest;
            fits[index] = true;
        }
    }
    fits
}

fn headline(headline: &Headline, kicker: &str) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "## {} {}\n",
        headline.tone.sign(),
        markdown(&headline.word)
    );
    let _ = writeln!(text, "{}\n", markdown(kicker));
    let _ = writeln!(text, "**{}**\n", markdown(&headline.sentence));
    if !headline.figures.is_empty() {
        text.push_str("| | | Range | |\n|---|--:|---|---|\n");
        for figure in &headline.figures {
            text.push_str(&figure_row(figure));
        }
        let _ = writeln!(text, "\n{}\n", markdown(&headline.note));
    }
    list(&mut text, Some("Why"), &headline.reasons);
    list(&mut text, Some("What would settle it"), &headline.collect);
    text
}

fn figure_row(figure: &Figure) -> String {
    let optional = |text: &Option<String>| text.as_deref().map(markdown).unwrap_or_default();
    format!(
        "| {} | **{}** | {} | {} |\n",
        markdown(&figure.label),
        markdown(&figure.value),
        optional(&figure.range),
        optional(&figure.note)
    )
}

fn list(text: &mut String, title: Option<&str>, items: &[String]) {
    if items.is_empty() {
        return;
    }
    if let Some(title) = title {
        let _ = writeln!(text, "**{title}**\n");
    }
    for item in items.iter().take(ITEMS_MAX) {
        let _ = writeln!(text, "- {}", markdown(item));
    }
    if items.len() > ITEMS_MAX {
        let _ = writeln!(text, "- … and {} more", items.len() - ITEMS_MAX);
    }
    text.push('\n');
}

fn fold(section: &Section, rows_max: usize) -> String {
    let mut text = format!("<details>\n<summary>{}</summary>\n\n", section.title);
    for block in &section.blocks {
        match block {
            Block::Paragraph(paragraph) => {
                let _ = writeln!(text, "{}\n", markdown(paragraph));
            }
            Block::Notice(tone, notice) => {
                let _ = writeln!(text, "> {} {}\n", tone.sign(), markdown(notice));
            }
            Block::Facts(facts) => {
                text.push_str("| | |\n|---|---|\n");
                for fact in facts {
                    let _ = writeln!(
                        text,
                        "| {} | {} |",
                        markdown(&fact.name),
                        markdown(&fact.value)
                    );
                }
                text.push('\n');
            }
            Block::Table(rows) => table(&mut text, rows, rows_max),
            // A comment cannot draw; what a chart says in words is in the sections' tables.
            Block::Chart(_) => {}
            Block::Code { title, text: code } => {
                let _ = writeln!(text, "{title}:\n\n{}\n", markdown_fence(code));
            }
            Block::Answers(answers) => {
                let lines: Vec<String> = answers
                    .iter()
                    .map(|a| {
                        format!(
                            "{}: {} → {}, {} {} → {}",
                            a.request,
                            a.before.model,
                            a.after.model,
                            a.score,
                            a.before.quality,
                            a.after.quality
                        )
                    })
                    .collect();
                list(&mut text, None, &lines);
            }
        }
    }
    text.push_str("</details>\n\n");
    text
}

fn table(text: &mut String, table: &Table, rows_max: usize) {
    let _ = writeln!(text, "{}\n", markdown(&table.caption));
    let shown = || table.columns.iter().filter(|c| !c.terminal_only);
    let titles: Vec<&str> = shown().map(|c| c.title).collect();
    let rules: Vec<&str> = shown()
        .map(|c| if c.numeric { "--:" } else { "---" })
        .collect();
    let _ = writeln!(
        text,
        "| {} |\n| {} |",
        titles.join(" | "),
        rules.join(" | ")
    );
    for row in table.rows.iter().take(rows_max) {
        let cells: Vec<String> = row
            .cells
            .iter()
            .zip(&table.columns)
            .filter(|(_, column)| !column.terminal_only)
            .map(|(cell, _)| markdown(&Cell::line(cell)))
            .collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let more = table.rows.len().saturating_sub(rows_max) + table.omitted;
    if more > 0 {
        let more = crate::format::count(more as u64);
        let _ = writeln!(text, "\n… and {more} more; JSON and CSV hold them all.");
    }
    text.push('\n');
}
