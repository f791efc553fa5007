//! The document: what a report says, once, before any renderer decides how it looks.
//!
//! **Invariant:** every text in a document is safe to show (see [`crate::escape::visible`]) and
//! every number in it is already formatted; renderers neither compute nor round.

use crate::chart::Chart;

/// A whole report.
#[derive(Debug)]
pub(crate) struct Document {
    /// One line for the browser's tab.
    pub(crate) title: String,
    /// What kind of report this is, and of what.
    pub(crate) kicker: String,
    pub(crate) headline: Headline,
    pub(crate) sections: Vec<Section>,
    /// Version and digest, for the foot of the page.
    pub(crate) colophon: String,
}

/// What a reader should take away.
#[derive(Debug)]
pub(crate) struct Headline {
    pub(crate) tone: Tone,
    /// The verdict in one or three words.
    pub(crate) word: String,
    /// The verdict in plain words.
    pub(crate) sentence: String,
    pub(crate) figures: Vec<Figure>,
    /// What the figures' ranges are; shown with the figures.
    pub(crate) note: String,
    pub(crate) reasons: Vec<String>,
    /// What would settle the matter; only when the evidence does not.
    pub(crate) collect: Vec<String>,
}

/// How something should be felt; always shown by a sign or a word besides colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Caution,
    Bad,
    Neutral,
}

impl Tone {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Caution => "caution",
            Self::Bad => "bad",
            Self::Neutral => "neutral",
        }
    }

    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Caution => "?",
            Self::Bad => "✕",
            Self::Neutral => "→",
        }
    }
}

/// A number worth reading first.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Stable key, for machines and tests.
    pub(crate) key: &'static str,
    pub(crate) label: String,
    pub(crate) value: String,
    /// `low to high`.
    pub(crate) range: Option<String>,
    pub(crate) note: Option<String>,
}

/// A heading and what stands under it.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// Whether a terminal shows it: details are for the long forms.
    pub(crate) brief: bool,
    pub(crate) blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Debug)]
pub(crate) enum Block {
    Paragraph(String),
    Notice(Tone, String),
    Facts(Vec<Fact>),
    Table(Table),
    Chart(Chart),
    Code { title: &'static str, text: String },
    Answers(Vec<Answer>),
}

/// A name and its value.
#[derive(Debug)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Rows under headings.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) id: &'static str,
    pub(crate) caption: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// Rows that this document leaves out.
    pub(crate) omitted: usize,
    /// Whether the page folds it away until asked.
    pub(crate) folded: bool,
    /// How to read the drawings in the cells.
    pub(crate) legend: &'static str,
    /// The row at which a slider through the rows starts, where there is one.
    pub(crate) slider: Option<usize>,
}

/// A heading of a table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) numeric: bool,
    /// Whether terminals do without it.
    pub(crate) page_only: bool,
    /// Whether only terminals need it, because a page has a drawing instead.
    pub(crate) terminal_only: bool,
}

/// A row; the first cell names it.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) cells: Vec<Cell>,
    pub(crate) tone: Tone,
}

/// A cell, with a small drawing where one helps.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) text: String,
    /// The interval of the number, shown smaller.
    pub(crate) range: Option<String>,
    pub(crate) spark: Option<Spark>,
}

/// A drawing inside a table cell, in whole units of 0 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spark {
    /// Two bars, before and after.
    Bars { before: u32, after: u32 },
    /// An interval with its point on an axis with a reference, such as zero.
    Whisker {
        low: u32,
        point: u32,
        high: u32,
        zero: u32,
    },
}

/// A request whose answer changes.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) request: String,
    /// What its labels are called.
    pub(crate) score: &'static str,
    pub(crate) task: Option<String>,
    pub(crate) prompt: Option<String>,
    pub(crate) before: Side,
    pub(crate) after: Side,
    pub(crate) change: String,
    pub(crate) tone: Tone,
}

/// One side of a changed answer.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) model: String,
    pub(crate) quality: String,
    pub(crate) cost: String,
}

impl Fact {
    pub(crate) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

impl Section {
    pub(crate) fn new(id: &'static str, title: &'static str) -> Self {
        Self {
            id,
            title,
            brief: true,
            blocks: Vec::new(),
        }
    }

    /// A section that short forms leave out.
    pub(crate) fn detail(id: &'static str, title: &'static str) -> Self {
        Self {
            brief: false,
            ..Self::new(id, title)
        }
    }

    pub(crate) fn push(&mut self, block: Block) {
        self.blocks.push(block);
    }

    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Paragraph(text.into()));
    }
}

impl Table {
    pub(crate) fn new(id: &'static str, caption: impl Into<String>, columns: Vec<Column>) -> Self {
        Self {
            id,
            caption: caption.into(),
            columns,
            rows: Vec::new(),
            omitted: 0,
            folded: false,
            legend: "",
            slider: None,
        }
    }

    pub(crate) fn push(&mut self, cells: Vec<Cell>) {
        self.push_toned(Tone::Neutral, cells);
    }

    pub(crate) fn push_toned(&mut self, tone: Tone, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a row fills every column");
        self.rows.push(Row { cells, tone });
    }

    /// How many rows are left out, in words.
    pub(crate) fn omitted_text(&self) -> String {
        crate::format::count(self.omitted as u64)
    }

    /// Leaves out the columns under a title.
    pub(crate) fn without(&mut self, title: &str) {
        let kept: Vec<bool> = self.columns.iter().map(|c| c.title != title).collect();
        let mut each = kept.iter();
        self.columns.retain(|_| each.next() == Some(&true));
        for row in &mut self.rows {
            let mut each = kept.iter();
            row.cells.retain(|_| each.next() == Some(&true));
        }
    }

    /// Leaves out the rows beyond `rows_max`.
    pub(crate) fn cap(&mut self, rows_max: usize) {
        self.omitted += self.rows.len().saturating_sub(rows_max);
        self.rows.truncate(rows_max);
    }
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            range: None,
            spark: None,
        }
    }

    /// A point with its interval.
    pub(crate) fn estimate(shown: crate::format::Shown) -> Self {
        let range = shown.range();
        Self {
            text: shown.point,
            range: Some(range),
            spark: None,
        }
    }

    pub(crate) fn with(mut self, spark: Spark) -> Self {
        self.spark = Some(spark);
        self
    }

    /// The text with its interval in one line.
    pub(crate) fn line(&self) -> String {
        match &self.range {
            Some(range) => format!("{} ({range})", self.text),
            None => self.text.clone(),
        }
    }
}

/// A column of words.
pub(crate) const fn words(title: &'static str) -> Column {
    Column {
        title,
        numeric: false,
        page_only: false,
        terminal_only: false,
    }
}

/// A column of numbers.
pub(crate) const fn numbers(title: &'static str) -> Column {
    Column {
        title,
        numeric: true,
        page_only: false,
        terminal_only: false,
    }
}
