//! Plimsoll's engine: sends every request to the cheapest arm that keeps quality above a line.
//!
//! A [`Context`] describes a request. A [`Predictor`] estimates what each arm would score on it, a
//! [`CostPredictor`] what each would charge, a [`Rule`] weighs the two, and [`Exploration`] moves
//! a known share of probability to arms worth learning about. The [`Router`] holds all of them:
//! it decides, learns from [`Feedback`], and can be stored and resumed bit for bit.
//!
//! In service, a router lives in a [`Live`]: feedback comes by decision id, and every change is an
//! [`Event`], so that a snapshot and a journal make the same state again. A [`SharedRouter`] lets
//! many threads decide without a lock while one learns. The bytes are the engine's
//! ([`JournalWriter`], [`recover`]); files are kept by the crate `plimsoll-store`.
//!
//! The engine does no I/O, reads no clock, starts no thread and owns no randomness: a decision is
//! a function of state, context, request key and [`Seed`].
//!
//! [The book](book) tells the rest: concepts, how to choose a policy, formulas, service.
//!
//! ```
//! use plimsoll::{
//!     ArmId, ArmSpec, AverageFloor, Context, CostPredictor, Exploration, Feedback, Predictor,
//!     PredictorConfig, PredictorKind, Quality, Router, RouterParts, Rule, Seed, TrainingRows,
//! };
//!
//! // Two arms with prices in US dollars per million tokens.
//! let small = ArmSpec::new(ArmId::new("small")?).priced("0.10".parse()?, "0.40".parse()?);
//! let large = ArmSpec::new(ArmId::new("large")?).priced("2.50".parse()?, "10".parse()?);
//! let arms = vec![small, large];
//!
//! // The small arm fails on what the one feature calls hard; the large one never does.
//! let contexts: Vec<Context> =
//!     (0..40).map(|i| Context::new(vec![f64::from(i % 2)])).collect::<Result<_, _>>()?;
//! let quality: Vec<Option<f64>> =
//!     (0..40).flat_map(|i| [Some(1.0 - f64::from(i % 2)), Some(1.0)]).collect();
//! let rows = TrainingRows { contexts: &contexts, arms: 2, quality: &quality, weights: None };
//!
//! let mut router = Router::new(RouterParts {
//!     predictor: Predictor::fit(&PredictorConfig::new(PredictorKind::Linear), &rows)?,
//!     cost: CostPredictor::fit(&arms, [])?,
//!     arms,
//!     features: None,
//!     calibration: vec![],
//!     rule: Rule::AverageFloor(AverageFloor {
//!         lambda_low: 2.0,
//!         lambda_high: 2.0,
//!         share_high: 0.0,
//!         cost_scale: 0.0026,
//!     }),
//!     exploration: Exploration::NONE,
//!     control: None,
//! })?;
//!
//! let easy = router.decide(&contexts[0], "request-1", Seed(7))?;
//! let hard = router.decide(&contexts[1], "request-2", Seed(7))?;
//! assert_eq!((easy.arm.as_str(), hard.arm.as_str()), ("small", "large"));
//! println!("{}: {}", easy.arm, easy.reason);
//!
//! router.feedback(&contexts[0], &Feedback::new(easy.arm, Quality::new(1.0)?))?;
//! let resumed = Router::restore(&router.snapshot())?;
//! assert_eq!(resumed.state_hash(), router.state_hash());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
mod arm;
mod arms_in_service;
pub mod book;
mod calibration;
mod call;
mod cbor;
mod config;
mod context;
mod cost;
mod decision;
mod difference;
mod distribution;
mod escalation;
mod event;
mod explain;
mod exploration;
mod features;
mod feedback;
mod inverse_factor;
mod journal;
mod ledger;
mod linalg;
mod live;
mod math;
mod money;
mod policy;
mod predictor;
mod quadrature;
mod random;
mod recovery;
mod router;
mod router_error;
mod rule;
mod sealed;
mod session;
mod shared;
mod snapshot;
mod spending;
mod sync;
mod units;

