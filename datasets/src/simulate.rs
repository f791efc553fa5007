//! Synthetic logs whose truth is known: every arm's chance to answer every request well.

use plimsoll::{Propensity, Quality, Seed, Usd};
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, LogNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::catalogue::{Catalogue, TokenPrices, Usage};
use crate::row::LogRow;
use crate::simulate_text::{self, TASKS};
use crate::write_error::WriteError;

/// What to simulate.
///
/// | field | default | effect |
/// |---|---|---|
/// | `requests` | 1,000 | number of requests |
/// | `arms` | [`SimulatedArm::defaults`] | four arms, a hundredfold apart in price |
/// | `tasks` | 6 | number of tasks, from easy to hard, 1 to 6 |
/// | `seed` | 0 | equal seeds give equal bytes |
/// | `drift` | 0 | logits by which the first arm's ability falls from first to last request |
/// | `missing_label_share` | 0 | share of outcomes without a quality |
/// | `logging` | full information | which outcomes are observed |
/// | `requests_per_session` | 4 | mean length of a session |
/// | `days` | 28 | time from first to last request |
/// | `text` | true | whether requests have a prompt; without, large logs are written much faster |
#[derive(Clone, Debug, PartialEq)]
pub struct SimulateConfig {
    /// Number of requests, at least 1.
    pub requests: u64,
    /// The arms; the first is the one production uses. At least one.
    pub arms: Vec<SimulatedArm>,
    /// Number of tasks, 1 to 6, from easy to hard.
    pub tasks: usize,
    /// The seed.
    pub seed: Seed,
    /// Logits by which the first arm's ability falls from the first to the last request.
    pub drift: f64,
    /// Share of outcomes without a quality, in [0, 1].
    pub missing_label_share: f64,
    /// Which outcomes are observed.
    pub logging: Logging,
    /// Mean number of requests of one session, at least 1.
    pub requests_per_session: u32,
    /// Days from the first to the last request, at least 1.
    pub days: u32,
    /// Whether requests have a prompt.
    pub text: bool,
}

/// One simulated arm.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedArm {
    /// Its name.
    pub name: String,
    /// Logit of answering a request of no difficulty well.
    pub ability: f64,
    /// The task at which it is better than its ability says, by [`STRONG_AT_LOGITS`].
    pub strong_at: Option<String>,
    /// Factor on the length of its answers.
    pub verbosity: f64,
    /// Its prices.
    pub prices: TokenPrices,
}

/// Logits that an arm gains on the task it is strong at.
pub const STRONG_AT_LOGITS: f64 = 0.8;

/// Which outcomes a simulated log holds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Logging {
    /// Every arm answers every request.
    FullInformation,
    /// One arm answers: with probability 1 − ε the first, else any, all alike. Propensities are
    /// exact.
    Epsilon {
        /// ε, in [0, 1]; with 0 only the first arm is ever seen.
        epsilon: f64,
    },
}

impl SimulatedArm {
    /// Four arms with made-up abilities and the list prices of real models in
    /// [`Catalogue::embedded`]: `large` (claude-opus-4-6), `medium` (gpt-5), `small`
    /// (gemini-2.5-flash) and `tiny` (gpt-5-nano). The names are neutral because the abilities
    /// say nothing about those models.
    ///
    /// # Panics
    /// Never: a test reads the embedded catalogue.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let catalogue = Catalogue::embedded();
        let arm = |name: &str, priced_as, ability, strong_at: Option<&str>, verbosity| Self {
            name: name.to_owned(),
            ability,
            strong_at: strong_at.map(str::to_owned),
            verbosity,
            prices: *catalogue
                .prices_at(priced_as, None)
                .expect("the embedded catalogue has it"),
        };
        vec![
            arm("large", "claude-opus-4-6", 5.2, None, 1.0),
            arm("medium", "gpt-5", 4.6, Some("maths"), 1.2),
            arm("small", "gemini-2.5-flash", 3.7, Some("extraction"), 1.1),
            arm("tiny", "gpt-5-nano", 2.4, Some("chat"), 0.9),
        ]
    }
}

