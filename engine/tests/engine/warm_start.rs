//! Linear policies that start from a replayed log.

use plimsoll::{
    Context, LinUcb, LinearConfig, Outcome, Policy, Quality, Request, TrainingRows, WarmStart,
    Workspace, decode_state,
};

use crate::common::contexts;

/// θ is the log's, the variance that of n_eff outcomes; a log worth less than n_eff stays whole; and
/// the log does not fade while it is replayed, whatever is forgotten later.
#[test]
fn a_warm_linear_policy_expects_what_the_log_says_and_doubts_it_more() {
    let past = contexts(400, 3, 32);
    let quality: Vec<Option<f64>> = past
        .iter()
        .flat_map(|context| [0.2, 0.6].map(|base| Some(base + 0.1 * context.features[0])))
        .collect();
    let log = TrainingRows {
        contexts: &past,
        arms: 2,
        quality: &quality,
        weights: None,
    };
    let new = |forgetting: f64| {
        let config = LinearConfig {
            forgetting,
            ..LinearConfig::default()
        };
        LinUcb::new(2, 3, 0.5, config).expect("sound")
    };
    let warm = |outcomes: f64, forgetting: f64| {
        WarmStart { outcomes }
            .lin_ucb(new(forgetting), &log)
            .expect("fits")
    };
    let mut replayed = new(1.0);
    for (row, context) in past.iter().enumerate() {
        for arm in 0..2 {
            let quality = quality[row * 2 + arm].map(|q| Quality::new(q).expect("a quality"));
            let outcome = Outcome {
                quality,
                ..Outcome::of_arm(arm)
            };
            replayed.update(context, &outcome).expect("learns");
        }
    }
    let estimates = |policy: &LinUcb, context: &Context| {
        let request = Request {
            context,
            eligible: &[true; 2],
            costs: &[None; 2],
            floor: None,
        };
        let mut out = Vec::new();
        let mut work = Workspace::default();
        policy
            .estimates(&request, &mut work, &mut out)
            .expect("estimates");
        out.into_iter()
            .map(|e| e.quality.expect("a prediction"))
            .collect::<Vec<_>>()
    };
    let (whole, less, fading) = (warm(1e6, 1.0), warm(40.0, 1.0), warm(40.0, 0.99));
    for context in &past[..20] {
        let log = estimates(&replayed, context);
        let parts = [
            estimates(&whole, context),
            estimates(&less, context),
            estimates(&fading, context),
        ];
        for arm in 0..2 {
            for part in &parts {
                assert!((part[arm].mean - log[arm].mean).abs() < 1e-6, "{part:?}");
            }
            let ratio = |part: usize| parts[part][arm].variance / log[arm].variance;
            assert!((ratio(0) - 1.0).abs() < 1e-4, "{}", ratio(0));
            // 400 outcomes count as 40, beside the same ridge.
            assert!((5.0..=10.0).contains(&ratio(1)), "{}", ratio(1));
            assert!((ratio(1) - ratio(2)).abs() < 1e-4, "{}", ratio(2));
        }
    }
    assert!(decode_state::<LinUcb>("lin-ucb", &whole.state()).is_ok());

    let two = LinUcb::new(2, 2, 0.5, LinearConfig::default()).expect("sound");
    let three = LinUcb::new(3, 3, 0.5, LinearConfig::default()).expect("sound");
    let refused = [
        WarmStart::SHIFTED.lin_ucb(two, &log),
        WarmStart::SHIFTED.lin_ucb(three, &log),
        WarmStart { outcomes: -1.0 }.lin_ucb(new(1.0), &log),
        WarmStart { outcomes: f64::NAN }.lin_ucb(new(1.0), &log),
    ];
    assert!(refused.iter().all(Result::is_err), "{refused:?}");
    let wrong = TrainingRows {
        quality: &quality[1..],
        ..log
    };
    assert!(WarmStart::SHIFTED.lin_ucb(new(1.0), &wrong).is_err());
}
