//! What the classic bandits promise in numbers: propensities, regret, warm starts.

use plimsoll::{
    BetaThompson, Call, ClusterBandit, Context, CostPredictor, EpsilonGreedy, GaussianThompson,
    KlUcb, KnnBandit, LinTs, LinUcb, LinearConfig, LogisticThompson, MeanConfig, Outcome, Policy,
    Predictor, PredictorConfig, PredictorKind, Quality, Random, Request, Reward, Router, Seed,
    SharedLinear, SharedRule, SquareCb, TrainingRows, Ucb1, WarmStart, Workspace,
};
use rand_distr::Distribution as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use crate::common::{Numbers, arms, contexts, plimsoll_float, quality};

const DRAWS: u32 = 1_000_000;
/// With this bound a right propensity fails once in 10⁵ comparisons; there are about 40.
const Z_MAX: f64 = 4.5;

/// Frequencies of `draw` over 10⁶ draws lie within their standard errors of the propensities.
fn check_frequencies(name: &str, propensities: &[f64], mut draw: impl FnMut() -> usize) {
    let mut counts = vec![0_u32; propensities.len()];
    for _ in 0..DRAWS {
        counts[draw()] += 1;
    }
    for (arm, (count, p)) in counts.iter().zip(propensities).enumerate() {
        let n = f64::from(DRAWS);
        let z = (f64::from(*count) - n * p) / (n * p * (1.0 - p)).sqrt().max(1.0);
        assert!(
            z.abs() < Z_MAX,
            "{name} arm {arm}: {count} of 10^6, p {p}, z {z}"
        );
    }
}

fn argmax(values: impl Iterator<Item = f64>) -> usize {
    let best = values
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (arm, value)| {
            if value > best.1 { (arm, value) } else { best }
        });
    best.0
}

/// Outcomes by hand: successes and failures per arm.
const TALLIES: [[(u32, u32); 4]; 3] = [
    [(3, 1), (10, 5), (0, 0), (1, 1)],
    [(300, 120), (290, 110), (28, 12), (0, 5)],
    [(0, 0), (0, 0), (1, 0), (0, 1)],
];

fn taught(mut policy: Box<dyn Policy>, tallies: &[(u32, u32)]) -> Box<dyn Policy> {
    for (arm, (good, bad)) in tallies.iter().enumerate() {
        for i in 0..good + bad {
            let quality = Some(quality(if i < *good { 1.0 } else { 0.0 }));
            let outcome = Outcome {
                quality,
                ..Outcome::of_arm(arm)
            };
            policy
                .update(&Context::default(), &outcome)
                .expect("learns");
        }
    }
    policy
}

#[test]
fn beta_thompson_propensities_are_frequencies() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    for tallies in TALLIES {
        let policy = BetaThompson
            .policy(4, MeanConfig::default())
            .expect("sound");
        let p = taught(Box::new(policy), &tallies).probabilities(&Context::default());
        let beliefs = tallies.map(|(good, bad)| {
            rand_distr::Beta::new(f64::from(good + 1), f64::from(bad + 1)).expect("positive")
        });
        check_frequencies("beta", &p.expect("decides"), || {
            argmax(beliefs.iter().map(|belief| belief.sample(&mut random)))
        });
    }
}

#[test]
fn beta_thompson_propensities_with_costs_are_frequencies() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(2);
    let reward = Reward {
        cost_weight: 0.1,
        cost_scale: 1e-3,
    };
    let config = MeanConfig {
        reward,
        ..MeanConfig::default()
    };
    let costs = [Some(1e-3), Some(2e-3), Some(0.0), Some(5e-4)];
    for tallies in TALLIES {
        let policy = taught(
            Box::new(BetaThompson.policy(4, config).expect("sound")),
            &tallies,
        );
        let (context, mut p) = (Context::default(), [0.0; 4]);
        let request = Request {
            context: &context,
            eligible: &[true; 4],
            costs: &costs,
            floor: None,
        };
        policy
            .distribution(&request, &mut Workspace::default(), &mut p)
            .expect("decides");
        let beliefs = tallies.map(|(good, bad)| {
            rand_distr::Beta::new(f64::from(good + 1), f64::from(bad + 1)).expect("positive")
        });
        check_frequencies("beta with costs", &p, || {
            let sampled = beliefs.iter().zip(costs);
            argmax(sampled.map(|(b, cost)| b.sample(&mut random) - 100.0 * cost.expect("priced")))
        });
    }
}

