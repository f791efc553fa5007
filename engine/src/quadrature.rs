//! Probability of each arm to be the best one, for independent beliefs about the arms.
//!
//! P(a is best) = ∫ f_a(t) Π_{b≠a} F_b(t) dt, with density f and distribution function F of each
//! belief. The axis is cut into panels no wider than a fixed share of the narrowest belief there;
//! each panel takes an 8-point Gauss–Legendre rule, whose interpolating polynomial also gives the
//! F_b at its nodes (ordinates in closed form: ∫₋₁ˣ P_k = (P_{k+1} − P_{k−1})/(2k+1)). One
//! evaluation of each density per node is all it takes, and equal beliefs get equal bits. The nodes
//! of a panel are worked on side by side, as wide as the processor allows.
//!
//! Error: below 10⁻⁸ in every probability, before they are scaled to sum to 1 (tested against
//! values of 40 digits). Where beliefs are cut off, they hold less than 10⁻¹¹ of probability; an
//! arm whose belief ends below the start of another's gets exactly 0. Normal beliefs are not
//! integrated where the best arm is below with a probability under 10⁻¹⁰: their F is known there.

use multiversion::multiversion;

use crate::math;

/// Nodes of a panel.
const NODES: usize = 8;
/// Width of a panel, in standard deviations of the narrowest belief that it crosses.
const STEP: f64 = 2.0;
/// Where a normal belief is cut off, in standard deviations: P(|z| > 7) = 2.6·10⁻¹².
const REACH: f64 = 7.0;
/// −ln 10⁻¹⁰: below a point where ln ΠF is lower still, nothing is integrated.
const NEGLECT: f64 = 23.0;
/// Halvings of the range that the point is looked for in.
const HALVINGS: u32 = 6;
/// √(2π).
const ROOT_OF_TAU: f64 = 2.506_628_274_631_000_5;
/// Where a Beta belief is cut off: its density has fallen by e⁻²⁸ = 7·10⁻¹³.
const DROP: f64 = 28.0;
/// A normal belief is at least this wide, relative to its mean: narrower ones are points.
const SPREAD_MIN: f64 = 1e-9;
/// Logits beyond this are certainties: 1 − σ(30) = 10⁻¹³.
const LOGIT_MAX: f64 = 30.0;
/// Beyond this logit, σ and its exponential approximation are the same float.
const EXPONENTIAL: f64 = 40.0;
/// Least value of a distribution function within a belief's window, so that it can divide.
const CDF_MIN: f64 = 1e-30;
/// Panels that are worked on together, arm after arm.
const BATCH: usize = 8;
/// Numbers of scratch space per arm: start, end and F of its belief, its integral as one sum per
/// node, and f/F at the nodes of a batch.
const PER_ARM: usize = 3 + NODES + BATCH * NODES;

/// Abscissae of the 8-point Gauss–Legendre rule on [−1, 1] (NIST DLMF, table 3.5.3).
const ABSCISSAE: [f64; NODES] = [
    -0.960_289_856_497_536_2,
    -0.796_666_477_413_626_7,
    -0.525_532_409_916_329,
    -0.183_434_642_495_649_8,
    0.183_434_642_495_649_8,
    0.525_532_409_916_329,
    0.796_666_477_413_626_7,
    0.960_289_856_497_536_2,
];
/// Its weights.
const WEIGHTS: [f64; NODES] = [
    0.101_228_536_290_376_26,
    0.222_381_034_453_374_48,
    0.313_706_645_877_887_3,
    0.362_683_783_378_362,
    0.362_683_783_378_362,
    0.313_706_645_877_887_3,
    0.222_381_034_453_374_48,
    0.101_228_536_290_376_26,
];
/// `PARTIAL[j][i]`: weight of the density at node j in its integral from −1 to node i.
const PARTIAL: [[f64; NODES]; NODES] = partial_weights();

/// What is believed of one arm, as a distribution over a real number that arms are ranked by.
pub(crate) trait Belief {
    /// Whether the density is smooth beyond the window too, so that panels may reach over its ends.
    const SMOOTH: bool = false;
    /// Whether [`cdf`](Self::cdf) and its bound are known in closed form.
    const CLOSED: bool = false;
    /// F(t), where it is known in closed form.
    fn cdf(&self, _: f64) -> f64 {
        0.0
    }
    /// At most −ln F(t), and cheap.
    fn log_cdf_least(&self, _: f64) -> f64 {
        0.0
    }
    /// Where practically all probability lies.
    fn window(&self) -> (f64, f64);
    /// Width that a panel starting at `t` may have.
    fn step(&self, t: f64) -> f64;
    /// Density at `t`.
    fn density(&self, t: f64) -> f64;
    /// Densities at the nodes of the panel `centre` ± `half`.
    #[expect(
        clippy::inline_always,
        reason = "inlined into each instruction set's own function"
    )]
    #[inline(always)]
    fn densities(&self, centre: f64, half: f64) -> [f64; NODES] {
        ABSCISSAE.map(|x| self.density(centre + half * x))
    }
}

