//! What to replay, and what to do to the stream on the way.

use std::str::FromStr;

use plimsoll::{PolicyConfig, Seed};

use super::error::LearningError;

/// How to replay a learning policy.
///
/// | field | default | range | effect |
/// |---|---|---|---|
/// | `policy` | – | | line and arms; the engine learner is made of it |
/// | `seed` | – | | first seed |
/// | `seeds` | 20 | 1..=1,000 | runs; bands are over these |
/// | `order` | time | | order of the requests |
/// | `warm_up` | 0.2 | [0, 0.9] | share of the requests to start from; 0: cold start |
/// | `delay` | none | | how long a label takes |
/// | `label_share` | 1 | [0, 1] | share of the answers that ever get a label |
/// | `censor_after` | never | | labels that take longer never arrive |
/// | `injections` | none | | what happens on the way |
/// | `prices_announced` | true | | whether learners are told of price changes, or must notice |
/// | `window` | n/20 in 100..=500 | 10.. | requests over which shares and regret are averaged |
/// | `quality_band` | 0.05 | > 0 | how near its former level regret must stay to be recovered |
/// | `horizon` | all | 1.. | logged events to accept at most |
/// | `multiplier_quantile` | 0 | [0, 0.5] | q of DR-ns: 0 is unbiased, more accepts more |
/// | `multiplier_max` | 1 | (0, 1] | `c_max` of DR-ns |
#[derive(Clone, Debug, PartialEq)]
pub struct LearningOptions {
    /// The policy.
    pub policy: PolicyConfig,
    /// Its text, for the manifest.
    pub policy_toml: String,
    /// First seed; run i uses the seed plus i.
    pub seed: Seed,
    /// Number of runs.
    pub seeds: usize,
    /// Order of the requests.
    pub order: Order,
    /// Share of the requests to start from.
    pub warm_up: f64,
    /// How long a label takes.
    pub delay: Delay,
    /// Share of the answers that ever get a label.
    pub label_share: f64,
    /// Labels that take longer never arrive.
    pub censor_after: Option<Wait>,
    /// What happens on the way.
    pub injections: Vec<Injection>,
    /// Whether learners are told of price changes.
    pub prices_announced: bool,
    /// Requests over which shares and regret are averaged.
    pub window: Option<usize>,
    /// How near its former level regret must stay.
    pub quality_band: f64,
    /// Logged events to accept at most.
    pub horizon: Option<usize>,
    /// q of DR-ns.
    pub multiplier_quantile: f64,
    /// `c_max` of DR-ns.
    pub multiplier_max: f64,
    /// The command, for the manifest.
    pub command: String,
}

/// Order of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By timestamp where all requests have one, else as they stand in the log.
    #[default]
    Time,
    /// Shuffled anew by each seed: for benchmarks whose order means nothing.
    Shuffled,
}

/// A time to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Decisions in between.
    Requests(u64),
    /// Event time, in microseconds.
    TimeUs(u64),
}

/// How long a label takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The time, or its mean.
    pub wait: Wait,
    /// Whether it is drawn from an exponential distribution of that mean.
    pub exponential: bool,
}

/// A moment of the replayed stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// After this share of the replayed requests, in [0, 1).
    Share(f64),
    /// At this request, from 0.
    Request(usize),
}

/// Something that happens to an arm.
#[derive(Clone, Debug, PartialEq)]
pub struct Injection {
    /// The arm.
    pub arm: String,
    /// When.
    pub at: At,
    /// What.
    pub change: Change,
}

/// What happens to an arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Its mean quality changes by this much, from then on.
    Drift(f64),
    /// Its costs are multiplied by this.
    Price(f64),
    /// It can be chosen from then on, not before.
    Appears,
    /// It can no longer be chosen.
    Vanishes,
}

impl LearningOptions {
    /// Twenty seeds in time order, a fifth to warm up, labels at once, nothing injected.
    #[must_use]
    pub fn new(policy: PolicyConfig, seed: Seed) -> Self {
        Self {
            policy,
            policy_toml: String::new(),
            seed,
            seeds: 20,
            order: Order::Time,
            warm_up: 0.2,
            delay: Delay::NONE,
            label_share: 1.0,
            censor_after: None,
            injections: Vec::new(),
            prices_announced: true,
            window: None,
            quality_band: 0.05,
            horizon: None,
            multiplier_quantile: 0.0,
            multiplier_max: 1.0,
            command: String::new(),
        }
    }

    /// The seed of run `index`.
    #[must_use]
    pub fn seed_of(&self, index: usize) -> Seed {
        Seed(self.seed.0.wrapping_add(index as u64))
    }

