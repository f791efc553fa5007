//! ROBUSTNESS.md, engine numerics: what goes into a predictor and what comes out.

use plimsoll::{
    Context, ContextError, Distribution, DistributionError, FeatureMap, Feedback, Prediction,
    Predictor, PredictorConfig, PredictorError, PredictorKind, Price, Propensity, Quality,
    TrainingRows, UnitError, Usd,
};
use proptest::prelude::*;

use crate::common::{arm, contexts, fit, outcomes, plain, quality, truth};

fn predict(predictor: &Predictor, context: &Context) -> Vec<Prediction> {
    let mut out = Vec::new();
    predictor
        .predict(context, &mut out)
        .expect("a valid context");
    out
}

fn assert_close(a: &Predictor, b: &Predictor, contexts: &[Context], tolerance: f64) {
    for context in contexts {
        for (a, b) in predict(a, context).iter().zip(predict(b, context)) {
            let gap = (a.mean - b.mean).abs() / a.mean.abs().max(1e-3);
            let spread = (a.variance - b.variance).abs() / a.variance.max(1e-300);
            assert!(gap < tolerance && spread < tolerance, "{a:?} {b:?}");
        }
    }
}

#[test]
fn e01_bad_reward_leaves_state_unchanged() {
    for kind in PredictorKind::ALL {
        let mut router = plain(kind);
        let before = router.state_hash();
        let context = &contexts(1, 4, 3)[0];
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.01, 1.01] {
            assert!(matches!(Quality::new(bad), Err(UnitError::Quality { .. })));
            let text = format!(r#"{{"arm":"arm-0","quality":{bad},"weight":1}}"#);
            assert!(serde_json::from_str::<Feedback>(&text).is_err(), "{text}");
        }
        for weight in [f64::NAN, f64::INFINITY, -1.0, 1e13] {
            let feedback = Feedback {
                weight,
                ..Feedback::new(arm("arm-0"), quality(1.0))
            };
            assert!(router.feedback(context, &feedback).is_err(), "{weight}");
            let feedback = Feedback {
                quality: None,
                ..feedback
            };
            assert!(router.feedback(context, &feedback).is_err(), "{weight}");
        }
        let negative = Feedback {
            cost: Some(Usd::from_pico(-1)),
            ..Feedback::new(arm("arm-0"), quality(1.0))
        };
        assert!(router.feedback(context, &negative).is_err());
        assert!(
            router
                .feedback(context, &Feedback::new(arm("nobody"), quality(1.0)))
                .is_err()
        );
        let short = Context::new(vec![1.0]).expect("finite");
        let good = Feedback::new(arm("arm-0"), quality(1.0));
        assert!(router.feedback(&short, &good).is_err());
        let broken = Context {
            features: vec![0.0, f64::NAN, 0.0, 0.0],
            ..Context::default()
        };
        assert!(router.feedback(&broken, &good).is_err());
        assert_eq!(router.state_hash(), before, "{kind}");
        assert_eq!(router.epoch(), 0);
        router.feedback(context, &good).expect("a good outcome");
        assert_ne!(router.state_hash(), before, "{kind}");
        assert_eq!(router.epoch(), 1);
    }
}

#[test]
fn e02_impossible_probabilities_are_refused() {
    for bad in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(Propensity::new(bad).is_err());
    }
    assert_eq!(Distribution::new(vec![]), Err(DistributionError::Empty));
    assert!(matches!(
        Distribution::new(vec![0.5, -0.1, 0.6]),
        Err(DistributionError::Probability { index: 1, .. })
    ));
    assert!(matches!(
        Distribution::new(vec![0.5, f64::NAN]),
        Err(DistributionError::Probability { .. })
    ));
    assert!(matches!(
        Distribution::new(vec![0.5, 0.4]),
        Err(DistributionError::Sum { .. })
    ));
    assert!(Distribution::from_weights(&[0.0, 0.0]).is_err());
    let ok = Distribution::from_weights(&[1.0, 0.0, 3.0]).expect("weights");
    assert_eq!(
        (
            ok.sample(0.0),
            ok.sample(0.2499),
            ok.sample(0.25),
            ok.sample(1.0)
        ),
        (0, 0, 2, 2)
    );
}

