//! The cost–quality plane: arms, hull, sweep, oracle, "you are here".

use plimsoll_harness::{FrontierKind, Interval};

use super::Size;
use super::axis::{Axis, money_tick_text, tick_texts};
use super::canvas::{Anchor, Canvas, Dash, Ink, PARTS, Px, text_width};

/// Points in the cost–quality plane.
#[derive(Debug)]
pub(crate) struct Frontier {
    pub(crate) title: String,
    pub(crate) description: String,
    /// How to read it.
    pub(crate) caption: String,
    /// What goes up.
    pub(crate) axis: &'static str,
    pub(crate) line: f64,
    pub(crate) marks: Vec<FrontierMark>,
}

/// One point.
#[derive(Debug)]
pub(crate) struct FrontierMark {
    pub(crate) kind: FrontierKind,
    pub(crate) label: String,
    pub(crate) quality: Interval,
    pub(crate) cost_usd: Interval,
    pub(crate) certified: bool,
    pub(crate) baseline: bool,
}

/// With more arms than this only the important ones get names and whiskers.
const ALL_NAMED_MAX: usize = 7;

/// The plot's room and scales.
struct Plane {
    x: Axis,
    y: Axis,
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
    font: u32,
}

/// A rectangle that is taken.
#[derive(Clone, Copy)]
struct Taken {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

impl Taken {
    fn around((x, y): Px, radius: i32) -> Self {
        Self {
            left: x - radius,
            top: y - radius,
            right: x + radius,
            bottom: y + radius,
        }
    }