/// N(mean, sd²).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Normal {
    mean: f64,
    sd: f64,
}

/// p − shift, with logit p ~ N(mean, sd²), cut off at logits of ±30.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogitNormal {
    logit: Normal,
    shift: f64,
}

/// logit p, with p ~ Beta(a, b).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Beta {
    a: f64,
    /// a + b.
    total: f64,
    /// a/(a + b): the density of logit p is highest at its logit.
    mode: f64,
    logit_mode: f64,
    /// Density there.
    peak: f64,
    low: f64,
    high: f64,
    step: f64,
}

/// p − shift, with p ~ Beta(a, b).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ShiftedBeta {
    pub(crate) beta: Beta,
    pub(crate) shift: f64,
}

/// Writes P(a is best) of each arm to `out`, shape (K): 0 for arms without a belief, else sum 1.
///
/// Arms of highest certain value share when beliefs cannot be integrated (they are not finite).
/// `belief` is asked several times per arm. Answers whether any arm has a belief.
pub(crate) fn best_arm_probabilities<B: Belief>(
    belief: impl Fn(usize) -> Option<B>,
    scratch: &mut Vec<f64>,
    out: &mut [f64],
) -> bool {
    out.fill(0.0);
    scratch.clear();
    scratch.resize(out.len() * PER_ARM, 0.0);
    let Some(floor) = survey(&belief, scratch) else {
        return false;
    };
    integrate(&belief, floor, scratch, out);
    let total: f64 = out.iter().sum();
    if total > 0.0 && total.is_finite() {
        for p in out {
            *p /= total;
        }
    } else {
        highest(&belief, out);
    }
    true
}

/// Windows into `scratch`; the highest start of a window: below it some arm is certainly better.
/// Arms out of the running get an empty window.
fn survey<B: Belief>(belief: impl Fn(usize) -> Option<B>, scratch: &mut [f64]) -> Option<f64> {
    let mut floor: Option<f64> = None;
    for (arm, state) in scratch.chunks_exact_mut(PER_ARM).enumerate() {
        (state[0], state[1]) = (f64::INFINITY, f64::NEG_INFINITY);
        if let Some(belief) = belief(arm) {
            (state[0], state[1]) = belief.window();
            floor = Some(floor.map_or(state[0], |floor| floor.max(state[0])));
        }
    }
    let mut floor = floor?;
    if B::CLOSED {
        floor = raise(&belief, floor, scratch);
    }
    for (arm, state) in scratch.chunks_exact_mut(PER_ARM).enumerate() {
        if state[1] <= floor {
            (state[0], state[1]) = (f64::INFINITY, f64::NEG_INFINITY);
        } else if B::CLOSED
            && let Some(belief) = belief(arm)
        {
            (state[0], state[2]) = (floor, belief.cdf(floor));
        }
    }
    Some(floor)
}

/// A point above `floor` that the best arm is still above, but for a probability of e^−[`NEGLECT`].
fn raise<B: Belief>(belief: impl Fn(usize) -> Option<B>, floor: f64, scratch: &[f64]) -> f64 {
    let windows = scratch.as_chunks::<PER_ARM>().0;
    let middle = windows
        .iter()
        .map(|state| f64::midpoint(state[0], state[1]));
    // `max` passes over NaN, which arms without a belief have here.
    let (mut low, mut high) = (floor, middle.fold(floor, f64::max));
    for _ in 0..HALVINGS {
        let t = f64::midpoint(low, high);
        let least = |arm: usize| belief(arm).map_or(0.0, |belief| belief.log_cdf_least(t));
        let sum: f64 = (0..windows.len()).map(least).sum();
        if sum >= NEGLECT {
            low = t;
        } else {
            high = t;
        }
    }
    low
}

