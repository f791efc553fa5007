//! What a call will cost: log-normal output tokens, or a log-normal cost where prices are unknown.
//!
//! Per arm, ln(1 + output tokens) ~ N(m + xᵀβ, σ²) with a normal–inverse-gamma prior centred at the
//! mean m of all arms; x = (log input tokens, known tasks, intercept). Expected cost is
//! `p_in`·input + `p_out`·(exp(μ + σ²/2)·s − 1), where s makes the training rows' mean prediction equal
//! to their mean (smearing, Duan 1983, doi:10.1080/01621459.1983.10478017);
//! the 95th percentile uses μ + 1.645·σ√(1 + v).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::arm::ArmSpec;
use crate::context::Context;
use crate::math;
use crate::money::{Price, Usd};
use crate::predictor::{Posterior, Precision};
use crate::sealed::COUNT_MAX;

/// Output tokens expected before any was seen.
pub const OUTPUT_TOKENS_PRIOR: f64 = 256.0;
/// Most tasks with a coefficient of their own.
pub const COST_TASKS_MAX: usize = 32;
/// 95 % quantile of the standard normal.
const Z_95: f64 = 1.644_853_626_951_472_2;
/// Diagonal of the prior precision of slopes.
const RIDGE: f64 = 1.0;
/// Diagonal of the prior precision of the intercept.
const RIDGE_INTERCEPT: f64 = 1.0;
/// Noise variance of log tokens before any row, and the rows it counts for.
const NOISE_PRIOR: f64 = 1.0;
const NOISE_PRIOR_COUNT: f64 = 2.0;
/// Answers after which a 95 % quantile is told: of fewer, none need lie beyond it, and the prior
/// alone says nothing of how long an answer may get.
const P95_ANSWERS_MIN: f64 = 20.0;
/// Largest |log| that is exponentiated: e⁶⁰ tokens are a mistake, not a prediction.
const LOG_MAX: f64 = 60.0;

/// One observed answer.
#[derive(Clone, Copy, Debug)]
pub struct CostRow<'a> {
    /// The request.
    pub context: &'a Context,
    /// Index of the arm.
    pub arm: usize,
    /// Output tokens, reasoning included.
    pub output_tokens: Option<u64>,
    /// What the call cost.
    pub cost: Option<Usd>,
}

/// Why costs cannot be learned or predicted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CostError {
    /// A row names an arm that does not exist.
    #[error("cost row {row}: arm {got} does not exist, there are {arms}")]
    Arm {
        /// Position of the row; 0 outside training.
        row: usize,
        /// The index as given.
        got: usize,
        /// Arms of the predictor.
        arms: usize,
    },
    /// A cost below zero.
    #[error("cost row {row}: a cost cannot be negative, got {got} USD")]
    Negative {
        /// Position of the row; 0 outside training.
        row: usize,
        /// The cost as given.
        got: Usd,
    },
    /// The arm has neither prices nor recorded costs.
    #[error("arm `{arm}` is unpriced: neither prices nor recorded costs are known")]
    Unpriced {
        /// The arm's name.
        arm: crate::units::ArmId,
    },
}

impl CostError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Arm { .. } => "P0165",
            Self::Negative { .. } => "P0166",
            Self::Unpriced { .. } => "P0167",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Arm { .. } => "use the arm's index in the order in which the arms were given",
            Self::Negative { .. } => "leave refunds out of the outcomes",
            Self::Unpriced { .. } => {
                "add the arm to the price catalogue, record `cost_usd`, or exclude the arm"
            }
        }
    }
}

/// Predicts what each arm will charge for a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostPredictor {
    tasks: Vec<String>,
    /// Mean of ln(1 + input tokens) on the training rows.
    log_input: f64,
    /// Mean of ln(1 + output tokens) over all arms.
    log_output: f64,
    arms: Vec<ArmCost>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ArmCost {
    source: Source,
    regression: Regression,
    /// Input tokens per request, for requests that do not say.
    input_tokens: f64,
    /// Share of recorded costs that were exactly zero.
    zero_share: f64,
    recorded: u64,
    /// Centre of ln(cost) where costs are direct.
    log_cost: f64,
}

