//! `ParetoBandit`'s first experiment by its own protocol: priors from one set of requests, online
//! learning on a second, measured on a third, while learning goes on.
//!
//! Its sets are 1,785 (online) and 1,824 requests (measured) and a larger one for priors; only the
//! second is recorded here. So one table is split anew by every seed: half of it for priors (every
//! arm's answer is seen, as in theirs), a quarter online, a quarter measured.

use plimsoll::{
    BUDGET_STEP, Budget, CostPredictor, CostRow, Exploration, LinUcb, LinearConfig, Policy,
    Predictor, PredictorConfig, PredictorKind, Reward, Router, Rule, RuleParts, RulePolicy,
    TrainingRows, Usd, WarmStart,
};

use crate::compare::TUNING_SEEDS;
use crate::contenders::Held;
use crate::pareto::{FORGETTING, PUBLISHED, Published, three};
use crate::play::{Trace, band, mean, order, play, specs};
use crate::spread::{over_seeds, reported};
use crate::table::{Table, float};

/// Their n_eff and α for warm priors (`BEST_K3_HPARAMS` of the repository).
const WARM: WarmStart = WarmStart { outcomes: 1_163.9 };
const ALPHA: f64 = 0.01;
/// Weights of cost that `LinUCB` may have: the quality that the dearest arm's cost is worth.
const WEIGHTS: (f64, f64) = (1e-4, 1e2);
/// Step of λ_t: theirs, and the best in mean quality of 0.05, 0.02, 0.01, 0.005, 0.002 and 0.001 on seeds
/// 1003–1012.
const STEPS: [f64; 2] = [BUDGET_STEP, 0.01];
const HALVINGS: u32 = 10;

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

/// One seed's split, and what the prior rows say.
struct Split<'a> {
    table: &'a Table,
    prior: Vec<usize>,
    online: usize,
    /// Online requests, then measured ones.
    played: Vec<usize>,
    /// Mean cost of each arm on the prior rows.
    costs: Vec<f64>,
}

/// What one run came to on the measured rows.
struct Measured {
    spent: f64,
    quality: f64,
    /// Part of the dearest arm's quality on the same rows.
    kept: f64,
    /// Part of the dearest arm's cost on the same rows.
    paid: f64,
}

impl<'a> Split<'a> {
    fn new(table: &'a Table, seed: u64) -> Self {
        let all = order(table, table.len(), seed);
        let (prior, played) = all.split_at(table.len() / 2);
        let k = table.arms.len();
        let cost = |arm: usize| {
            let of = prior.iter().map(|row| table.cost[row * k + arm]);
            mean(&of.collect::<Vec<_>>())
        };
        Self {
            table,
            prior: prior.to_vec(),
            online: played.len() / 2,
            played: played.to_vec(),
            costs: (0..k).map(cost).collect(),
        }
    }

    fn dearest(&self) -> usize {
        let costs = &self.costs;
        (0..costs.len()).fold(0, |a, b| if costs[b] > costs[a] { b } else { a })
    }