#[test]
fn gaussian_thompson_propensities_are_frequencies() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    for tallies in TALLIES {
        let policy = GaussianThompson::default().policy(4, MeanConfig::default());
        let p =
            taught(Box::new(policy.expect("sound")), &tallies).probabilities(&Context::default());
        let beliefs = tallies.map(|(good, bad)| {
            let n = f64::from(good + bad) + 2.0;
            let mean = (f64::from(good) + 1.0) / n;
            rand_distr::Normal::new(mean, (0.25 / n).sqrt()).expect("finite")
        });
        check_frequencies("gaussian", &p.expect("decides"), || {
            argmax(beliefs.iter().map(|belief| belief.sample(&mut random)))
        });
    }
}

/// One logistic regression by the formulas of Chapelle & Li, two features and an intercept, with
/// the covariance itself kept by the matrix inversion lemma.
struct Laplace {
    m: [f64; 3],
    covariance: [[f64; 3]; 3],
}

impl Laplace {
    fn new() -> Self {
        // Ridge 1 on features; the prior's two outcomes carry ¼ each on the intercept.
        let diagonal = [1.0, 1.0, 2.0];
        let covariance = std::array::from_fn(|i| {
            std::array::from_fn(|j| if i == j { diagonal[i] } else { 0.0 })
        });
        Self {
            m: [0.0; 3],
            covariance,
        }
    }

    fn times(&self, x: [f64; 3]) -> [f64; 3] {
        self.covariance
            .map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
    }

    fn learn(&mut self, x: [f64; 3], r: f64) {
        let eta: f64 = self.m.iter().zip(x).map(|(m, x)| m * x).sum();
        let p = 1.0 / (1.0 + (-eta).exp());
        let (w, sx) = (p * (1.0 - p), self.times(x));
        let spread: f64 = sx.iter().zip(x).map(|(a, b)| a * b).sum();
        for i in 0..3 {
            for j in 0..3 {
                self.covariance[i][j] -= w * sx[i] * sx[j] / (1.0 + w * spread);
            }
        }
        let step = self.times(x);
        for (m, step) in self.m.iter_mut().zip(step) {
            *m += step * (r - p);
        }
    }

    /// Lower-triangular root of the covariance.
    fn root(&self) -> [[f64; 3]; 3] {
        let mut root = [[0.0_f64; 3]; 3];
        for i in 0..3 {
            for j in 0..=i {
                let done: f64 = (0..j).map(|k| root[i][k] * root[j][k]).sum();
                let rest = self.covariance[i][j] - done;
                root[i][j] = if i == j {
                    rest.sqrt()
                } else {
                    rest / root[j][j]
                };
            }
        }
        root
    }
}

/// Weights are drawn from an independent computation of the posterior, as the paper does.
#[test]
fn logistic_thompson_propensities_are_frequencies() {
    for cost_weight in [0.0, 0.2] {
        let reward = Reward {
            cost_weight,
            cost_scale: 1.0,
        };
        let mut policy = LogisticThompson.policy(3, 2, reward).expect("sound");
        let mut arms = [Laplace::new(), Laplace::new(), Laplace::new()];
        for (i, context) in contexts(60, 2, 7).iter().enumerate() {
            let arm = i * i % 3;
            let r = f64::from(u8::from(
                context.features[0] * (plimsoll_float(arm) - 1.0) > -0.2,
            ));
            let outcome = Outcome {
                quality: Some(quality(r)),
                ..Outcome::of_arm(arm)
            };
            policy.update(context, &outcome).expect("learns");
            arms[arm].learn([context.features[0], context.features[1], 1.0], r);
        }
        let costs = [Some(0.0), Some(0.5), Some(1.0)];
        let roots = [arms[0].root(), arms[1].root(), arms[2].root()];
        let mut random = Xoshiro256PlusPlus::seed_from_u64(4);
        for context in contexts(3, 2, 70) {
            let mut p = [0.0; 3];
            let request = Request {
                context: &context,
                eligible: &[true; 3],
                costs: &costs,
                floor: None,
            };
            policy
                .distribution(&request, &mut Workspace::default(), &mut p)
                .expect("decides");
            assert!(p.iter().all(|p| *p > 1e-4), "{p:?}");
            let x = [context.features[0], context.features[1], 1.0];
            check_frequencies("logistic", &p, || {
                argmax((0..3).map(|arm| {
                    let z: [f64; 3] =
                        std::array::from_fn(|_| rand_distr::StandardNormal.sample(&mut random));
                    let eta: f64 = (0..3)
                        .map(|i| {
                            let drawn: f64 = (0..=i).map(|k| roots[arm][i][k] * z[k]).sum();
                            (arms[arm].m[i] + drawn) * x[i]
                        })
                        .sum();
                    1.0 / (1.0 + (-eta).exp()) - cost_weight * costs[arm].expect("priced")
                }))
            });
        }
    }
}

