//! Explaining one request: which arm, why, and what the others would have cost.

use plimsoll_datasets::Request;

use crate::candidate::Forecasts;
use crate::error::EvidenceError;
use crate::evaluation::{ExplainedArm, Explanation, SCHEMA_VERSION};
use crate::replay::{ReplayInput, ReplayOptions, Stage, fit, table};
use crate::study::raw_context;

/// Fits the policy as [`replay`](crate::replay) does and decides one request of the log with it.
///
/// # Errors
/// [`EvidenceError`] when the log cannot support the policy, or has no such request.
pub fn explain(
    input: &ReplayInput<'_>,
    options: &ReplayOptions,
    request_id: &str,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Explanation, EvidenceError> {
    let unknown = || EvidenceError::UnknownRequest {
        id: request_id.to_owned(),
    };
    let request = input
        .log
        .requests
        .iter()
        .find(|r| r.id == request_id)
        .ok_or_else(unknown)?;
    let table = table(input, options)?;
    let fitted = fit(input, &table, options, &mut Forecasts::default(), progress)?;
    let router = &fitted.router;
    let context = router
        .context(&raw_context(request))
        .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
    let engine = |e: plimsoll::DecideError| EvidenceError::engine(e.code(), &e, e.help());
    let decision = router
        .decide(&context, request_id, options.seed)
        .map_err(engine)?;
    let scores = router.score(&context).map_err(engine)?;
    let distribution = router.distribution(&context).map_err(engine)?;
    let mut arms: Vec<ExplainedArm> = scores
        .iter()
        .zip(distribution.probabilities())
        .map(|(score, probability)| {
            let (observed_quality, observed_cost_usd) =
                observed(input, request, score.arm.as_str());
            ExplainedArm {
                model: score.arm.to_string(),
                probability: *probability,
                predicted_quality: score.quality,
                expected_cost_usd: score
                    .expected_cost
                    .expect("a router prices every arm it compares"),
                observed_quality,
                observed_cost_usd,
            }
        })
        .collect();
    arms.sort_by(|a, b| {
        a.expected_cost_usd
            .total_cmp(&b.expected_cost_usd)
            .then(a.model.cmp(&b.model))
    });
    let seen_in_training = fitted
        .study
        .train
        .rows
        .iter()
        .any(|&row| input.log.requests[table.requests[row]].id == request_id);
    Ok(Explanation {
        schema: SCHEMA_VERSION,
        request_id: request_id.to_owned(),
        task: request.task.clone(),
        seen_in_training,
        chosen: decision.arm.to_string(),
        propensity: decision.propensity.get(),
        reason: decision.reason.to_string(),
        arms,
    })
}

fn observed(input: &ReplayInput<'_>, request: &Request, arm: &str) -> (Option<f64>, Option<f64>) {
    let outcome = request
        .outcomes
        .iter()
        .find(|outcome| input.log.arms[outcome.arm as usize].as_str() == arm);
    outcome.map_or((None, None), |o| {
        (
            o.quality.map(plimsoll::Quality::get),
            o.cost.map(plimsoll::Usd::as_f64),
        )
    })
}