    /// Every answer on the prior rows. `keep` is the γ of a predictor that would let older rows
    /// fade: weights take that back, as their priors do not fade before the stream begins.
    fn log<T>(&self, keep: f64, with: impl FnOnce(&TrainingRows<'_>) -> Anyhow<T>) -> Anyhow<T> {
        let (k, table) = (self.table.arms.len(), self.table);
        let contexts: Vec<_> = self
            .prior
            .iter()
            .map(|r| table.contexts[*r].clone())
            .collect();
        let answers = self
            .prior
            .iter()
            .flat_map(|r| &table.quality[r * k..(r + 1) * k]);
        let quality: Vec<Option<f64>> = answers.map(|q| Some(*q)).collect();
        let mut weights = vec![1.0; contexts.len()];
        for i in (1..weights.len()).rev() {
            weights[i - 1] = weights[i] / keep;
        }
        with(&TrainingRows {
            contexts: &contexts,
            arms: k,
            quality: &quality,
            weights: Some(&weights),
        })
    }

    fn predictor(&self, config: &PredictorConfig) -> Anyhow<Predictor> {
        self.log(config.forgetting, |log| {
            Ok(WARM.predictor(Predictor::fit(config, log)?)?)
        })
    }

    /// R4 with their α, γ and n_eff.
    fn paced(&self, budget: f64, step: f64) -> Anyhow<Box<dyn Policy>> {
        let config = PredictorConfig {
            forgetting: FORGETTING,
            ..PredictorConfig::new(PredictorKind::Linear)
        };
        let low = self.costs.iter().copied().fold(f64::INFINITY, f64::min);
        let budget = Usd::from_f64(budget).ok_or("a budget in dollars")?;
        let mut rule = Budget::new(budget, low, self.costs[self.dearest()]);
        rule.alpha = ALPHA;
        rule.lambda_cost = 0.0;
        rule.step = step;
        Ok(Box::new(RulePolicy::new(RuleParts {
            arms: self.table.arms.clone(),
            predictor: self.predictor(&config)?,
            calibration: vec![],
            rule: Rule::Budget(rule),
            exploration: Exploration::NONE,
            control: None,
        })?))
    }

    /// R2 at a part of the dearest arm's quality.
    fn floored(&self, part: f64) -> Anyhow<Box<dyn Policy>> {
        let (k, dearest) = (self.table.arms.len(), self.dearest());
        let best = self
            .prior
            .iter()
            .map(|r| self.table.quality[r * k + dearest]);
        let held = Held::new(part * mean(&best.collect::<Vec<_>>()), self.costs[dearest]);
        let config = PredictorConfig {
            forgetting: held.forgetting,
            prior_mean: held.prior_mean,
            ridge: held.ridge,
            ..PredictorConfig::new(PredictorKind::Linear)
        };
        held.policy(self.table, self.predictor(&config)?)
    }

    /// `LinUCB` with a fixed weight of cost.
    fn weighed(&self, weight: f64) -> Anyhow<Box<dyn Policy>> {
        let config = LinearConfig {
            forgetting: FORGETTING,
            reward: Reward {
                cost_weight: weight,
                cost_scale: self.costs[self.dearest()],
            },
            ..LinearConfig::default()
        };
        let cold = LinUcb::new(
            self.table.arms.len(),
            self.table.dimensions(),
            ALPHA,
            config,
        )?;
        self.log(1.0, |log| {
            Ok(Box::new(WARM.lin_ucb(cold, log)?) as Box<dyn Policy>)
        })
    }

    /// Costs are known from the prior rows.
    fn play(&self, policy: Box<dyn Policy>, seed: u64) -> Anyhow<Measured> {
        let (k, table) = (self.table.arms.len(), self.table);
        let bills = self.prior.iter().flat_map(|row| {
            (0..k).map(move |arm| CostRow {
                context: &table.contexts[*row],
                arm,
                output_tokens: None,
                cost: Usd::from_f64(table.cost[row * k + arm]),
            })
        });
        let costs = CostPredictor::fit(&specs(table), bills)?;
        let mut router = Router::with_policy(specs(table), None, costs, policy)?;
        let Trace { quality, cost, .. } = play(&mut router, table, &self.played, seed)?;
        let rows = &self.played[self.online..];
        let dearest = |of: &[f64]| {
            let of = rows.iter().map(|row| of[row * k + self.dearest()]);
            mean(&of.collect::<Vec<_>>())
        };
        let (quality, spent) = (mean(&quality[self.online..]), mean(&cost[self.online..]));
        Ok(Measured {
            spent,
            quality,
            kept: quality / dearest(&table.quality),
            paid: spent / dearest(&table.cost),
        })
    }
}

pub(crate) fn run(table: &Table, seeds: u64) -> Anyhow<()> {
    let table = &three(table);
    println!(
        "\n## ParetoBandit's protocol: {} requests for priors, {} online, {} measured\n",
        table.len() / 2,
        (table.len() - table.len() / 2) / 2,
        table.len() - table.len() / 2 - (table.len() - table.len() / 2) / 2
    );
    for arm in 0..3 {
        let (quality, cost) = table.means(arm);
        println!(
            "- `{}`: quality {quality:.4}, cost {cost:.7} USD",
            table.arms[arm]
        );
    }
    println!(
        "\n| budget, USD | side | spent ÷ budget | worst seed | quality | % of the dearest arm's quality | saved against it, % |"
    );
    println!("|---|---|---|---|---|---|---|");
    for theirs in &PUBLISHED {
        let Published {
            budget,
            spent,
            quality,
            kept,
            saved,
        } = *theirs;
        println!(
            "| {budget:.6} | published | {spent:.2} | | {quality:.3} | {kept:.1} | {saved:.1} |"
        );
        let over = |make: &(dyn Fn(&Split<'_>) -> Anyhow<Box<dyn Policy>> + Sync)| {
            over_seeds(reported(seeds), |seed| {
                let split = Split::new(table, seed);
                split.play(make(&split)?, seed)
            })
        };
        for step in STEPS {
            let name = format!("R4, warm, step {step}");
            print(&name, budget, &over(&|split| split.paced(budget, step))?);
        }
        let weight = weight_for(table, budget)?;
        let name = format!("LinUCB, warm, weight {weight:.4}");
        print(&name, budget, &over(&|split| split.weighed(weight))?);
        let name = format!("R2, warm, floor at {kept:.1} %");
        print(&name, budget, &over(&|split| split.floored(kept / 100.0))?);
    }
    Ok(())
}

/// The least weight of cost with which `LinUCB` stays within the budget on the tuning seeds.
fn weight_for(table: &Table, budget: f64) -> Anyhow<f64> {
    let (mut low, mut high) = WEIGHTS;
    for _ in 0..HALVINGS {
        let middle = (low * high).sqrt();
        let runs = over_seeds(TUNING_SEEDS.into_iter(), |seed| {
            let split = Split::new(table, seed);
            split.play(split.weighed(middle)?, seed)
        })?;
        if runs.iter().map(|run| run.spent).sum::<f64>() / float(runs.len()) > budget {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(high)
}

fn print(name: &str, budget: f64, runs: &[Measured]) {
    let of = |pick: &dyn Fn(&Measured) -> f64| band(&runs.iter().map(pick).collect::<Vec<_>>());
    let most = runs
        .iter()
        .map(|run| run.spent / budget)
        .fold(0.0, f64::max);
    let (spent, quality, kept, saved) = (
        of(&|run| run.spent / budget),
        of(&|run| run.quality),
        of(&|run| run.kept * 100.0),
        of(&|run| (1.0 - run.paid) * 100.0),
    );
    println!(
        "| {budget:.6} | {name} | {:.3} ± {:.3} | {most:.3} | {:.4} ± {:.4} | {:.1} ± {:.1} | {:.1} ± {:.1} |",
        spent.0, spent.1, quality.0, quality.1, kept.0, kept.1, saved.0, saved.1
    );
}