/// Where an arm's costs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Source {
    /// Prices times predicted tokens.
    Tokens { input: Price, output: Price },
    /// Recorded costs.
    Recorded,
    /// Neither.
    Unpriced,
}

/// Bayesian regression of a centred logarithm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Regression {
    precision: Precision,
    posterior: Posterior,
    /// Smearing factor beyond exp(σ²/2).
    smear: f64,
}

/// What of a predicted cost is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    Mean,
    P95,
}

impl CostPredictor {
    /// Learns from observed answers; without any, prices alone and a prior on tokens decide.
    ///
    /// # Errors
    /// [`CostError`] when a row names an unknown arm or a negative cost.
    pub fn fit<'a>(
        arms: &[ArmSpec],
        rows: impl IntoIterator<Item = CostRow<'a>>,
    ) -> Result<Self, CostError> {
        let rows: Vec<CostRow<'a>> = rows.into_iter().collect();
        for (at, row) in rows.iter().enumerate() {
            check_row(at, row, arms.len())?;
        }
        let log_input = mean(
            rows.iter()
                .filter_map(|r| Some(log1p(r.context.input_tokens?))),
        );
        let log_output = mean(rows.iter().filter_map(|r| Some(log1p(r.output_tokens?))));
        let mut costs = Self {
            tasks: known_tasks(&rows),
            log_input: log_input.unwrap_or(0.0),
            log_output: log_output.unwrap_or_else(|| math::ln(1.0 + OUTPUT_TOKENS_PRIOR)),
            arms: Vec::with_capacity(arms.len()),
        };
        let mut by_arm: Vec<Vec<CostRow<'a>>> = vec![Vec::new(); arms.len()];
        for row in rows {
            by_arm[row.arm].push(row);
        }
        for (spec, rows) in arms.iter().zip(&by_arm) {
            let arm = costs.fit_arm(spec, rows);
            costs.arms.push(arm);
        }
        Ok(costs)
    }

    /// Expected cost in US dollars; `None` when the arm is unpriced or does not exist.
    #[must_use]
    pub fn expected(&self, context: &Context, arm: usize) -> Option<f64> {
        let arm = self.arms.get(arm)?;
        arm.predict(Ask::Mean, context, &self.features(context), self.log_output)
    }

    /// Replaces `out` by the expected costs of all arms, shape (K).
    pub fn expected_all(&self, context: &Context, out: &mut Vec<Option<f64>>) {
        self.expected_into(context, &mut Vec::new(), out);
    }

    /// As [`expected_all`](Self::expected_all), in space that is reused.
    pub(crate) fn expected_into(
        &self,
        context: &Context,
        x: &mut Vec<f64>,
        out: &mut Vec<Option<f64>>,
    ) {
        self.write_features(context, x);
        let expected = |arm: &ArmCost| arm.predict(Ask::Mean, context, x, self.log_output);
        out.clear();
        out.extend(self.arms.iter().map(expected));
    }

    /// 95 % quantile of the cost in US dollars; `None` when the arm is unpriced or unknown, or fewer
    /// than 20 of its answers were seen.
    #[must_use]
    pub fn p95(&self, context: &Context, arm: usize) -> Option<f64> {
        let arm = self.arms.get(arm)?;
        if arm.answers() < P95_ANSWERS_MIN {
            return None;
        }
        arm.predict(Ask::P95, context, &self.features(context), self.log_output)
    }

    /// Whether the arm's costs can be predicted.
    #[must_use]
    pub fn is_priced(&self, arm: usize) -> bool {
        self.arms
            .get(arm)
            .is_some_and(|a| a.source != Source::Unpriced)
    }

    /// Arms predicted for.
    #[must_use]
    pub fn arms(&self) -> usize {
        self.arms.len()
    }

    /// Learns one answer.
    ///
    /// # Errors
    /// [`CostError`] when the row names an unknown arm or a negative cost; nothing is learned.
    pub fn update(&mut self, row: &CostRow<'_>) -> Result<(), CostError> {
        check_row(0, row, self.arms.len())?;
        let x = self.features(row.context);
        let log_output = self.log_output;
        let arm = &mut self.arms[row.arm];
        match arm.source {
            Source::Tokens { .. } => {
                if let Some(tokens) = row.output_tokens {
                    arm.regression.update(&x, log1p(tokens) - log_output);
                }
            }
            Source::Recorded | Source::Unpriced => {
                if let Some(cost) = row.cost {
                    arm.learn_cost(&x, cost.as_f64());
                }
            }
        }
        Ok(())
    }

    /// Takes over an arm's changed prices; what was learned about its tokens stays.
    ///
    /// An arm without prices keeps its recorded costs.
    pub fn reprice(&mut self, arm: usize, spec: &ArmSpec) {
        if let (Some(arm), Some(input), Some(output)) =
            (self.arms.get_mut(arm), spec.input, spec.output)
        {
            if !matches!(arm.source, Source::Tokens { .. }) {
                // A regression of costs says nothing about tokens.
                arm.regression = Regression::prior(self.tasks.len() + 2);
            }
            arm.source = Source::Tokens { input, output };
        }
    }

    /// Adds arm K: its prices, and what all arms have taught about token counts; it is unpriced
    /// until a cost is recorded when it has no prices.
    pub fn add_arm(&mut self, spec: &ArmSpec) {
        let arm = self.fit_arm(spec, &[]);
        self.arms.push(arm);
    }

    /// Tokens the request is expected to send to the arm; `None`: no such arm.
    #[must_use]
    pub fn input_tokens(&self, context: &Context, arm: usize) -> Option<f64> {
        let arm = self.arms.get(arm)?;
        Some(context.input_tokens.map_or(arm.input_tokens, math::count))
    }

    /// Price of an input token as it is now; `None`: costs are recorded, not computed.
    pub(crate) fn input_price(&self, arm: usize) -> Option<Price> {
        match self.arms.get(arm)?.source {
            Source::Tokens { input, .. } => Some(input),
            _ => None,
        }
    }

    /// Multiplies what an arm charges by `factor`, a finite number above 0; others are ignored.
    ///
    /// Of prices, the rounding is to whole pico-dollars per token.
    pub fn scale(&mut self, arm: usize, factor: f64) {
        let Some(arm) = self.arms.get_mut(arm) else {
            return;
        };
        if !(factor > 0.0 && factor.is_finite()) {
            return;
        }
        match &mut arm.source {
            Source::Tokens { input, output } => {
                for price in [input, output] {
                    *price = scaled(*price, factor);
                }
            }
            Source::Recorded => arm.log_cost += math::ln(factor),
            Source::Unpriced => {}
        }
    }

    fn fit_arm(&self, spec: &ArmSpec, rows: &[CostRow<'_>]) -> ArmCost {
        let inputs = rows.iter().filter_map(|r| r.context.input_tokens);
        let input_tokens = mean(inputs.map(math::count))
            .unwrap_or_else(|| (math::exp(self.log_input.min(LOG_MAX)) - 1.0).max(0.0));
        let mut arm = ArmCost {
            source: Source::Unpriced,
            regression: Regression::prior(self.tasks.len() + 2),
            input_tokens,
            zero_share: 0.0,
            recorded: 0,
            log_cost: 0.0,
        };
        let tokens: Vec<(Vec<f64>, f64)> = rows
            .iter()
            .filter_map(|r| Some((self.features(r.context), math::count(r.output_tokens?))))
            .collect();
        let costs: Vec<(Vec<f64>, f64)> = rows
            .iter()
            .filter_map(|r| Some((self.features(r.context), r.cost?.as_f64())))
            .collect();
        match (spec.input, spec.output) {
            (Some(input), Some(output)) if !tokens.is_empty() || costs.is_empty() => {
                arm.source = Source::Tokens { input, output };
                for (x, tokens) in &tokens {
                    let y = math::ln(1.0 + tokens) - self.log_output;
                    arm.regression.update(x, y);
                }
                let rows = tokens.iter().map(|(x, t)| (x.as_slice(), 1.0 + t));
                arm.regression.smear(self.log_output, rows);
            }
            _ => {
                let positive = || costs.iter().filter(|(_, cost)| *cost > 0.0);
                arm.log_cost = mean(positive().map(|(_, c)| math::ln(*c))).unwrap_or(0.0);
                for (x, cost) in &costs {
                    arm.learn_cost(x, *cost);
                }
                let rows = positive().map(|(x, c)| (x.as_slice(), *c));
                arm.regression.smear(arm.log_cost, rows);
            }
        }
        arm
    }

    /// (log input tokens relative to the training mean, known tasks, 1).
    fn features(&self, context: &Context) -> Vec<f64> {
        let mut x = Vec::with_capacity(self.tasks.len() + 2);
        self.write_features(context, &mut x);
        x
    }

    fn write_features(&self, context: &Context, x: &mut Vec<f64>) {
        x.clear();
        x.push(
            context
                .input_tokens
                .map_or(0.0, |tokens| log1p(tokens) - self.log_input),
        );
        let task = context.task.as_deref();
        x.extend(
            self.tasks
                .iter()
                .map(|t| f64::from(u8::from(task == Some(t)))),
        );
        x.push(1.0);
    }

    pub(crate) fn is_sound(&self, arms: usize) -> bool {
        let dim = self.tasks.len() + 2;
        self.arms.len() == arms
            && self.log_input.is_finite()
            && self.log_output.is_finite()
            && self.arms.iter().all(|a| {
                a.regression.is_sound(dim)
                    && (0.0..=1.0).contains(&a.zero_share)
                    && (0.0..=f64::MAX).contains(&a.input_tokens)
                    && a.recorded <= COUNT_MAX
                    && a.log_cost.is_finite()
            })
    }
}

