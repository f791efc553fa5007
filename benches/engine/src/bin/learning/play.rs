//! A router played on a table: it sees the outcome of the arm it chose and no other.

use plimsoll::{
    ArmSpec, Call, CostPredictor, CostRow, Feedback, Policy, Quality, Router, Seed, Usd, Workspace,
};
use plimsoll_engine_benches::Numbers;

use crate::table::Table;

/// Calls per arm of which the cost is known beforehand: the price sheet, alike for everybody.
const PRICED_CALLS: usize = 50;

/// What one run did, request by request.
#[derive(Clone, Default)]
pub(crate) struct Trace {
    pub(crate) arm: Vec<usize>,
    pub(crate) quality: Vec<f64>,
    pub(crate) cost: Vec<f64>,
    /// Quality less the request's difficulty, where it is kept.
    pub(crate) adjusted: Vec<f64>,
}

impl Trace {
    pub(crate) fn mean_quality(&self) -> f64 {
        mean(&self.quality)
    }

    pub(crate) fn mean_cost(&self) -> f64 {
        mean(&self.cost)
    }
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / crate::table::float(values.len())
}

/// Requests in random order: whole passes over the table, each in an order of its own.
pub(crate) fn order(table: &Table, n: usize, seed: u64) -> Vec<usize> {
    let mut numbers = Numbers::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5EED);
    // The first numbers of near seeds are alike.
    for _ in 0..16 {
        numbers.draw();
    }
    let mut order = Vec::with_capacity(n + table.len());
    while order.len() < n {
        let mut pass: Vec<usize> = (0..table.len()).collect();
        for i in (1..pass.len()).rev() {
            pass.swap(i, below(&mut numbers, i + 1));
        }
        order.extend(pass);
    }
    order.truncate(n);
    order
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "indices of small tables"
)]
pub(crate) fn below(numbers: &mut Numbers, n: usize) -> usize {
    ((numbers.draw() * n as f64) as usize).min(n - 1)
}

/// Arms without list prices: what their calls cost is on the price sheet.
pub(crate) fn specs(table: &Table) -> Vec<ArmSpec> {
    table
        .arms
        .iter()
        .map(|id| ArmSpec::new(id.clone()))
        .collect()
}

/// Costs as the price sheet tells them: of some requests per arm, chosen by the seed.
pub(crate) fn price_sheet(
    table: &Table,
    seed: u64,
) -> Result<CostPredictor, Box<dyn std::error::Error>> {
    let k = table.arms.len();
    let known = order(table, PRICED_CALLS.min(table.len()), seed ^ 0xC057);
    let mut rows = Vec::new();
    for row in known {
        for arm in 0..k {
            rows.push(CostRow {
                context: &table.contexts[row],
                arm,
                output_tokens: None,
                cost: Usd::from_f64(table.cost[row * k + arm]),
            });
        }
    }
    Ok(CostPredictor::fit(&specs(table), rows)?)
}

/// A router around a policy, with the price sheet.
pub(crate) fn router(
    table: &Table,
    seed: u64,
    policy: Box<dyn Policy>,
) -> Result<Router, Box<dyn std::error::Error>> {
    let costs = price_sheet(table, seed)?;
    Ok(Router::with_policy(specs(table), None, costs, policy)?)
}

/// One request: decide, see, learn. `world` says quality and cost of (row, arm).
pub(crate) fn step(
    router: &mut Router,
    table: &Table,
    (t, row): (usize, usize),
    seed: u64,
    work: &mut Workspace,
    trace: &mut Trace,
    world: &mut dyn FnMut(usize, usize) -> (f64, f64),
) -> Result<(), Box<dyn std::error::Error>> {
    let context = &table.contexts[row];
    let key = t.to_string();
    let choice = router.choose(&Call::new(context, &key, Seed(seed)), work)?;
    let (quality, cost) = world(row, choice.arm);
    let mut feedback = Feedback::new(router.arms()[choice.arm].id.clone(), Quality::new(quality)?);
    feedback.cost = Usd::from_f64(cost);
    feedback.propensity = Some(choice.propensity);
    router.feedback(context, &feedback)?;
    trace.arm.push(choice.arm);
    trace.quality.push(quality);
    trace.cost.push(cost);
    Ok(())
}

/// Plays a whole order on the table as it is.
pub(crate) fn play(
    router: &mut Router,
    table: &Table,
    order: &[usize],
    seed: u64,
) -> Result<Trace, Box<dyn std::error::Error>> {
    let k = table.arms.len();
    let mut world =
        |row: usize, arm: usize| (table.quality[row * k + arm], table.cost[row * k + arm]);
    let (mut work, mut trace) = (Workspace::default(), Trace::default());
    for (t, row) in order.iter().enumerate() {
        step(
            router,
            table,
            (t, *row),
            seed,
            &mut work,
            &mut trace,
            &mut world,
        )?;
    }
    Ok(trace)
}

/// Mean and half the width of its 95 % band over seeds (Student's t).
pub(crate) fn band(values: &[f64]) -> (f64, f64) {
    let n = crate::table::float(values.len());
    let centre = mean(values);
    let squares = values
        .iter()
        .map(|x| (x - centre) * (x - centre))
        .sum::<f64>();
    // 97.5 % quantile of t with n − 1 degrees of freedom, good to 1 % from 4 on (Cornish–Fisher).
    let (z, v) = (1.959_964, n - 1.0);
    let t = z
        + (z * z * z + z) / (4.0 * v)
        + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * v * v);
    (centre, t * (squares / v / n).sqrt())
}
