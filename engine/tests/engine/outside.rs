//! Policies from outside the crate that break their promises: errors, no panics and no half
//! changes.

use plimsoll::{
    ArmBelief, ArmPrior, ArmSpec, Call, Context, CostPredictor, DecideError, DistributionError,
    Estimate, FeedbackError, Outcome, Policy, PolicyError, Quality, Request, Router, Seed,
    Workspace, encode_state,
};

use crate::common::{arm, arms};

/// Writes whatever it is told to, estimates nothing, and learns so many outcomes.
#[derive(Clone, Debug)]
struct Careless {
    arms: usize,
    writes: [f64; 3],
    learns: u32,
}

impl Policy for Careless {
    fn name(&self) -> &'static str {
        "test/careless"
    }

    fn arms(&self) -> usize {
        self.arms
    }

    fn distribution(
        &self,
        _: &Request<'_>,
        _: &mut Workspace,
        out: &mut [f64],
    ) -> Result<(), PolicyError> {
        out[..3].copy_from_slice(&self.writes);
        Ok(())
    }

    fn estimates(
        &self,
        _: &Request<'_>,
        _: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        out.clear();
        Ok(())
    }

    fn check(&self, _: &Context, _: &Outcome) -> Result<(), PolicyError> {
        Ok(())
    }

    fn update(&mut self, _: &Context, _: &Outcome) -> Result<(), PolicyError> {
        self.learns = self.learns.checked_sub(1).ok_or(PolicyError::NoArms)?;
        Ok(())
    }

    fn add_arm(&mut self, _: &ArmPrior) -> Result<(), PolicyError> {
        self.arms += 1;
        Ok(())
    }

    fn state(&self) -> Vec<u8> {
        encode_state(&(self.arms, self.writes, self.learns))
    }

    fn fork(&self) -> Box<dyn Policy> {
        Box::new(self.clone())
    }
}

fn router(writes: [f64; 3]) -> Router {
    let policy = Careless {
        arms: 3,
        writes,
        learns: 1,
    };
    let cost = CostPredictor::fit(&arms(3), []).expect("fits");
    Router::with_policy(arms(3), None, cost, Box::new(policy)).expect("fits")
}

#[test]
fn e08_what_are_no_probabilities_is_refused() {
    let context = Context::default();
    let call = Call::new(&context, "request", Seed(1));
    for writes in [
        [0.0; 3],
        [f64::NAN; 3],
        [-1.0; 3],
        [1.5; 3],
        [f64::INFINITY, 0.0, 0.0],
    ] {
        let router = router(writes);
        let chosen = router.choose(&call, &mut Workspace::default());
        let Err(DecideError::Policy(PolicyError::Distribution { policy, source })) = chosen else {
            panic!("{writes:?}: {chosen:?}");
        };
        assert_eq!(policy, "test/careless");
        assert!(matches!(source, DistributionError::Probability { .. }));
        let whole = router.distribution(&context).expect_err("none");
        assert!(["P0141", "P0142"].contains(&whole.code()), "{whole}");
    }
    let sums_to_half = router([0.25, 0.25, 0.0]).distribution(&context);
    assert_eq!(sums_to_half.expect_err("no distribution").code(), "P0142");
    let sound = router([0.0, 1.0, 0.0]);
    let decision = sound.decide(&context, "request", Seed(1)).expect("decides");
    assert_eq!(
        (decision.arm, decision.expected_quality),
        (arm("arm-1"), None)
    );
}

/// E15: an arm is added wholly or not at all, even where a row passes the check and is refused.
#[test]
fn e15_an_arm_whose_benchmark_is_refused_is_not_added() {
    let mut router = router([1.0, 0.0, 0.0]);
    let before = router.snapshot();
    let benchmark = |rows| ArmBelief::Benchmark {
        rows: vec![(Context::default(), Quality::new(0.5).expect("in range")); rows],
        strength: 5.0,
    };
    let refused = router.add_arm(ArmSpec::new(arm("new")), &benchmark(2));
    assert_eq!(refused, Err(FeedbackError::Policy(PolicyError::NoArms)));
    assert_eq!(router.snapshot(), before);
    let added = router.add_arm(ArmSpec::new(arm("new")), &benchmark(1));
    assert_eq!((added, router.arms().len()), (Ok(()), 4));
}
