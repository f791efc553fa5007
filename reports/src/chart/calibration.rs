//! Predicted against observed quality.

use plimsoll_harness::CalibrationBin;

use super::Size;
use super::axis::{Axis, tick_text};
use super::canvas::{Anchor, Canvas, Dash, Ink, px};

/// Bins of predicted quality.
#[derive(Debug)]
pub(crate) struct Calibration {
    pub(crate) title: String,
    pub(crate) description: String,
    /// What is predicted.
    pub(crate) axis: &'static str,
    pub(crate) bins: Vec<CalibrationBin>,
}

impl Calibration {
    pub(super) fn draw(&self, size: Size) -> (String, u32, u32) {
        let (width, height, left, right) = match size {
            Size::Wide => (900, 340, 300, 600),
            Size::Narrow => (360, 340, 48, 346),
        };
        let font = if size == Size::Wide { 13 } else { 12 };
        let (top, bottom) = (12, 290);
        let mut canvas = Canvas::new(width, height);
        let x = Axis::linear(0.0, 1.0, left, right);
        let y = Axis::linear(0.0, 1.0, bottom, top);
        for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
            canvas.line(
                (left, y.at(tick)),
                (right, y.at(tick)),
                Ink::Grid,
                1,
                Dash::Solid,
            );
            canvas.line(
                (x.at(tick), top),
                (x.at(tick), bottom),
                Ink::Grid,
                1,
                Dash::Solid,
            );
            let text = tick_text(tick);
            canvas.text(
                &text,
                (left - 8, y.at(tick)),
                Ink::Muted,
                font - 1,
                Anchor::End,
            );
            canvas.text(
                &text,
                (x.at(tick), bottom + 15),
                Ink::Muted,
                font - 1,
                Anchor::Middle,
            );
        }
        canvas.line(
            (x.at(0.0), y.at(0.0)),
            (x.at(1.0), y.at(1.0)),
            Ink::Muted,
            1,
            Dash::Dashed,
        );
        canvas.text(
            self.axis,
            (i32::midpoint(left, right), bottom + 36),
            Ink::Muted,
            font,
            Anchor::Middle,
        );
        canvas.text(
            "observed ↑",
            (left + 6, top + 10),
            Ink::Muted,
            font,
            Anchor::Start,
        );
        let most = self.bins.iter().map(|b| b.count).max().unwrap_or(0).max(1);
        for bin in &self.bins {
            canvas.ring(
                (x.at(bin.predicted), y.at(bin.observed)),
                radius(bin.count, most),
                Ink::Accent,
                2,
            );
        }
        canvas.finish()
    }
}

/// The area of a mark follows its count.
fn radius(count: u64, most: u64) -> u32 {
    let share = as_float(count) / as_float(most);
    u32::try_from(px(3.0 + 8.0 * share.sqrt())).unwrap_or(3)
}

#[expect(clippy::cast_precision_loss, reason = "a radius needs no more digits")]
fn as_float(count: u64) -> f64 {
    count as f64
}