impl ArmCost {
    fn predict(&self, ask: Ask, context: &Context, x: &[f64], log_output: f64) -> Option<f64> {
        let cost = match self.source {
            Source::Unpriced => return None,
            Source::Tokens { input, output } => {
                // The regression is of tokens + 1.
                let tokens = (self.regression.predict(ask, x, log_output) - 1.0).max(0.0);
                let known = context.input_tokens.map_or(self.input_tokens, math::count);
                dollars(input, known) + dollars(output, tokens)
            }
            Source::Recorded if self.zero_share >= 1.0 => 0.0,
            Source::Recorded => {
                let positive = self.regression.predict(ask, x, self.log_cost);
                if ask == Ask::Mean {
                    (1.0 - self.zero_share) * positive
                } else {
                    positive
                }
            }
        };
        Some(cost).filter(|cost| cost.is_finite())
    }

    /// Answers that the arm's distribution was learned from.
    fn answers(&self) -> f64 {
        match self.source {
            Source::Tokens { .. } => self.regression.posterior.weight(),
            Source::Recorded => math::count(self.recorded),
            Source::Unpriced => 0.0,
        }
    }

    fn learn_cost(&mut self, x: &[f64], cost: f64) {
        if cost > 0.0 && self.log_cost == 0.0 && self.regression.posterior.weight() <= 0.0 {
            // The first cost of an arm sets the centre: there is no prior in dollars.
            self.log_cost = math::ln(cost);
        }
        self.source = Source::Recorded;
        self.recorded += 1;
        let zero = f64::from(u8::from(cost <= 0.0));
        self.zero_share += (zero - self.zero_share) / math::count(self.recorded);
        if cost > 0.0 {
            self.regression.update(x, math::ln(cost) - self.log_cost);
        }
    }
}

