//! The engine's router as a learner: fitted on warm-up rows, or after a burn-in of its own.

use ndarray::{Array2, ArrayView2};
use plimsoll::{
    ArmId, ArmSpec, AverageFloor, BEST_SINGLE, Budget, Context, CostPredictor, CostRow, DELTA,
    Distribution, Exploration, ExplorationChoice, ExplorationKind, FeatureMap, Feedback,
    LambdaControl, NonInferiority, PerRequestFloor, PolicyConfig, Predictor, PredictorConfig,
    PredictorKind, Router, RouterParts, Rule, RuleKind, TrainingRows, Usd,
};

use super::error::LearningError;
use super::keyed::float;
use super::policy::{ArmChange, LearnerStart, LearningPolicy, Observation, even};
use crate::forecast::{FOLDS, Training, cross_fit};
use crate::tune::lambda_grid;

/// Requests of a cold start that are spread evenly over the arms, per arm in service.
pub const BURN_IN_PER_ARM: usize = 25;
/// Least warm-up rows that predictors are chosen on.
const CHOICE_MIN: usize = 50;
/// Ridge of the careful linear candidate.
const STRONG_RIDGE: f64 = 30.0;
/// λmax: beyond it cost hardly counts.
const LAMBDA_MAX: f64 = 1000.0;

/// The engine's [`Router`] with the rule, predictor and exploration of a policy, learning online.
///
/// Warm start: predictor, cost predictor and λ are fitted on the warm-up rows. Cold start: the
/// first [`BURN_IN_PER_ARM`] requests per arm are spread evenly, then the same is fitted on what
/// was seen of them. From then on the router updates its predictors with every outcome, and
/// an average floor its λ ([`LambdaControl`], MATHS R2).
#[derive(Clone, Debug)]
pub struct EngineLearner {
    policy: PolicyConfig,
    arms: Vec<ArmId>,
    features: FeatureMap,
    list_cost: Vec<f64>,
    line: f64,
    present: Vec<bool>,
    state: State,
    name: String,
}

#[derive(Clone, Debug)]
enum State {
    BurnIn { left: usize, seen: Vec<Seen> },
    Routing(Box<Router>),
}

#[derive(Clone, Debug)]
struct Seen {
    context: Context,
    arm: usize,
    quality: Option<f64>,
    cost: Option<Usd>,
}

/// Rows to fit a router on.
#[derive(Clone, Copy)]
struct Known<'a> {
    contexts: &'a [Context],
    quality: ArrayView2<'a, Option<f64>>,
    cost: ArrayView2<'a, Option<Usd>>,
}

/// Makes the engine's learner of a policy, for [`replay`](super::replay).
pub fn engine_learner(
    policy: &PolicyConfig,
) -> impl Fn(&LearnerStart<'_>) -> Result<Box<dyn LearningPolicy>, LearningError> + Sync + use<> {
    let policy = policy.clone();
    move |start| Ok(Box::new(EngineLearner::new(&policy, start)?) as Box<dyn LearningPolicy>)
}

impl EngineLearner {
    /// Starts from the warm-up rows, or cold without any.
    ///
    /// # Errors
    /// [`LearningError`] when the engine refuses the rows or the policy.
    pub fn new(policy: &PolicyConfig, start: &LearnerStart<'_>) -> Result<Self, LearningError> {
        let present = start.present.iter().filter(|p| **p).count();
        let mut learner = Self {
            policy: policy.clone(),
            arms: start.arms.to_vec(),
            features: start.features.clone(),
            list_cost: start.list_cost.to_vec(),
            line: start.line,
            present: start.present.to_vec(),
            state: State::BurnIn {
                left: BURN_IN_PER_ARM * present,
                seen: Vec::new(),
            },
            name: format!("{}, cold start", policy.objective.rule),
        };
        if !start.contexts.is_empty() {
            learner.route(Known {
                contexts: start.contexts,
                quality: start.quality,
                cost: start.cost,
            })?;
        }
        Ok(learner)
    }

    /// The router, once there is one.
    #[must_use]
    pub fn router(&self) -> Option<&Router> {
        match &self.state {
            State::Routing(router) => Some(router),
            State::BurnIn { .. } => None,
        }
    }