impl Default for SimulateConfig {
    fn default() -> Self {
        Self {
            requests: 1_000,
            arms: SimulatedArm::defaults(),
            tasks: TASKS.len(),
            seed: Seed(0),
            drift: 0.0,
            missing_label_share: 0.0,
            logging: Logging::FullInformation,
            requests_per_session: 4,
            days: 28,
            text: true,
        }
    }
}

/// Why a simulation cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// A setting outside its range.
    #[error("`{field}` must be {wanted}, got {got}")]
    Config {
        /// The setting.
        field: &'static str,
        /// The value as given.
        got: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The log could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl SimulateError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "P0511",
            Self::Write(error) => error.code(),
        }
    }

    /// The setting or file at fault.
    #[must_use]
    pub fn location(&self) -> Option<String> {
        match self {
            Self::Config { field, .. } => Some((*field).to_owned()),
            Self::Write(error) => Some(error.path().display().to_string()),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Config { field, wanted, .. } => format!("let `{field}` be {wanted}"),
            Self::Write(error) => error.help(),
        }
    }
}

/// One simulated request: what is logged of it, and the truth about it.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedRequest {
    /// The rows of the log.
    pub rows: Vec<LogRow>,
    /// One row per arm, with the true chance of a good answer as its quality.
    pub truth: Vec<LogRow>,
}

/// What a simulation produced; the means are over all requests, observed or not.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SimulationSummary {
    /// Requests.
    pub requests: u64,
    /// Rows of the log.
    pub rows: u64,
    /// Every arm with its true mean quality and its exact total cost, had it answered everything.
    pub arms: Vec<ArmTruth>,
}

/// The truth about one arm.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ArmTruth {
    /// The arm.
    pub arm: String,
    /// Mean true chance of a good answer.
    pub quality: f64,
    /// Cost of all requests.
    pub cost_usd: Usd,
}

/// The requests of a simulation, one after the other; memory does not grow with their number.
///
/// ```
/// use plimsoll_datasets::{SimulateConfig, Simulation};
/// let config = SimulateConfig { requests: 3, ..SimulateConfig::default() };
/// let requests: Vec<_> = Simulation::new(&config)?.collect();
/// assert_eq!(requests.len(), 3);
/// assert_eq!(requests[0].rows.len(), 4);
/// # Ok::<(), plimsoll_datasets::SimulateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Simulation {
    config: SimulateConfig,
    next: u64,
    session: Session,
}

#[derive(Clone, Debug)]
struct Session {
    number: u64,
    left: u64,
    tenant: usize,
    task: usize,
}

/// Tokens of a prompt that is not written.
const PROMPT_TOKENS: u64 = 40;
/// 1 September 2026, midnight UTC: the first day of every simulation.
const START_US: i64 = 1_788_220_800_000_000;
const DAY_US: f64 = 86_400e6;
const TENANTS: [(&str, f64); 4] = [
    ("acme", 0.4),
    ("globex", 0.3),
    ("initech", 0.2),
    ("umbrella", 0.1),
];
/// Chance that a session's next request is of the session's own task.
const SAME_TASK: f64 = 0.7;

impl Simulation {
    /// The simulation of a configuration.
    ///
    /// # Errors
    /// [`SimulateError::Config`] when a setting is outside its range.
    pub fn new(config: &SimulateConfig) -> Result<Self, SimulateError> {
        check(config)?;
        let session = Session {
            number: 0,
            left: 0,
            tenant: 0,
            task: 0,
        };
        Ok(Self {
            config: config.clone(),
            next: 0,
            session,
        })
    }

