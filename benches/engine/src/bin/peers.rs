//! Decide + learn, events per CPU-second and peak memory, beside other bandits on the same rows
//! in the same run. See `benches/peers/README.md`.
//!
//! `peers` runs every size; `peers K D` one of them; `peers regret K SEEDS [FIRST]` compares the
//! regret of full and low-rank LinUCB, projected at random or fitted on the first 1,000 contexts. Each side is a process of its own, so that peak memory is its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cpu_time::ProcessTime;
use plimsoll::{
    Call, Context, CostPredictor, Feedback, LinUcb, LinearConfig, Outcome, Policy,
    PrincipalComponents, Quality, Request, Router, Seed, Workspace,
};
use plimsoll_engine_benches::{Stream, arms};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// CPU seconds that a side may take, about: fewer events for slow ones.
const SECONDS: f64 = 1.0;
const ALPHA: f64 = 0.5;
/// What the regret of full LinUCB is compared with.
const LOW_RANK: [Features; 8] = [
    Features::Random(48),
    Features::Random(64),
    Features::Random(80),
    Features::Random(96),
    Features::Random(128),
    Features::Fitted(24),
    Features::Fitted(32),
    Features::Fitted(48),
];
/// Contexts that are made at a time, and on which components are fitted.
const CONTEXTS: usize = 1_000;
/// Runs of each side; the fastest counts, because others use the machine too.
const REPEATS: usize = 3;

/// What the regressions see of a context.
#[derive(Clone, Copy)]
enum Features {
    All,
    /// A random projection of this rank.
    Random(usize),
    /// So many principal components of the first contexts.
    Fitted(usize),
}

impl Features {
    /// As in the name of a side or of a row of a table.
    fn of_name(name: &str) -> Option<Self> {
        let Some((before, after)) = name.split_once("rank ") else {
            return Some(Self::All);
        };
        let rank = after.split(',').next()?.parse().ok()?;
        let fitted = before.ends_with("fitted ");
        Some(if fitted {
            Self::Fitted(rank)
        } else {
            Self::Random(rank)
        })
    }

    fn name(self) -> String {
        match self {
            Self::All => "full".to_owned(),
            Self::Random(rank) => format!("rank {rank}"),
            Self::Fitted(rank) => format!("fitted rank {rank}"),
        }
    }
}

/// A side of the comparison, and about how many events per second it does at each size.
struct Side {
    name: &'static str,
    rates: [f64; 4],
}

const SIZES: [(usize, usize); 4] = [(5, 32), (20, 32), (5, 384), (20, 384)];
const SIDES: [Side; 18] = [
    side("C, -march=native", [1.5e6, 5e5, 1.6e4, 3e3]),
    side("C, generic", [1.2e6, 4e5, 7e3, 2e3]),
    side("Plimsoll", [1e6, 4e5, 1.6e4, 3e3]),
    side("Plimsoll, router", [5e5, 2e5, 1.6e4, 3e3]),
    side("Plimsoll, rank 48", [4e5, 2e5, 1e5, 6e4]),
    side("Plimsoll, rank 96", [2e5, 1e5, 1e5, 4e4]),
    side("Plimsoll, rank 96, router", [2e5, 1e5, 1e5, 4e4]),
    side("Plimsoll, rank 128", [1e5, 5e4, 6e4, 3e4]),
    side("Plimsoll, fitted rank 24", [1e6, 4e5, 2e5, 1e5]),
    side("Plimsoll, fitted rank 24, router", [5e5, 2e5, 2e5, 1e5]),
    side("Plimsoll, fitted rank 32", [1e6, 4e5, 2e5, 1e5]),
    side("Plimsoll, fitted rank 48", [4e5, 2e5, 1e5, 6e4]),
    side("vw-epsilon", [6e4, 3e4, 1e4, 3e3]),
    side("vw-squarecb", [5e4, 2e4, 1e4, 2e3]),
    side("river", [6e3, 1.8e3, 600.0, 200.0]),
    side("contextualbandits", [2e3, 1e3, 1e3, 220.0]),
    side("mabwiser", [1e3, 500.0, 80.0, 50.0]),
    side("Plimsoll again", [1e6, 4e5, 1.6e4, 3e3]),
];

const fn side(name: &'static str, rates: [f64; 4]) -> Side {
    Side { name, rates }
}