    fn route(&mut self, known: Known<'_>) -> Result<(), LearningError> {
        let (config, forecast) = self.forecast(known)?;
        let predictor = if known.contexts.is_empty() {
            Predictor::prior(&config, self.arms.len(), self.features.dimensions())
        } else {
            let quality: Vec<Option<f64>> = known.quality.iter().copied().collect();
            Predictor::fit(
                &config,
                &TrainingRows {
                    contexts: known.contexts,
                    arms: self.arms.len(),
                    quality: &quality,
                    weights: None,
                },
            )
        }
        .map_err(|e| LearningError::engine(e.code(), &e, e.help()))?;
        let cost = self.costs(known)?;
        let (rule, control) = self.rule(known, &predictor, &cost, forecast.as_ref())?;
        let arm = |(id, present): (&ArmId, &bool)| ArmSpec {
            archived: !present,
            ..ArmSpec::new(id.clone())
        };
        self.name = name(&self.policy, &config, known.contexts.len());
        let router = Router::new(RouterParts {
            arms: self.arms.iter().zip(&self.present).map(arm).collect(),
            features: Some(self.features.clone()),
            predictor,
            calibration: Vec::new(),
            cost,
            rule,
            exploration: exploration(&self.policy),
            control,
        })
        .map_err(|e| LearningError::engine(e.code(), &e, e.help()))?;
        self.state = State::Routing(Box::new(router));
        Ok(())
    }

    /// The predictor to use; where every arm in service is known on every row, with its
    /// cross-fitted expectations, of the candidate with the least squared error.
    fn forecast(
        &self,
        known: Known<'_>,
    ) -> Result<(PredictorConfig, Option<Array2<f64>>), LearningError> {
        let section = &self.policy.predictor;
        let strong = || PredictorConfig {
            ridge: section.ridge.unwrap_or(1.0) * STRONG_RIDGE,
            ..section.config(PredictorKind::Linear)
        };
        let complete = known.contexts.len() >= CHOICE_MIN
            && known
                .quality
                .columns()
                .into_iter()
                .zip(&self.present)
                .all(|(column, present)| !present || column.iter().all(Option::is_some));
        let configs = match section.kind.kind() {
            Some(kind) => vec![section.config(kind)],
            None if complete => {
                let has_tasks = known.contexts.iter().any(|c| c.task.is_some());
                let kinds = [
                    PredictorKind::Beta,
                    PredictorKind::Tasks,
                    PredictorKind::Linear,
                ];
                let wanted = |kind: &PredictorKind| has_tasks || *kind != PredictorKind::Tasks;
                let plain = kinds
                    .into_iter()
                    .filter(wanted)
                    .map(|kind| section.config(kind));
                plain.chain([strong()]).collect()
            }
            None if self.features.dimensions() > 0 => vec![strong()],
            None => vec![section.config(PredictorKind::Beta)],
        };
        if !complete {
            return Ok((configs[0], None));
        }
        // Rows of arms that come later are unknown: a constant, which no error counts.
        let quality = known.quality.mapv(|q| q.unwrap_or(0.5));
        let fold: Vec<u8> = (0..FOLDS)
            .map(|fold| u8::try_from(fold).expect("there are few folds"))
            .cycle()
            .take(quality.nrows())
            .collect();
        let training = Training {
            contexts: known.contexts,
            quality: quality.view(),
            fold: &fold,
            variances: false,
        };
        let mut best: Option<(f64, PredictorConfig, Array2<f64>)> = None;
        for config in configs {
            let fitted = cross_fit(&config, config.kind.to_string(), &training)?;
            let error = self.squared_error(&fitted.train, &quality);
            if best.as_ref().is_none_or(|(least, ..)| error < *least) {
                best = Some((error, config, fitted.train));
            }
        }
        let (_, config, train) = best.expect("there is at least one candidate");
        Ok((config, Some(train)))
    }

    fn squared_error(&self, expected: &Array2<f64>, quality: &Array2<f64>) -> f64 {
        let gap = expected - quality;
        let column = |arm: usize| gap.column(arm).iter().map(|g| g * g).sum::<f64>();
        (0..self.arms.len())
            .filter(|&arm| self.present[arm])
            .map(column)
            .sum()
    }

    /// Costs of the known rows; of an arm without any, its price sheet.
    fn costs(&self, known: Known<'_>) -> Result<CostPredictor, LearningError> {
        let specs: Vec<ArmSpec> = self.arms.iter().cloned().map(ArmSpec::new).collect();
        let nothing = Context::default();
        let row = |context, arm, cost| CostRow {
            context,
            arm,
            output_tokens: None,
            cost: Some(cost),
        };
        let mut rows: Vec<CostRow<'_>> = Vec::new();
        for (context, costs) in known.contexts.iter().zip(known.cost.rows()) {
            let priced = costs
                .iter()
                .enumerate()
                .filter_map(|(arm, cost)| Some((arm, (*cost)?)));
            rows.extend(priced.map(|(arm, cost)| row(context, arm, cost)));
        }
        for arm in 0..self.arms.len() {
            if !rows.iter().any(|r| r.arm == arm) {
                let cost = Usd::from_f64(self.list_cost[arm]).unwrap_or_default();
                rows.push(row(&nothing, arm, cost));
            }
        }
        CostPredictor::fit(&specs, rows).map_err(|e| LearningError::engine(e.code(), &e, e.help()))
    }