    fn random(&self, purpose: &[u8], number: u64) -> Xoshiro256PlusPlus {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"plimsoll simulate v1");
        hasher.update(&self.config.seed.0.to_le_bytes());
        hasher.update(purpose);
        hasher.update(&number.to_le_bytes());
        Xoshiro256PlusPlus::from_seed(*hasher.finalize().as_bytes())
    }

    fn begin_session(&mut self) {
        let number = self.session.number + 1;
        let mut random = self.random(b"session", number);
        let longest = u64::from(self.config.requests_per_session) * 2 - 1;
        let tenant = weighted(&mut random, TENANTS.iter().map(|(_, share)| *share));
        let task = self.draw_task(&mut random);
        self.session = Session {
            number,
            left: random.random_range(1..=longest),
            tenant,
            task,
        };
    }

    fn draw_task(&self, random: &mut Xoshiro256PlusPlus) -> usize {
        weighted(
            random,
            TASKS[..self.config.tasks].iter().map(|task| task.share),
        )
    }

    /// Draws everything about the next request; the numbers depend on the seed and its number only.
    pub(crate) fn next_ticket(&mut self) -> Option<Ticket> {
        if self.next == self.config.requests {
            return None;
        }
        if self.session.left == 0 {
            self.begin_session();
        }
        self.session.left -= 1;
        self.next += 1;
        Some(Ticket {
            number: self.next - 1,
            session: self.session.number,
            tenant: self.session.tenant,
            task: self.session.task,
        })
    }

    pub(crate) fn draw(&self, ticket: Ticket) -> Drawn {
        let mut random = self.random(b"request", ticket.number);
        let other = self.draw_task(&mut random);
        let at = if random.random_bool(SAME_TASK) {
            ticket.task
        } else {
            other
        };
        let task = &TASKS[at];
        let difficulty = task.difficulty + task.spread * (random.random::<f64>() - 0.5);
        let prompt = self
            .config
            .text
            .then(|| simulate_text::prompt(task, difficulty, &mut random));
        #[expect(
            clippy::cast_precision_loss,
            reason = "a fraction of the way needs no more"
        )]
        let way = ticket.number as f64 / self.config.requests as f64;

        let prompt_tokens = prompt
            .as_ref()
            .map_or(PROMPT_TOKENS, |text| text.len() as u64 / 4 + 1);
        let input_tokens = prompt_tokens + lognormal(&mut random, task.context_tokens, 0.6);
        let answer = lognormal_factor(&mut random, 0.45);
        let timestamp_us = time_us(way, self.config.days, &mut random);
        let mut arms = Vec::with_capacity(self.config.arms.len());
        for (index, arm) in self.config.arms.iter().enumerate() {
            let drift = if index == 0 {
                self.config.drift * way
            } else {
                0.0
            };
            let is_strong = arm.strong_at.as_deref() == Some(task.name);
            let bonus = if is_strong { STRONG_AT_LOGITS } else { 0.0 };
            let chance = sigmoid(arm.ability + bonus - drift - task.slope * difficulty);
            let is_good = random.random::<f64>() < chance;
            let is_labelled = random.random::<f64>() >= self.config.missing_label_share;
            let median = task.output_tokens * arm.verbosity * answer;
            let output_tokens = lognormal(&mut random, median, 0.2);
            arms.push(DrawnAnswer {
                chance,
                quality: is_labelled.then(|| quality(f64::from(u8::from(is_good)))),
                cost: {
                    let usage = Usage {
                        input_tokens,
                        output_tokens,
                        ..Usage::default()
                    };
                    arm.prices.cost(&usage).ok()
                },
                output_tokens,
                latency_ms: latency_ms(output_tokens, arm, &mut random),
            });
        }
        let logged = self.observe(&mut random);
        Drawn {
            ticket,
            task: at,
            prompt,
            input_tokens,
            timestamp_us,
            arms,
            logged,
        }
    }

    /// The arm that the logging policy chooses, and its propensity; `None`: all are observed.
    fn observe(&self, random: &mut Xoshiro256PlusPlus) -> Option<(usize, f64)> {
        let Logging::Epsilon { epsilon } = self.config.logging else {
            return None;
        };
        let arms = self.config.arms.len();
        let explores = random.random::<f64>() < epsilon;
        let chosen = if explores {
            random.random_range(0..arms)
        } else {
            0
        };
        #[expect(clippy::cast_precision_loss, reason = "there are few arms")]
        let share = epsilon / arms as f64;
        let probability = if chosen == 0 {
            1.0 - epsilon + share
        } else {
            share
        };
        Some((chosen, probability.min(1.0)))
    }

    /// The rows of the log.
    pub(crate) fn rows(&self, drawn: &Drawn) -> Vec<LogRow> {
        match drawn.logged {
            None => (0..drawn.arms.len())
                .map(|arm| self.row(drawn, arm))
                .collect(),
            Some((arm, propensity)) => vec![LogRow {
                served: Some(true),
                propensity: Propensity::new(propensity).ok(),
                ..self.row(drawn, arm)
            }],
        }
    }

    fn row(&self, drawn: &Drawn, arm: usize) -> LogRow {
        let answer = &drawn.arms[arm];
        LogRow {
            request_id: drawn.request_id(),
            model: self.config.arms[arm].name.clone(),
            quality: answer.quality,
            cost: answer.cost,
            input_tokens: Some(drawn.input_tokens),
            output_tokens: Some(answer.output_tokens),
            timestamp_us: Some(drawn.timestamp_us),
            served: Some(arm == 0),
            prompt: drawn.prompt.clone(),
            task: Some(TASKS[drawn.task].name.to_owned()),
            tenant: Some(TENANTS[drawn.ticket.tenant].0.to_owned()),
            session_id: Some(format!("s{:06}", drawn.ticket.session)),
            latency_ms: Some(answer.latency_ms),
            status: Some("ok".to_owned()),
            ..LogRow::default()
        }
    }

    /// One row per arm, with the true chance of a good answer as its quality.
    pub(crate) fn truth(&self, drawn: &Drawn) -> Vec<LogRow> {
        let row = |(arm, answer): (&SimulatedArm, &DrawnAnswer)| LogRow {
            request_id: drawn.request_id(),
            model: arm.name.clone(),
            quality: Some(quality(answer.chance)),
            cost: answer.cost,
            task: Some(TASKS[drawn.task].name.to_owned()),
            ..LogRow::default()
        };
        self.config.arms.iter().zip(&drawn.arms).map(row).collect()
    }
}

