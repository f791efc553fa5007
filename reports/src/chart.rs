//! Charts: data in the document, SVG when a page is drawn.
//!
//! Each chart is drawn wide and narrow; the page shows one by media query, so that text keeps its
//! size on a phone. Colours are sentinels that the style sheet maps to themed variables.

mod axis;
mod calibration;
mod canvas;
mod fan;
mod frontier;
mod gauge;
mod series;

pub(crate) use calibration::Calibration;
pub(crate) use fan::Fan;
pub(crate) use frontier::{Frontier, FrontierMark};
pub(crate) use gauge::Gauge;
pub(crate) use series::{CURVES_MAX, Curve, CurvePoint, Series};

/// A drawing with its words.
#[derive(Debug)]
pub(crate) enum Chart {
    Gauge(Gauge),
    Frontier(Frontier),
    Fan(Fan),
    Calibration(Calibration),
    Series(Series),
}

/// How much room a drawing has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Wide,
    Narrow,
}

impl Chart {
    pub(crate) const fn id(&self) -> &'static str {
        match self {
            Self::Gauge(_) => "gauge",
            Self::Frontier(_) => "frontier",
            Self::Fan(_) => "fan",
            Self::Calibration(_) => "calibration",
            Self::Series(c) => c.id,
        }
    }

    pub(crate) fn title(&self) -> &str {
        match self {
            Self::Gauge(c) => &c.title,
            Self::Frontier(c) => &c.title,
            Self::Fan(c) => &c.title,
            Self::Calibration(c) => &c.title,
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
            Self::Series(c) => &c.caption,
        }
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
            Self::Series(c) => c.draw(size),
        }
    }
}