    fn meets(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

impl Frontier {
    pub(super) fn draw(&self, size: Size) -> (String, u32, u32) {
        let (width, height) = if size == Size::Wide {
            (900, 480)
        } else {
            (360, 400)
        };
        let mut canvas = Canvas::new(width, height);
        let plane = self.plane(size);
        self.grid(&mut canvas, &plane, size);
        self.hull(&mut canvas, &plane);
        self.sweep(&mut canvas, &plane);
        for mark in self.marks.iter().filter(|m| m.kind != FrontierKind::Hull) {
            self.whiskers(&mut canvas, &plane, mark);
        }
        for mark in in_drawing_order(&self.marks) {
            symbol(&mut canvas, plane.at(mark), mark);
        }
        self.labels(&mut canvas, &plane);
        canvas.finish()
    }

    pub(super) fn legend(&self) -> Vec<(&'static str, &'static str)> {
        let has = |kind| self.marks.iter().any(|m| m.kind == kind);
        let sweep = |certified| {
            self.marks
                .iter()
                .any(|m| m.kind == FrontierKind::Sweep && m.certified == certified)
        };
        let entries = [
            (
                has(FrontierKind::Here),
                "here",
                "you are here: the policy as judged",
            ),
            (
                sweep(true),
                "sweep",
                "the policy at another floor that its bound clears",
            ),
            (sweep(false), "sweep-open", "the same, not cleared"),
            (has(FrontierKind::Arm), "arm", "one arm answers everything"),
            (has(FrontierKind::Hull), "hull", "hull of fixed mixes"),
            (
                has(FrontierKind::Oracle),
                "oracle",
                "oracle: known only afterwards",
            ),
            (true, "line", "the line"),
        ];
        entries
            .into_iter()
            .filter(|(shown, ..)| *shown)
            .map(|(_, s, t)| (s, t))
            .collect()
    }

    fn plane(&self, size: Size) -> Plane {
        let (left, right, top, bottom, font) = match size {
            Size::Wide => (64, 876, 16, 424, 13),
            Size::Narrow => (46, 348, 14, 346, 12),
        };
        let finite = |values: Vec<f64>| values.into_iter().filter(|v| v.is_finite());
        let costs: Vec<f64> =
            finite(self.marks.iter().map(|m| m.cost_usd.point).collect()).collect();
        let qualities: Vec<f64> = finite(
            self.marks
                .iter()
                .map(|m| m.quality.point)
                .chain([self.line])
                .collect(),
        )
        .collect();
        let low = qualities.iter().copied().fold(f64::INFINITY, f64::min);
        let high = qualities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let room = ((high - low) * 0.10).max(0.005);
        let y = Axis::linear(
            (low - room).max(-0.02),
            (high + room).min(1.02),
            bottom,
            top,
        );
        let cheapest = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let dearest = costs.iter().copied().fold(0.0, f64::max);
        let x = if cheapest > 0.0 && cheapest.is_finite() && dearest > cheapest * 8.0 {
            let room = (dearest / cheapest).powf(0.09);
            Axis::log(cheapest / room, dearest * room, left, right)
        } else {
            Axis::linear(
                0.0,
                if dearest > 0.0 { dearest * 1.12 } else { 1.0 },
                left,
                right,
            )
        };
        Plane {
            x,
            y,
            left,
            right,
            top,
            bottom,
            font,
        }
    }

    fn grid(&self, canvas: &mut Canvas, plane: &Plane, size: Size) {
        let Plane {
            x,
            y,
            left,
            right,
            top,
            bottom,
            font,
        } = *plane;
        for (tick, text) in tick_texts(&y.ticks(6)) {
            let at = y.at(tick);
            canvas.line((left, at), (right, at), Ink::Grid, 1, Dash::Solid);
            canvas.text(&text, (left - 8, at), Ink::Muted, font - 1, Anchor::End);
        }
        let mut free_from = i32::MIN;
        for tick in x.ticks(if size == Size::Wide { 9 } else { 4 }) {
            let at = x.at(tick);
            canvas.line((at, bottom), (at, bottom + 5), Ink::Muted, 1, Dash::Solid);
            let text = money_tick_text(tick);
            let half = text_width(&text, font - 1) / 2;
            if at - half > free_from && at + half < right + 20 {
                canvas.text(
                    &text,
                    (at, bottom + 17),
                    Ink::Muted,
                    font - 1,
                    Anchor::Middle,
                );
                free_from = at + half + 6;
            }
        }
        canvas.line((left, bottom), (right, bottom), Ink::Muted, 1, Dash::Solid);
        let about = "mean cost per request →";
        canvas.text(about, (right, bottom + 38), Ink::Muted, font, Anchor::End);
        canvas.text(
            self.axis,
            (left - 36, bottom + 38),
            Ink::Muted,
            font,
            Anchor::Start,
        );
        let at = y.at(self.line);
        canvas.line((left, at), (right, at), Ink::Line, 2, Dash::Dashed);
        debug_assert!(top < bottom, "the plane has room");
    }

    fn hull(&self, canvas: &mut Canvas, plane: &Plane) {
        let path = self.hull_path(plane);
        if path.len() > 1 {
            canvas.curve(&path, Ink::Hull, 2);
        }
    }

    /// The hull in parts of a pixel. Mixes lie on straight lines of mean cost; on a logarithmic
    /// axis those are curves.
    fn hull_path(&self, plane: &Plane) -> Vec<Px> {
        let mut corners: Vec<&FrontierMark> = self
            .marks
            .iter()
            .filter(|m| m.kind == FrontierKind::Hull)
            .collect();
        corners.sort_by(|a, b| a.cost_usd.point.total_cmp(&b.cost_usd.point));
        let mut path: Vec<Px> = Vec::new();
        for pair in corners.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            for step in 0..=24 {
                let share = f64::from(step) / 24.0;
                let between = |a: f64, b: f64| a + (b - a) * share;
                path.push((
                    plane
                        .x
                        .fine(between(from.cost_usd.point, to.cost_usd.point)),
                    plane.y.fine(between(from.quality.point, to.quality.point)),
                ));
            }
        }
        path.dedup();
        path
    }

    fn sweep(&self, canvas: &mut Canvas, plane: &Plane) {
        let mut points: Vec<&FrontierMark> = self
            .marks
            .iter()
            .filter(|m| m.kind == FrontierKind::Sweep)
            .collect();
        points.sort_by(|a, b| a.cost_usd.point.total_cmp(&b.cost_usd.point));
        for pair in points.windows(2) {
            canvas.line(
                plane.at(pair[0]),
                plane.at(pair[1]),
                Ink::Accent,
                1,
                Dash::Dotted,
            );
        }
    }

    fn whiskers(&self, canvas: &mut Canvas, plane: &Plane, mark: &FrontierMark) {
        let ink = ink(mark);
        let ink = if mark.kind == FrontierKind::Arm && !self.important(mark) {
            Ink::Grid
        } else {
            ink
        };
        let (x, y) = plane.at(mark);
        let clamp_y = |v: f64| plane.y.at(v).clamp(plane.top, plane.bottom);
        let clamp_x = |v: f64| plane.x.at(v).clamp(plane.left, plane.right);
        let (low, high) = (clamp_y(mark.quality.low), clamp_y(mark.quality.high));
        if low - high > 1 {
            canvas.line((x, low), (x, high), ink, 1, Dash::Solid);
        }
        let (low, high) = (clamp_x(mark.cost_usd.low), clamp_x(mark.cost_usd.high));
        if high - low > 1 {
            canvas.line((low, y), (high, y), ink, 1, Dash::Solid);
        }
    }

    /// Whether a mark is named even in a crowd.
    fn important(&self, mark: &FrontierMark) -> bool {
        mark.baseline
            || matches!(mark.kind, FrontierKind::Here | FrontierKind::Oracle)
            || (mark.kind == FrontierKind::Arm
                && (self.on_hull(mark)
                    || self
                        .marks
                        .iter()
                        .filter(|m| m.kind == FrontierKind::Arm)
                        .count()
                        <= ALL_NAMED_MAX))
    }

    fn on_hull(&self, mark: &FrontierMark) -> bool {
        self.marks
            .iter()
            .any(|m| m.kind == FrontierKind::Hull && m.label == mark.label)
    }

    fn labels(&self, canvas: &mut Canvas, plane: &Plane) {
        let mut taken: Vec<Taken> = self
            .marks
            .iter()
            .map(|m| {
                Taken::around(
                    plane.at(m),
                    if m.kind == FrontierKind::Here { 12 } else { 5 },
                )
            })
            .collect();
        self.line_label(canvas, plane, &mut taken);
        let lines = self.lines(plane);
        let mut marks: Vec<&FrontierMark> =
            self.marks.iter().filter(|m| self.important(m)).collect();
        marks.sort_by_key(|m| rank(m));
        for mark in marks {
            // Better a place off the lines, even for a short name; on a line is better than none.
            let clear: Vec<Taken> = taken.iter().chain(&lines).copied().collect();
            let names = self.names(mark);
            let find = |taken: &[Taken]| {
                names
                    .iter()
                    .find_map(|n| plane.place(mark, n, taken).map(|place| (n, place)))
            };
            let found = find(&clear).or_else(|| find(&taken));
            let Some((name, (at, anchor, space))) = found else {
                continue;
            };
            taken.push(space);
            if mark.kind == FrontierKind::Here {
                canvas.bold(name, at, Ink::Accent, plane.font + 1, anchor);
            } else {
                let ink = if mark.kind == FrontierKind::Arm {
                    Ink::Text
                } else {
                    ink(mark)
                };
                canvas.text(name, at, ink, plane.font - 1, anchor);
            }
        }
    }

    /// What a mark may be called, the best name first.
    fn names(&self, mark: &FrontierMark) -> Vec<String> {
        let lone = self
            .marks
            .iter()
            .filter(|m| m.kind == FrontierKind::Here)
            .count()
            <= 1;
        match mark.kind {
            FrontierKind::Here if lone => vec!["you are here".to_owned()],
            FrontierKind::Oracle => vec!["oracle".to_owned()],
            _ if mark.baseline => {
                vec![format!("{} (baseline)", mark.label), "baseline".to_owned()]
            }
            _ => vec![mark.label.clone()],
        }
    }

    /// The line and the hull as rows of small rectangles.
    fn lines(&self, plane: &Plane) -> Vec<Taken> {
        let y = plane.y.at(self.line);
        let hull = self.hull_path(plane);
        let between = hull.windows(2).flat_map(|pair| {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            (0..8).map(move |i| {
                (
                    (x0 + (x1 - x0) * i / 8) / PARTS,
                    (y0 + (y1 - y0) * i / 8) / PARTS,
                )
            })
        });
        let line = Taken {
            left: plane.left,
            top: y - 1,
            right: plane.right,
            bottom: y + 1,
        };
        between
            .map(|at| Taken::around(at, 1))
            .chain([line])
            .collect()
    }

    /// The line's name at the first free end of it.
    fn line_label(&self, canvas: &mut Canvas, plane: &Plane, taken: &mut Vec<Taken>) {
        let text = format!("the line {}", crate::format::quality(self.line));
        let width = text_width(&text, plane.font);
        let y = plane.y.at(self.line);
        let places = [
            (plane.right - width, y - 10),
            (plane.left + 4, y - 10),
            (plane.right - width, y + 11),
            (plane.left + 4, y + 11),
        ];
        let space = |(x, y): Px| Taken {
            left: x,
            top: y - 8,
            right: x + width,
            bottom: y + 8,
        };
        let free = places
            .into_iter()
            .find(|p| !taken.iter().any(|t| t.meets(&space(*p))));
        let at = free.unwrap_or(places[0]);
        taken.push(space(at));
        canvas.bold(&text, at, Ink::Line, plane.font - 1, Anchor::Start);
    }
}

impl Plane {
    fn at(&self, mark: &FrontierMark) -> Px {
        (
            self.x.at(mark.cost_usd.point),
            self.y.at(mark.quality.point),
        )
    }