pub use arm::ArmSpec;
pub use arms_in_service::{ArmBelief, PRIOR_STRENGTH_NEW_ARM};
pub use calibration::{
    Calibration, CalibrationError, CalibrationKind, CalibrationRow, ISOTONIC_SLOPE,
};
pub use call::Call;
pub use config::{
    Aim, ArmsConfig, BEST_SINGLE, CONFIDENCE, COVERAGE_MIN, ConfigError, DELTA, EPSILON,
    ExplorationChoice, ExplorationConfig, GAMMA, ObjectiveConfig, PolicyConfig, PredictorChoice,
    PredictorSection, RuleKind, SHARE_MAX,
};
pub use context::{Context, ContextError, FEATURE_ABS_MAX};
pub use cost::{COST_TASKS_MAX, CostError, CostPredictor, CostRow, OUTPUT_TOKENS_PRIOR};
pub use decision::{Decision, Reason, Saving};
pub use difference::{ArmChange, Difference};
pub use distribution::{Distribution, DistributionError, SUM_TOLERANCE};
pub use event::{Decided, Event, Report};
pub use explain::{ArmExplanation, Explanation, INTERVAL_LEVEL, Obstacle, QualityInterval};
pub use exploration::{Exploration, ExplorationError, ExplorationKind};
pub use features::{
    CUES, FeatureError, FeatureMap, FeatureMapConfig, FeatureSpace, HASH_BUCKETS, RawContext,
    TextFeatures, TextFeaturesConfig,
};
pub use feedback::Feedback;
pub use journal::{
    Batch, FRAME_MAX, JOURNAL_MAGIC, JOURNAL_VERSION, JournalEnd, JournalError, JournalHeader,
    JournalReader, JournalWriter,
};
pub use ledger::{
    Account, Cap, Denied, HOLD_MS, Ledger, LedgerError, Overrun, Reservation, Scope, ScopeKind,
    Settlement,
};
pub use live::{
    Applied, Counts, LIVE_MAGIC, LIVE_VERSION, Live, OPEN_MAX, OpenDecision, OpenLimits, TTL_MS,
};
pub use money::{MoneyError, PICO_PER_USD, Price, Usd};
pub use policy::{
    ArmPrior, BetaThompson, CASCADE_EPSILON, COST_SCALE, COST_WEIGHT, Cascade, CascadeConfig,
    CascadeStep, ClusterBandit, Drawn, EPSILON_GREEDY_EPSILON, EpsilonGreedy, Estimate, Fixed,
    GAMMA_EXPONENT, GAMMA_SCALE, GUARD_SHARE, GUARDED_PULLS, GaussianThompson, KL_UCB_C, KlUcb,
    KnnBandit, LIN_TS_SCALE, LIN_UCB_ALPHA, LINEAR_RIDGE, LinTs, LinUcb, LinearConfig,
    LogisticThompson, MeanBandit, MeanConfig, MeanRule, NOISE_VARIANCE, NextStep, Outcome, Policy,
    PolicyError, PostHoc, PostHocRow, PredictorBandit, PredictorRule, PrincipalComponents, Random,
    Request, Reward, RuleParts, RulePolicy, SHARED_DRAW_PAIRS, SharedLinear, SharedRule, SquareCb,
    UCB_WIDTH, UCB1_EXPLORATION, Ucb1, WarmStart, Workspace, cascade_cost, decode_state,
    encode_state,
};
pub use predictor::{
    CLUSTERS, CustomLoader, DIMENSIONS_MAX, FORGETTING, FORGETTING_MIN, NEAREST, NEIGHBOURS,
    PRIOR_MEAN, PRIOR_STRENGTH, Prediction, Predictor, PredictorConfig, PredictorError,
    PredictorKind, QualityPredictor, RIDGE, ROWS_MAX, SHRINK, TrainingRows, VARIANCE_INFLATION_MAX,
    WEIGHT_MAX,
};
pub use recovery::{
    Generation, JournalReport, Recovered, Recovery, RecoveryError, RecoveryReport, recover,
};
pub use router::{Choice, Router, RouterParts};
pub use router_error::{DecideError, FeedbackError, RouterError};
pub use rule::{
    ArmScore, AverageFloor, BUDGET_ALPHA, BUDGET_BURST, BUDGET_LAMBDA_COST, BUDGET_LAMBDA_MAX,
    BUDGET_NEWEST, BUDGET_STEP, Budget, FLOOR_CREDIT_MAX, FLOOR_DEBT_MAX, LAMBDA_MAX,
    LAMBDA_NEWEST, LAMBDA_RELATIVE_MIN, LAMBDA_STEP, LambdaControl, NonInferiority,
    PerRequestFloor, Rule, RuleError,
};
pub use session::{CACHE_TTL_MS, SessionState};
pub use shared::{
    Applications, LearnError, Learned, QUEUE_MAX, REFUSALS_MAX, SharedError, SharedRouter,
};
pub use snapshot::{PolicyLoader, SNAPSHOT_MAGIC, SNAPSHOT_VERSION, SnapshotError};
pub use spending::{Held, LATE_MS, SpendError, Spending};
pub use units::{ArmId, Propensity, Quality, Seed, UnitError};
