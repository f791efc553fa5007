//! Curves over the requests of a replay, one of them with its band.

use super::Size;
use super::axis::{Axis, money_tick_text, tick_text, tick_texts};
use super::canvas::{Anchor, Canvas, Dash, Ink, PARTS};
use crate::format::Unit;

/// Several curves on one pair of axes.
#[derive(Debug)]
pub(crate) struct Series {
    /// Tells the charts of one page apart.
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) caption: String,
    pub(crate) unit: Unit,
    pub(crate) curves: Vec<Curve>,
    /// A level to compare with, and its name.
    pub(crate) level: Option<(f64, String)>,
    /// Moments worth marking.
    pub(crate) marks: Vec<u64>,
}

/// One curve; the first of a chart is drawn with its band.
#[derive(Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<CurvePoint>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CurvePoint {
    pub(crate) request: u64,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Ink and dash of the curves, in their order.
const PENS: [(Ink, Dash); 5] = [
    (Ink::Accent, Dash::Solid),
    (Ink::Hull, Dash::Solid),
    (Ink::Oracle, Dash::Dotted),
    (Ink::Arm, Dash::Solid),
    (Ink::Text, Dash::Dotted),
];

/// The most curves that stay apart.
pub(crate) const CURVES_MAX: usize = PENS.len();

impl Series {
    pub(super) fn draw(&self, size: Size) -> (String, u32, u32) {
        let (width, height, left, right) = match size {
            Size::Wide => (900, 300, 76, 700),
            Size::Narrow => (360, 280, 58, 252),
        };
        let font = if size == Size::Wide { 13 } else { 11 };
        let (top, bottom) = (18, 252);
        let mut canvas = Canvas::new(width, height);
        let (x, y) = self.axes((left, right), (top, bottom));
        self.grid(&mut canvas, &x, &y, (left, right, bottom), font);
        for mark in &self.marks {
            let at = x.at(float(*mark));
            canvas.line((at, top), (at, bottom), Ink::Muted, 1, Dash::Dashed);
        }
        if let Some((level, _)) = &self.level {
            let at = y.at(*level);
            canvas.line((left, at), (right, at), Ink::Line, 2, Dash::Dashed);
        }
        if let Some(first) = self.curves.first() {
            let edge = |of: fn(&CurvePoint) -> f64| {
                let at = move |p: &CurvePoint| (x.at(float(p.request)), y.at(of(p)));
                first.points.iter().map(at).collect::<Vec<_>>()
            };
            let mut outline = edge(|p| finite(p.high));
            outline.extend(edge(|p| finite(p.low)).into_iter().rev());
            if outline.len() > 2 {
                canvas.polygon(&outline, Ink::Fan);
            }
        }
        // The first curve lies on top.
        for (curve, (ink, dash)) in self.curves.iter().zip(PENS).rev() {
            stroke(&mut canvas, &x, &y, curve, ink, dash);
        }
        let room = if size == Size::Wide { 26 } else { 13 };
        self.names(&mut canvas, &y, right + 8, font, room);
        canvas.finish()
    }

    fn axes(&self, (left, right): (i32, i32), (top, bottom): (i32, i32)) -> (Axis, Axis) {
        let band = |(index, curve): (usize, &Curve)| {
            let all = curve.points.iter().flat_map(move |p| {
                let value = finite(p.value);
                match index {
                    0 => [value, finite(p.low), finite(p.high)],
                    _ => [value; 3],
                }
            });
            all.collect::<Vec<_>>()
        };
        let level = self.level.iter().map(|(level, _)| *level);
        let values: Vec<f64> = self
            .curves
            .iter()
            .enumerate()
            .flat_map(band)
            .chain(level)
            .collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (least, most) = if least.is_finite() {
            (least, most)
        } else {
            (0.0, 1.0)
        };
        let margin = (most - least) * 0.04;
        let requests = self
            .curves
            .iter()
            .filter_map(|c| c.points.last())
            .map(|p| p.request)
            .max();
        (
            Axis::linear(0.0, float(requests.unwrap_or(1)), left, right),
            Axis::linear(least - margin, most + margin, bottom, top),
        )
    }

    fn grid(
        &self,
        canvas: &mut Canvas,
        x: &Axis,
        y: &Axis,
        (left, right, bottom): (i32, i32, i32),
        font: u32,
    ) {
        for (tick, text) in tick_texts(&y.ticks(5)) {
            let at = y.at(tick);
            let text = match self.unit {
                Unit::Usd | Unit::UsdChange => money_tick_text(tick),
                Unit::Percent => format!(
                    "{}{}%",
                    tick_text((tick * 1e6).round() / 1e4),
                    crate::format::THIN
                ),
                _ => text,
            };
            canvas.line((left, at), (right, at), Ink::Grid, 1, Dash::Solid);
            canvas.text(&text, (left - 8, at), Ink::Muted, font - 1, Anchor::End);
        }
        for tick in x.ticks(5) {
            let at = (x.at(tick), bottom + 16);
            canvas.text(&tick_text(tick), at, Ink::Muted, font - 1, Anchor::Middle);
        }
        let middle = (i32::midpoint(left, right), bottom + 36);
        canvas.text("requests", middle, Ink::Muted, font - 1, Anchor::Middle);
    }

    /// The names of curves and level at their ends, moved apart where they would touch.
    fn names(&self, canvas: &mut Canvas, y: &Axis, x: i32, font: u32, room: usize) {
        let ends = self
            .curves
            .iter()
            .zip(PENS)
            .filter_map(|(curve, (ink, _))| {
                Some((
                    y.at(finite(curve.points.last()?.value)),
                    ink,
                    curve.name.as_str(),
                ))
            });
        let level = self
            .level
            .iter()
            .map(|(level, name)| (y.at(*level), Ink::Line, name.as_str()));
        let mut names: Vec<(i32, Ink, &str)> = ends.chain(level).collect();
        names.sort_by_key(|(at, _, name)| (*at, *name));
        let gap = 16;
        for index in 1..names.len() {
            names[index].0 = names[index].0.max(names[index - 1].0 + gap);
        }
        let mut ceiling = 268;
        for name in names.iter_mut().rev() {
            name.0 = name.0.min(ceiling);
            ceiling = name.0 - gap;
        }
        for (at, ink, name) in names {
            let text = crate::escape::shorten(name, room);
            canvas.text(&text, (x, at), ink, font, Anchor::Start);
        }
    }
}

fn stroke(canvas: &mut Canvas, x: &Axis, y: &Axis, curve: &Curve, ink: Ink, dash: Dash) {
    let value = |p: &CurvePoint| finite(p.value);
    if dash == Dash::Solid {
        let fine = |p: &CurvePoint| (x.fine(float(p.request)), y.fine(value(p)));
        let points: Vec<(i32, i32)> = curve.points.iter().map(fine).collect();
        debug_assert!(points.iter().all(|p| p.0 >= -20_000 * PARTS));
        if points.len() > 1 {
            canvas.curve(&points, ink, 2);
        }
        return;
    }
    for pair in curve.points.windows(2) {
        let at = |p: &CurvePoint| (x.at(float(p.request)), y.at(value(p)));
        canvas.line(at(&pair[0]), at(&pair[1]), ink, 2, dash);
    }
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a place on an axis needs no more digits"
)]
fn float(count: u64) -> f64 {
    count as f64
}