    /// The first free place around a mark; none when the crowd leaves no room.
    fn place(
        &self,
        mark: &FrontierMark,
        text: &str,
        taken: &[Taken],
    ) -> Option<(Px, Anchor, Taken)> {
        let here = mark.kind == FrontierKind::Here;
        let size = if here { self.font + 1 } else { self.font - 1 };
        let width = text_width(text, size);
        let (x, y) = self.at(mark);
        let gap = if here { 16 } else { 9 };
        let near = [
            (x + gap, y, Anchor::Start),
            (x - gap, y, Anchor::End),
            (x, y - gap - 5, Anchor::Middle),
            (x, y + gap + 5, Anchor::Middle),
            (x + gap - 2, y - gap - 2, Anchor::Start),
            (x - gap + 2, y - gap - 2, Anchor::End),
            (x + gap - 2, y + gap + 2, Anchor::Start),
            (x - gap + 2, y + gap + 2, Anchor::End),
        ];
        let far = [
            (0, -30),
            (0, 30),
            (26, -26),
            (26, 26),
            (-26, -26),
            (-26, 26),
        ]
        .map(|(dx, dy)| {
            let anchor = match dx {
                0 => Anchor::Middle,
                d if d > 0 => Anchor::Start,
                _ => Anchor::End,
            };
            (x + dx, y + dy, anchor)
        });
        // What is not important enough for a far place is found in the table.
        let far = far
            .into_iter()
            .take(if here || mark.baseline { 6 } else { 0 });
        near.into_iter().chain(far).find_map(|(x, y, anchor)| {
            let half = width / 2;
            // Above and below, a text may slide sideways to stay inside.
            let x = match anchor {
                Anchor::Middle if width < self.right - self.left => {
                    x.clamp(self.left + half, self.right - half)
                }
                _ => x,
            };
            let left = match anchor {
                Anchor::Start => x,
                Anchor::Middle => x - half,
                Anchor::End => x - width,
            };
            let space = Taken {
                left,
                top: y - 8,
                right: left + width,
                bottom: y + 8,
            };
            let inside = space.left >= self.left - 2
                && space.right <= self.right + 2
                && space.top >= self.top - 12
                && space.bottom < self.bottom;
            (inside && !taken.iter().any(|t| t.meets(&space))).then_some(((x, y), anchor, space))
        })
    }
}

const fn rank(mark: &FrontierMark) -> u8 {
    match mark.kind {
        FrontierKind::Here => 0,
        _ if mark.baseline => 1,
        FrontierKind::Oracle => 2,
        _ => 3,
    }
}

const fn ink(mark: &FrontierMark) -> Ink {
    match mark.kind {
        FrontierKind::Arm => Ink::Arm,
        FrontierKind::Hull => Ink::Hull,
        FrontierKind::Sweep | FrontierKind::Here => Ink::Accent,
        FrontierKind::Oracle => Ink::Oracle,
    }
}

/// What matters most comes last, on top.
fn in_drawing_order(marks: &[FrontierMark]) -> Vec<&FrontierMark> {
    let mut ordered: Vec<&FrontierMark> = marks.iter().collect();
    ordered.sort_by_key(|m| match m.kind {
        FrontierKind::Hull => 0,
        FrontierKind::Arm => 1,
        FrontierKind::Sweep => 2,
        FrontierKind::Oracle => 3,
        FrontierKind::Here => 4,
    });
    ordered
}

/// One shape per kind, so that colour is never needed to tell them apart.
fn symbol(canvas: &mut Canvas, (x, y): Px, mark: &FrontierMark) {
    match mark.kind {
        FrontierKind::Hull => canvas.rect((x - 6, y - 6), (x + 6, y + 6), Ink::Hull),
        FrontierKind::Arm => canvas.ring((x, y), if mark.baseline { 5 } else { 4 }, Ink::Arm, 2),
        FrontierKind::Sweep if mark.certified => canvas.disc((x, y), 4, Ink::Accent),
        FrontierKind::Sweep => canvas.ring((x, y), 3, Ink::Accent, 1),
        FrontierKind::Oracle => {
            canvas.polygon(&[(x, y - 8), (x + 8, y + 6), (x - 8, y + 6)], Ink::Oracle);
        }
        FrontierKind::Here => {
            // The Plimsoll mark: a ring crossed by a line.
            canvas.ring((x, y), 9, Ink::Accent, 3);
            canvas.line((x - 15, y), (x + 15, y), Ink::Accent, 3, Dash::Solid);
        }
    }
}
