//! Shapes on plotters' SVG backend, with sentinel colours instead of real ones.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, ShapeStyle, TextStyle};

/// A point in pixels.
pub(crate) type Px = (i32, i32);

/// Parts of a pixel in the SVG's coordinates: the backend knows whole numbers only.
pub(crate) const PARTS: i32 = 4;

/// A role that the style sheet gives a colour (`templates/report.css`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Muted,
    Grid,
    Accent,
    Hull,
    Line,
    Arm,
    Oracle,
    Paper,
    Fan,
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a stroke is broken, so that lines differ by more than colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

/// A drawing area that yields the elements of an SVG.
pub(crate) struct Canvas {
    elements: String,
    width: u32,
    height: u32,
}

impl Ink {
    const fn rgb(self) -> RGBColor {
        match self {
            Self::Text => RGBColor(1, 1, 1),
            Self::Muted => RGBColor(1, 1, 2),
            Self::Grid => RGBColor(1, 1, 3),
            Self::Accent => RGBColor(1, 1, 4),
            Self::Hull => RGBColor(1, 1, 5),
            Self::Line => RGBColor(1, 1, 6),
            Self::Arm => RGBColor(1, 1, 7),
            Self::Oracle => RGBColor(1, 1, 8),
            Self::Paper => RGBColor(1, 1, 9),
            Self::Fan => RGBColor(1, 2, 0),
        }
    }

    fn stroke(self, width: u32) -> ShapeStyle {
        self.rgb().stroke_width(width * SCALE)
    }
}

impl Canvas {
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self {
            elements: String::new(),
            width,
            height,
        }
    }

    /// The elements, without the `<svg>` around them: the page writes that itself.
    pub(crate) fn finish(self) -> (String, u32, u32) {
        (self.elements, self.width * SCALE, self.height * SCALE)
    }

    pub(crate) fn line(&mut self, from: Px, to: Px, ink: Ink, width: u32, dash: Dash) {
        for (a, b) in pieces(fine(from), fine(to), dash) {
            self.with(|svg| svg.draw_line(a, b, &ink.stroke(width)));
        }
    }

    pub(crate) fn path(&mut self, points: &[Px], ink: Ink, width: u32) {
        let points: Vec<Px> = points.iter().copied().map(fine).collect();
        self.curve(&points, ink, width);
    }

    /// A path whose points are given in parts of a pixel.
    pub(crate) fn curve(&mut self, points: &[Px], ink: Ink, width: u32) {
        self.with(|svg| svg.draw_path(points.iter().copied(), &ink.stroke(width)));
    }

    pub(crate) fn polygon(&mut self, points: &[Px], ink: Ink) {
        self.with(|svg| svg.fill_polygon(points.iter().copied().map(fine), &ink.rgb()));
    }

    pub(crate) fn rect(&mut self, corner: Px, opposite: Px, ink: Ink) {
        self.with(|svg| svg.draw_rect(fine(corner), fine(opposite), &ink.rgb(), true));
    }

    pub(crate) fn disc(&mut self, centre: Px, radius: u32, ink: Ink) {
        self.with(|svg| svg.draw_circle(fine(centre), radius * SCALE, &ink.rgb(), true));
    }

    /// A circle filled with paper, so that lines behind it do not show.
    pub(crate) fn ring(&mut self, centre: Px, radius: u32, ink: Ink, width: u32) {
        self.disc(centre, radius, Ink::Paper);
        let style = ink.stroke(width);
        self.with(|svg| svg.draw_circle(fine(centre), radius * SCALE, &style, false));
    }

    pub(crate) fn text(&mut self, text: &str, at: Px, ink: Ink, size: u32, anchor: Anchor) {
        self.write(text, at, ink, size, anchor, FontStyle::Normal);
    }

    pub(crate) fn bold(&mut self, text: &str, at: Px, ink: Ink, size: u32, anchor: Anchor) {
        self.write(text, at, ink, size, anchor, FontStyle::Bold);
    }

    fn write(&mut self, text: &str, at: Px, ink: Ink, size: u32, anchor: Anchor, font: FontStyle) {
        let horizontal = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        // The backend divides sizes by 1.24; what is asked for is what the SVG shall say.
        let rgb = ink.rgb();
        let style =
            TextStyle::from(("sans-serif", f64::from(size * SCALE) * 1.24, font).into_font())
                .color(&rgb)
                .pos(Pos::new(horizontal, VPos::Center));
        self.with(|svg| svg.draw_text(text, &style, fine(at)));
    }

    fn with<E: std::fmt::Debug>(
        &mut self,
        draw: impl FnOnce(&mut SVGBackend<'_>) -> Result<(), E>,
    ) {
        let mut buffer = String::new();
        let mut svg = SVGBackend::with_string(&mut buffer, (self.width, self.height));
        draw(&mut svg).expect("drawing into a string cannot fail");
        // Forgetting to close the element is intended: only what was drawn is kept.
        drop(svg);
        self.elements.push_str(inner(&buffer));
    }
}

/// What stands between `<svg …>` and `</svg>`.
fn inner(svg: &str) -> &str {
    let start = svg.find('>').map_or(0, |i| i + 1);
    let body = &svg[start..];
    body.trim_end()
        .strip_suffix("</svg>")
        .unwrap_or(body)
        .trim_start()
}

const SCALE: u32 = PARTS.unsigned_abs();

const fn fine((x, y): Px) -> Px {
    (x * PARTS, y * PARTS)
}

/// A stroke, in parts of a pixel, cut into dashes.
fn pieces(from: Px, to: Px, dash: Dash) -> Vec<(Px, Px)> {
    let (on, off) = match dash {
        Dash::Solid => return vec![(from, to)],
        Dash::Dashed => (28.0, 20.0),
        Dash::Dotted => (8.0, 16.0),
    };
    let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
    let length = dx.hypot(dy);
    let at = |distance: f64| {
        let share = (distance / length).min(1.0);
        (from.0 + px(dx * share), from.1 + px(dy * share))
    };
    let mut parts = Vec::new();
    let mut start = 0.0;
    while start < length {
        parts.push((at(start), at(start + on)));
        start += on + off;
    }
    parts
}

/// Rounds to a whole pixel.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the value is clamped to a canvas' size"
)]
pub(crate) fn px(value: f64) -> i32 {
    if value.is_finite() {
        value.round().clamp(-20_000.0, 20_000.0) as i32
    } else {
        0
    }
}

/// About how wide a text is: glyphs of a sans-serif font are half as wide as high.
pub(crate) fn text_width(text: &str, size: u32) -> i32 {
    let halves: i32 = text
        .chars()
        .map(|c| if (c as u32) < 0x1100 { 1 } else { 2 })
        .sum();
    px(f64::from(halves) * f64::from(size) * 0.56)
}