fn router(policy: Box<dyn Policy>) -> Router {
    let arms = arms(policy.arms());
    let cost = CostPredictor::fit(&arms, []).expect("fits");
    Router::with_policy(arms, None, cost, policy).expect("fits")
}

/// What the router draws and logs is what the policy computed.
#[test]
fn logged_propensities_are_frequencies_of_choices() {
    let policy = BetaThompson
        .policy(4, MeanConfig::default())
        .expect("sound");
    let router = router(taught(Box::new(policy), &TALLIES[0]));
    let (context, mut work) = (Context::default(), Workspace::default());
    let p = router.policy().probabilities(&context).expect("decides");
    let mut key = 0_u32;
    check_frequencies("router", &p, || {
        key += 1;
        let text = key.to_string();
        let choice = router
            .choose(&Call::new(&context, &text, Seed(9)), &mut work)
            .expect("decides");
        assert_eq!(choice.propensity.get().to_bits(), p[choice.arm].to_bits());
        choice.arm
    });
}

/// E17: once a state is worked out, deciding by it allocates nothing.
#[test]
fn e17_running_means_decide_without_allocating() {
    let config = MeanConfig::default();
    let policies: [Box<dyn Policy>; 5] = [
        Box::new(EpsilonGreedy::default().policy(4, config).expect("sound")),
        Box::new(Ucb1::default().policy(4, config).expect("sound")),
        Box::new(KlUcb::default().policy(4, config).expect("sound")),
        Box::new(BetaThompson.policy(4, config).expect("sound")),
        Box::new(
            GaussianThompson::default()
                .policy(4, config)
                .expect("sound"),
        ),
    ];
    for policy in policies {
        // What a shared router publishes is a fork: worked out before anyone decides by it.
        let policy = taught(policy, &TALLIES[0]).fork();
        let (context, mut work, mut p) = (Context::default(), Workspace::default(), [0.0; 4]);
        let mut ask = |eligible: &[bool; 4]| {
            let request = Request {
                context: &context,
                eligible,
                costs: &[None; 4],
                floor: None,
            };
            let counted = allocation_counter::measure(|| {
                policy
                    .distribution(&request, &mut work, &mut p)
                    .expect("decides");
            });
            counted.count_total
        };
        assert_eq!(ask(&[true; 4]), 0, "{}", policy.name());
        ask(&[true, true, false, true]);
        assert_eq!(ask(&[false, true, true, true]), 0, "{}", policy.name());
    }
}

/// A simulated world: the probability of a good answer per context and arm.
type World = fn(&Context, usize) -> f64;

fn plain(_: &Context, arm: usize) -> f64 {
    [0.5, 0.55, 0.6, 0.65, 0.8][arm]
}

/// The best arm depends on the context, and no arm is best on average.
fn turning(context: &Context, arm: usize) -> f64 {
    let direction = [[0.4, 0.0], [-0.2, 0.35], [-0.2, -0.35]][arm];
    0.5 + direction[0] * context.features[0] + direction[1] * context.features[1]
}

