//! What off-policy estimators say, where only served answers are known.

mod thin;

use ndarray::{Array2, ArrayView2};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::confounding::{Outcome, Question, Sensitivity, confounding, worst_case};
use crate::evaluation::{Confounding, EstimatorRow, Interval, LoggedValue, OffPolicy, WorstCase};
use crate::judge::{Clusters, Paired, paired};
use crate::ope::tune::{DELTA, Rule, choose};
use crate::ope::{Estimate, Estimator, Family, LoggedRow, OutcomeRows, SavingsAccumulator};
use crate::replay::{Baseline, Fitted, Judged, tuned_probabilities};
use crate::study::{LoggedSide, Side};

/// The headline's estimator: what the scores that policies are tuned and judged by are made of.
const CHOSEN: Estimator = Estimator::Dr;

/// Every estimator's figures; `None` where every answer is known.
pub(crate) fn off_policy(
    fitted: &Fitted<'_>,
    judged: &Judged,
    headline: &Paired,
) -> Option<OffPolicy> {
    let study = &fitted.study;
    let logged = study.test.logged.as_ref()?;
    let estimated = study.table.logged.as_ref()?.propensity.is_none();
    let rows = outcome_rows(&study.test, logged, &judged.probabilities, judged.against);
    let served = paired(
        &logged.served,
        &logged.served,
        &study.test.clusters,
        judged.bootstrap,
        judged.confidence,
    );
    Some(OffPolicy {
        propensities: if estimated { "estimated" } else { "logged" }.to_owned(),
        chosen: CHOSEN.name().to_owned(),
        reason: format!(
            "doubly robust: right when either the propensities or the outcome predictor \
             ({}) are, and linear in the policy, so that policies can be tuned by it",
            logged.predictor
        ),
        estimators: estimators(fitted)
            .into_iter()
            .map(|estimator| {
                let row = row(estimator, &rows, &study.test.clusters, judged.confidence);
                let thin = thin::thin(estimator, &rows, &study.test.clusters);
                with_sound_intervals(row, thin, headline)
            })
            .collect(),
        confounding: estimated.then(|| confounded(fitted, judged, logged)),
        worst_case: estimated.then(|| worst_case_of(logged, &judged.probabilities)),
        logging: LoggedValue {
            quality: served.quality,
            cost_usd: served.cost_usd,
        },
    })
}

/// The headline's row takes over its intervals where an asymptotic one would not cover; in that
/// place the others, for which there is no better, say so.
fn with_sound_intervals(
    mut row: EstimatorRow,
    thin: [Option<String>; 3],
    headline: &Paired,
) -> EstimatorRow {
    let names = ["quality", "cost", "savings"];
    if row.chosen {
        let [quality, cost, savings] = thin.map(|thin| thin.is_some());
        let take = |old: &mut Interval, new: Interval, thin: bool| {
            if thin {
                *old = new;
            }
        };
        take(&mut row.quality, headline.quality, quality);
        take(&mut row.cost_usd, headline.cost_usd, cost);
        take(&mut row.savings, headline.savings.fraction, savings);
        return row;
    }
    let mut by_reason: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, reason) in names.into_iter().zip(thin) {
        let Some(reason) = reason else { continue };
        match by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => by_reason.push((reason, vec![name])),
        }
    }
    let each = by_reason.iter().map(|(reason, names)| {
        let names = names.join(", ");
        format!("its interval of {names} is asymptotic and not reliable at {reason}")
    });
    let cautions: Vec<String> = row.caution.take().into_iter().chain(each).collect();
    row.caution = (!cautions.is_empty()).then(|| cautions.join("; "));
    row
}

/// Every estimator; those with a setting get it from the training rows.
fn estimators(fitted: &Fitted<'_>) -> Vec<Estimator> {
    let tuned = |family: Family| tuned_on_training(fitted, family);
    vec![
        Estimator::Dr,
        Estimator::Sndr,
        tuned(Family::SwitchDr),
        tuned(Family::Dros),
        Estimator::Snips,
        Estimator::Ips,
        tuned(Family::ClippedIps),
        Estimator::Dm,
        Estimator::Replay,
    ]
}

/// The member of a family that SLOPE takes on the training rows, where the policy's own
/// cross-fitted probabilities are known.
fn tuned_on_training(fitted: &Fitted<'_>, family: Family) -> Estimator {
    let study = &fitted.study;
    let candidate = &fitted.candidates[fitted.chosen].0;
    let probabilities = tuned_probabilities(study, &candidate.on_train(study), fitted.tuned);
    let rows = study.train.logged.as_ref().map(|logged| {
        let quality = logged.served.quality.view();
        let outcomes = quality.iter().copied().collect::<Vec<f64>>();
        logged_rows(logged, &outcomes, logged.predicted.view(), &probabilities)
    });
    let rule = Rule::Slope { delta: DELTA };
    rows.and_then(|rows| choose(family, family.grid(), rule, &rows).ok())
        .map_or(family.uncorrected(), |choice| choice.estimator)
}

fn logged_rows(
    logged: &LoggedSide,
    outcomes: &[f64],
    predicted: ArrayView2<'_, f64>,
    target: &Array2<f64>,
) -> Vec<LoggedRow> {
    (0..outcomes.len())
        .map(|i| {
            let (target, predicted) = (target.row(i), predicted.row(i));
            let row = match logged.chosen[i] {
                Some(arm) => LoggedRow::of(
                    &target.to_vec(),
                    &predicted.to_vec(),
                    arm,
                    logged.propensity[i],
                    outcomes[i],
                ),
                // The policy never sends anything to an arm that is not compared.
                None => LoggedRow::new(0.0, outcomes[i])
                    .and_then(|row| row.predicted(outcomes[i], target.dot(&predicted))),
            };
            row.expect("a table's outcomes are finite and its propensities in (0, 1]")
        })
        .collect()
}

