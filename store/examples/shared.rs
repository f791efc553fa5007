//! What sharing a router costs: two threads against one, and decisions beside a stream of feedback.
//!
//! `cargo run --release -p plimsoll-store --example shared`
//!
//! Times are CPU times of the deciding threads where the system tells them (Linux), so that other
//! work on the machine does not count; wall-clock figures stand beside them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plimsoll::{
    ArmId, ArmSpec, Call, Context, CostPredictor, EpsilonGreedy, Event, Feedback, Live, MeanConfig,
    OpenLimits, Policy, Predictor, PredictorConfig, PredictorKind, Quality, Reward, Router, Seed,
    SharedRouter, SquareCb, Workspace,
};

/// Length of one measurement.
const SLICE: Duration = Duration::from_millis(400);
/// Measurements of each kind; their median is reported.
const ROUNDS: usize = 15;
/// Feedback per second.
const RATE: u64 = 50_000;
/// Feedback is learned this often.
const LEARN_EVERY: Duration = Duration::from_millis(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reward = Reward::default();
    let bare = EpsilonGreedy::default().policy(10, MeanConfig::default())?;
    let config = PredictorConfig::new(PredictorKind::Linear);
    let linear = SquareCb::default().over(Predictor::prior(&config, 10, 32)?, reward)?;
    let policies: [(&str, usize, Box<dyn Policy>); 2] = [
        ("context-free ε-greedy, K = 10", 0, Box::new(bare)),
        ("SquareCB over ridge, K = 10, d = 32", 32, Box::new(linear)),
    ];
    for (name, dimensions, policy) in policies {
        println!("{name}");
        measure(&shared(policy)?, &contexts(dimensions)?);
    }
    Ok(())
}

fn shared(policy: Box<dyn Policy>) -> Result<SharedRouter, Box<dyn std::error::Error>> {
    let arms = (0..policy.arms())
        .map(|i| Ok(ArmSpec::new(ArmId::new(format!("arm-{i}"))?)))
        .collect::<Result<Vec<_>, plimsoll::UnitError>>()?;
    let cost = CostPredictor::fit(&arms, [])?;
    let router = Router::with_policy(arms, None, cost, policy)?;
    Ok(SharedRouter::new(Live::new(router, OpenLimits::default())))
}

fn contexts(dimensions: usize) -> Result<Vec<Context>, plimsoll::ContextError> {
    let mut state = 1_u64;
    let mut number = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        f64::from((state >> 40) as u32) / f64::from(1_u32 << 24)
    };
    let mut context = || Context::new((0..dimensions).map(|_| number() - 0.5).collect());
    (0..256).map(|_| context()).collect()
}

/// Decisions in one slice of time, by wall clock and by the thread's CPU time.
#[derive(Clone, Copy)]
struct Speed {
    per_second: f64,
    per_cpu_second: f64,
}

fn measure(shared: &SharedRouter, contexts: &[Context]) {
    feed(shared, contexts, 0..20_000);
    let _ = shared.learn();
    let (mut scaling, mut wall, mut cost, mut cost_wall) = (vec![], vec![], vec![], vec![]);
    let (mut speed, mut busy) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        // One after the other, so that both see the machine in the same mood.
        let one = deciders(shared, contexts, 1);
        let two = deciders(shared, contexts, 2);
        let stop = AtomicBool::new(false);
        let (beside, learner) = thread::scope(|scope| {
            let feeder = scope.spawn(|| stream(shared, contexts, &stop));
            let beside = deciders(shared, contexts, 1);
            stop.store(true, Ordering::Relaxed);
            (beside, feeder.join().expect("ends"))
        });
        speed.push(1e9 / one.per_cpu_second);
        scaling.push(two.per_cpu_second / one.per_cpu_second);
        wall.push(two.per_second / one.per_second);
        cost.push(1.0 - beside.per_cpu_second / one.per_cpu_second);
        cost_wall.push(1.0 - beside.per_second / one.per_second);
        busy.push(learner);
    }
    let [speed, scaling, wall, cost, cost_wall, busy] =
        [speed, scaling, wall, cost, cost_wall, busy].map(median);
    println!("  one decision: {speed:.0} ns");
    println!("  two threads against one: {scaling:.2} × by CPU time, {wall:.2} × by wall clock");
    println!(
        "  {RATE} feedbacks per second cost {:.1} % of decisions by CPU time, {:.1} % by wall clock",
        100.0 * cost,
        100.0 * cost_wall
    );
    println!(
        "  the thread that feeds and learns is busy {:.0} % of its time",
        100.0 * busy
    );
}

/// Decides on `threads` threads for a slice of time: the sum of their speeds.
fn deciders(shared: &SharedRouter, contexts: &[Context], threads: usize) -> Speed {
    let decide = || {
        let mut work = Workspace::default();
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let mut decisions = 0.0;
        while start.elapsed() < SLICE {
            for context in contexts {
                let call = Call::new(context, "request", Seed(7));
                let choice = shared.choose(&call, &mut work).expect("decides");
                assert!(choice.arm < 10);
                decisions += 1.0;
            }
        }
        let wall = start.elapsed().as_secs_f64();
        Speed {
            per_second: decisions / wall,
            per_cpu_second: decisions / cpu.map_or(wall, |cpu| cpu_seconds().unwrap_or(wall) - cpu),
        }
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(decide)).collect();
        let speeds = handles
            .into_iter()
            .map(|handle| handle.join().expect("ends"));
        speeds.fold(
            Speed {
                per_second: 0.0,
                per_cpu_second: 0.0,
            },
            |sum, speed| Speed {
                per_second: sum.per_second + speed.per_second,
                per_cpu_second: sum.per_cpu_second + speed.per_cpu_second,
            },
        )
    })
}

/// Feeds [`RATE`] outcomes per second and learns them, until told to stop: the share of its time
/// that this took.
fn stream(shared: &SharedRouter, contexts: &[Context], stop: &AtomicBool) -> f64 {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let (mut sent, mut next) = (0, LEARN_EVERY);
    while !stop.load(Ordering::Relaxed) {
        let due = RATE * u64::try_from(start.elapsed().as_micros()).unwrap_or(0) / 1_000_000;
        feed(shared, contexts, sent..due);
        sent = due;
        if start.elapsed() >= next {
            shared.learn().expect("learns");
            next += LEARN_EVERY;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let wall = start.elapsed().as_secs_f64();
    cpu.map_or(f64::NAN, |cpu| {
        (cpu_seconds().unwrap_or(f64::NAN) - cpu) / wall
    })
}

fn feed(shared: &SharedRouter, contexts: &[Context], numbers: std::ops::Range<u64>) {
    let names: Vec<ArmId> = shared
        .router()
        .arms()
        .iter()
        .map(|arm| arm.id.clone())
        .collect();
    let good = Quality::new(0.75).expect("in range");
    for i in numbers.map(|i| usize::try_from(i).expect("small")) {
        let feedback = Feedback::new(names[i % names.len()].clone(), good);
        let context = contexts[i % contexts.len()].clone();
        shared
            .send(Event::Feedback { context, feedback })
            .expect("there is room");
    }
}

/// CPU time of this thread; `None`: the system does not say.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