/// Expected regret in each half of `rounds`: Σ_t Σ_a p_a·(q* − q_a), which no luck in drawing
/// arms disturbs.
fn regret(policy: &mut dyn Policy, world: World, rounds: usize, seed: u64) -> [f64; 2] {
    let mut numbers = Numbers(seed);
    let mut total = [0.0; 2];
    let arms = policy.arms();
    let (eligible, costs) = (vec![true; arms], vec![None; arms]);
    let (mut p, mut work) = (vec![0.0; arms], Workspace::default());
    for (t, context) in contexts(rounds, 2, seed ^ 0x55).iter().enumerate() {
        let request = Request {
            context,
            eligible: &eligible,
            costs: &costs,
            floor: None,
        };
        p.fill(0.0);
        policy
            .distribution(&request, &mut work, &mut p)
            .expect("decides");
        let truth: Vec<f64> = (0..arms).map(|arm| world(context, arm)).collect();
        let best = truth.iter().copied().fold(0.0, f64::max);
        total[t * 2 / rounds] += p
            .iter()
            .zip(&truth)
            .map(|(p, q)| p * (best - q))
            .sum::<f64>();
        let mut u = numbers.next();
        let arm = p.iter().position(|p| {
            u -= p;
            u < 0.0
        });
        let arm = arm.unwrap_or(arms - 1);
        let quality = Quality::new(if numbers.next() < truth[arm] {
            1.0
        } else {
            0.0
        })
        .ok();
        policy
            .update(
                context,
                &Outcome {
                    quality,
                    ..Outcome::of_arm(arm)
                },
            )
            .expect("learns");
    }
    total
}

fn mean_regret(make: &dyn Fn() -> Box<dyn Policy>, world: World, rounds: usize) -> [f64; 2] {
    const SEEDS: u32 = 10;
    let mut mean = [0.0; 2];
    for seed in 0..SEEDS {
        let halves = regret(make().as_mut(), world, rounds, u64::from(seed));
        mean = [0, 1].map(|half| mean[half] + halves[half] / f64::from(SEEDS));
    }
    mean
}

/// n = 4,000 rounds, 10 seeds: a random policy's regret is 720.
#[test]
fn running_means_find_the_best_arm() {
    let config = MeanConfig::default();
    let hold = EpsilonGreedy {
        epsilon: 1.0,
        hold: Some(100),
    };
    let check = |most: f64, make: &dyn Fn() -> Box<dyn Policy>| {
        let [first, second] = mean_regret(make, plain, 4_000);
        let name = make().name().to_owned();
        println!("{name}: {first:.1} + {second:.1}");
        assert!(first + second < most, "{name}: {first} + {second}");
        assert!(
            second < 0.8 * first,
            "{name} still pays: {first} + {second}"
        );
    };
    check(170.0, &|| Box::new(hold.policy(5, config).expect("sound")));
    check(290.0, &|| {
        Box::new(Ucb1::default().policy(5, config).expect("sound"))
    });
    check(100.0, &|| {
        Box::new(Ucb1 { exploration: 0.5 }.policy(5, config).expect("sound"))
    });
    check(100.0, &|| {
        Box::new(KlUcb::default().policy(5, config).expect("sound"))
    });
    check(80.0, &|| {
        Box::new(BetaThompson.policy(5, config).expect("sound"))
    });
    check(80.0, &|| {
        Box::new(
            GaussianThompson::default()
                .policy(5, config)
                .expect("sound"),
        )
    });
    let [first, second] = mean_regret(&|| Box::new(Random::new(5).expect("arms")), plain, 4_000);
    assert!((first + second - 720.0).abs() < 1e-6);
}