impl Regression {
    fn prior(dim: usize) -> Self {
        let (precision, posterior) = (Precision::prior(&ridge(dim)), Posterior::prior(dim));
        Self {
            precision,
            posterior,
            smear: 1.0,
        }
    }

    fn update(&mut self, x: &[f64], y: f64) {
        self.precision.update(&ridge(x.len()), 1.0, x, 1.0);
        self.posterior.push(1.0, x, y, 1.0);
        self.posterior.solve(self.precision.factor());
    }

    /// Makes the mean prediction of the rows equal to their mean.
    fn smear<'a>(&mut self, centre: f64, rows: impl Iterator<Item = (&'a [f64], f64)>) {
        self.smear = 1.0;
        let (mut actual, mut predicted) = (0.0, 0.0);
        for (x, value) in rows {
            actual += value;
            predicted += self.predict(Ask::Mean, x, centre);
        }
        if predicted > 0.0 && actual > 0.0 {
            self.smear = actual / predicted;
        }
    }

    /// Mean or 95 % quantile of the log-normal.
    fn predict(&self, ask: Ask, x: &[f64], centre: f64) -> f64 {
        let mu = (centre + self.posterior.predict(x)).clamp(-LOG_MAX, LOG_MAX);
        let noise = self
            .posterior
            .noise(NOISE_PRIOR_COUNT, NOISE_PRIOR)
            .min(LOG_MAX);
        match ask {
            Ask::Mean => math::exp(mu + noise / 2.0) * self.smear,
            Ask::P95 => {
                let spread = self.precision.factor().quadratic(x, &mut Vec::new());
                let deviation = (noise * (1.0 + spread)).sqrt();
                math::exp((mu + Z_95 * deviation).min(LOG_MAX))
            }
        }
    }

    fn is_sound(&self, dim: usize) -> bool {
        self.precision.is_sound(dim)
            && self.posterior.is_sound(dim)
            && self.smear > 0.0
            && self.smear.is_finite()
    }
}