/// What one side did.
struct Done {
    events: f64,
    cpu: f64,
    peak_mb: f64,
    reward: f64,
    /// CPU seconds of fitting components, which are not in `cpu`; 0 where nothing is fitted.
    fit: f64,
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["one", name, folder, k, d, events] => {
            let done = one(
                name,
                Path::new(folder),
                k.parse()?,
                d.parse()?,
                events.parse()?,
            )?;
            println!("{}", done.to_line());
            Ok(())
        }
        ["regret", k, seeds] => regret(k.parse()?, 0, seeds.parse()?),
        ["regret", k, seeds, first] => regret(k.parse()?, first.parse()?, seeds.parse()?),
        [] => SIZES.iter().try_for_each(|&(k, d)| compare(k, d)),
        [k, d] => compare(k.parse()?, d.parse()?),
        _ => Err("usage: peers [K D | regret K SEEDS [FIRST]]".into()),
    }
}

/// Every side on one size.
fn compare(arms: usize, dimensions: usize) -> Result<()> {
    let at = SIZES.iter().position(|size| *size == (arms, dimensions));
    let at = at.ok_or("K D must be one of 5 32, 20 32, 5 384, 20 384")?;
    let folder = std::env::temp_dir().join(format!("plimsoll-peers-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let rows = if dimensions > 100 { 60_000 } else { 600_000 };
    Stream::draw(arms, dimensions, rows, 1).write(&folder)?;
    let compiled = [compile(&folder, true), compile(&folder, false)];
    println!("\nK = {arms}, d = {dimensions}\n");
    println!("| side | events | events per CPU-second | peak MB | mean reward | Plimsoll ÷ side |");
    println!("|---|---|---|---|---|---|");
    let mut results = Vec::new();
    for side in &SIDES {
        let wanted = count(side.rates[at] * SECONDS).clamp(100, rows);
        let best = (0..REPEATS)
            .filter_map(|_| run(side.name, &folder, arms, dimensions, wanted, &compiled))
            .min_by(|a, b| a.cpu.total_cmp(&b.cpu));
        results.push((side.name, best));
    }
    let own = |name: &str| {
        let found = results.iter().find(|(side, _)| *side == name);
        found.and_then(|(_, done)| done.as_ref().map(Done::rate))
    };
    let ours = ["Plimsoll", "Plimsoll again"]
        .into_iter()
        .filter_map(own)
        .reduce(f64::max);
    for (name, done) in &results {
        match (done, ours) {
            (Some(done), Some(ours)) => println!(
                "| {name} | {} | {:.0} | {:.0} | {:.3} | {:.2} |",
                done.events,
                done.rate(),
                done.peak_mb,
                done.reward,
                ours / done.rate(),
            ),
            _ => println!("| {name} | – | its tools are missing | | | |"),
        }
    }
    let fits: Vec<String> = results
        .iter()
        .filter_map(|(name, done)| Some((name, done.as_ref()?.fit)))
        .filter(|(_, fit)| *fit > 0.0)
        .map(|(name, fit)| format!("{name} {:.0}", 1e3 * fit))
        .collect();
    println!(
        "\nFitted in CPU-ms, not counted above: {}.",
        fits.join("; ")
    );
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// The C loop as a program; `None`: there is no compiler.
fn compile(folder: &Path, native: bool) -> Option<PathBuf> {
    let program = folder.join(if native { "native" } else { "generic" });
    let mut gcc = Command::new("gcc");
    gcc.args(["-O3", "-ffast-math"]);
    if native {
        gcc.arg("-march=native");
    }
    gcc.arg(peers_folder().join("lin_ucb.c"));
    gcc.arg("-o").arg(&program).arg("-lm");
    gcc.status().ok()?.success().then_some(program)
}

fn peers_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers")
}

fn run(
    name: &str,
    folder: &Path,
    arms: usize,
    dimensions: usize,
    events: usize,
    compiled: &[Option<PathBuf>; 2],
) -> Option<Done> {
    let sizes = [arms, dimensions, events].map(|n| n.to_string());
    let mut command = match name {
        "C, -march=native" => Command::new(compiled[0].as_ref()?),
        "C, generic" => Command::new(compiled[1].as_ref()?),
        _ if name.starts_with("Plimsoll") => {
            let mut own = Command::new(std::env::current_exe().ok()?);
            own.args(["one", name]);
            own
        }
        _ => {
            let mut python = Command::new("python3");
            python.arg(peers_folder().join("bandits.py")).arg(name);
            // Linear algebra on one thread: CPU seconds would count the others' idling.
            python
                .env("OMP_NUM_THREADS", "1")
                .env("OPENBLAS_NUM_THREADS", "1");
            python
        }
    };
    let output = command.arg(folder).args(sizes).output().ok()?;
    if !output.status.success() {
        eprintln!(
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr).lines().last()?
        );
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Done::of_line(text.lines().last()?)
}

/// One of our own sides.
fn one(name: &str, folder: &Path, k: usize, d: usize, events: usize) -> Result<Done> {
    let stream = Stream::read(folder, k, d)?;
    let features = Features::of_name(name).ok_or("no such side")?;
    let (policy, fit) = policy(&stream, features, 0)?;
    let (cpu, reward) = if name.contains("router") {
        through_router(policy, &stream, events)?
    } else {
        alone(policy, &stream, events)?
    };
    Ok(Done {
        events: number(events),
        cpu,
        peak_mb: peak_mb().unwrap_or(f64::NAN),
        reward: reward / number(events),
        fit,
    })
}

/// LinUCB over the stream's features, of which the last one is always 1. A projection would mix it
/// with the others: there it is left out, and the policy adds one of its own behind the projection.
///
/// Beside it, the CPU seconds of fitting.
fn policy(stream: &Stream, features: Features, seed: u64) -> Result<(LinUcb, f64)> {
    let arms = stream.arms;
    let wide = stream.dimensions - usize::from(!matches!(features, Features::All));
    let config = LinearConfig {
        seed,
        ..LinearConfig::default()
    };
    let config = match features {
        Features::All => LinearConfig {
            intercept: false,
            ..config
        },
        Features::Random(rank) => LinearConfig {
            rank: Some(rank),
            ..config
        },
        Features::Fitted(rank) => {
            let (components, fit) = components(stream, rank)?;
            let policy = LinUcb::with_components(arms, components, ALPHA, config)?;
            return Ok((policy, fit));
        }
    };
    Ok((LinUcb::new(arms, wide, ALPHA, config)?, 0.0))
}

/// Components of the first contexts, and the CPU seconds of fitting them.
fn components(stream: &Stream, rank: usize) -> Result<(PrincipalComponents, f64)> {
    let log = contexts(stream.dimensions - 1, stream, 0, stream.len())?;
    let start = ProcessTime::now();
    let components = PrincipalComponents::fit(&log, rank)?;
    Ok((components, start.elapsed().as_secs_f64()))
}

/// Contexts of the rows from `first` on, a thousand at most: what a service has at hand, and not
/// in the time that is measured. Others read their rows as they are.
fn contexts(
    policy_width: usize,
    stream: &Stream,
    first: usize,
    events: usize,
) -> Result<Vec<Context>> {
    let d = stream.dimensions;
    let rows = stream.x[first * d..events.min(first + CONTEXTS) * d].chunks_exact(d);
    let context =
        |x: &[f32]| Context::new(x[..policy_width].iter().map(|x| f64::from(*x)).collect());
    Ok(rows
        .map(context)
        .collect::<std::result::Result<Vec<_>, _>>()?)
}

/// The policy by itself.
fn alone(mut policy: LinUcb, stream: &Stream, events: usize) -> Result<(f64, f64)> {
    let (k, wide) = (stream.arms, policy.dimensions().unwrap_or(0));
    let (eligible, costs) = (vec![true; k], vec![None; k]);
    let (mut work, mut p) = (Workspace::default(), vec![0.0; k]);
    let (mut total, mut cpu) = (0.0, 0.0);
    for first in (0..events).step_by(CONTEXTS) {
        let contexts = contexts(wide, stream, first, events)?;
        let start = ProcessTime::now();
        for (row, context) in (first..).zip(&contexts) {
            let request = Request {
                context,
                eligible: &eligible,
                costs: &costs,
                floor: None,
            };
            p.fill(0.0);
            policy.distribution(&request, &mut work, &mut p)?;
            let arm = p.iter().position(|p| *p > 0.0).ok_or("no arm")?;
            let reward = f64::from(stream.rewards[row * k + arm]);
            total += reward;
            policy.update(context, &labelled(arm, reward)?)?;
        }
        cpu += start.elapsed().as_secs_f64();
    }
    Ok((cpu, total))
}

/// The policy in a router: eligibility, costs, a keyed draw, and feedback by name.
fn through_router(policy: LinUcb, stream: &Stream, events: usize) -> Result<(f64, f64)> {
    let (k, wide) = (stream.arms, policy.dimensions().unwrap_or(0));
    let arms = arms(u64::try_from(k)?);
    let ids: Vec<_> = arms.iter().map(|arm| arm.id.clone()).collect();
    let cost = CostPredictor::fit(&arms, [])?;
    let mut router = Router::with_policy(arms, None, cost, Box::new(policy))?;
    let mut work = Workspace::default();
    let (mut total, mut cpu) = (0.0, 0.0);
    for first in (0..events).step_by(CONTEXTS) {
        let contexts = contexts(wide, stream, first, events)?;
        let start = ProcessTime::now();
        for (row, context) in (first..).zip(&contexts) {
            let call = Call::new(context, "a request's key", Seed(1));
            let choice = router.choose(&call, &mut work)?;
            let reward = f64::from(stream.rewards[row * k + choice.arm]);
            total += reward;
            let feedback = Feedback::new(ids[choice.arm].clone(), Quality::new(reward)?);
            router.feedback(context, &feedback)?;
        }
        cpu += start.elapsed().as_secs_f64();
    }
    Ok((cpu, total))
}

/// Regret per event of full and low-rank LinUCB at d = 384 on the same streams.
fn regret(k: usize, first: u64, seeds: u64) -> Result<()> {
    type Draw = fn(usize, usize, usize, u64) -> Stream;
    let (d, rows) = (384, if k > 10 { 10_000 } else { 20_000 });
    let draws: [(&str, Draw); 2] = [("latent", Stream::draw), ("isotropic", Stream::isotropic)];
    for (what, draw) in draws {
        println!(
            "\n{what} contexts, K = {k}, d = {d}, {rows} events, {seeds} seeds from {first}: regret per event\n"
        );
        println!(
            "| policy | mean | standard error | paired difference to full | its standard error |"
        );
        println!("|---|---|---|---|---|");
        let policies = std::iter::once(Features::All).chain(LOW_RANK);
        let mut table: Vec<(Features, Vec<f64>)> =
            policies.map(|features| (features, Vec::new())).collect();
        for seed in first..first + seeds {
            let stream = draw(k, d, rows, seed + 100);
            for (features, own) in &mut table {
                own.push(regret_of(&stream, *features, seed)?);
            }
        }
        let full = table[0].1.clone();
        for (features, own) in &table {
            let name = features.name();
            let gaps: Vec<f64> = own.iter().zip(&full).map(|(a, b)| a - b).collect();
            let ((mean, error), (gap, gap_error)) = (moments(own), moments(&gaps));
            println!("| {name} | {mean:.4} | {error:.4} | {gap:+.4} | {gap_error:.4} |");
        }
        let stream = draw(k, d, CONTEXTS, first + 100);
        for features in LOW_RANK {
            if let Features::Fitted(rank) = features {
                let share = components(&stream, rank)?.0.variance_share();
                println!("\n{}: {share:.3} of the variance", features.name());
            }
        }
    }
    Ok(())
}

fn regret_of(stream: &Stream, features: Features, seed: u64) -> Result<f64> {
    let (k, d) = (stream.arms, stream.dimensions);
    let (mut policy, _) = policy(stream, features, seed)?;
    let wide = policy.dimensions().unwrap_or(d);
    let (eligible, costs) = (vec![true; k], vec![None; k]);
    let (mut work, mut p) = (Workspace::default(), vec![0.0; k]);
    let mut total = 0.0;
    for (row, x) in stream.x.chunks_exact(d).enumerate() {
        let context = Context::new(x[..wide].iter().map(|x| f64::from(*x)).collect())?;
        let request = Request {
            context: &context,
            eligible: &eligible,
            costs: &costs,
            floor: None,
        };
        p.fill(0.0);
        policy.distribution(&request, &mut work, &mut p)?;
        let arm = p.iter().position(|p| *p > 0.0).ok_or("no arm")?;
        total += stream.regret(row, arm);
        let reward = f64::from(stream.rewards[row * k + arm]);
        policy.update(&context, &labelled(arm, reward)?)?;
    }
    Ok(total / number(stream.len()))
}

fn labelled(arm: usize, reward: f64) -> Result<Outcome> {
    Ok(Outcome {
        quality: Some(Quality::new(reward)?),
        ..Outcome::of_arm(arm)
    })
}

/// Mean and its standard error.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = number(values.len());
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

impl Done {
    fn rate(&self) -> f64 {
        self.events / self.cpu
    }

    fn to_line(&self) -> String {
        let Self {
            events,
            cpu,
            peak_mb,
            reward,
            fit,
        } = self;
        format!(
            "{{\"events\": {events}, \"cpu\": {cpu}, \"peak_mb\": {peak_mb}, \"reward\": {reward}, \"fit\": {fit}}}"
        )
    }

    /// The numbers of a line that every side prints alike; only ours fit anything.
    fn of_line(line: &str) -> Option<Self> {
        let value = |name: &str| -> Option<f64> {
            let after = line.split_once(&format!("\"{name}\": "))?.1;
            after.split([',', '}']).next()?.trim().parse().ok()
        };
        Some(Self {
            events: value("events")?,
            cpu: value("cpu")?,
            peak_mb: value("peak_mb")?,
            reward: value("reward")?,
            fit: value("fit").unwrap_or(0.0),
        })
    }
}

/// Peak resident memory of this process; `None` where the system does not tell.
fn peak_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

fn number(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of events"
)]
fn count(x: f64) -> usize {
    x as usize
}