/// Which request comes next, and in which session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    number: u64,
    session: u64,
    tenant: usize,
    task: usize,
}

/// Everything drawn for one request.
#[derive(Debug)]
pub(crate) struct Drawn {
    ticket: Ticket,
    task: usize,
    prompt: Option<String>,
    input_tokens: u64,
    timestamp_us: i64,
    pub(crate) arms: Vec<DrawnAnswer>,
    logged: Option<(usize, f64)>,
}

/// What one arm would answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrawnAnswer {
    /// The true chance of a good answer.
    pub(crate) chance: f64,
    quality: Option<Quality>,
    pub(crate) cost: Option<Usd>,
    output_tokens: u64,
    latency_ms: f64,
}

impl Drawn {
    fn request_id(&self) -> String {
        format!("r{:07}", self.ticket.number + 1)
    }
}

impl Iterator for Simulation {
    type Item = SimulatedRequest;

    fn next(&mut self) -> Option<SimulatedRequest> {
        let ticket = self.next_ticket()?;
        let drawn = self.draw(ticket);
        Some(SimulatedRequest {
            rows: self.rows(&drawn),
            truth: self.truth(&drawn),
        })
    }
}

fn check(config: &SimulateConfig) -> Result<(), SimulateError> {
    let wrong = |field, got: String, wanted| Err(SimulateError::Config { field, got, wanted });
    let unit = |value: f64| (0.0..=1.0).contains(&value);
    if config.requests == 0 {
        return wrong("requests", "0".to_owned(), "at least 1");
    }
    if config.arms.is_empty() {
        return wrong("arms", "none".to_owned(), "at least one arm");
    }
    for (index, arm) in config.arms.iter().enumerate() {
        let is_double = config.arms[..index]
            .iter()
            .any(|other| other.name == arm.name);
        if arm.name.is_empty() || is_double {
            return wrong("arms", format!("`{}`", arm.name), "arms of different names");
        }
        if !arm.ability.is_finite() {
            return wrong("ability", arm.ability.to_string(), "a finite number");
        }
        if !(arm.verbosity > 0.0 && arm.verbosity <= 1e3) {
            return wrong(
                "verbosity",
                arm.verbosity.to_string(),
                "a number in (0, 1000]",
            );
        }
    }
    if !(1..=TASKS.len()).contains(&config.tasks) {
        return wrong("tasks", config.tasks.to_string(), "1 to 6");
    }
    if !config.drift.is_finite() {
        return wrong("drift", config.drift.to_string(), "a finite number");
    }
    if !unit(config.missing_label_share) {
        return wrong(
            "missing_label_share",
            config.missing_label_share.to_string(),
            "in [0, 1]",
        );
    }
    match config.logging {
        Logging::Epsilon { epsilon } if !unit(epsilon) => {
            return wrong("epsilon", epsilon.to_string(), "in [0, 1]");
        }
        _ => {}
    }
    if config.requests_per_session == 0 {
        return wrong("requests_per_session", "0".to_owned(), "at least 1");
    }
    if !(1..=3_650).contains(&config.days) {
        return wrong("days", config.days.to_string(), "1 to 3650");
    }
    Ok(())
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

fn quality(value: f64) -> Quality {
    Quality::new(value).expect("a chance is in [0, 1]")
}

fn weighted(random: &mut Xoshiro256PlusPlus, shares: impl Iterator<Item = f64> + Clone) -> usize {
    let mut left = random.random::<f64>() * shares.clone().sum::<f64>();
    let last = shares.clone().count().saturating_sub(1);
    for (index, share) in shares.enumerate() {
        left -= share;
        if left < 0.0 {
            return index;
        }
    }
    last
}

fn lognormal_factor(random: &mut Xoshiro256PlusPlus, sigma: f64) -> f64 {
    LogNormal::new(0.0, sigma)
        .expect("sigma is finite and not negative")
        .sample(random)
}

/// A whole number, log-normal around its median, at least 1.
fn lognormal(random: &mut Xoshiro256PlusPlus, median: f64, sigma: f64) -> u64 {
    let value = (median * lognormal_factor(random, sigma))
        .round()
        .clamp(1.0, 1e9);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in [1, 1e9]"
    )]
    let value = value as u64;
    value
}

/// Dearer arms are slower: time to the first token, then so many milliseconds a token.
fn latency_ms(tokens: u64, arm: &SimulatedArm, random: &mut Xoshiro256PlusPlus) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "prices and token counts are small"
    )]
    let (dollars, tokens) = (
        arm.prices.output.pico_per_token() as f64 / 1e6,
        tokens as f64,
    );
    let per_token = 4.0 + 3.0 * (1.0 + dollars).ln();
    ((300.0 + per_token * tokens) * lognormal_factor(random, 0.25)).round()
}

/// The time of the request that is `way` through: traffic swells around noon, UTC.
fn time_us(way: f64, days: u32, random: &mut Xoshiro256PlusPlus) -> i64 {
    let at = way * f64::from(days);
    let (day, part) = (at.floor(), at.fract());
    let swollen = part + 0.12 * (std::f64::consts::TAU * part).sin();
    let jitter = random.random::<f64>() * 20e6;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "ten years of microseconds fit"
    )]
    let since = ((day + swollen) * DAY_US + jitter) as i64;
    // Milliseconds are what services log.
    START_US + since / 1_000 * 1_000
}
