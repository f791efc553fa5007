//! Axes: from values to pixels, with ticks at round numbers.

use super::canvas::{PARTS, px};

/// An axis over `from..to` drawn between two pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    from: f64,
    to: f64,
    start: i32,
    end: i32,
    log: bool,
}

impl Axis {
    /// A linear axis; equal ends are moved apart.
    pub(crate) fn linear(from: f64, to: f64, start: i32, end: i32) -> Self {
        let (from, to) = if to > from {
            (from, to)
        } else {
            (from - 0.5, from + 0.5)
        };
        Self {
            from,
            to,
            start,
            end,
            log: false,
        }
    }

    /// A logarithmic axis over positive values, ending where they do.
    pub(crate) fn log(from: f64, to: f64, start: i32, end: i32) -> Self {
        debug_assert!(from > 0.0 && to > from, "a logarithmic axis is positive");
        Self {
            from,
            to,
            start,
            end,
            log: true,
        }
    }

    /// The pixel of a value.
    pub(crate) fn at(&self, value: f64) -> i32 {
        px(self.exact(value))
    }

    /// The place of a value in parts of a pixel, for curves.
    pub(crate) fn fine(&self, value: f64) -> i32 {
        px(self.exact(value) * f64::from(PARTS))
    }

    fn exact(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(self.from * 1e-3) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        if !share.is_finite() {
            return f64::from(self.start);
        }
        // Values far outside are kept near, so that no coordinate overflows.
        f64::from(self.start) + share.clamp(-0.5, 1.5) * f64::from(self.end - self.start)
    }

    /// Round values inside the axis, at most about `wanted` of them.
    pub(crate) fn ticks(&self, wanted: usize) -> Vec<f64> {
        if self.log {
            self.log_ticks(wanted)
        } else {
            self.linear_ticks(wanted)
        }
    }

    fn linear_ticks(&self, wanted: usize) -> Vec<f64> {
        let step = round_step((self.to - self.from) / f64::from(small(wanted)));
        let first = (self.from / step - 1e-9).ceil();
        (0..100)
            .map(|i| (first + f64::from(i)) * step)
            .take_while(|tick| *tick <= self.to + step * 1e-9)
            .map(clean)
            .collect()
    }

    fn log_ticks(&self, wanted: usize) -> Vec<f64> {
        let decades = (self.from.log10().floor() - 1.0, self.to.log10().ceil());
        let steps: [&[f64]; 3] = [&[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
        let candidates = steps.map(|factors| self.log_ticks_of(decades, factors));
        let fitting = candidates.iter().find(|ticks| ticks.len() <= wanted);
        match fitting.filter(|ticks| ticks.len() >= 2) {
            Some(ticks) => ticks.clone(),
            None => thin_out(&candidates[2], &candidates[0], wanted),
        }
    }

    fn log_ticks_of(&self, (low, high): (f64, f64), factors: &[f64]) -> Vec<f64> {
        let mut ticks = Vec::new();
        let mut exponent = low;
        while exponent <= high {
            for factor in factors {
                let tick = clean(factor * 10_f64.powf(exponent));
                if tick >= self.from * (1.0 - 1e-9) && tick <= self.to * (1.0 + 1e-9) {
                    ticks.push(tick);
                }
            }
            exponent += 1.0;
        }
        ticks
    }
}

/// Every n-th decade when there are too many, all candidates when there are too few.
fn thin_out(decades: &[f64], all: &[f64], wanted: usize) -> Vec<f64> {
    if decades.len() < 2 {
        return all.to_vec();
    }
    let stride = decades.len().div_ceil(wanted.max(1));
    decades.iter().copied().step_by(stride).collect()
}

/// 1, 2 or 5 times a power of ten, at least `raw`.
fn round_step(raw: f64) -> f64 {
    let power = 10_f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|f| f * power >= raw * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// Removes the noise of binary fractions from a tick.
fn clean(value: f64) -> f64 {
    let rounded: f64 = format!("{value:.9e}").parse().unwrap_or(value);
    // Adding zero turns -0.0 into 0.0.
    rounded + 0.0
}

fn small(count: usize) -> u32 {
    u32::try_from(count.clamp(1, 50)).unwrap_or(50)
}

/// A tick in as few digits as it needs.
pub(crate) fn tick_text(value: f64) -> String {
    let text = format!("{value}");
    let grouped = if value.abs() >= 1_000.0 {
        crate::format::about(value)
    } else {
        text
    };
    grouped.replace('-', "\u{2212}")
}

/// Ticks with equally many decimals.
pub(crate) fn tick_texts(ticks: &[f64]) -> Vec<(f64, String)> {
    let decimals = |tick: &f64| {
        format!("{tick}")
            .split_once('.')
            .map_or(0, |(_, d)| d.len())
    };
    let most = ticks.iter().map(decimals).max().unwrap_or(0).min(9);
    let text = |tick: f64| match most {
        0 => tick_text(tick),
        _ => format!("{tick:.most$}").replace('-', "\u{2212}"),
    };
    ticks.iter().map(|tick| (*tick, text(*tick))).collect()
}

/// A tick of money.
pub(crate) fn money_tick_text(value: f64) -> String {
    if value < 0.0 {
        format!("\u{2212}${}", tick_text(-value))
    } else {
        format!("${}", tick_text(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            Axis::linear(0.71, 0.93, 0, 100).ticks(5),
            [0.75, 0.8, 0.85, 0.9]
        );
        assert_eq!(Axis::linear(-3.0, 9.0, 0, 100).ticks(4), [0.0, 5.0]);
        assert_eq!(Axis::log(1e-5, 2e-3, 0, 100).ticks(4), [1e-5, 1e-4, 1e-3]);
        assert_eq!(
            Axis::log(1e-4, 1e-3, 0, 100).ticks(6),
            [1e-4, 2e-4, 5e-4, 1e-3]
        );
        assert!(
            !Axis::log(1.1e-4, 1.2e-4, 0, 100)
                .ticks(6)
                .iter()
                .any(|t| !t.is_finite())
        );
    }

    #[test]
    fn an_axis_of_one_value_has_room() {
        let axis = Axis::linear(0.5, 0.5, 0, 100);
        assert_eq!(axis.at(0.5), 50);
        assert_eq!(axis.at(f64::NAN), 0);
    }

    #[test]
    fn ticks_read_well() {
        assert_eq!(tick_texts(&[0.9, 0.905])[0].1, "0.900");
        assert_eq!(tick_text(0.000_1), "0.0001");
        assert_eq!(money_tick_text(-5.0), "−$5");
        assert_eq!(tick_text(20_000.0), "20\u{202f}000");
    }
}
