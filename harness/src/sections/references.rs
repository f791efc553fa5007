//! What else the same money or quality could have bought.

use ndarray::Array1;

use crate::evaluation::{ArmShare, Reference, References};
use crate::hull::{Hull, Point};
use crate::judge::saved_share;
use crate::promise::{Play, mean};
use crate::replay::{Fitted, Judged, arm_play, standard_errors, training_rows, tuned_play};
use crate::study::Study;
use crate::tune::{Setting, Tuned, static_mix};

/// Baseline-relative value of a reference.
fn reference(about: String, play: &Play, baseline: &Play, mix: Vec<ArmShare>) -> Reference {
    let (cost, base) = (mean(play.cost.view()), mean(baseline.cost.view()));
    Reference {
        about,
        quality: mean(play.quality.view()),
        cost_usd: cost,
        savings: saved_share(cost, base),
        mix,
    }
}

fn arm_mix(study: &Study<'_>, shares: &[(usize, f64)]) -> (Play, Vec<ArmShare>) {
    let n = study.test.rows.len();
    let mut total = Play {
        quality: Array1::zeros(n),
        cost: Array1::zeros(n),
    };
    for &(arm, share) in shares {
        total
            .quality
            .scaled_add(share, &study.test.quality.column(arm));
        total.cost.scaled_add(share, &study.test.cost.column(arm));
    }
    let mix = shares
        .iter()
        .map(|&(arm, share)| ArmShare {
            model: study.table.arms[arm].to_string(),
            share,
        })
        .collect();
    (total, mix)
}

/// Best single, static mix, cost-matched random, per-task table, knn, oracle.
pub(crate) fn references(fitted: &Fitted<'_>, judged: &Judged) -> References {
    let study = &fitted.study;
    let base = &judged.baseline;
    let best = arm_play(study, study.best);
    let best_mix = vec![ArmShare {
        model: study.table.arms[study.best].to_string(),
        share: 1.0,
    }];

    let per_row = fitted.line.per_request(&study.train.quality);
    let rows = training_rows(
        study,
        &per_row,
        standard_errors(study, fitted.confidence, fitted.aim, fitted.widening),
    );
    let anchor = Tuned::pure(Setting::Arm(study.best));
    let static_tuned = static_mix(&rows).unwrap_or(anchor);
    let (static_play, static_shares) = arm_mix(study, &shares_of(&static_tuned));

    let (matched_play, matched_shares) = arm_mix(study, &cost_matched(study, &judged.play));
    let tuned = |pair: &(crate::candidate::Candidate, Option<Tuned>), about: &str| {
        let play = tuned_play(fitted, &pair.0.on_test(study), pair.1);
        reference(about.to_owned(), &play, base, vec![])
    };
    References {
        best_single: reference(
            "the arm of highest quality on the training rows, for every request".into(),
            &best,
            base,
            best_mix,
        ),
        static_mix_hull: reference(
            "the cheapest fixed random mix that keeps the same promise on the training rows".into(),
            &static_play,
            base,
            static_shares,
        ),
        cost_matched_random: reference(
            "the best fixed random mix for the money that the policy spends".into(),
            &matched_play,
            base,
            matched_shares,
        ),
        per_task_table: fitted
            .tasks
            .as_ref()
            .map(|pair| tuned(pair, "a table of means per task under the same promise")),
        knn: fitted
            .knn
            .as_ref()
            .map(|pair| tuned(pair, "nearest neighbours alone under the same promise")),
        oracle: study.test.logged.is_none().then(|| {
            reference(
                "the cheapest best answer to each request, known only afterwards; inflated by \
                 luck when each arm answered once"
                    .into(),
                &oracle(study),
                base,
                vec![],
            )
        }),
    }
}

fn shares_of(tuned: &Tuned) -> Vec<(usize, f64)> {
    match (tuned.setting, tuned.other) {
        (Setting::Arm(first), Setting::Arm(second)) if first != second => {
            vec![(first, tuned.share), (second, 1.0 - tuned.share)]
        }
        (Setting::Arm(only), _) => vec![(only, 1.0)],
        _ => vec![],
    }
}

/// Shares of the training hull's arms whose mix costs what the policy costs on the evaluated rows.
fn cost_matched(study: &Study<'_>, policy: &Play) -> Vec<(usize, f64)> {
    let arms = 0..study.table.arms.len();
    let points: Vec<Point> = arms
        .map(|arm| Point {
            // Costs of the rows on which the money is matched; which arms are good is learned.
            cost: mean(study.test.cost.column(arm)),
            quality: mean(study.train.quality.column(arm)),
        })
        .collect();
    let hull = Hull::of(&points);
    let corners = hull.corners();
    match hull.mix_at_cost(mean(policy.cost.view())) {
        Some((low, high, share)) if low != high => {
            vec![(corners[low].0, 1.0 - share), (corners[high].0, share)]
        }
        Some((only, _, _)) => vec![(corners[only].0, 1.0)],
        // The policy is cheaper than the cheapest arm of the hull on average.
        None => corners
            .first()
            .map(|(arm, _)| vec![(*arm, 1.0)])
            .unwrap_or_default(),
    }
}

/// The cheapest best answer to each request.
pub(super) fn oracle(study: &Study<'_>) -> Play {
    let choose = |i: usize| {
        let (quality, cost) = (study.test.quality.row(i), study.test.cost.row(i));
        (0..quality.len())
            .reduce(|best, arm| {
                let order = quality[arm].total_cmp(&quality[best]);
                if order.then(cost[best].total_cmp(&cost[arm])).is_gt() {
                    arm
                } else {
                    best
                }
            })
            .expect("a table has at least two arms")
    };
    let chosen: Vec<usize> = (0..study.test.rows.len()).map(choose).collect();
    Play {
        quality: chosen
            .iter()
            .enumerate()
            .map(|(i, &a)| study.test.quality[[i, a]])
            .collect(),
        cost: chosen
            .iter()
            .enumerate()
            .map(|(i, &a)| study.test.cost[[i, a]])
            .collect(),
    }
}
