//! The month's savings adding up, with a fan of what is uncertain.

use plimsoll_harness::Interval;

use super::Size;
use super::axis::{Axis, money_tick_text, tick_text};
use super::canvas::{Anchor, Canvas, Dash, Ink};

/// Savings over 30 days.
#[derive(Debug)]
pub(crate) struct Fan {
    pub(crate) title: String,
    pub(crate) description: String,
    /// US dollars on day 30.
    pub(crate) total: Interval,
}

const DAYS: f64 = 30.0;

impl Fan {
    pub(super) fn draw(&self, size: Size) -> (String, u32, u32) {
        let (width, height, left, right) = match size {
            Size::Wide => (900, 280, 76, 760),
            Size::Narrow => (360, 260, 62, 346),
        };
        let font = if size == Size::Wide { 13 } else { 12 };
        let (top, bottom) = (18, 232);
        let mut canvas = Canvas::new(width, height);
        let finite = |v: f64| if v.is_finite() { v } else { 0.0 };
        let (low, point, high) = (
            finite(self.total.low),
            finite(self.total.point),
            finite(self.total.high),
        );
        let least = low.min(point).min(0.0);
        let most = high.max(point).max(0.0);
        let y = Axis::linear(
            least,
            if most > least {
                most * 1.05
            } else {
                least + 1.0
            },
            bottom,
            top,
        );
        let x = Axis::linear(0.0, DAYS, left, right);
        for tick in y.ticks(5) {
            let at = y.at(tick);
            canvas.line((left, at), (right, at), Ink::Grid, 1, Dash::Solid);
            canvas.text(
                &money_tick_text(tick),
                (left - 8, at),
                Ink::Muted,
                font - 1,
                Anchor::End,
            );
        }
        for tick in [0.0, 10.0, 20.0, 30.0] {
            let text = if tick == 0.0 {
                "day 0".to_owned()
            } else {
                tick_text(tick)
            };
            canvas.text(
                &text,
                (x.at(tick), bottom + 18),
                Ink::Muted,
                font - 1,
                Anchor::Middle,
            );
        }
        let origin = (x.at(0.0), y.at(0.0));
        let end = |value: f64| (x.at(DAYS), y.at(value));
        canvas.polygon(&[origin, end(high), end(low)], Ink::Fan);
        for edge in [low, high] {
            canvas.line(origin, end(edge), Ink::Accent, 1, Dash::Dashed);
        }
        canvas.line(
            (left, y.at(0.0)),
            (right, y.at(0.0)),
            Ink::Muted,
            1,
            Dash::Solid,
        );
        canvas.line(origin, end(point), Ink::Accent, 3, Dash::Solid);
        canvas.disc(end(point), 5, Ink::Accent);
        let shown = crate::format::interval(self.total, crate::format::Unit::Usd, &[]);
        if size == Size::Wide {
            Self::ends(
                &mut canvas,
                &shown,
                &[end(high), end(point), end(low)],
                font,
            );
        }
        canvas.finish()
    }

    /// The three values at the right, moved apart where they would touch.
    fn ends(canvas: &mut Canvas, shown: &crate::format::Shown, ends: &[(i32, i32); 3], font: u32) {
        let gap = 17;
        let middle = ends[1].1;
        let high = ends[0].1.min(middle - gap);
        let low = ends[2].1.max(middle + gap);
        let x = ends[1].0 + 14;
        canvas.text(&shown.high, (x, high), Ink::Muted, font, Anchor::Start);
        canvas.bold(
            &shown.point,
            (x, middle),
            Ink::Accent,
            font + 2,
            Anchor::Start,
        );
        canvas.text(&shown.low, (x, low), Ink::Muted, font, Anchor::Start);
        debug_assert!(high <= middle && middle <= low, "labels keep their order");
    }
}