    /// R3 against the named arm, or the one of highest mean label so far.
    fn non_inferiority(&self, known: Known<'_>) -> Result<Rule, LearningError> {
        let objective = &self.policy.objective;
        let reference = match objective.relative_to.as_deref() {
            None | Some(BEST_SINGLE) => self.arms[self.best_so_far(known)].clone(),
            Some(arm) => ArmId::new(arm)
                .map_err(|e| LearningError::engine("P0302", &e, "name one of the log's arms"))?,
        };
        Ok(Rule::NonInferiority(NonInferiority {
            reference,
            margin: objective.margin.unwrap_or(0.0),
            delta: objective.delta.unwrap_or(DELTA),
        }))
    }

    /// R4 within the objective's dollars per request.
    fn budget(&self) -> Rule {
        let budget = self.policy.objective.budget_usd.and_then(Usd::from_f64);
        let budget = budget.unwrap_or_default();
        let listed = || self.list_cost.iter().copied();
        let low = listed().fold(f64::INFINITY, f64::min);
        let high = listed().fold(0.0, f64::max);
        Rule::Budget(Budget::new(budget, low, high))
    }

    fn best_so_far(&self, known: Known<'_>) -> usize {
        let mean = |arm: usize| {
            let labels: Vec<f64> = known
                .quality
                .column(arm)
                .iter()
                .copied()
                .flatten()
                .collect();
            labels.iter().sum::<f64>() / float(labels.len().max(1))
        };
        let key = |arm: usize| (self.present[arm], mean(arm), self.list_cost[arm]);
        (1..self.arms.len()).fold(0, |best, arm| if key(arm) > key(best) { arm } else { best })
    }

    fn rule(
        &self,
        known: Known<'_>,
        predictor: &Predictor,
        cost: &CostPredictor,
        forecast: Option<&Array2<f64>>,
    ) -> Result<(Rule, Option<LambdaControl>), LearningError> {
        let objective = &self.policy.objective;
        match objective.rule {
            RuleKind::PerRequestFloor => {
                let rule = PerRequestFloor {
                    quality: self.line,
                    delta: objective.delta.unwrap_or(DELTA),
                };
                return Ok((Rule::PerRequestFloor(rule), None));
            }
            RuleKind::NonInferiority => return Ok((self.non_inferiority(known)?, None)),
            RuleKind::Budget => return Ok((self.budget(), None)),
            _ => {}
        }
        let dearest = (0..self.arms.len())
            .filter(|&arm| self.present[arm])
            .map(|arm| self.list_cost[arm])
            .fold(0.0, f64::max);
        let mut rule = AverageFloor {
            lambda_low: 1.0,
            lambda_high: 1.0,
            share_high: 0.0,
            cost_scale: if dearest > 0.0 { dearest } else { 1.0 },
        };
        let lambda = self.lambda(known, predictor, cost, forecast, &rule)?;
        (rule.lambda_low, rule.lambda_high) = (lambda, lambda);
        let control = LambdaControl {
            lambda_max: LAMBDA_MAX,
            ..LambdaControl::new(self.line.clamp(1e-6, 1.0))
        };
        Ok((Rule::AverageFloor(rule), Some(control)))
    }

    /// The least λ of the grid whose choices keep the line: on observed quality where every arm's
    /// is known, else on expected quality.
    fn lambda(
        &self,
        known: Known<'_>,
        predictor: &Predictor,
        cost: &CostPredictor,
        forecast: Option<&Array2<f64>>,
        rule: &AverageFloor,
    ) -> Result<f64, LearningError> {
        if known.contexts.is_empty() {
            return Ok(1.0);
        }
        let contexts: Vec<&Context> = known.contexts.iter().collect();
        let expected = match forecast {
            Some(train) => train.clone(),
            None => crate::forecast::predict_all(predictor, &contexts, false)?.0,
        };
        let worth = match forecast {
            Some(_) => known.quality.mapv(|q| q.unwrap_or(0.0)),
            None => expected.clone(),
        };
        let mut costs = Vec::new();
        let costs: Vec<Vec<Option<f64>>> = contexts
            .iter()
            .map(|context| {
                cost.expected_all(context, &mut costs);
                costs.clone()
            })
            .collect();
        let choice = |lambda: f64, row: usize| {
            let utility = |arm: usize| match costs[row][arm] {
                Some(cost) if self.present[arm] => rule.utility(lambda, expected[[row, arm]], cost),
                _ => f64::NEG_INFINITY,
            };
            (1..self.arms.len()).fold(0, |best, arm| {
                if utility(arm) > utility(best) {
                    arm
                } else {
                    best
                }
            })
        };
        let keeps = |lambda: &f64| {
            let total: f64 = (0..contexts.len())
                .map(|row| worth[[row, choice(*lambda, row)]])
                .sum();
            total / float(contexts.len()) >= self.line
        };
        Ok(lambda_grid().into_iter().find(keeps).unwrap_or(LAMBDA_MAX))
    }