    /// The window for a stream of `n` requests.
    #[must_use]
    pub fn window_of(&self, n: usize) -> usize {
        self.window.unwrap_or_else(|| (n / 20).clamp(100, 500))
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`LearningError::Option`] with the first that is wrong.
    pub fn validate(&self) -> Result<(), LearningError> {
        let within = |ok: bool, option, got: String, allowed| {
            if ok {
                Ok(())
            } else {
                Err(LearningError::Option {
                    option,
                    got,
                    allowed,
                })
            }
        };
        let number = |ok, option, got: f64, allowed| within(ok, option, got.to_string(), allowed);
        within(
            (1..=1000).contains(&self.seeds),
            "seeds",
            self.seeds.to_string(),
            "1 to 1000",
        )?;
        let warm = self.warm_up;
        number((0.0..=0.9).contains(&warm), "warm-up", warm, "in [0, 0.9]")?;
        let share = self.label_share;
        number(
            (0.0..=1.0).contains(&share),
            "label-share",
            share,
            "in [0, 1]",
        )?;
        let band = self.quality_band;
        number(band > 0.0 && band <= 1.0, "quality-band", band, "in (0, 1]")?;
        let q = self.multiplier_quantile;
        number(
            (0.0..=0.5).contains(&q),
            "multiplier-quantile",
            q,
            "in [0, 0.5]",
        )?;
        let most = self.multiplier_max;
        number(
            most > 0.0 && most <= 1.0,
            "multiplier-max",
            most,
            "in (0, 1]",
        )?;
        if let Some(window) = self.window {
            within(window >= 10, "window", window.to_string(), "at least 10")?;
        }
        if let Some(censor) = self.censor_after
            && std::mem::discriminant(&censor) != std::mem::discriminant(&self.delay.wait)
        {
            let allowed = "in the unit of --delay: both in requests or both in time";
            return within(false, "censor-after", censor.to_string(), allowed);
        }
        self.injections.iter().try_for_each(Injection::validate)
    }

    /// The first option that is given in event time.
    pub(super) fn timed(&self) -> Option<&'static str> {
        let is_time = |wait: Wait| matches!(wait, Wait::TimeUs(_));
        if is_time(self.delay.wait) {
            Some("delay")
        } else {
            self.censor_after
                .is_some_and(is_time)
                .then_some("censor-after")
        }
    }
}

