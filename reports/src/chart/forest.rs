//! Points with whiskers, one line each, against a common reference.

use plimsoll_harness::Interval;

use super::Size;
use super::axis::{Axis, tick_texts};
use super::canvas::{Anchor, Canvas, Dash, Ink, text_width};
use crate::escape::shorten;
use crate::format::THIN;

/// Estimates of one quantity.
#[derive(Debug)]
pub(crate) struct Forest {
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) description: String,
    /// How to read it.
    pub(crate) caption: String,
    /// The value that matters, and its name.
    pub(crate) reference: f64,
    pub(crate) reference_label: String,
    /// Whether the axis is in per cent.
    pub(crate) percent: bool,
    pub(crate) rows: Vec<ForestRow>,
}

/// One estimate.
#[derive(Debug)]
pub(crate) struct ForestRow {
    pub(crate) label: String,
    pub(crate) value: Interval,
    /// The value as text.
    pub(crate) text: String,
    /// The one that counts.
    pub(crate) chosen: bool,
    /// One that must not be read as it stands.
    pub(crate) doubtful: bool,
}

/// Intervals that reach further than this many times the chosen one's are cut at the edge.
const REACH_MAX: f64 = 6.0;

struct Plot {
    axis: Axis,
    left: i32,
    right: i32,
}

impl Forest {
    pub(super) fn draw(&self, size: Size) -> (String, u32, u32) {
        let wide = size == Size::Wide;
        let (width, left, right, step) = if wide {
            (900, 236, 640, 30)
        } else {
            (360, 14, 346, 46)
        };
        let font = if wide { 13 } else { 12 };
        let top = 34;
        let bottom = top + step * i32::try_from(self.rows.len()).unwrap_or(0) + 4;
        let mut canvas = Canvas::new(width, u32::try_from(bottom + 34).unwrap_or(400));
        let (from, to) = self.range();
        let plot = Plot {
            axis: Axis::linear(from, to, left, right),
            left,
            right,
        };
        let bands = super::bands(wide, (top, bottom), step, self.rows.len());
        self.scale(&mut canvas, &plot, &bands, (bottom, wide));
        for (row, index) in self.rows.iter().zip(0..) {
            let y = top + step * index;
            if wide {
                let at = y + step / 2;
                write(
                    &mut canvas,
                    row,
                    &row.label,
                    (left - 14, at),
                    font,
                    Anchor::End,
                );
                write(
                    &mut canvas,
                    row,
                    &row.text,
                    (right + 16, at),
                    font,
                    Anchor::Start,
                );
                whisker(&mut canvas, &plot, row, at);
            } else {
                write(
                    &mut canvas,
                    row,
                    &row.label,
                    (left, y + 14),
                    font,
                    Anchor::Start,
                );
                write(
                    &mut canvas,
                    row,
                    &row.text,
                    (right, y + 14),
                    font,
                    Anchor::End,
                );
                whisker(&mut canvas, &plot, row, y + 32);
            }
        }
        canvas.finish()
    }

    fn scale(
        &self,
        canvas: &mut Canvas,
        plot: &Plot,
        bands: &[(i32, i32)],
        (bottom, wide): (i32, bool),
    ) {
        let scale = if self.percent { 100.0 } else { 1.0 };
        let ticks: Vec<f64> = plot
            .axis
            .ticks(if wide { 6 } else { 4 })
            .iter()
            .map(|tick| tick * scale)
            .collect();
        let last = ticks.len().saturating_sub(1);
        for (index, (tick, text)) in tick_texts(&ticks).into_iter().enumerate() {
            let x = plot.axis.at(tick / scale);
            for (from, to) in bands {
                canvas.line((x, *from), (x, *to), Ink::Grid, 1, Dash::Solid);
            }
            let unit = if self.percent && index == last {
                format!("{text}{THIN}%")
            } else {
                text
            };
            canvas.text(&unit, (x, bottom + 16), Ink::Muted, 12, Anchor::Middle);
        }
        let x = plot.axis.at(self.reference);
        for (from, to) in bands {
            canvas.line((x, *from), (x, *to), Ink::Line, 2, Dash::Dashed);
        }
        let half = text_width(&self.reference_label, 12) / 2;
        let at = x.clamp(plot.left + half, (plot.right - half).max(plot.left + half));
        canvas.bold(
            &self.reference_label,
            (at, 14),
            Ink::Line,
            12,
            Anchor::Middle,
        );
    }

    /// What the axis covers: the reference and the chosen row at least, others if they are near.
    fn range(&self) -> (f64, f64) {
        let finite = |row: &ForestRow| {
            [row.value.low, row.value.point, row.value.high]
                .into_iter()
                .filter(|v| v.is_finite())
                .collect::<Vec<f64>>()
        };
        let mut core = vec![self.reference];
        let anchor = self.rows.iter().find(|row| row.chosen);
        match anchor.or(self.rows.first()) {
            Some(row) => core.extend(finite(row)),
            None => core.push(self.reference + 1.0),
        }
        let (low, high) = ends(&core);
        let reach = ((high - low) * REACH_MAX / 2.0).max(1e-9);
        let middle = low.midpoint(high);
        let all: Vec<f64> = self
            .rows
            .iter()
            .flat_map(finite)
            .map(|v| v.clamp(middle - reach, middle + reach))
            .chain(core)
            .collect();
        let (low, high) = ends(&all);
        let room = ((high - low) * 0.05).max(1e-6);
        (low - room, high + room)
    }
}

fn ends(values: &[f64]) -> (f64, f64) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (low, high)
}

fn write(
    canvas: &mut Canvas,
    row: &ForestRow,
    text: &str,
    at: (i32, i32),
    font: u32,
    anchor: Anchor,
) {
    let text = shorten(text, 34);
    if row.chosen {
        canvas.bold(&text, at, Ink::Text, font, anchor);
    } else {
        canvas.text(&text, at, Ink::Muted, font, anchor);
    }
}

fn whisker(canvas: &mut Canvas, plot: &Plot, row: &ForestRow, y: i32) {
    if !row.value.point.is_finite() {
        return;
    }
    let place = |v: f64| {
        let v = if v.is_finite() { v } else { row.value.point };
        plot.axis.at(v)
    };
    let inside = |x: i32| x.clamp(plot.left, plot.right);
    let (low, point, high) = (
        place(row.value.low),
        place(row.value.point),
        place(row.value.high),
    );
    let (ink, dash) = if row.doubtful {
        (Ink::Arm, Dash::Dotted)
    } else {
        (Ink::Accent, Dash::Solid)
    };
    let width = if row.chosen { 3 } else { 2 };
    canvas.line((inside(low), y), (inside(high), y), ink, width, dash);
    for (end, edge, outward) in [(low, plot.left, -1), (high, plot.right, 1)] {
        if inside(end) == end {
            canvas.line((end, y - 5), (end, y + 5), ink, width, Dash::Solid);
        } else {
            // An arrow says that the interval goes on beyond the edge.
            canvas.polygon(
                &[(edge + 8 * outward, y), (edge, y - 5), (edge, y + 5)],
                ink,
            );
        }
    }
    if inside(point) != point {
        return;
    }
    if row.chosen {
        canvas.polygon(
            &[
                (point, y - 8),
                (point + 8, y),
                (point, y + 8),
                (point - 8, y),
            ],
            ink,
        );
    } else if row.doubtful {
        canvas.ring((point, y), 4, ink, 2);
    } else {
        canvas.disc((point, y), 4, ink);
    }
}