#[test]
fn e04_degenerate_features_are_solved() {
    let collinear: Vec<Context> = contexts(6, 1, 1)
        .into_iter()
        .map(|c| Context {
            features: vec![c.features[0], 2.0 * c.features[0], 0.0, 1.0, 1.0],
            ..c
        })
        .collect();
    // Fewer rows than features, a zero column, constants and an exact multiple.
    for kind in PredictorKind::ALL {
        for n in [0, 1, 2, 6] {
            let predictor = fit(&PredictorConfig::new(kind), &collinear[..n], 2, 0.0);
            let condition = predictor.condition();
            assert!(
                condition.is_none_or(|c| c.is_finite() && c >= 1.0),
                "{kind}"
            );
            if n > 0 {
                for p in predict(&predictor, &collinear[0]) {
                    assert!(
                        (0.0..=1.0).contains(&p.mean) && p.variance > 0.0,
                        "{kind} {n} {p:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn e05_a_million_updates_equal_one_batch() {
    let contexts = contexts(1_000, 4, 21);
    let labels = outcomes(&contexts, 1, 0.0, 9);
    for kind in [PredictorKind::Beta, PredictorKind::Linear] {
        let config = PredictorConfig::new(kind);
        let mut online = Predictor::prior(&config, 1, 4).expect("a prior");
        for _ in 0..1_000 {
            for (context, label) in contexts.iter().zip(&labels) {
                online
                    .update(context, 0, quality(label.expect("seen")), 1.0)
                    .expect("learns");
            }
        }
        assert_eq!(online.outcomes(), [1_000_000]);
        let weights = vec![1_000.0; contexts.len()];
        let rows = TrainingRows {
            contexts: &contexts,
            arms: 1,
            quality: &labels,
            weights: Some(&weights),
        };
        let batch = Predictor::fit(&config, &rows).expect("fits");
        assert_close(&online, &batch, &contexts[..50], 1e-8);
    }
}

#[test]
fn fit_equals_updates_in_order() {
    for kind in [
        PredictorKind::Beta,
        PredictorKind::Linear,
        PredictorKind::Knn,
    ] {
        for forgetting in [1.0, 0.97] {
            for missing in [0.0, 0.5] {
                let config = PredictorConfig {
                    forgetting,
                    ..PredictorConfig::new(kind)
                };
                let contexts = contexts(200, 6, 2);
                let labels = outcomes(&contexts, 3, missing, 5);
                let batch = fit(&config, &contexts, 3, missing);
                let mut online = Predictor::prior(&config, 3, 6).expect("a prior");
                for (at, label) in labels.iter().enumerate() {
                    if let Some(label) = label {
                        online
                            .update(&contexts[at / 3], at % 3, quality(*label), 1.0)
                            .expect("learns");
                    }
                }
                assert_eq!(online.outcomes(), batch.outcomes());
                assert_close(&online, &batch, &contexts, 1e-8);
            }
        }
    }
}

/// A billion outcomes, as weights: the next thousands still move a predictor that forgets.
#[test]
fn e06_old_predictors_still_learn() {
    let context = &contexts(1, 2, 4)[0];
    for kind in PredictorKind::ALL {
        let config = PredictorConfig {
            forgetting: 0.99,
            ..PredictorConfig::new(kind)
        };
        let mut predictor = Predictor::fit(
            &config,
            &TrainingRows {
                contexts: std::slice::from_ref(context),
                arms: 1,
                quality: &[Some(1.0)],
                weights: Some(&[1e9]),
            },
        )
        .expect("fits");
        assert!(predict(&predictor, context)[0].mean > 0.9, "{kind}");
        for _ in 0..4_000 {
            predictor
                .update(context, 0, quality(0.0), 1.0)
                .expect("learns");
        }
        let p = predict(&predictor, context)[0];
        assert!(p.mean < 0.2 && p.variance > 0.0, "{kind} {p:?}");
    }
    // Without forgetting the mean of 10⁹ outcomes and one more is exact to the last digits.
    let config = PredictorConfig::new(PredictorKind::Beta);
    let mut beta = Predictor::prior(&config, 1, 2).expect("a prior");
    beta.update(context, 0, quality(1.0), 1e9).expect("learns");
    beta.update(context, 0, quality(0.0), 1.0).expect("learns");
    let expect = (1e9 + 1.0) / (1e9 + 3.0);
    assert!((predict(&beta, context)[0].mean - expect).abs() < 1e-15);
}

/// E06: 10⁹ outcomes in a thousand lumps of a million, against sums that are exact; then a year of
/// forgetting at the strongest factor allowed, after which a hundred outcomes still move the mean.
#[test]
fn e06_a_billion_outcomes_by_counts_are_exact_and_not_stuck() {
    let context = &contexts(1, 2, 4)[0];
    for kind in [
        PredictorKind::Beta,
        PredictorKind::Tasks,
        PredictorKind::Clusters,
    ] {
        let config = PredictorConfig::new(kind);
        let mut predictor = Predictor::prior(&config, 1, 2).expect("a prior");
        // Qualities k/1024 are exact in binary, and so is their sum.
        let mut sum: u64 = 0;
        for lump in 0..1_000_u64 {
            let k = lump * 37 % 1_024;
            sum += k;
            let value = f64::from(u32::try_from(k).expect("small")) / 1_024.0;
            let learned = predictor.update(context, 0, quality(value), 1e6);
            learned.expect("learns");
        }
        let total = f64::from(u32::try_from(sum).expect("small")) / 1_024.0 * 1e6;
        let own =
            (config.prior_strength * config.prior_mean + total) / (config.prior_strength + 1e9);
        let expect = match kind {
            PredictorKind::Beta | PredictorKind::Clusters => own,
            _ => (config.shrink * own + total) / (config.shrink + 1e9),
        };
        let got = predict(&predictor, context)[0].mean;
        assert!((got - expect).abs() < 1e-12, "{kind}: {got} {expect}");
        assert_eq!(predictor.outcomes(), [1_000]);
    }
    let config = PredictorConfig {
        forgetting: plimsoll::FORGETTING_MIN,
        ..PredictorConfig::new(PredictorKind::Beta)
    };
    let mut beta = Predictor::prior(&config, 1, 2).expect("a prior");
    for i in 0..1_000_000_u32 {
        let weight = if i == 0 { 1e9 } else { 1.0 };
        beta.update(context, 0, quality(1.0), weight)
            .expect("learns");
    }
    for _ in 0..100 {
        beta.update(context, 0, quality(0.0), 1.0).expect("learns");
    }
    assert!(predict(&beta, context)[0].mean < 0.1);
}

#[test]
fn the_ridge_survives_forgetting() {
    // A direction seen once and never again returns to its prior, and no further.
    let seen = Context::new(vec![1.0, 0.0]).expect("finite");
    let other = Context::new(vec![0.0, 1.0]).expect("finite");
    let config = PredictorConfig {
        forgetting: 0.95,
        ..PredictorConfig::new(PredictorKind::Linear)
    };
    let mut predictor = Predictor::prior(&config, 1, 2).expect("a prior");
    predictor
        .update(&seen, 0, quality(1.0), 1.0)
        .expect("learns");
    for _ in 0..5_000 {
        predictor
            .update(&other, 0, quality(0.5), 1.0)
            .expect("learns");
    }
    let p = predict(&predictor, &seen)[0];
    assert!(
        p.variance.is_finite() && p.variance < 1.0 && (p.mean - 0.5).abs() < 0.05,
        "{p:?}"
    );
}

#[test]
fn e07_extreme_features_are_refused_or_finite() {
    for bad in [1e300, -1e13, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            Context::new(vec![0.0, bad]),
            Err(ContextError::Feature { index: 1, .. })
        ));
    }
    let scales = [1e-300, 1e-12, 1.0, 1e6, 1e12];
    for kind in PredictorKind::ALL {
        for scale in scales {
            let contexts: Vec<Context> = contexts(30, 3, 8)
                .into_iter()
                .map(|c| Context {
                    features: c.features.iter().map(|x| x * scale).collect(),
                    ..c
                })
                .collect();
            let labels = outcomes(&contexts, 2, 0.0, 1);
            let rows = TrainingRows {
                contexts: &contexts,
                arms: 2,
                quality: &labels,
                weights: None,
            };
            let Ok(mut predictor) = Predictor::fit(&PredictorConfig::new(kind), &rows) else {
                // A typed refusal is an answer too, but not at ordinary scales.
                assert!(scale > 1.0, "{kind} {scale}");
                continue;
            };
            predictor
                .update(&contexts[0], 1, quality(1.0), 1.0)
                .expect("learns");
            let mut out = Vec::new();
            match predictor.predict(&contexts[1], &mut out) {
                Ok(()) => assert!(
                    out.iter()
                        .all(|p| p.mean.is_finite() && p.variance.is_finite())
                ),
                Err(error) => assert!(matches!(error, PredictorError::Singular { .. }), "{error}"),
            }
        }
    }
}

#[test]
fn predictors_find_the_truth() {
    // Standard error of an arm's mean at n = 4,000 is below 0.008.
    let train = contexts(4_000, 5, 31);
    let test = contexts(200, 5, 32);
    for (kind, most) in [
        (PredictorKind::Linear, 0.05),
        (PredictorKind::Logistic, 0.05),
        (PredictorKind::Knn, 0.12),
        (PredictorKind::Clusters, 0.12),
        (PredictorKind::Beta, 0.17),
    ] {
        let predictor = fit(&PredictorConfig::new(kind), &train, 3, 0.1);
        let mut error = 0.0;
        for context in &test {
            for (arm, p) in predict(&predictor, context).iter().enumerate() {
                error += (p.mean - truth(context, arm)).abs() / 600.0;
            }
        }
        assert!(error < most, "{kind}: mean absolute error {error}");
    }
}

#[test]
fn bad_training_rows_are_named() {
    let contexts = contexts(2, 2, 1);
    let config = PredictorConfig::new(PredictorKind::Linear);
    let fit = |quality: &[Option<f64>], weights: Option<&[f64]>, arms| {
        Predictor::fit(
            &config,
            &TrainingRows {
                contexts: &contexts,
                arms,
                quality,
                weights,
            },
        )
    };
    assert_eq!(fit(&[], None, 0), Err(PredictorError::NoArms));
    assert!(matches!(
        fit(&[None], None, 1),
        Err(PredictorError::Shape {
            expected: 2,
            got: 1,
            ..
        })
    ));
    assert!(matches!(
        fit(&[None, Some(2.0)], None, 1),
        Err(PredictorError::Quality { row: 1, .. })
    ));
    let got = fit(&[None, None], Some(&[1.0, -1.0]), 1);
    assert!(matches!(got, Err(PredictorError::Weight { row: 1, .. })));
    let bad = PredictorConfig {
        ridge: 0.0,
        ..config
    };
    let rows = TrainingRows {
        contexts: &contexts,
        arms: 1,
        quality: &[None, None],
        weights: None,
    };
    assert!(matches!(
        Predictor::fit(&bad, &rows),
        Err(PredictorError::Setting { name: "ridge", .. })
    ));
}

#[test]
fn knn_drops_the_oldest_rows_when_full() {
    let config = PredictorConfig {
        rows_max: 40,
        ..PredictorConfig::new(PredictorKind::Knn)
    };
    let contexts = contexts(400, 3, 6);
    let mut predictor = Predictor::prior(&config, 2, 3).expect("a prior");
    for (i, context) in contexts.iter().enumerate() {
        let r = if i < 200 { 0.0 } else { 1.0 };
        predictor
            .update(context, i % 2, quality(r), 1.0)
            .expect("learns");
    }
    assert!(
        predict(&predictor, &contexts[0])
            .iter()
            .all(|p| p.mean > 0.7)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// E13: the parts of a bill always equal its total.
    #[test]
    fn e13_parts_equal_the_total(price in 0_u64..10_000_000_000, parts in prop::collection::vec(0_u64..1_000_000_000, 0..50)) {
        let price = Price::from_pico_per_token(price);
        let sum: Usd = parts.iter().map(|tokens| price.of(*tokens)).sum();
        prop_assert_eq!(sum, price.of(parts.iter().sum()));
        prop_assert_eq!(sum.to_string().parse::<Usd>(), Ok(sum));
    }

    #[test]
    fn any_text_maps_to_a_valid_context(text in "\\PC{0,300}", task in "[a-c]?") {
        let raw = |t| plimsoll::RawContext { text: Some(t), task: Some(&task), ..Default::default() };
        let map = FeatureMap::fit(plimsoll::FeatureMapConfig::default(), [raw("some text"), raw("another")]).expect("fits");
        let context = map.map(&raw(&text)).expect("maps");
        prop_assert_eq!(context.features.len(), map.dimensions());
        prop_assert_eq!(map.map(&raw(&text)).expect("maps"), context);
    }
}
