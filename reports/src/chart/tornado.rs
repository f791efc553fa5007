//! How far the headline moves when one choice changes: bars around it, the longest on top.

use super::Size;
use super::axis::{Axis, tick_texts};
use super::canvas::{Anchor, Canvas, Dash, Ink, text_width};
use crate::escape::shorten;
use crate::format::THIN;

/// Savings under other choices.
#[derive(Debug)]
pub(crate) struct Tornado {
    pub(crate) title: String,
    pub(crate) description: String,
    /// How to read it.
    pub(crate) caption: String,
    /// Savings fraction as judged.
    pub(crate) headline: f64,
    pub(crate) headline_label: String,
    /// The farthest first.
    pub(crate) bars: Vec<TornadoBar>,
}

/// Savings under one other choice.
#[derive(Debug)]
pub(crate) struct TornadoBar {
    pub(crate) label: String,
    pub(crate) savings: f64,
    pub(crate) savings_text: String,
    pub(crate) margin_text: String,
    /// Whether the line is kept under that choice.
    pub(crate) kept: bool,
}

impl Tornado {
    pub(super) fn draw(&self, size: Size) -> (String, u32, u32) {
        let wide = size == Size::Wide;
        let (width, left, right, step) = if wide {
            (900, 326, 664, 28)
        } else {
            (360, 14, 346, 48)
        };
        let font = if wide { 13 } else { 12 };
        let top = 34;
        let bottom = top + step * i32::try_from(self.bars.len()).unwrap_or(0) + 4;
        let mut canvas = Canvas::new(width, u32::try_from(bottom + 34).unwrap_or(400));
        let axis = self.axis(left, right);
        let bands = super::bands(wide, (top, bottom), step, self.bars.len());
        scale(&mut canvas, &axis, &bands, (bottom, wide));
        for (bar, index) in self.bars.iter().zip(0..) {
            let y = top + step * index;
            if wide {
                let at = y + step / 2;
                let label = shorten(&bar.label, 42);
                canvas.text(&label, (left - 14, at), Ink::Text, font, Anchor::End);
                let text = format!("{} · margin {}", bar.savings_text, bar.margin_text);
                canvas.text(&text, (right + 16, at), Ink::Muted, font, Anchor::Start);
                self.bar(&mut canvas, &axis, bar, at);
            } else {
                let text = format!("{} · {}", bar.savings_text, bar.margin_text);
                let label = shorten(&bar.label, 30);
                canvas.text(&label, (left, y + 14), Ink::Text, font, Anchor::Start);
                canvas.text(&text, (right, y + 14), Ink::Muted, font, Anchor::End);
                self.bar(&mut canvas, &axis, bar, y + 34);
            }
        }
        let x = axis.at(self.headline);
        for (from, to) in bands {
            canvas.line((x, from - 2), (x, to + 2), Ink::Text, 2, Dash::Solid);
        }
        let half = text_width(&self.headline_label, font) / 2;
        let at = x.clamp(left + half, (right - half).max(left + half));
        canvas.bold(
            &self.headline_label,
            (at, 14),
            Ink::Text,
            font,
            Anchor::Middle,
        );
        canvas.finish()
    }

    fn axis(&self, left: i32, right: i32) -> Axis {
        let values = || {
            let bars = self.bars.iter().map(|bar| bar.savings);
            bars.chain([self.headline]).filter(|v| v.is_finite())
        };
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return Axis::linear(0.0, 1.0, left, right);
        }
        // A move of less than a thousandth is not blown up to the width of the page.
        let room = ((high - low) * 0.08).max(0.000_5);
        Axis::linear(low - room, high + room, left, right)
    }

    fn bar(&self, canvas: &mut Canvas, axis: &Axis, bar: &TornadoBar, y: i32) {
        if !bar.savings.is_finite() || !self.headline.is_finite() {
            return;
        }
        let (from, to) = (axis.at(self.headline), axis.at(bar.savings));
        let (start, end) = (from.min(to), from.max(to).max(from.min(to) + 2));
        if bar.kept {
            canvas.rect((start, y - 7), (end, y + 7), Ink::Accent);
            return;
        }
        // Below the line is hatched, as in the gauge: a pattern says it without colour.
        canvas.path(
            &[
                (start, y - 7),
                (end, y - 7),
                (end, y + 7),
                (start, y + 7),
                (start, y - 7),
            ],
            Ink::Line,
            1,
        );
        let mut x = start;
        while x < end {
            let reach = (end - x).min(7);
            canvas.line(
                (x, y + 7),
                (x + reach, y + 7 - 2 * reach),
                Ink::Line,
                1,
                Dash::Solid,
            );
            x += 6;
        }
    }
}

fn scale(canvas: &mut Canvas, axis: &Axis, bands: &[(i32, i32)], (bottom, wide): (i32, bool)) {
    let wanted = if wide { 5 } else { 4 };
    let ticks: Vec<f64> = axis.ticks(wanted).iter().map(|t| t * 100.0).collect();
    let last = ticks.len().saturating_sub(1);
    for (index, (tick, text)) in tick_texts(&ticks).into_iter().enumerate() {
        let x = axis.at(tick / 100.0);
        for (from, to) in bands {
            canvas.line((x, *from), (x, *to), Ink::Grid, 1, Dash::Solid);
        }
        let text = if index == last {
            format!("{text}{THIN}%")
        } else {
            text
        };
        canvas.text(&text, (x, bottom + 16), Ink::Muted, 12, Anchor::Middle);
    }
}
