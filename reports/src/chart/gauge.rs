//! The quality gauge: the line, the policy with its interval, the baseline.

use plimsoll_harness::Interval;

use super::Size;
use super::axis::{Axis, tick_texts};
use super::canvas::{Anchor, Canvas, Dash, Ink, text_width};

/// Where quality stands.
#[derive(Debug)]
pub(crate) struct Gauge {
    pub(crate) title: String,
    pub(crate) description: String,
    /// How to read it.
    pub(crate) caption: String,
    pub(crate) line: f64,
    pub(crate) policy: Interval,
    pub(crate) baseline: f64,
    pub(crate) baseline_label: String,
    /// The quality that is proven: the line plus the margin's lower bound.
    pub(crate) proven_from: f64,
}

impl Gauge {
    pub(super) fn draw(&self, size: Size) -> (String, u32, u32) {
        let (width, right) = if size == Size::Wide {
            (900, 876)
        } else {
            (360, 344)
        };
        let left = if size == Size::Wide { 24 } else { 16 };
        let font = if size == Size::Wide { 13 } else { 12 };
        let mut canvas = Canvas::new(width, 160);
        let axis = self.axis(left, right);
        let (top, middle, bottom) = (56, 80, 104);
        // Below the line is hatched: a pattern says it without colour.
        canvas.rect((left, middle - 7), (right, middle + 7), Ink::Grid);
        let line_x = axis.at(self.line);
        let policy_x = axis.at(self.policy.point);
        canvas.line(
            (policy_x, 19),
            (policy_x, middle - 10),
            Ink::Accent,
            1,
            Dash::Dotted,
        );
        hatch(&mut canvas, left + 4, line_x - 3, middle);
        for (tick, text) in tick_texts(&axis.ticks(if size == Size::Wide { 8 } else { 4 })) {
            let x = axis.at(tick);
            canvas.line(
                (x, middle + 9),
                (x, middle + 14),
                Ink::Muted,
                1,
                Dash::Solid,
            );
            canvas.text(
                &text,
                (x, middle + 25),
                Ink::Muted,
                font - 1,
                Anchor::Middle,
            );
        }
        canvas.line(
            (line_x, top - 8),
            (line_x, bottom - 4),
            Ink::Line,
            3,
            Dash::Solid,
        );
        let line_text = format!("the line {}", crate::format::quality(self.line));
        put(
            &mut canvas,
            &line_text,
            line_x,
            top - 22,
            Ink::Line,
            font,
            (left, right),
        );
        self.baseline(&mut canvas, &axis, middle, font, (left, right));
        self.policy(&mut canvas, &axis, middle);
        let policy = format!(
            "policy {}",
            crate::format::number(
                self.policy.point,
                crate::format::Unit::Quality,
                &[self.line]
            )
        );
        put(
            &mut canvas,
            &policy,
            policy_x,
            10,
            Ink::Accent,
            font,
            (left, right),
        );
        canvas.finish()
    }

    fn baseline(&self, canvas: &mut Canvas, axis: &Axis, middle: i32, font: u32, room: (i32, i32)) {
        let baseline_x = axis.at(self.baseline);
        canvas.polygon(
            &[
                (baseline_x, middle + 9),
                (baseline_x - 6, middle + 20),
                (baseline_x + 6, middle + 20),
            ],
            Ink::Hull,
        );
        let baseline = format!(
            "baseline {} · {}",
            crate::format::quality(self.baseline),
            crate::escape::shorten(&self.baseline_label, 24)
        );
        put(canvas, &baseline, baseline_x, 144, Ink::Hull, font, room);
    }

    fn policy(&self, canvas: &mut Canvas, axis: &Axis, y: i32) {
        let (low, x, high) = (
            axis.at(self.policy.low),
            axis.at(self.policy.point),
            axis.at(self.policy.high),
        );
        canvas.line((low, y), (high, y), Ink::Accent, 3, Dash::Solid);
        for end in [low, high] {
            canvas.line((end, y - 6), (end, y + 6), Ink::Accent, 2, Dash::Solid);
        }
        // A bracket where the one-sided proof begins.
        let proven = axis.at(self.proven_from);
        canvas.path(
            &[
                (proven + 5, y - 12),
                (proven, y - 12),
                (proven, y + 12),
                (proven + 5, y + 12),
            ],
            Ink::Accent,
            2,
        );
        canvas.ring((x, y), 7, Ink::Accent, 3);
        canvas.line((x - 11, y), (x + 11, y), Ink::Accent, 2, Dash::Solid);
    }

    fn axis(&self, left: i32, right: i32) -> Axis {
        let values = [
            self.line,
            self.policy.low,
            self.policy.point,
            self.policy.high,
            self.baseline,
            self.proven_from,
        ];
        let finite = || values.into_iter().filter(|v| v.is_finite());
        let low = finite().fold(f64::INFINITY, f64::min).clamp(-1.0, 1.0);
        let high = finite().fold(f64::NEG_INFINITY, f64::max).clamp(-1.0, 1.0);
        let room = ((high - low) * 0.25).max(0.01);
        Axis::linear((low - room).max(-1.0), (high + room).min(1.0), left, right)
    }
}

/// Slanted strokes from `from` to `to`.
fn hatch(canvas: &mut Canvas, from: i32, to: i32, middle: i32) {
    let mut x = from;
    while x < to {
        canvas.line(
            (x, middle + 6),
            (x + 6, middle - 6),
            Ink::Line,
            1,
            Dash::Solid,
        );
        x += 9;
    }
}

/// A centred text kept inside `left..right`.
fn put(
    canvas: &mut Canvas,
    text: &str,
    x: i32,
    y: i32,
    ink: Ink,
    size: u32,
    (left, right): (i32, i32),
) {
    let half = text_width(text, size) / 2;
    let x = if half * 2 >= right - left {
        left + half
    } else {
        x.clamp(left + half, right - half)
    };
    canvas.bold(text, (x, y), ink, size, Anchor::Middle);
}
