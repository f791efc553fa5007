//! Whatever loads must work: decide, explain, learn, be stored and come back the same.

use plimsoll::{
    ArmBelief, ArmId, ArmSpec, Call, CascadeStep, Context, Feedback, NextStep, Quality, Router,
    Seed, SessionState, Usd, Workspace,
};

/// A snapshot must not decide how much memory a request takes here.
const DIMENSIONS_MAX: usize = 1 << 12;

/// Contexts of the length that the router wants: zeros, usual and extreme numbers.
fn contexts(router: &Router) -> Vec<Context> {
    let dimensions = router.policy().dimensions().unwrap_or(2);
    let task = router
        .cost()
        .arms()
        .is_multiple_of(2)
        .then(|| "code".to_owned());
    let context = |x: f64, input_tokens| Context {
        features: (0..dimensions.min(DIMENSIONS_MAX))
            .map(|i| if i % 2 == 0 { x } else { 0.5 - x / 2.0 })
            .collect(),
        task: task.clone(),
        input_tokens,
        ..Context::default()
    };
    vec![
        context(0.0, None),
        context(0.7, Some(300)),
        context(-1e12, Some(u64::MAX)),
    ]
}

/// Everything that a service does with a router. Errors are answers, panics are not.
///
/// What an honest state learns can be stored and read again; absurd numbers that were `forged` may
/// learn themselves out of range, and are then refused.
pub(crate) fn put_to_work(router: &mut Router, forged: bool) {
    let before = router.snapshot();
    assert_eq!(
        Router::restore(&before)
            .expect("what was loaded can be stored")
            .snapshot(),
        before
    );
    let mut work = Workspace::default();
    let session = SessionState::new(router.arms()[0].id.clone(), 200, 1_000);
    let contexts = contexts(router);
    for (i, context) in contexts.iter().enumerate() {
        let plain = Call::new(context, "request", Seed(i as u64));
        let wishes = Call {
            floor: Some(0.5),
            cost_max_usd: Some(1.0),
            at_ms: Some(2_000),
            session: Some(&session),
            tenant: Some("acme"),
            output_tokens_max: Some(100),
            ..plain
        };
        decide(router, &plain, &mut work);
        decide(router, &wishes, &mut work);
        for arm in 0..router.arms().len() {
            let _ = router.cost_bound(&plain, arm);
            let _ = router.cost_bound(&wishes, arm);
        }
        let _ = router.distribution(context);
        let _ = router.score(context);
    }
    assert_eq!(router.snapshot(), before, "deciding changes nothing");
    for (i, context) in contexts.iter().enumerate().take(2) {
        for arm in 0..router.arms().len().min(4) {
            let id = router.arms()[arm].id.clone();
            let quality = Quality::new(0.25 * i as f64).expect("in range");
            let mut feedback = Feedback::new(id, quality);
            (feedback.cost, feedback.output_tokens) = (Some(Usd::from_pico(7_000)), Some(30));
            let _ = router.feedback(context, &feedback);
            feedback.quality = None;
            let _ = router.feedback(context, &feedback);
        }
    }
    let id = ArmId::new("an arm that no seed has").expect("a name");
    let price = plimsoll::Price::from_pico_per_token(500_000);
    let _ = router.add_arm(
        ArmSpec::new(id.clone()).priced(price, price),
        &ArmBelief::Prices { strength: 10.0 },
    );
    let first = router.arms()[0].id.clone();
    let _ = router.scale_costs(&first, 1.5);
    let _ = router.mark_down(&first, Some(5_000));
    let _ = router.set_archived(&first, true);
    decide(router, &Call::new(&contexts[0], "last", Seed(9)), &mut work);
    let after = router.snapshot();
    match Router::restore(&after) {
        Ok(restored) => assert_eq!(restored.snapshot(), after),
        Err(error) => assert!(forged, "what has learned can be stored: {error}"),
    }
}

fn decide(router: &Router, call: &Call<'_>, work: &mut Workspace) {
    match router.choose(call, work) {
        Ok(choice) => {
            let sum: f64 = work.probabilities.iter().sum();
            assert!((sum - 1.0).abs() <= 1e-9, "probabilities sum to {sum}");
            assert!(
                work.probabilities
                    .iter()
                    .all(|p| (0.0..=1.0 + 1e-9).contains(p))
            );
            let again = router.choose(call, &mut Workspace::default());
            assert_eq!(again, Ok(choice), "scratch space has no say");
            let decision = router.decision(call, choice, work);
            let _ = decision.reason.to_string();
            let _ = router.decided(call, choice, 3_000, work);
            let explained = router
                .explain(call, work)
                .expect("what was decided can be explained");
            let _ = format!("{explained:#}");
        }
        Err(error) => {
            assert!(!error.code().is_empty() && !error.help().is_empty());
            let _ = error.to_string();
        }
    }
    let mut run = Vec::new();
    while let Ok(NextStep::Ask { arm, .. }) = router.next_step(call, &run, work) {
        run.push(CascadeStep::new(arm, 0.4, Usd::from_pico(1_000)));
        assert!(run.len() <= router.arms().len(), "an arm was asked twice");
    }
}