/// n = 2,000 rounds, 10 seeds, against a random policy and the best mean, which cannot turn.
#[test]
fn contextual_bandits_follow_the_context() {
    let reward = Reward::default();
    let [a, b] = mean_regret(&|| Box::new(Random::new(3).expect("arms")), turning, 2_000);
    let blind = |seed: &dyn Fn() -> Box<dyn Policy>| mean_regret(seed, turning, 2_000);
    let [c, d] = blind(&|| {
        Box::new(
            BetaThompson
                .policy(3, MeanConfig::default())
                .expect("sound"),
        )
    });
    let floor = (a + b).min(c + d);
    println!("random {}, blind {}", a + b, c + d);
    let past = contexts(300, 2, 4_242);
    let check = |share: f64, make: &dyn Fn() -> Box<dyn Policy>| {
        let [first, second] = mean_regret(make, turning, 2_000);
        let name = make().name().to_owned();
        println!("{name}: {first:.1} + {second:.1}");
        assert!(
            first + second < share * floor,
            "{name}: {first} + {second} of {floor}"
        );
        assert!(
            second < 0.9 * first,
            "{name} still pays: {first} + {second}"
        );
    };
    let linear =
        || Predictor::prior(&PredictorConfig::new(PredictorKind::Linear), 3, 2).expect("ok");
    let hold = EpsilonGreedy {
        epsilon: 1.0,
        hold: Some(60),
    };
    check(0.45, &|| {
        Box::new(hold.over(linear(), reward).expect("sound"))
    });
    check(0.45, &|| {
        Box::new(SquareCb::default().policy(3, 2, reward).expect("sound"))
    });
    check(0.35, &|| {
        Box::new(LogisticThompson.policy(3, 2, reward).expect("sound"))
    });
    check(0.70, &|| {
        Box::new(KnnBandit::default().policy(3, 2).expect("sound"))
    });
    let mut clusters = ClusterBandit::default();
    clusters.config.clusters = 8;
    check(0.70, &|| {
        Box::new(clusters.policy(3, &past).expect("sound"))
    });
}

/// MATHS.md §5: 300 logged rounds, each arm in turn; then 500 live rounds, 10 seeds.
#[test]
fn warm_starts_lower_regret() {
    let past = contexts(300, 2, 777);
    let log = |world: World, arms: usize| -> Vec<Option<f64>> {
        let mut numbers = Numbers(5);
        let mut rows = vec![None; past.len() * arms];
        for (i, context) in past.iter().enumerate() {
            let good = numbers.next() < world(context, i % arms);
            rows[i * arms + i % arms] = Some(if good { 1.0 } else { 0.0 });
        }
        rows
    };
    let turning_log = log(turning, 3);
    let rows = TrainingRows {
        contexts: &past,
        arms: 3,
        quality: &turning_log,
        weights: None,
    };
    let fitted = Predictor::fit(&PredictorConfig::new(PredictorKind::Linear), &rows).expect("fits");
    let warm = WarmStart::SHIFTED.predictor(fitted).expect("solves");
    let reward = Reward::default();
    let cold = mean_regret(
        &|| Box::new(SquareCb::default().policy(3, 2, reward).expect("sound")),
        turning,
        500,
    );
    let started = mean_regret(
        &|| {
            Box::new(
                SquareCb::default()
                    .over(warm.clone(), reward)
                    .expect("sound"),
            )
        },
        turning,
        500,
    );
    let (cold, started) = (cold[0] + cold[1], started[0] + started[1]);
    println!("square-cb: cold {cold:.1}, warm {started:.1}");
    assert!(started < 0.7 * cold, "{started} {cold}");

    let plain_log = log(plain, 5);
    let rows = TrainingRows {
        contexts: &past,
        arms: 5,
        quality: &plain_log,
        weights: None,
    };
    let thompson = || {
        BetaThompson
            .policy(5, MeanConfig::default())
            .expect("sound")
    };
    let cold = mean_regret(&|| Box::new(thompson()), plain, 500);
    let started = mean_regret(
        &|| Box::new(WarmStart::SHIFTED.means(thompson(), &rows).expect("fits")),
        plain,
        500,
    );
    let (cold, started) = (cold[0] + cold[1], started[0] + started[1]);
    println!("beta-thompson: cold {cold:.1}, warm {started:.1}");
    assert!(started < 0.7 * cold, "{started} {cold}");
}

