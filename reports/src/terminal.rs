//! Text for a terminal: the verdict first, then figures, reasons and tables.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table as Grid, Width};

use crate::Style;
use crate::document::{Answer, Block, Cell, Document, Figure, Headline, Section, Table, Tone};

const ROWS_MAX: usize = 12;
const ANSWERS_MAX: usize = 5;
const WIDTH_MIN: u16 = 40;
/// Below this width bars of text would be broken.
const BARS_WIDTH_MIN: u16 = 90;
/// Names up to this length are not broken where there is room.
const NAME_WIDTH_MAX: usize = 26;
/// The longest line of running text that reads well.
const TEXT_WIDTH_MAX: u16 = 96;

pub(crate) fn render(document: &Document, style: Style) -> String {
    let mut page = Page {
        out: String::new(),
        color: style.color,
        width: style.width.max(WIDTH_MIN),
    };
    page.headline(&document.headline, &document.kicker);
    for section in &document.sections {
        page.section(section);
    }
    if !document.colophon.is_empty() {
        page.blank();
        page.paragraph(&document.colophon);
    }
    page.out
}

struct Page {
    out: String,
    color: bool,
    width: u16,
}

impl Page {
    fn headline(&mut self, headline: &Headline, kicker: &str) {
        let verdict = format!("{} {}", headline.tone.sign(), headline.word);
        let code = match headline.tone {
            Tone::Good => "1;32",
            Tone::Caution => "1;33",
            Tone::Bad => "1;31",
            Tone::Neutral => "1",
        };
        self.painted(&verdict, code);
        self.paragraph(kicker);
        self.blank();
        self.paragraph(&headline.sentence);
        if !headline.figures.is_empty() {
            self.blank();
            let rows = headline
                .figures
                .iter()
                .map(|f| vec![f.label.clone(), figure_text(f)]);
            self.columns(rows.collect());
            self.paragraph(&headline.note);
        }
        self.list("Why", &headline.reasons);
        self.list("What would settle it", &headline.collect);
    }

    fn list(&mut self, title: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        self.heading(title);
        for item in items {
            self.bullet("-", item);
        }
    }

    fn section(&mut self, section: &Section) {
        if !section.brief {
            return;
        }
        self.heading(section.title);
        for block in &section.blocks {
            match block {
                Block::Paragraph(text) => self.paragraph(text),
                Block::Notice(tone, text) => self.bullet(notice_sign(*tone), text),
                Block::Facts(facts) => {
                    let rows = facts.iter().map(|f| vec![f.name.clone(), f.value.clone()]);
                    self.columns(rows.collect());
                }
                Block::Table(table) if !table.folded => self.table(table),
                // Folded tables and drawings are for the page.
                Block::Table(_) | Block::Chart(_) => {}
                Block::Code { title, text } => self.code(title, text),
                Block::Answers(answers) => self.answers(answers),
            }
        }
    }

    fn code(&mut self, title: &str, text: &str) {
        self.paragraph(&format!("{title}:"));
        for line in text.lines() {
            self.line(&format!("  {line}"));
        }
    }

    fn answers(&mut self, answers: &[Answer]) {
        for a in answers.iter().take(ANSWERS_MAX) {
            self.bullet(
                "-",
                &format!(
                    "{}: {} → {}, {} {} → {}",
                    a.request,
                    a.before.model,
                    a.after.model,
                    a.score,
                    a.before.quality,
                    a.after.quality
                ),
            );
        }
        self.more(answers.len().saturating_sub(ANSWERS_MAX));
    }

    fn table(&mut self, table: &Table) {
        self.blank();
        self.paragraph(&table.caption);
        let mut grid = grid(self.width);
        // A rule under the heading, and no other line.
        grid.load_preset("     ──            ");
        let shown: Vec<usize> = (0..table.columns.len())
            .filter(|i| {
                let column = &table.columns[*i];
                let too_narrow = self.width < BARS_WIDTH_MIN;
                !(column.page_only || (column.terminal_only && too_narrow))
            })
            .collect();
        grid.set_header(shown.iter().map(|i| table.columns[*i].title));
        for row in table.rows.iter().take(ROWS_MAX) {
            grid.add_row(shown.iter().map(|i| match &row.cells[*i] {
                Cell {
                    text,
                    range: Some(range),
                    ..
                } => format!("{text}\n{range}"),
                Cell { text, .. } => text.clone(),
            }));
        }
        if self.width >= BARS_WIDTH_MIN
            && let Some(names) = grid.column_mut(0)
        {
            let longest = table.rows.iter().take(ROWS_MAX);
            let longest = longest.map(|row| row.cells[shown[0]].text.chars().count());
            let width = longest.max().unwrap_or(0).min(NAME_WIDTH_MAX) + 2;
            let width = Width::Fixed(u16::try_from(width).unwrap_or(2));
            names.set_constraint(ColumnConstraint::LowerBoundary(width));
        }
        for (place, index) in shown.iter().enumerate() {
            if let (true, Some(c)) = (table.columns[*index].numeric, grid.column_mut(place)) {
                c.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.grid_lines(&grid);
        self.more(table.rows.len().saturating_sub(ROWS_MAX) + table.omitted);
    }

    fn more(&mut self, rows: usize) {
        if rows > 0 {
            let rows = crate::format::count(rows as u64);
            self.paragraph(&format!("… and {rows} more; JSON and CSV hold them all."));
        }
    }

    /// Names on the left, their values on the right.
    fn columns(&mut self, rows: Vec<Vec<String>>) {
        let mut grid = grid(self.width.min(TEXT_WIDTH_MAX + 24));
        grid.load_preset(comfy_table::presets::NOTHING);
        let name_width = self.width / 3;
        grid.add_rows(rows);
        if let Some(names) = grid.column_mut(0) {
            names.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(name_width)));
        }
        self.grid_lines(&grid);
    }

    fn paragraph(&mut self, text: &str) {
        let mut grid = grid(self.width.min(TEXT_WIDTH_MAX));
        grid.load_preset(comfy_table::presets::NOTHING);
        grid.add_row([text]);
        self.grid_lines(&grid);
    }

    fn bullet(&mut self, sign: &str, text: &str) {
        let mut grid = grid(self.width.min(TEXT_WIDTH_MAX));
        grid.load_preset(comfy_table::presets::NOTHING);
        grid.add_row([sign, text]);
        self.grid_lines(&grid);
    }

    fn grid_lines(&mut self, grid: &Grid) {
        for line in grid.lines() {
            // Cells are padded by one space on each side; the margin takes the left one back.
            let line = line.strip_prefix(' ').unwrap_or(&line).to_owned();
            self.line(&line);
        }
    }

    fn heading(&mut self, text: &str) {
        self.blank();
        self.painted(text, "1");
    }

    fn painted(&mut self, text: &str, code: &str) {
        if self.color {
            self.line(&format!("\u{1b}[{code}m{text}\u{1b}[0m"));
        } else {
            self.line(text);
        }
    }

    fn blank(&mut self) {
        self.out.push('\n');
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }
}

fn grid(width: u16) -> Grid {
    let mut grid = Grid::new();
    grid.set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width);
    grid
}

fn figure_text(figure: &Figure) -> String {
    let mut text = figure.value.clone();
    if let Some(range) = &figure.range {
        text = format!("{text} ({range})");
    }
    if let Some(note) = &figure.note {
        text = format!("{text}; {note}");
    }
    text
}

const fn notice_sign(tone: Tone) -> &'static str {
    match tone {
        Tone::Neutral => "-",
        _ => "!",
    }
}
