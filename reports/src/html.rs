//! One self-contained page: no network, no script needed, the same bytes every time.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::chart::{Chart, Size};
use crate::document::{Block, Document, Spark};
use crate::{Format, ReportError};

const STYLE: &str = include_str!("../templates/report.css");
const SCRIPT: &str = include_str!("../templates/report.js");

/// The page. **Invariant:** only the style, the script, the drawings and the island are marked
/// safe in the template; each of them is either ours or escaped.
#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    document: &'a Document,
    style: &'static str,
    script: &'static str,
    style_hash: String,
    script_hash: String,
    /// The data, escaped for a script element; may be empty.
    island: &'a str,
}

pub(crate) fn render(document: &Document, island: &str) -> Result<String, ReportError> {
    let page = Page {
        document,
        style: STYLE,
        script: SCRIPT,
        style_hash: hash(STYLE),
        script_hash: hash(SCRIPT),
        island,
    };
    page.render().map_err(|e| ReportError::Renderer {
        format: Format::Html,
        what: e.to_string(),
    })
}

/// A source expression of a content security policy.
fn hash(text: &str) -> String {
    format!(
        "sha256-{}",
        STANDARD.encode(Sha256::digest(text.as_bytes()))
    )
}

impl Page<'_> {
    /// Whether the page has a slider, and so a use for the script.
    fn scripted(&self) -> bool {
        let blocks = self.document.sections.iter().flat_map(|s| &s.blocks);
        blocks
            .into_iter()
            .any(|b| matches!(b, Block::Table(t) if t.slider.is_some()))
    }
}

/// A chart in both sizes; the style sheet shows one.
fn drawings(chart: &Chart) -> String {
    [(Size::Wide, "wide"), (Size::Narrow, "narrow")]
        .map(|(size, name)| drawing(chart, size, name))
        .concat()
}

fn drawing(chart: &Chart, size: Size, name: &str) -> String {
    let (elements, width, height) = chart.draw(size);
    let id = chart.id();
    let (title, description) = (escaped(chart.title()), escaped(chart.description()));
    format!(
        "<svg class=\"chart {name}\" role=\"img\" viewBox=\"0 0 {width} {height}\" \
         aria-labelledby=\"{id}-{name}-title {id}-{name}-desc\">\n\
         <title id=\"{id}-{name}-title\">{title}</title>\n\
         <desc id=\"{id}-{name}-desc\">{description}</desc>\n{elements}</svg>\n"
    )
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A drawing inside a table cell; the numbers beside it say the same.
fn spark(spark: &Spark) -> String {
    let open = |class: &str, height: u32| {
        format!(
            "<svg class=\"spark {class}\" viewBox=\"0 0 1000 {height}\" \
             preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">"
        )
    };
    match *spark {
        Spark::Bars { before, after } => {
            let bar = |class: &str, y: u32, width: u32| {
                let width = if width == 0 { 0 } else { width.max(4) };
                format!(
                    "<rect class=\"{class}\" x=\"0\" y=\"{y}\" width=\"{width}\" height=\"40\"/>"
                )
            };
            format!(
                "{}{}{}</svg>",
                open("bars", 100),
                bar("before", 4, before),
                bar("after", 54, after)
            )
        }
        Spark::Whisker {
            low,
            point,
            high,
            zero,
        } => {
            let vertical = |class: &str, x: u32, top: u32, bottom: u32| {
                format!(
                    "<line class=\"{class}\" x1=\"{x}\" x2=\"{x}\" y1=\"{top}\" y2=\"{bottom}\"/>"
                )
            };
            format!(
                "{}{}<line class=\"span\" x1=\"{low}\" x2=\"{high}\" y1=\"50\" y2=\"50\"/>{}</svg>",
                open("whisker", 100),
                vertical("zero", zero, 0, 100),
                vertical("point", point, 22, 78)
            )
        }
    }
}

/// A symbol of a legend, as in the drawing.
fn legend_symbol(symbol: &str) -> &'static str {
    match symbol {
        "here" => {
            r##"<circle cx="12" cy="8" r="6" fill="#010109" stroke="#010104" stroke-width="2.5"/><path d="M1 8h22" stroke="#010104" stroke-width="2.5"/>"##
        }
        "sweep" => r##"<circle cx="12" cy="8" r="4" fill="#010104"/>"##,
        "sweep-open" => r##"<circle cx="12" cy="8" r="3.5" fill="none" stroke="#010104"/>"##,
        "arm" => {
            r##"<circle cx="12" cy="8" r="4" fill="none" stroke="#010107" stroke-width="2"/>"##
        }
        "hull" => {
            r##"<path d="M0 12L12 6L24 4" fill="none" stroke="#010105" stroke-width="2"/><rect x="8" y="2" width="8" height="8" fill="#010105"/>"##
        }
        "oracle" => r##"<polygon points="12,2 19,14 5,14" fill="#010108"/>"##,
        _ => r##"<path d="M0 8h24" stroke="#010106" stroke-width="2" stroke-dasharray="6 4"/>"##,
    }
}