/// Arms whose beliefs reach highest share: what remains when there is nothing to integrate.
fn highest<B: Belief>(belief: impl Fn(usize) -> Option<B>, out: &mut [f64]) {
    let reach = |arm: usize| belief(arm).map(|belief| belief.window().1);
    // `max` passes over NaN.
    let top = (0..out.len())
        .filter_map(reach)
        .fold(f64::NEG_INFINITY, f64::max);
    let wins = |arm: usize| reach(arm).is_some_and(|high| high.is_nan() || high >= top);
    let ties = (0..out.len()).filter(|arm| wins(*arm)).count();
    for (arm, p) in out.iter_mut().enumerate() {
        *p = if wins(arm) {
            1.0 / math::len(ties)
        } else {
            0.0
        };
    }
}

#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn integrate<B: Belief>(
    belief: impl Fn(usize) -> Option<B>,
    floor: f64,
    scratch: &mut [f64],
    out: &mut [f64],
) {
    let starts = scratch.chunks_exact(PER_ARM).map(|state| state[0]);
    let mut t = starts.fold(f64::INFINITY, f64::min);
    let mut panels = [(0.0, 0.0); BATCH];
    loop {
        let mut count = 0;
        while count < BATCH
            && let Some(end) = panel_end(&belief, scratch, t)
        {
            panels[count] = (t, end);
            t = end;
            count += 1;
        }
        batch(&belief, &panels[..count], floor, scratch);
        if count < BATCH {
            break;
        }
    }
    for (p, state) in out.iter_mut().zip(scratch.as_chunks::<PER_ARM>().0) {
        *p = fold(std::array::from_fn(|node| state[3 + node]));
    }
}

/// Where the panel that starts at `t` ends; `None`: every window has ended.
#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn panel_end<B: Belief>(
    belief: impl Fn(usize) -> Option<B>,
    scratch: &[f64],
    t: f64,
) -> Option<f64> {
    // Where windows end or begin, and how far the beliefs there let a panel reach.
    let mut end = f64::INFINITY;
    let mut reach = f64::INFINITY;
    for (arm, state) in scratch.as_chunks::<PER_ARM>().0.iter().enumerate() {
        let (low, high) = (state[0], state[1]);
        // Written so that a window of NaN has no part.
        let ahead = t < high && low <= high;
        if !ahead {
            continue;
        }
        let mut own = t;
        if !B::SMOOTH || t >= low {
            end = end.min(if t < low { low } else { high });
        }
        if B::SMOOTH || t >= low {
            own += belief(arm)?.step(t);
            // A belief that has not begun can wait, or be in the panel as if it had.
            reach = reach.min(if t < low { own.max(low) } else { own });
        }
    }
    let next = if B::SMOOTH { reach } else { end.min(reach) };
    // A step lost to rounding would never end: the window's end is the next place to go.
    let next = if next > t { next } else { end };
    (next.is_finite() && next > t).then_some(next)
}

/// Adds the panels' shares of each integral.
///
/// Arm after arm, and panel after panel of each: so the nodes of a panel are what is worked on
/// side by side, and nothing else.
#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn batch<B: Belief>(
    belief: impl Fn(usize) -> Option<B>,
    panels: &[(f64, f64)],
    floor: f64,
    scratch: &mut [f64],
) {
    let mut products = [[1.0; NODES]; BATCH];
    let arms = scratch.as_chunks_mut::<PER_ARM>().0;
    for (arm, state) in arms.iter_mut().enumerate() {
        let (known, ratios) = state.split_at_mut(3 + NODES);
        let ratios = ratios.as_chunks_mut::<NODES>().0;
        let belief = belief(arm);
        let (low, high) = (known[0], known[1]);
        for ((panel, product), ratios) in panels.iter().zip(&mut products).zip(ratios) {
            match &belief {
                Some(belief) if low < panel.1 && panel.0 < high => {
                    known[2] = factor(belief, *panel, known[2], product, ratios);
                }
                _ => {
                    // Not begun: the arm is out of the running, or the panel does not count.
                    // Ended: F stays.
                    *ratios = [0.0; NODES];
                    if panel.0 >= high && known[2] > 0.0 {
                        *product = product.map(|p| p * known[2]);
                    }
                }
            }
        }
    }
    for ((_, end), product) in panels.iter().zip(&mut products) {
        // Below the floor some arm has not begun.
        let counts = if *end > floor { 1.0 } else { 0.0 };
        *product = std::array::from_fn(|node| counts * WEIGHTS[node] * product[node]);
    }
    for state in arms {
        let (known, ratios) = state.split_at_mut(3 + NODES);
        let mut sums: [f64; NODES] = std::array::from_fn(|node| known[3 + node]);
        let ratios = &ratios.as_chunks::<NODES>().0[..panels.len()];
        for (ratio, product) in ratios.iter().zip(&products) {
            for node in 0..NODES {
                sums[node] += ratio[node] * product[node];
            }
        }
        known[3..].copy_from_slice(&sums);
    }
}

