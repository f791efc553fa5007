//! Charts: data in the document, SVG when a page is drawn.
//!
//! Each chart is drawn wide and narrow; the page shows one by media query, so that text keeps its
//! size on a phone. Colours are sentinels that the style sheet maps to themed variables.

mod axis;
mod calibration;
mod canvas;
mod fan;
mod forest;
mod frontier;
mod gauge;
mod series;
mod tornado;

pub(crate) use calibration::Calibration;
pub(crate) use fan::Fan;
pub(crate) use forest::{Forest, ForestRow};
pub(crate) use frontier::{Frontier, FrontierMark};
pub(crate) use gauge::Gauge;
pub(crate) use series::{CURVES_MAX, Curve, CurvePoint, Series};
pub(crate) use tornado::{Tornado, TornadoBar};

/// A drawing with its words.
#[derive(Debug)]
pub(crate) enum Chart {
    Gauge(Gauge),
    Frontier(Frontier),
    Fan(Fan),
    Calibration(Calibration),
    Forest(Forest),
    Tornado(Tornado),
    Series(Series),
}

/// How much room a drawing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Wide,
    Narrow,
}

/// Where vertical lines may run: through a wide drawing, only beside the marks of a narrow one,
/// whose rows have their text above them.
fn bands(wide: bool, (top, bottom): (i32, i32), step: i32, rows: usize) -> Vec<(i32, i32)> {
    if wide {
        return vec![(top - 6, bottom)];
    }
    let tops = (0..rows).zip((top..).step_by(usize::try_from(step).unwrap_or(1)));
    tops.map(|(_, y)| (y + 23, y + step - 4)).collect()
}

impl Chart {
    pub(crate) const fn id(&self) -> &'static str {
        match self {
            Self::Gauge(_) => "gauge",
            Self::Frontier(_) => "frontier",
            Self::Fan(_) => "fan",
            Self::Calibration(_) => "calibration",
            Self::Forest(c) => c.id,
            Self::Tornado(_) => "tornado",
            Self::Series(c) => c.id,
        }
    }

    pub(crate) fn title(&self) -> &str {
        match self {
            Self::Gauge(c) => &c.title,
            Self::Frontier(c) => &c.title,
            Self::Fan(c) => &c.title,
            Self::Calibration(c) => &c.title,
            Self::Forest(c) => &c.title,
            Self::Tornado(c) => &c.title,
            Self::Series(c) => &c.title,
        }
    }

    /// What the drawing shows, for who cannot see it.
    pub(crate) fn description(&self) -> &str {
        match self {
            Self::Gauge(c) => &c.description,
            Self::Frontier(c) => &c.description,
            Self::Fan(c) => &c.description,
            Self::Calibration(c) => &c.description,
            Self::Forest(c) => &c.description,
            Self::Tornado(c) => &c.description,
            Self::Series(c) => &c.description,
        }
    }

    /// How to read the drawing, for who sees it.
    pub(crate) fn caption(&self) -> &str {
        match self {
            Self::Gauge(c) => &c.caption,
            Self::Frontier(c) => &c.caption,
            Self::Fan(c) => &c.description,
            Self::Calibration(c) => &c.description,
            Self::Forest(c) => &c.caption,
            Self::Tornado(c) => &c.caption,
            Self::Series(c) => &c.caption,
        }
    }

    /// Whether the title stands above the drawing: where several look alike, or it has no other.
    pub(crate) const fn is_titled(&self) -> bool {
        matches!(self, Self::Forest(_) | Self::Tornado(_))
    }

    /// The kinds of marks a legend explains, as symbol and words.
    pub(crate) fn legend(&self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Frontier(c) => c.legend(),
            _ => Vec::new(),
        }
    }

    /// The elements inside `<svg>`, with the width and height of their coordinates.
    pub(crate) fn draw(&self, size: Size) -> (String, u32, u32) {
        match self {
            Self::Gauge(c) => c.draw(size),
            Self::Frontier(c) => c.draw(size),
            Self::Fan(c) => c.draw(size),
            Self::Calibration(c) => c.draw(size),
            Self::Forest(c) => c.draw(size),
            Self::Tornado(c) => c.draw(size),
            Self::Series(c) => c.draw(size),
        }
    }
}
