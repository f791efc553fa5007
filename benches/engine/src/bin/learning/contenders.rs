//! Who plays: Plimsoll's average floor, and classic bandits that weigh quality against cost.

use plimsoll::{
    AverageFloor, BetaThompson, Budget, EpsilonGreedy, Exploration, ExplorationKind, LambdaControl,
    LinTs, LinUcb, LinearConfig, MeanConfig, Policy, Predictor, PredictorConfig, PredictorKind,
    Reward, Rule, RuleParts, RulePolicy, SquareCb, Usd,
};

use crate::table::Table;

/// `ParetoBandit`'s α for a cold start.
const COLD_ALPHA: f64 = 0.05;

/// λ₀ of R2's regressions: as much as the k₀ of MATHS §1, ten outcomes towards the arm's mean. At
/// the default of 1, dozens of features are fitted to a handful of outcomes per arm, and the best
/// looking of many arms is the luckiest.
pub(crate) const FEATURE_RIDGE: f64 = 10.0;

/// H of R2's balance.
const HORIZON: f64 = 500.0;
/// λmax: a thousandth of quality outweighs the reference cost. What λ climbs beyond that, it must
/// come down again at full expense.
const LAMBDA_MOST: f64 = 1e3;

type Made = Result<Box<dyn Policy>, Box<dyn std::error::Error>>;

/// A classic bandit at one published setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Classic {
    /// α; forgetting.
    LinUcb(f64, f64),
    /// Context-free.
    Thompson,
    /// γ scale; γ exponent ½.
    SquareCb(f64),
    /// ε.
    EpsilonGreedy(f64),
    /// v.
    LinTs(f64),
}

impl Classic {
    /// The published settings that tuning may choose among, by family.
    pub(crate) const FAMILIES: [(&'static str, &'static [Self]); 5] = [
        (
            "LinUCB",
            // Wide (Li et al. 2010: α about 1), Plimsoll's default, ParetoBandit's cold and warm.
            &[
                Self::LinUcb(1.0, 1.0),
                Self::LinUcb(0.5, 1.0),
                Self::LinUcb(0.1, 0.995),
                Self::LinUcb(0.05, 1.0),
            ],
        ),
        ("Thompson (Beta)", &[Self::Thompson]),
        // Vowpal Wabbit's default is 10; Foster et al. 2020 try up to 1,000.
        (
            "SquareCB",
            &[
                Self::SquareCb(10.0),
                Self::SquareCb(100.0),
                Self::SquareCb(1_000.0),
            ],
        ),
        // Vowpal Wabbit's default is 0.05; Bietti et al. 2018 find 0.02 best among constants.
        (
            "ε-greedy",
            &[
                Self::EpsilonGreedy(0.1),
                Self::EpsilonGreedy(0.05),
                Self::EpsilonGreedy(0.02),
            ],
        ),
        // Chapelle & Li 2011 find a quarter to a half of the posterior's width best.
        (
            "LinTS",
            &[Self::LinTs(0.5), Self::LinTs(0.25), Self::LinTs(0.1)],
        ),
    ];

    /// The policy with reward = quality − weight · cost/scale.
    pub(crate) fn policy(self, table: &Table, weight: f64, scale: f64) -> Made {
        let (k, d) = (table.arms.len(), table.dimensions());
        let reward = Reward {
            cost_weight: weight,
            cost_scale: scale,
        };
        Ok(match self {
            Self::LinUcb(alpha, forgetting) => {
                let config = LinearConfig {
                    forgetting,
                    reward,
                    ..LinearConfig::default()
                };
                Box::new(LinUcb::new(k, d, alpha, config)?)
            }
            Self::Thompson => {
                let config = MeanConfig {
                    prior_strength: 2.0,
                    reward,
                    ..MeanConfig::default()
                };
                Box::new(BetaThompson.policy(k, config)?)
            }
            Self::SquareCb(gamma_scale) => {
                let rule = SquareCb {
                    gamma_scale,
                    ..SquareCb::default()
                };
                Box::new(rule.policy(k, d, reward)?)
            }
            Self::EpsilonGreedy(epsilon) => {
                let rule = EpsilonGreedy {
                    epsilon,
                    ..EpsilonGreedy::default()
                };
                Box::new(rule.over(linear(k, d, 1.0)?, reward)?)
            }
            Self::LinTs(scale) => {
                let config = LinearConfig {
                    reward,
                    ..LinearConfig::default()
                };
                Box::new(LinTs::new(k, d, scale, config)?)
            }
        })
    }
}