/// F at a panel's nodes into `product`, f/F to `ratios`; gives F at its end.
#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn factor<B: Belief>(
    belief: &B,
    (start, end): (f64, f64),
    before: f64,
    product: &mut [f64; NODES],
    ratios: &mut [f64; NODES],
) -> f64 {
    let (centre, half) = (f64::midpoint(start, end), 0.5 * (end - start));
    let density = belief.densities(centre, half).map(|f| half * f);
    // Two sums: one would wait for itself.
    let mut cdf = [[0.0; NODES]; 2];
    for (j, (f, parts)) in density.iter().zip(&PARTIAL).enumerate() {
        for node in 0..NODES {
            cdf[j % 2][node] += parts[node] * f;
        }
    }
    for node in 0..NODES {
        // The same rounding for every arm: f·ΠF/F instead of leaving one factor out.
        let cdf = before + (cdf[0][node] + cdf[1][node]);
        let cdf = if cdf > CDF_MIN { cdf } else { CDF_MIN };
        product[node] *= cdf;
        ratios[node] = density[node] / cdf;
    }
    before + fold(std::array::from_fn(|node| WEIGHTS[node] * density[node]))
}

/// The sum of a panel's nodes.
#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn fold(s: [f64; NODES]) -> f64 {
    ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))
}

/// Legendre polynomials P₀ … P₈ at `x`.
const fn legendre(x: f64) -> [f64; NODES + 1] {
    let mut p = [1.0; NODES + 1];
    p[1] = x;
    let mut k = 1;
    let mut kf = 1.0;
    while k < NODES {
        p[k + 1] = ((2.0 * kf + 1.0) * x * p[k] - kf * p[k - 1]) / (kf + 1.0);
        k += 1;
        kf += 1.0;
    }
    p
}

const fn partial_weights() -> [[f64; NODES]; NODES] {
    let mut table = [[0.0; NODES]; NODES];
    let mut j = 0;
    while j < NODES {
        let at_j = legendre(ABSCISSAE[j]);
        let mut i = 0;
        while i < NODES {
            let at_i = legendre(ABSCISSAE[i]);
            let mut sum = ABSCISSAE[i] + 1.0;
            let mut k = 1;
            while k < NODES {
                sum += at_j[k] * (at_i[k + 1] - at_i[k - 1]);
                k += 1;
            }
            table[j][i] = 0.5 * WEIGHTS[j] * sum;
            i += 1;
        }
        j += 1;
    }
    table
}

impl Normal {
    /// N(mean, variance); a variance of 0 is a point.
    pub(crate) fn new(mean: f64, variance: f64) -> Self {
        let least = SPREAD_MIN * (1.0 + mean.abs());
        let sd = variance.max(0.0).sqrt().max(least);
        Self { mean, sd }
    }

    /// Mean and standard deviation.
    pub(crate) fn parts(self) -> (f64, f64) {
        (self.mean, self.sd)
    }

    /// The belief of these [`parts`](Self::parts).
    pub(crate) fn of_parts(mean: f64, sd: f64) -> Self {
        Self { mean, sd }
    }
}

impl Belief for Normal {
    const SMOOTH: bool = true;
    const CLOSED: bool = true;

    fn cdf(&self, t: f64) -> f64 {
        math::normal_cdf((t - self.mean) / self.sd)
    }

    /// Φ(z) ≤ e^(−z²/2)/2 for z ≤ 0.
    fn log_cdf_least(&self, t: f64) -> f64 {
        let below = ((self.mean - t) / self.sd).max(0.0);
        if below > 0.0 {
            0.5 * below * below + std::f64::consts::LN_2
        } else {
            0.0
        }
    }

    fn window(&self) -> (f64, f64) {
        (self.mean - REACH * self.sd, self.mean + REACH * self.sd)
    }

    fn step(&self, _: f64) -> f64 {
        STEP * self.sd
    }

    fn density(&self, t: f64) -> f64 {
        let z = (t - self.mean) / self.sd;
        math::exp(-0.5 * z * z) / (ROOT_OF_TAU * self.sd)
    }