/// MATHS.md §5 for the policies that hold regressions of their own: the same log and streams.
#[test]
fn warm_starts_lower_the_regret_of_linear_policies() {
    let past = contexts(300, 2, 777);
    let mut numbers = Numbers(5);
    let mut quality = vec![None; past.len() * 3];
    for (i, context) in past.iter().enumerate() {
        let good = numbers.next() < turning(context, i % 3);
        quality[i * 3 + i % 3] = Some(if good { 1.0 } else { 0.0 });
    }
    let log = TrainingRows {
        contexts: &past,
        arms: 3,
        quality: &quality,
        weights: None,
    };
    let config = LinearConfig::default();
    let ucb = || LinUcb::new(3, 2, 0.5, config).expect("sound");
    let ts = || LinTs::new(3, 2, 0.25, config).expect("sound");
    let joint = || {
        let rule = SharedRule::Ucb { alpha: 0.5 };
        SharedLinear::new(SharedLinear::hybrid(3), 2, rule, config).expect("sound")
    };
    let warm = WarmStart::SHIFTED;
    let check = |name: &str, cold: &dyn Fn() -> Box<dyn Policy>, warm: Box<dyn Policy>| {
        let cold = mean_regret(cold, turning, 500);
        let warm = mean_regret(&|| warm.fork(), turning, 500);
        let (cold, warm) = (cold[0] + cold[1], warm[0] + warm[1]);
        println!("{name}: cold {cold:.1}, warm {warm:.1}");
        assert!(warm < 0.7 * cold, "{name}: {warm} {cold}");
    };
    let fits = "the log fits";
    check(
        "lin-ucb",
        &|| Box::new(ucb()),
        Box::new(warm.lin_ucb(ucb(), &log).expect(fits)),
    );
    check(
        "lin-ts",
        &|| Box::new(ts()),
        Box::new(warm.lin_ts(ts(), &log).expect(fits)),
    );
    check(
        "shared",
        &|| Box::new(joint()),
        Box::new(warm.shared(joint(), &log).expect(fits)),
    );
}

/// Discounting keeps what is expected and shrinks how surely, for every kind of predictor.
#[test]
fn discounting_keeps_expectations() {
    let past = contexts(400, 2, 31);
    let mut numbers = Numbers(6);
    let quality: Vec<Option<f64>> = past
        .iter()
        .flat_map(|context| (0..3).map(|arm| turning(context, arm)).collect::<Vec<_>>())
        .map(|p| Some(if numbers.next() < p { 1.0 } else { 0.0 }))
        .collect();
    let rows = TrainingRows {
        contexts: &past,
        arms: 3,
        quality: &quality,
        weights: None,
    };
    for kind in PredictorKind::ALL {
        let fitted = Predictor::fit(&PredictorConfig::new(kind), &rows).expect("fits");
        let untouched = fitted.clone().discounted_to(1e9).expect("solves");
        let discounted = fitted.clone().discounted_to(40.0).expect("solves");
        let predict = |predictor: &Predictor, context| {
            let mut out = Vec::new();
            predictor.predict(context, &mut out).expect("predicts");
            out
        };
        for context in &past[..20] {
            let (full, same) = (predict(&fitted, context), predict(&untouched, context));
            for ((full, same), less) in full.iter().zip(same).zip(predict(&discounted, context)) {
                assert!((full.mean - same.mean).abs() < 1e-12, "{kind}");
                assert!(less.variance > full.variance, "{kind} {full:?} {less:?}");
                if kind == PredictorKind::Linear {
                    assert!((full.mean - less.mean).abs() < 1e-12, "{full:?} {less:?}");
                }
            }
        }
        assert!(fitted.clone().discounted_to(-1.0).is_err());
        assert!(fitted.discounted_to(f64::NAN).is_err());
    }
}

/// E15: the best arm drops by 45 points at t = 2,000; with γ = 0.995 the regret of rounds 500
/// after the drop is below a third of what it is without forgetting, 10 seeds.
#[test]
fn e15_forgetting_recovers_from_a_drop() {
    let after = |forgetting: f64| {
        let mut late = 0.0;
        for seed in 0..10 {
            let config = MeanConfig {
                forgetting,
                ..MeanConfig::default()
            };
            let mut policy = BetaThompson.policy(5, config).expect("sound");
            regret(&mut policy, plain, 2_000, seed);
            let dropped: World = |_, arm| [0.5, 0.55, 0.6, 0.65, 0.35][arm];
            regret(&mut policy, dropped, 500, seed + 100);
            late += regret(&mut policy, dropped, 500, seed + 200)
                .iter()
                .sum::<f64>()
                / 10.0;
        }
        late
    };
    let (forgets, remembers) = (after(0.995), after(1.0));
    println!("after the drop: forgetting {forgets:.1}, not {remembers:.1}");
    assert!(forgets < remembers / 3.0, "{forgets} {remembers}");
}