    /// Fits on the burn-in when it is over.
    fn end_burn_in(&mut self) -> Result<(), LearningError> {
        let State::BurnIn { left: 0, seen } = &self.state else {
            return Ok(());
        };
        let seen = seen.clone();
        let shape = (seen.len(), self.arms.len());
        let mut quality = Array2::from_elem(shape, None);
        let mut cost = Array2::from_elem(shape, None);
        for (row, seen) in seen.iter().enumerate() {
            quality[[row, seen.arm]] = seen.quality;
            cost[[row, seen.arm]] = seen.cost;
        }
        let contexts: Vec<Context> = seen.into_iter().map(|s| s.context).collect();
        self.route(Known {
            contexts: &contexts,
            quality: quality.view(),
            cost: cost.view(),
        })
    }
}

impl LearningPolicy for EngineLearner {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn distribution(&self, context: &Context) -> Result<Distribution, LearningError> {
        match &self.state {
            State::BurnIn { .. } => even(&self.arms, &self.present, context),
            State::Routing(router) => router
                .distribution(context)
                .map_err(|e| LearningError::engine(e.code(), &e, e.help())),
        }
    }

    fn feedback(&mut self, context: &Context, seen: &Observation) -> Result<(), LearningError> {
        match &mut self.state {
            State::BurnIn { left, seen: rows } => {
                // The cost comes at once: it counts the request.
                if seen.cost.is_some() {
                    *left = left.saturating_sub(1);
                }
                rows.push(Seen {
                    context: context.clone(),
                    arm: seen.arm,
                    quality: seen.quality.map(plimsoll::Quality::get),
                    cost: seen.cost,
                });
                self.end_burn_in()
            }
            State::Routing(router) => router
                .feedback(
                    context,
                    &Feedback {
                        arm: self.arms[seen.arm].clone(),
                        quality: seen.quality,
                        cost: seen.cost,
                        output_tokens: seen.output_tokens,
                        weight: 1.0,
                        propensity: Some(seen.propensity),
                    },
                )
                .map_err(|e| LearningError::engine(e.code(), &e, e.help())),
        }
    }

    fn arm_changed(&mut self, arm: usize, change: ArmChange) -> Result<(), LearningError> {
        let id = self.arms[arm].clone();
        match change {
            ArmChange::Appears => self.present[arm] = true,
            ArmChange::Vanishes => self.present[arm] = false,
            ArmChange::Repriced(factor) => self.list_cost[arm] *= factor,
        }
        let State::Routing(router) = &mut self.state else {
            return Ok(());
        };
        match change {
            ArmChange::Appears => router.set_archived(&id, false),
            ArmChange::Vanishes => router.set_archived(&id, true),
            ArmChange::Repriced(factor) => router.scale_costs(&id, factor),
        }
        .map_err(|e| LearningError::engine(e.code(), &e, e.help()))
    }

    fn expected_quality(&self, context: &Context, arm: usize) -> Option<f64> {
        let scores = self.router()?.score(context).ok()?;
        scores.get(arm).map(|score| score.quality)
    }

    fn fork(&self) -> Box<dyn LearningPolicy> {
        Box::new(self.clone())
    }
}

fn exploration(policy: &PolicyConfig) -> Exploration {
    let config = &policy.exploration;
    Exploration {
        kind: match config.kind {
            ExplorationChoice::Epsilon => ExplorationKind::Epsilon {
                epsilon: config.epsilon,
            },
            ExplorationChoice::InverseGap => ExplorationKind::InverseGap {
                gamma: config.gamma,
            },
            _ => ExplorationKind::None,
        },
        share_max: config.share_max,
        ..Exploration::NONE
    }
}

fn name(policy: &PolicyConfig, config: &PredictorConfig, rows: usize) -> String {
    let explores = match policy.exploration.kind {
        ExplorationChoice::None => "no exploration".to_owned(),
        ExplorationChoice::Epsilon => format!(
            "explores {} %",
            policy.exploration.epsilon.min(policy.exploration.share_max) * 100.0
        ),
        _ => format!("explores up to {} %", policy.exploration.share_max * 100.0),
    };
    let ridge = match config.kind {
        PredictorKind::Linear | PredictorKind::Logistic => format!(" (ridge = {})", config.ridge),
        _ => String::new(),
    };
    format!(
        "{}, {}{ridge}, {explores}, from {rows} rows",
        policy.objective.rule, config.kind
    )
}