    #[expect(
        clippy::inline_always,
        reason = "inlined into each instruction set's own function"
    )]
    #[inline(always)]
    fn densities(&self, centre: f64, half: f64) -> [f64; NODES] {
        let per_sd = 1.0 / self.sd;
        let (centre, half) = ((centre - self.mean) * per_sd, half * per_sd);
        let peak = per_sd * (1.0 / ROOT_OF_TAU);
        let exponents = ABSCISSAE.map(|x| {
            let z = centre + half * x;
            -0.5 * z * z
        });
        math::exps(exponents).map(|e| peak * e)
    }
}

impl LogitNormal {
    /// p − shift, with logit p ~ N(mean, variance).
    pub(crate) fn new(mean: f64, variance: f64, shift: f64) -> Self {
        let logit = Normal::new(mean.clamp(-LOGIT_MAX, LOGIT_MAX), variance);
        Self { logit, shift }
    }
}

impl Belief for LogitNormal {
    fn window(&self) -> (f64, f64) {
        let (low, high) = self.logit.window();
        let at = |logit: f64| math::sigmoid(logit.clamp(-LOGIT_MAX, LOGIT_MAX)) - self.shift;
        (at(low), at(high))
    }

    fn step(&self, t: f64) -> f64 {
        let (p, q) = split(t + self.shift);
        STEP * self.logit.sd.min(0.5) * p * q
    }

    fn density(&self, t: f64) -> f64 {
        let (p, q) = split(t + self.shift);
        self.logit.density(math::ln(p / q)) / (p * q)
    }
}

/// p and 1 − p, away from 0.
fn split(p: f64) -> (f64, f64) {
    (p.max(1e-14), (1.0 - p).max(1e-14))
}

impl Beta {
    /// logit p, with p ~ Beta(a, b); a, b > 0.
    pub(crate) fn new(a: f64, b: f64) -> Self {
        let total = a + b;
        let (p, q) = (a / total, b / total);
        let log_beta = libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(total);
        let sd = (total / (a * b)).sqrt();
        let mut beta = Self {
            a,
            total,
            mode: p,
            logit_mode: math::ln(a / b),
            peak: math::exp(a * math::ln(p) + b * math::ln(q) - log_beta),
            low: 0.0,
            high: 0.0,
            step: STEP * sd.min(1.0),
        };
        beta.low = beta.logit_mode - beta.reach(-sd);
        beta.high = beta.logit_mode + beta.reach(sd);
        beta
    }

    /// How far from its peak the density is spent, on the side of `sd`'s sign.
    fn reach(&self, sd: f64) -> f64 {
        let mut distance = REACH * sd;
        while self.fall(distance) > -DROP && distance.abs() < 1e9 {
            distance *= 1.25;
        }
        distance.abs()
    }

    /// ln(density/peak) at a distance d from the peak: a·d − (a+b)·ln(1 + p(eᵈ − 1)).
    fn fall(&self, distance: f64) -> f64 {
        // For large d, eᵈ leaves the range of floats: ln(1 + p(eᵈ − 1)) is d + ln(p + (1−p)e⁻ᵈ).
        let log = if distance < 1.0 {
            libm::log1p(self.mode * libm::expm1(distance))
        } else {
            let q = (self.total - self.a) / self.total;
            distance + math::ln(self.mode + q * math::exp(-distance))
        };
        self.a * distance - self.total * log
    }
}

impl Belief for Beta {
    fn window(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    fn step(&self, t: f64) -> f64 {
        // Out here p or 1 − p is a bare exponential, and the density with it.
        if t < -EXPONENTIAL {
            (STEP / self.a).max(self.step).min(-EXPONENTIAL - t)
        } else if t >= EXPONENTIAL {
            (STEP / (self.total - self.a)).max(self.step)
        } else {
            self.step
        }
    }

    fn density(&self, t: f64) -> f64 {
        self.peak * math::exp(self.fall(t - self.logit_mode))
    }
}

impl Belief for ShiftedBeta {
    fn window(&self) -> (f64, f64) {
        let at = |logit: f64| math::sigmoid(logit.clamp(-LOGIT_MAX, LOGIT_MAX)) - self.shift;
        (at(self.beta.low), at(self.beta.high))
    }

    fn step(&self, t: f64) -> f64 {
        let (p, q) = split(t + self.shift);
        self.beta.step.min(0.75) * p * q
    }

    fn density(&self, t: f64) -> f64 {
        let (p, q) = split(t + self.shift);
        self.beta.density(math::ln(p / q)) / (p * q)
    }
}

#[cfg(test)]
#[path = "quadrature_tests.rs"]
mod tests;