fn outcome_rows(
    side: &Side,
    logged: &LoggedSide,
    target: &Array2<f64>,
    against: Baseline,
) -> Vec<OutcomeRows> {
    let served_cost = logged.served.cost.to_vec();
    let expected = side.expected_cost.view();
    let quality = logged_rows(
        logged,
        &logged.served.quality.to_vec(),
        logged.predicted.view(),
        target,
    );
    let cost = logged_rows(logged, &served_cost, expected, target);
    let baseline = match against {
        Baseline::Arm(arm) => {
            let always =
                Array2::from_shape_fn(target.dim(), |(_, a)| f64::from(u8::from(a == arm)));
            logged_rows(logged, &served_cost, expected, &always)
        }
        Baseline::Logged => served_cost
            .iter()
            .map(|cost| {
                LoggedRow::new(1.0, *cost)
                    .and_then(|row| row.predicted(*cost, *cost))
                    .map(|row| row.matching(true))
                    .expect("costs of a table are finite")
            })
            .collect(),
    };
    quality
        .into_iter()
        .zip(cost)
        .zip(baseline)
        .map(|((quality, cost), baseline_cost)| OutcomeRows {
            quality,
            cost,
            baseline_cost,
        })
        .collect()
}

fn row(
    estimator: Estimator,
    rows: &[OutcomeRows],
    clusters: &Clusters,
    confidence: f64,
) -> EstimatorRow {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); clusters.count];
    for (i, &cluster) in clusters.of.iter().enumerate() {
        members[cluster].push(i);
    }
    let mut accumulator = SavingsAccumulator::new(estimator);
    for cluster in &members {
        accumulator.push_cluster(cluster.iter().map(|&i| &rows[i]));
    }
    let estimate = accumulator.estimate();
    let of = |pick: &dyn Fn(&crate::ope::SavingsEstimate) -> Option<Estimate>| {
        estimate
            .as_ref()
            .and_then(pick)
            .map_or_else(Interval::default, |e| interval(&e, confidence))
    };
    let name = match estimator.setting() {
        Some((symbol, value)) if value.is_finite() => {
            format!("{} ({symbol} = {value})", estimator.name())
        }
        Some((symbol, _)) => format!("{} ({symbol} = ∞)", estimator.name()),
        None => estimator.name().to_owned(),
    };
    EstimatorRow {
        name,
        quality: of(&|e| Some(e.quality)),
        cost_usd: of(&|e| Some(e.cost)),
        savings: of(&|e| e.savings),
        chosen: estimator == CHOSEN,
        caution: match (estimator, &estimate) {
            (_, None) => Some("no evaluated request was answered as the policy would".to_owned()),
            (Estimator::Replay, _) => {
                Some("right only where the log chose every arm equally often".to_owned())
            }
            (Estimator::Dm, _) => Some(
                "as good as the predictor: its interval leaves out the predictor's own errors"
                    .to_owned(),
            ),
            (
                Estimator::ClippedIps { .. } | Estimator::SwitchDr { .. } | Estimator::Dros { .. },
                _,
            ) if estimator
                .setting()
                .is_some_and(|(_, value)| value.is_finite()) =>
            {
                Some(
                    "shrinks large weights: narrower, and its interval leaves out the bias"
                        .to_owned(),
                )
            }
            _ => None,
        },
    }
}

/// The t interval with one degree of freedom less than there are clusters.
fn interval(estimate: &Estimate, confidence: f64) -> Interval {
    let point = estimate.point;
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    let freedom = estimate.units.saturating_sub(1).max(1) as f64;
    let half = estimate.standard_error.map_or(0.0, |error| {
        let t = StudentsT::new(0.0, 1.0, freedom).expect("freedom is positive");
        error * t.inverse_cdf(f64::midpoint(1.0, confidence))
    });
    Interval {
        point,
        low: point - half,
        high: point + half,
    }
}

/// What a reason for the choice that is in no column could do.
fn confounded(fitted: &Fitted<'_>, judged: &Judged, logged: &LoggedSide) -> Confounding {
    let served = (logged.served.quality.to_vec(), logged.served.cost.to_vec());
    let dearest = served.1.iter().copied().fold(0.0, f64::max);
    let outcome = |outcome, predicted, range| {
        Sensitivity::new(&Outcome {
            chosen: &logged.chosen,
            propensity: &logged.propensity,
            outcome,
            predicted,
            range,
        })
    };
    let test = &fitted.study.test;
    confounding(
        &outcome(&served.0, logged.predicted.view(), [0.0, 1.0]),
        &outcome(&served.1, test.expected_cost.view(), [0.0, dearest]),
        &Question {
            target: judged.probabilities.view(),
            line: fitted.line,
            baseline: match judged.against {
                Baseline::Arm(arm) => Some(arm),
                Baseline::Logged => None,
            },
        },
    )
}

/// Whatever the answers were that nobody saw.
fn worst_case_of(logged: &LoggedSide, target: &Array2<f64>) -> WorstCase {
    let quality: Vec<Option<f64>> = logged.served.quality.iter().map(|q| Some(*q)).collect();
    worst_case(&logged.chosen, &quality, target.view())
}