/// A ridge regression per arm that knows nothing yet.
pub(crate) fn linear(
    arms: usize,
    dimensions: usize,
    forgetting: f64,
) -> Result<Predictor, plimsoll::PredictorError> {
    let config = PredictorConfig {
        forgetting,
        ..PredictorConfig::new(PredictorKind::Linear)
    };
    Predictor::prior(&config, arms, dimensions)
}

/// Settings of the average floor that a run may change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Cost of the arm that the floor refers to.
    pub(crate) cost_scale: f64,
    pub(crate) lambda: f64,
    pub(crate) gamma: f64,
    pub(crate) share_max: f64,
    pub(crate) forgetting: f64,
    /// Quality expected of an arm without outcomes: at the line, it is tried where it is cheaper
    /// than what reaches the line, and not where it is dearer.
    pub(crate) prior_mean: f64,
    /// λ₀.
    pub(crate) ridge: f64,
    pub(crate) control: LambdaControl,
}

impl Held {
    pub(crate) fn new(floor: f64, cost_scale: f64) -> Self {
        Self {
            cost_scale,
            lambda: 10.0,
            gamma: 10_000.0,
            share_max: 0.02,
            forgetting: 1.0,
            prior_mean: floor,
            ridge: FEATURE_RIDGE,
            control: LambdaControl {
                horizon: Some(HORIZON),
                lambda_max: LAMBDA_MOST,
                ..LambdaControl::relative(floor)
            },
        }
    }

    fn exploration(&self) -> Exploration {
        Exploration {
            kind: ExplorationKind::InverseGap { gamma: self.gamma },
            share_max: self.share_max,
            quality_min: None,
            cost_max_usd: None,
        }
    }

    /// R2 over a predictor.
    pub(crate) fn policy(&self, table: &Table, predictor: Predictor) -> Made {
        Ok(Box::new(RulePolicy::new(RuleParts {
            arms: table.arms.clone(),
            predictor,
            calibration: vec![],
            rule: Rule::AverageFloor(AverageFloor {
                lambda_low: self.lambda,
                lambda_high: self.lambda,
                share_high: 0.0,
                cost_scale: self.cost_scale,
            }),
            exploration: self.exploration(),
            control: Some(self.control),
        })?))
    }

    /// R2 that starts cold.
    pub(crate) fn cold(&self, table: &Table) -> Made {
        let config = PredictorConfig {
            forgetting: self.forgetting,
            prior_mean: self.prior_mean,
            ridge: self.ridge,
            ..PredictorConfig::new(PredictorKind::Linear)
        };
        let predictor = Predictor::prior(&config, table.arms.len(), table.dimensions())?;
        self.policy(table, predictor)
    }

    /// Another rule over the same predictor and exploration, starting cold.
    pub(crate) fn other(&self, table: &Table, rule: Rule) -> Made {
        let (k, d) = (table.arms.len(), table.dimensions());
        Ok(Box::new(RulePolicy::new(RuleParts {
            arms: table.arms.clone(),
            predictor: linear(k, d, self.forgetting)?,
            calibration: vec![],
            rule,
            exploration: self.exploration(),
            control: None,
        })?))
    }
}

/// R4 that starts cold; not paced: λ_t does not move and the bucket never runs dry.
pub(crate) fn budget(table: &Table, budget: f64, paced: bool, forgetting: f64) -> Made {
    let (k, d) = (table.arms.len(), table.dimensions());
    let costs: Vec<f64> = (0..k).map(|arm| table.means(arm).1).collect();
    let low = costs.iter().copied().fold(f64::INFINITY, f64::min);
    let high = costs.iter().copied().fold(0.0, f64::max);
    let usd = Usd::from_f64(budget).ok_or("a budget in dollars")?;
    let mut rule = Budget::new(usd, low, high);
    rule.alpha = COLD_ALPHA;
    // What cost counts beyond the budget would hide what pacing does.
    rule.lambda_cost = 0.0;
    if !paced {
        rule.step = f64::MIN_POSITIVE;
        rule.burst = u32::MAX;
        rule.bucket = Usd::from_f64(budget * f64::from(u32::MAX)).ok_or("a bucket")?;
    }
    Ok(Box::new(RulePolicy::new(RuleParts {
        arms: table.arms.clone(),
        predictor: linear(k, d, forgetting)?,
        calibration: vec![],
        rule: Rule::Budget(rule),
        exploration: Exploration::NONE,
        control: None,
    })?))
}
