//! Points in the cost–quality plane, and the metrics read off them.

use ndarray::Array1;
use rayon::prelude::*;

use super::references::oracle;
use crate::bootstrap::percentile_interval;
use crate::candidate::Candidate;
use crate::evaluation::{FrontierKind, FrontierPoint, Metrics};
use crate::floor;
use crate::hull::{Hull, Point};
use crate::judge::saved_share;
use crate::metrics::TwoArms;
use crate::promise::{Line, Play, mean};
use crate::replay::{
    Fitted, Judged, arm_play, standard_errors, training_rows, tuned_probabilities,
};
use crate::study::Study;
use crate::tune::{Setting, lambda_grid, play};

/// Shares of the best arm's quality at which the frontier is tuned.
const SWEEP: [f64; 9] = [1.0, 0.99, 0.98, 0.97, 0.95, 0.92, 0.9, 0.85, 0.8];

/// One way to answer the evaluated requests, to be drawn as a point.
struct Spot {
    kind: FrontierKind,
    label: String,
    play: Play,
    retain: Option<f64>,
    certified: bool,
}

impl Spot {
    fn new(kind: FrontierKind, label: impl Into<String>, play: Play) -> Self {
        Self {
            kind,
            label: label.into(),
            play,
            retain: None,
            certified: false,
        }
    }

    fn point(&self) -> Point {
        Point {
            cost: mean(self.play.cost.view()),
            quality: mean(self.play.quality.view()),
        }
    }
}

/// The policy's sweep over λ, the best arm included: random mixing with it is always possible.
pub(crate) fn metrics(fitted: &Fitted<'_>, judged: &Judged) -> Metrics {
    let study = &fitted.study;
    let candidate = &fitted.candidates[fitted.chosen].0;
    let expected = candidate.on_test(study);
    let scale = training_rows(study, &Array1::zeros(0), 0.5).cost_scale;
    let point = |play: &Play| Point {
        cost: mean(play.cost.view()),
        quality: mean(play.quality.view()),
    };
    let best_arm = (0..study.table.arms.len())
        .reduce(|best, arm| {
            let quality = |a| mean(study.test.quality.column(a));
            if quality(arm) > quality(best) {
                arm
            } else {
                best
            }
        })
        .expect("a table has at least two arms");
    let best = point(&arm_play(study, best_arm));
    let mut sweep: Vec<Point> = lambda_grid()
        .into_iter()
        .map(|lambda| {
            let probabilities = Setting::Lambda(lambda).probabilities(&expected, scale);
            point(&play(
                &probabilities,
                study.test.quality.view(),
                study.test.cost.view(),
            ))
        })
        .collect();
    sweep.push(best);
    let two = two_arms(study, candidate);
    crate::metrics::metrics(
        &sweep,
        point(&judged.play),
        best,
        two.as_ref().map(|(weak, strong, score)| TwoArms {
            weak,
            strong,
            score,
        }),
    )
}

/// Qualities of the weaker and the stronger arm on the training rows, and the predicted gain.
type WeakStrongScore = (Vec<f64>, Vec<f64>, Vec<f64>);

fn two_arms(study: &Study<'_>, candidate: &Candidate) -> Option<WeakStrongScore> {
    (study.table.arms.len() == 2).then(|| {
        let (strong, weak) = (study.best, 1 - study.best);
        let column = |arm| study.test.quality.column(arm).to_vec();
        let gain = &candidate.test.column(strong) - &candidate.test.column(weak);
        (column(weak), column(strong), gain.to_vec())
    })
}

/// Single arms, hull, tuned sweep, oracle and the policy itself.
pub(crate) fn frontier(fitted: &Fitted<'_>, judged: &Judged) -> Vec<FrontierPoint> {
    let study = &fitted.study;
    let arm = |kind: FrontierKind, arm: usize| {
        Spot::new(kind, study.table.arms[arm].as_str(), arm_play(study, arm))
    };
    let mut spots: Vec<Spot> = (0..study.table.arms.len())
        .map(|a| arm(FrontierKind::Arm, a))
        .collect();
    let points: Vec<Point> = spots.iter().map(Spot::point).collect();
    spots.extend(
        Hull::of(&points)
            .corners()
            .iter()
            .map(|(a, _)| arm(FrontierKind::Hull, *a)),
    );
    let sweep: Vec<Option<Spot>> = SWEEP
        .par_iter()
        .map(|retain| sweep_spot(fitted, judged, *retain))
        .collect();
    spots.extend(sweep.into_iter().flatten());
    if study.test.logged.is_none() {
        spots.push(Spot::new(FrontierKind::Oracle, "oracle", oracle(study)));
    }
    spots.push(Spot {
        certified: judged.floor.low >= 0.0,
        ..Spot::new(FrontierKind::Here, "policy", judged.play.clone())
    });
    with_intervals(study, judged, &spots)
}

/// The policy tuned to another floor; `None` when no setting keeps it on the training rows.
fn sweep_spot(fitted: &Fitted<'_>, judged: &Judged, retain: f64) -> Option<Spot> {
    let study = &fitted.study;
    let candidate = &fitted.candidates[fitted.chosen].0;
    let line = Line::Relative {
        arm: study.best,
        retain,
    };
    let per_row = line.per_request(&study.train.quality);
    let z = standard_errors(study, fitted.confidence, fitted.aim, fitted.widening);
    let tuned = judged.sweep.tune(&training_rows(study, &per_row, z))?;
    let probabilities = tuned_probabilities(study, &candidate.on_test(study), Some(tuned));
    let play = play(
        &probabilities,
        study.test.quality.view(),
        study.test.cost.view(),
    );
    let bound = floor::bound(study, &probabilities, line, None, fitted.confidence);
    Some(Spot {
        retain: Some(retain),
        certified: bound.low >= 0.0,
        ..Spot::new(
            FrontierKind::Sweep,
            format!("retain {:.0} %", retain * 100.0),
            play,
        )
    })
}

fn with_intervals(study: &Study<'_>, judged: &Judged, spots: &[Spot]) -> Vec<FrontierPoint> {
    let ones = Array1::from_elem(study.test.rows.len(), 1.0);
    let mut columns = vec![ones.view()];
    for spot in spots {
        columns.push(spot.play.quality.view());
        columns.push(spot.play.cost.view());
    }
    let sums = study.test.clusters.sums(&columns);
    let draws = judged.bootstrap.sums(sums.view());
    let total = sums.sum_axis(ndarray::Axis(0));
    let interval = |column: usize| {
        let means = draws.outer_iter().map(|row| row[column] / row[0]).collect();
        percentile_interval(total[column] / total[0], means, judged.confidence)
    };
    let base = mean(judged.baseline.cost.view());
    spots
        .iter()
        .enumerate()
        .map(|(i, spot)| FrontierPoint {
            kind: spot.kind,
            label: spot.label.clone(),
            quality: interval(2 * i + 1),
            cost_usd: interval(2 * i + 2),
            savings: saved_share(spot.point().cost, base),
            retain: spot.retain,
            certified: spot.certified,
        })
        .collect()
}
