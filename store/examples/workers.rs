//! The engine in a multi-threaded worker: every thread decides without a lock, one learns.
//!
//! Run with `cargo run --release -p plimsoll-store --example workers`.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll::{
    ArmId, ArmSpec, Call, Context, CostPredictor, Event, LinUcb, LinearConfig, Live, OpenLimits,
    Quality, Report, Router, Seed, SharedRouter, Workspace,
};

const SEED: Seed = Seed(7);
/// How often the learner looks for work.
const LEARN_EVERY: Duration = Duration::from_millis(2);

fn build() -> Result<Router, Box<dyn Error>> {
    let arms = vec![
        ArmSpec::new(ArmId::new("small")?),
        ArmSpec::new(ArmId::new("large")?),
    ];
    let cost = CostPredictor::fit(&arms, [])?;
    let policy = LinUcb::new(2, 1, 1.0, LinearConfig::default())?;
    Ok(Router::with_policy(arms, None, cost, Box::new(policy))?)
}

/// The small arm is better where the feature is negative, the large one elsewhere.
fn quality(context: &Context, arm: usize) -> Result<Quality, plimsoll::UnitError> {
    let hard = context.features[0] > 0.0;
    Quality::new(if hard == (arm == 1) { 0.9 } else { 0.3 })
}

/// One worker: decides, makes the call, reports what became of it.
fn work(
    shared: &SharedRouter,
    worker: u32,
    requests: u64,
) -> Result<f64, Box<dyn Error + Send + Sync>> {
    // Scratch space of its own: in steady state a decision allocates nothing.
    let (mut work, mut sum) = (Workspace::default(), 0.0);
    for request in 0..requests {
        let context = Context::new(vec![if request % 3 == 0 { 1.0 } else { -1.0 }])?;
        let key = format!("{worker}-{request}");
        let call = Call::new(&context, &key, SEED);
        // The clock is the caller's; here a request takes a millisecond.
        let (choice, _) = shared.decide(&call, request, &mut work)?;
        let quality = quality(&context, choice.arm)?;
        shared.report(Report::label(key, request + 1, quality))?;
        sum += quality.get();
        if request % 50 == 0 {
            thread::sleep(LEARN_EVERY); // the call itself
        }
    }
    Ok(sum)
}

/// What a run came to.
struct Ran {
    quality: f64,
    /// The state at the end.
    snapshot: Vec<u8>,
    /// Every event, in the order in which it was learned.
    journal: Vec<Event>,
}

fn run(workers: u32, requests: u32) -> Result<Ran, Box<dyn Error>> {
    let shared = SharedRouter::new(Live::new(build()?, OpenLimits::default()));
    let done = AtomicBool::new(false);
    let (sum, journal) = thread::scope(|scope| {
        let learner = scope.spawn(|| {
            let mut journal = Vec::new();
            loop {
                // Asked before learning, so that nothing sent before is left behind.
                let last = done.load(Ordering::Acquire);
                // A store writes the events to disk here, see the `axum` example.
                let learned = shared.learn_logged(|_, events| {
                    journal.extend_from_slice(events);
                    Ok::<(), std::convert::Infallible>(())
                });
                learned.expect("no policy panics");
                if last {
                    return journal;
                }
                thread::sleep(LEARN_EVERY);
            }
        });
        let workers = (0..workers).map(|worker| {
            let shared = &shared;
            scope.spawn(move || work(shared, worker, u64::from(requests)))
        });
        let workers: Vec<_> = workers.collect();
        let sums = workers
            .into_iter()
            .map(|worker| worker.join().expect("no worker panics"));
        let sum = sums
            .sum::<Result<f64, _>>()
            .map_err(|error| error.to_string());
        done.store(true, Ordering::Release);
        (sum, learner.join().expect("the learner ends"))
    });
    Ok(Ran {
        quality: sum? / f64::from(workers * requests),
        snapshot: shared.with_live(Live::snapshot)?,
        journal,
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let Ran {
        quality,
        snapshot,
        journal,
    } = run(4, 2_000)?;
    println!("mean quality {quality:.3} over 8000 requests on 4 threads");
    println!(
        "{} events, {} bytes of state",
        journal.len(),
        snapshot.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_learn_together_and_the_journal_makes_the_same_state_again() {
        let ran = run(4, 1_000).expect("runs");
        // Either arm alone is worth at most 0.7.
        assert!(ran.quality > 0.85, "{}", ran.quality);
        assert_eq!(ran.journal.len(), 8_000);
        let mut again = Live::new(build().expect("builds"), OpenLimits::default());
        for event in &ran.journal {
            again.apply(event).expect("applies");
        }
        assert_eq!(again.counts().learned, 4_000);
        assert_eq!(again.snapshot(), ran.snapshot);
    }
}
