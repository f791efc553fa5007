//! Cost predictions against worlds with known costs.

use plimsoll::{ArmSpec, Context, CostError, CostPredictor, CostRow, Usd};

use crate::common::{Numbers, arm, contexts};

fn priced() -> ArmSpec {
    ArmSpec::new(arm("a")).priced("1".parse().expect("a price"), "4".parse().expect("a price"))
}

/// Output tokens: exp(3 + task + noise), longer for `code`.
fn tokens(context: &Context, numbers: &mut Numbers) -> u64 {
    let long = if context.task.as_deref() == Some("code") {
        2.0
    } else {
        0.0
    };
    let noise = numbers.next() + numbers.next() + numbers.next() - 1.5;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small and positive"
    )]
    let tokens = (3.0_f64 + long + noise).exp() as u64;
    tokens
}

#[test]
fn expected_cost_matches_the_training_mean() {
    let contexts = contexts(3_000, 1, 1);
    let mut numbers = Numbers(4);
    let outputs: Vec<u64> = contexts.iter().map(|c| tokens(c, &mut numbers)).collect();
    let spec = priced();
    let cost = |i: usize| {
        spec.input
            .expect("priced")
            .of(contexts[i].input_tokens.expect("known"))
            + spec.output.expect("priced").of(outputs[i])
    };
    let total: Usd = (0..contexts.len()).map(cost).sum();
    let by_tokens = (0..contexts.len()).map(|i| CostRow {
        context: &contexts[i],
        arm: 0,
        output_tokens: Some(outputs[i]),
        cost: None,
    });
    let by_costs = (0..contexts.len()).map(|i| CostRow {
        context: &contexts[i],
        arm: 0,
        output_tokens: None,
        cost: Some(cost(i)),
    });
    for (name, predictor) in [
        (
            "tokens",
            CostPredictor::fit(std::slice::from_ref(&spec), by_tokens),
        ),
        (
            "recorded",
            CostPredictor::fit(&[ArmSpec::new(arm("a"))], by_costs),
        ),
    ] {
        let predictor = predictor.expect("fits");
        let sum: f64 = contexts
            .iter()
            .map(|c| predictor.expected(c, 0).expect("priced"))
            .sum();
        assert!(
            (sum / total.as_f64() - 1.0).abs() < 1e-6,
            "{name}: {sum} {total}"
        );
        let above = (0..contexts.len())
            .filter(|&i| cost(i).as_f64() > predictor.p95(&contexts[i], 0).expect("priced"))
            .count();
        let share = f64::from(u32::try_from(above).expect("small")) / 3_000.0;
        assert!(
            (0.01..0.09).contains(&share),
            "{name}: {share} above the 95 % quantile"
        );
        let of = |task: &str| {
            let context = contexts
                .iter()
                .find(|c| c.task.as_deref() == Some(task))
                .expect("a task");
            predictor.expected(
                &Context {
                    input_tokens: Some(100),
                    ..context.clone()
                },
                0,
            )
        };
        assert!(of("code") > of("chat"), "{name}");
    }
}

#[test]
fn e12_unpriced_is_unknown_and_zero_is_zero() {
    let unknown = ArmSpec::new(arm("unknown"));
    let half = ArmSpec {
        input: "1".parse().ok(),
        ..ArmSpec::new(arm("half"))
    };
    let free =
        ArmSpec::new(arm("free")).priced("0".parse().expect("zero"), "0".parse().expect("zero"));
    let context = Context::new(vec![]).expect("finite");
    let mut predictor = CostPredictor::fit(&[unknown, half, free], []).expect("fits");
    assert_eq!(
        [0, 1, 2, 3].map(|arm| predictor.expected(&context, arm)),
        [None, None, Some(0.0), None]
    );
    assert_eq!(
        [0, 1, 2].map(|arm| predictor.is_priced(arm)),
        [false, false, true]
    );
    // The first recorded cost prices an arm.
    let row = CostRow {
        context: &context,
        arm: 0,
        output_tokens: None,
        cost: Usd::from_f64(0.02),
    };
    predictor.update(&row).expect("learns");
    let expected = predictor.expected(&context, 0).expect("priced now");
    assert!((0.005..0.08).contains(&expected), "{expected}");
    // Recorded zeros are zeros.
    let zero = CostRow {
        arm: 1,
        cost: Some(Usd::ZERO),
        ..row
    };
    predictor.update(&zero).expect("learns");
    assert_eq!(predictor.expected(&context, 1), Some(0.0));
}

#[test]
fn bad_rows_are_refused() {
    let context = Context::default();
    let row = CostRow {
        context: &context,
        arm: 1,
        output_tokens: None,
        cost: None,
    };
    let got = CostPredictor::fit(&[priced()], [row]);
    assert_eq!(
        got.map(|_| ()),
        Err(CostError::Arm {
            row: 0,
            got: 1,
            arms: 1
        })
    );
    let negative = CostRow {
        arm: 0,
        cost: Some(Usd::from_pico(-1)),
        ..row
    };
    let got = CostPredictor::fit(&[priced()], [negative]);
    assert!(matches!(got, Err(CostError::Negative { row: 0, .. })));
}

/// Without history, a prior over nine powers of e is no quantile; the mean is still told.
#[test]
fn a_quantile_needs_answers_to_be_one_of() {
    let price = plimsoll::Price::from_pico_per_token(10_000_000);
    let spec = ArmSpec::new(arm("a")).priced(price, price);
    let mut predictor = CostPredictor::fit(&[spec], []).expect("fits");
    let context = |input_tokens| Context {
        input_tokens: Some(input_tokens),
        ..Context::default()
    };
    let long = context(9_000);
    let mean = predictor.expected(&long, 0).expect("priced");
    assert!((0.09..0.1).contains(&mean), "{mean}");
    for i in 0..20_u64 {
        assert_eq!(predictor.p95(&long, 0), None, "{i} answers");
        let row = plimsoll::CostRow {
            context: &context(200 + 437 * i),
            arm: 0,
            output_tokens: Some(150 + 37 * (i % 5)),
            cost: None,
        };
        predictor.update(&row).expect("learns");
    }
    let (mean, p95) = (predictor.expected(&long, 0), predictor.p95(&long, 0));
    let (mean, p95) = (mean.expect("priced"), p95.expect("20 answers"));
    assert!(mean < p95 && p95 < 1.5 * mean, "{mean} {p95}");
}
