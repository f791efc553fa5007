//! What durability costs: acknowledged events per second by group, and how fast a journal replays.
//!
//! `cargo run --release -p plimsoll-store --example durable [folder]`

use std::time::{Duration, Instant};

use plimsoll::{
    ArmId, ArmSpec, Call, Context, CostPredictor, Event, Live, OpenLimits, Predictor,
    PredictorConfig, PredictorKind, Quality, Report, Reward, Router, Seed, SquareCb, Workspace,
};
use plimsoll_store::{Store, StoreOptions};

/// Features of a context.
const DIMENSIONS: usize = 32;
/// Length of one measurement.
const SLICE: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let above = std::env::args_os()
        .nth(1)
        .unwrap_or_else(|| std::env::temp_dir().into());
    for group in [1, 64, 1_024] {
        let folder = tempfile::tempdir_in(&above)?;
        let mut live = start()?;
        let options = StoreOptions::default();
        let mut store = Store::create(folder.path(), &options, &live)?;
        let (mut took, mut syncs, mut next) = (Duration::ZERO, 0, 0);
        while took < SLICE && next < 200_000 {
            let events = requests(&live, next, group)?;
            next += group;
            let start = Instant::now();
            store.append(live.sequence(), &events)?;
            for event in &events {
                live.apply(event)?;
            }
            took += start.elapsed();
            syncs += 1;
        }
        let events = live.sequence();
        println!(
            "groups of {} events: {:.0} events per second acknowledged, {:.2} ms per group",
            2 * group,
            count(events) / took.as_secs_f64(),
            took.as_secs_f64() * 1e3 / f64::from(syncs)
        );
        drop(store);
        let start = Instant::now();
        let opened = Store::open(folder.path(), &options, &|_, _| None)?;
        assert_eq!(opened.live.state_hash(), live.state_hash());
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "  opened again in {:.0} ms: {:.0} events per second; the state is {:.0} kB",
            seconds * 1e3,
            count(events) / seconds,
            count(opened.live.snapshot().len() as u64) / 1e3
        );
    }
    Ok(())
}

fn start() -> Result<Live, Box<dyn std::error::Error>> {
    let arms = (0..5)
        .map(|i| Ok(ArmSpec::new(ArmId::new(format!("arm-{i}"))?)))
        .collect::<Result<Vec<_>, plimsoll::UnitError>>()?;
    let config = PredictorConfig::new(PredictorKind::Linear);
    let predictor = Predictor::prior(&config, arms.len(), DIMENSIONS)?;
    let policy = SquareCb::default().over(predictor, Reward::default())?;
    let cost = CostPredictor::fit(&arms, [])?;
    let router = Router::with_policy(arms, None, cost, Box::new(policy))?;
    Ok(Live::new(router, OpenLimits::default()))
}

/// A decision and its label for each of `group` requests.
fn requests(live: &Live, from: u32, group: u32) -> Result<Vec<Event>, Box<dyn std::error::Error>> {
    let mut work = Workspace::default();
    let mut events = Vec::new();
    for i in from..from + group {
        let x = |j: usize| f64::from((i >> (j % 20)) & 0xFF) / 256.0 - 0.5;
        let context = Context::new((0..DIMENSIONS).map(x).collect())?;
        let key = format!("request-{i}");
        let call = Call::new(&context, &key, Seed(7));
        let choice = live.router().choose(&call, &mut work)?;
        let at_ms = u64::from(i);
        let decided = live.router().decided(&call, choice, at_ms, &mut work);
        events.push(Event::Decided(decided));
        let quality = Quality::new(f64::from(i % 5) / 4.0)?;
        events.push(Event::Reported(Report::label(key, at_ms, quality)));
    }
    Ok(events)
}

fn count(n: u64) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