impl Injection {
    /// Name of the option that makes it.
    #[must_use]
    pub const fn option(&self) -> &'static str {
        match self.change {
            Change::Drift(_) => "drift",
            Change::Price(_) => "price",
            Change::Appears => "arm-appears",
            Change::Vanishes => "arm-vanishes",
        }
    }

    /// Its position in a stream of `n` requests.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "shares lie in [0, 1)"
    )]
    pub fn position(&self, n: usize) -> usize {
        match self.at {
            At::Share(share) => (share * super::keyed::float(n)).round() as usize,
            At::Request(request) => request,
        }
    }

    /// `ARM:AT` and, for drift and price, `:AMOUNT`. Arms may contain colons.
    ///
    /// # Errors
    /// [`LearningError::Option`] when the text is not of that form.
    pub fn parse(option: &'static str, text: &str) -> Result<Self, LearningError> {
        let allowed = match option {
            "drift" => "ARM:AT:CHANGE, for instance small:0.5:-0.18",
            "price" => "ARM:AT:FACTOR, for instance small:0.5:2.0",
            _ => "ARM:AT, for instance small:0.3",
        };
        let bad = || LearningError::Option {
            option,
            got: format!("`{text}`"),
            allowed,
        };
        let amounts = matches!(option, "drift" | "price");
        let mut parts = text.rsplitn(if amounts { 3 } else { 2 }, ':');
        let mut number = || -> Option<f64> { parts.next()?.parse().ok() };
        let amount = if amounts {
            number().ok_or_else(bad)?
        } else {
            0.0
        };
        let at: At = parts.next().ok_or_else(bad)?.parse().map_err(|()| bad())?;
        let arm = parts.next().filter(|arm| !arm.is_empty()).ok_or_else(bad)?;
        let change = match option {
            "drift" => Change::Drift(amount),
            "price" => Change::Price(amount),
            "arm-appears" => Change::Appears,
            _ => Change::Vanishes,
        };
        let injection = Self {
            arm: arm.to_owned(),
            at,
            change,
        };
        injection.validate()?;
        Ok(injection)
    }

    fn validate(&self) -> Result<(), LearningError> {
        let bad = |got: String, allowed| {
            Err(LearningError::Option {
                option: self.option(),
                got,
                allowed,
            })
        };
        match self.at {
            At::Share(share) if !(0.0..1.0).contains(&share) => {
                return bad(share.to_string(), "at a share in [0, 1) of the requests");
            }
            _ => {}
        }
        match self.change {
            Change::Drift(x) if !(x != 0.0 && x.abs() < 1.0) => {
                bad(x.to_string(), "a change in (-1, 1) other than 0")
            }
            Change::Price(factor) if !((1e-6..=1e6).contains(&factor)) => {
                bad(factor.to_string(), "a factor in [0.000001, 1000000]")
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for At {
    type Err = ();

    /// `0.5` and `50%` are shares, `1200` is a request.
    fn from_str(text: &str) -> Result<Self, ()> {
        if let Some(percent) = text.strip_suffix('%') {
            return percent
                .parse::<f64>()
                .map(|p| Self::Share(p / 100.0))
                .map_err(|_| ());
        }
        match text.parse::<usize>() {
            Ok(request) => Ok(Self::Request(request)),
            Err(_) => text.parse().map(Self::Share).map_err(|_| ()),
        }
    }
}

impl Delay {
    /// Labels are there before the next decision.
    pub const NONE: Self = Self {
        wait: Wait::Requests(0),
        exponential: false,
    };
}

impl FromStr for Delay {
    type Err = LearningError;

    /// A wait, or `exp:` and the mean wait.
    fn from_str(text: &str) -> Result<Self, LearningError> {
        let (exponential, wait) = match text.strip_prefix("exp:") {
            Some(mean) => (true, mean),
            None => (false, text),
        };
        let wait = Wait::parse("delay", wait)?;
        Ok(Self { wait, exponential })
    }
}

impl Wait {
    /// A number of requests, or a time such as `90s`, `10m`, `2h` or `1d`.
    ///
    /// # Errors
    /// [`LearningError::Option`] when it is neither.
    pub fn parse(option: &'static str, text: &str) -> Result<Self, LearningError> {
        let bad = || LearningError::Option {
            option,
            got: format!("`{text}`"),
            allowed: "a number of requests, or a time such as 90s, 10m, 2h or 1d",
        };
        if let Ok(requests) = text.parse() {
            return Ok(Self::Requests(requests));
        }
        let (number, unit) = text
            .char_indices()
            .next_back()
            .map(|(at, _)| text.split_at(at))
            .ok_or_else(bad)?;
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(bad()),
        };
        let count: u64 = number.parse().map_err(|_| bad())?;
        count
            .checked_mul(seconds)
            .and_then(|s| s.checked_mul(1_000_000))
            .filter(|us| i64::try_from(*us).is_ok())
            .map(Self::TimeUs)
            .ok_or_else(bad)
    }
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Requests(1) => f.write_str("1 request"),
            Self::Requests(n) => write!(f, "{n} requests"),
            Self::TimeUs(us) => write!(f, "{} s", us / 1_000_000),
        }
    }
}

impl std::fmt::Display for Delay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.exponential {
            write!(f, "exponential, mean {}", self.wait)
        } else {
            write!(f, "{}", self.wait)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn injections_are_read_from_the_right() {
        let read = Injection::parse("drift", "a/b:free:0.5:-0.18").expect("valid");
        assert_eq!(read.arm, "a/b:free");
        assert_eq!(
            (read.at, read.change),
            (At::Share(0.5), Change::Drift(-0.18))
        );
        let read = Injection::parse("arm-vanishes", "x:1200").expect("valid");
        assert_eq!((read.at, read.position(9)), (At::Request(1200), 1200));
        assert_eq!(
            Injection::parse("price", "x:60%:2")
                .expect("valid")
                .position(50),
            30
        );
        for (option, text) in [
            ("drift", "x:0.5"),
            ("drift", "x:0.5:-1.5"),
            ("drift", ":0.5:-0.1"),
            ("price", "x:1.5:2.0"),
            ("price", "x:0.5:0"),
            ("price", "x:0.5:NaN"),
            ("arm-appears", "x"),
        ] {
            let error = Injection::parse(option, text).expect_err(text);
            assert_eq!(error.code(), "P0322", "{text}");
        }
    }

    #[test]
    fn waits_are_requests_or_times() {
        for (text, want) in [
            ("0", Some(Wait::Requests(0))),
            ("10m", Some(Wait::TimeUs(600_000_000))),
            ("2h", Some(Wait::TimeUs(7_200_000_000))),
            ("m", None),
            ("", None),
            ("5 ü", None),
            ("-1", None),
            ("99999999999999d", None),
        ] {
            assert_eq!(Wait::parse("delay", text).ok(), want, "{text}");
        }
        let delay: Delay = "exp:50".parse().expect("valid");
        assert_eq!((delay.exponential, delay.wait), (true, Wait::Requests(50)));
    }
}