fn ridge(dim: usize) -> Vec<f64> {
    let mut ridge = vec![RIDGE; dim];
    ridge[dim - 1] = RIDGE_INTERCEPT;
    ridge
}

fn check_row(row: usize, cost: &CostRow<'_>, arms: usize) -> Result<(), CostError> {
    if cost.arm >= arms {
        return Err(CostError::Arm {
            row,
            got: cost.arm,
            arms,
        });
    }
    match cost.cost {
        Some(got) if got < Usd::ZERO => Err(CostError::Negative { row, got }),
        _ => Ok(()),
    }
}

/// The most frequent tasks, sorted; ties go to the earlier name.
fn known_tasks(rows: &[CostRow<'_>]) -> Vec<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows {
        if let Some(task) = row.context.task.as_deref() {
            *counts.entry(task).or_default() += 1;
        }
    }
    let mut ranked: Vec<(&str, u64)> = counts.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut tasks: Vec<String> = ranked
        .iter()
        .take(COST_TASKS_MAX)
        .map(|(t, _)| (*t).to_owned())
        .collect();
    tasks.sort_unstable();
    tasks
}

fn log1p(tokens: u64) -> f64 {
    math::ln(1.0 + math::count(tokens))
}

/// Dollars of an expected, not necessarily whole, number of tokens.
fn dollars(price: Price, tokens: f64) -> f64 {
    math::count(price.pico_per_token()) * 1e-12 * tokens
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rounded price; the cast saturates"
)]
fn scaled(price: Price, factor: f64) -> Price {
    Price::from_pico_per_token((math::count(price.pico_per_token()) * factor).round() as u64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut count, mut mean) = (0_u64, 0.0);
    for value in values {
        count += 1;
        mean += (value - mean) / math::count(count);
    }
    (count > 0).then_some(mean)
}
