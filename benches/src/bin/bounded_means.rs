//! Which bound proves more on bounded outcomes that are not 0/1: betting, or Hoeffding–Bentkus?
//! `cargo run --release -p plimsoll-benches --bin bounded_means -- [RUNS]`.
//!
//! Outcomes are 1 − loss, independent, n of them, with a mean loss of `risk`:
//!
//! | kind | loss |
//! |---|---|
//! | `none` | never |
//! | `rare` | 1 or ½, equally likely, seldom; else 0 |
//! | `graded` | U³ on a share of the requests; else 0 |
//! | `spread` | uniform in [0, 2·risk] |
//!
//! The line lies `gap` below the mean. Prints, as CSV, the mean lower bounds at 95 % and how often
//! each proves the line.

use plimsoll_benches::Numbers;
use plimsoll_harness::bounds::{Looks, betting_lower, hoeffding_bentkus_lower};

/// Default number of runs.
const RUNS: u32 = 400;
/// One minus the confidence.
const DELTA: f64 = 0.05;

fn main() -> Result<(), std::num::ParseIntError> {
    let mut arguments = std::env::args().skip(1);
    let runs = arguments.next().map_or(Ok(RUNS), |text| text.parse())?;
    println!("kind,n,risk,gap,betting_low,hb_low,betting_power,hb_power");
    for kind in ["none", "rare", "graded", "spread"] {
        let risks: &[f64] = if kind == "none" {
            &[0.0]
        } else {
            &[0.005, 0.02, 0.1]
        };
        for &risk in risks {
            for n in [30, 60, 100, 200, 500, 2000] {
                for gap in [0.02, 0.05] {
                    cell(kind, n, risk, gap, runs);
                }
            }
        }
    }
    Ok(())
}

fn cell(kind: &str, n: u32, risk: f64, gap: f64, runs: u32) {
    let line = 1.0 - risk - gap;
    let mut numbers = Numbers::new(u64::from(n) + 7);
    let (mut lows, mut proofs) = ([0.0; 2], [0_u32; 2]);
    for _ in 0..runs {
        let outcomes: Vec<f64> = (0..n)
            .map(|_| 1.0 - loss(kind, risk, &mut numbers))
            .collect();
        let bets = betting_lower(&outcomes, None, DELTA, Looks::Once).unwrap_or(0.0);
        for (method, low) in [bets, hoeffding_bentkus_low(&outcomes)]
            .into_iter()
            .enumerate()
        {
            lows[method] += low / f64::from(runs);
            proofs[method] += u32::from(low >= line);
        }
    }
    let power = proofs.map(|p| f64::from(p) / f64::from(runs));
    println!(
        "{kind},{n},{risk},{gap},{:.4},{:.4},{:.3},{:.3}",
        lows[0], lows[1], power[0], power[1]
    );
}

/// A loss in [0, 1] of mean `risk`.
fn loss(kind: &str, risk: f64, numbers: &mut Numbers) -> f64 {
    let (hit, size) = (numbers.draw(), numbers.draw());
    match kind {
        "rare" if hit < risk / 0.75 => {
            if size < 0.5 {
                0.5
            } else {
                1.0
            }
        }
        "graded" if hit < risk / 0.25 => size.powi(3),
        "spread" => 2.0 * risk * size,
        _ => 0.0,
    }
}

fn hoeffding_bentkus_low(outcomes: &[f64]) -> f64 {
    let n = outcomes.len() as u64;
    #[expect(clippy::cast_precision_loss, reason = "few outcomes")]
    let mean = (outcomes.iter().sum::<f64>() / n as f64).clamp(0.0, 1.0);
    hoeffding_bentkus_lower(mean, n, DELTA).unwrap_or(0.0)
}
