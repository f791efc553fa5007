//! A policy of your own: win-stay, lose-shift, written outside the crate.
//!
//! It gets decisions, exact propensities, explanations, snapshots and the journal from the router.
//!
//! Run with `cargo run -p plimsoll --example custom_policy`.

use std::error::Error;

use plimsoll::{
    ArmId, ArmPrior, ArmSpec, Call, Context, CostPredictor, Estimate, Feedback, Outcome, Policy,
    PolicyError, Quality, Request, Router, Seed, Workspace, decode_state, encode_state,
};
use serde::{Deserialize, Serialize};

/// An answer at least this good keeps its arm.
const WIN: f64 = 0.5;

/// Stays with an arm while it answers well and moves to the next one when it does not (Robbins
/// 1952); a share ε of requests goes to all arms alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WinStay {
    arms: usize,
    current: usize,
    epsilon: f64,
}

impl WinStay {
    const NAME: &str = "example/win-stay";

    /// The eligible arm that comes first, from the current one on.
    fn favourite(&self, request: &Request<'_>) -> Option<usize> {
        (0..self.arms)
            .map(|step| (self.current + step) % self.arms)
            .find(|arm| request.eligible[*arm])
    }
}

impl Policy for WinStay {
    // The signature is the trait's.
    fn name(&self) -> &str {
        Self::NAME
    }

    fn arms(&self) -> usize {
        self.arms
    }

    fn distribution(
        &self,
        request: &Request<'_>,
        _: &mut Workspace,
        out: &mut [f64],
    ) -> Result<(), PolicyError> {
        let favourite = self
            .favourite(request)
            .ok_or(PolicyError::NothingEligible)?;
        let count = request.eligible.iter().filter(|may| **may).count();
        let count = f64::from(u32::try_from(count).expect("arms are few"));
        for (out, may) in out.iter_mut().zip(request.eligible) {
            *out = if *may { self.epsilon / count } else { 0.0 };
        }
        out[favourite] += 1.0 - self.epsilon;
        Ok(())
    }

    fn estimates(
        &self,
        request: &Request<'_>,
        _: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        let favourite = self.favourite(request);
        out.clear();
        out.extend((0..self.arms).map(|arm| Estimate {
            quality: None,
            score: f64::from(u8::from(favourite == Some(arm))),
            feasible: request.eligible[arm],
        }));
        Ok(())
    }

    fn check(&self, _: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        let (got, arms) = (outcome.arm, self.arms);
        if got < arms {
            Ok(())
        } else {
            Err(PolicyError::Arm { got, arms })
        }
    }

    fn update(&mut self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        self.check(context, outcome)?;
        let lost = outcome.quality.is_some_and(|quality| quality.get() < WIN);
        if lost && outcome.arm == self.current {
            self.current = (self.current + 1) % self.arms;
        }
        Ok(())
    }

    fn add_arm(&mut self, _: &ArmPrior) -> Result<(), PolicyError> {
        self.arms += 1;
        Ok(())
    }

    fn state(&self) -> Vec<u8> {
        encode_state(self)
    }

    fn fork(&self) -> Box<dyn Policy> {
        Box::new(self.clone())
    }
}

/// What `Router::restore_with`, `Live::restore_with` and the store need to know the policy.
fn load(name: &str, state: &[u8]) -> Option<Result<Box<dyn Policy>, PolicyError>> {
    (name == WinStay::NAME).then(|| {
        let policy: WinStay = decode_state(name, state)?;
        // What comes from outside is checked: an arm that does not exist would panic later.
        if policy.current < policy.arms && (0.0..=1.0).contains(&policy.epsilon) {
            Ok(Box::new(policy) as Box<dyn Policy>)
        } else {
            Err(PolicyError::State {
                policy: name.to_owned(),
                what: "its parts do not fit together".to_owned(),
            })
        }
    })
}

fn build() -> Result<Router, Box<dyn Error>> {
    let arms = vec![
        ArmSpec::new(ArmId::new("small")?),
        ArmSpec::new(ArmId::new("large")?),
    ];
    let cost = CostPredictor::fit(&arms, [])?;
    let policy = WinStay {
        arms: 2,
        current: 0,
        epsilon: 0.1,
    };
    Ok(Router::with_policy(arms, None, cost, Box::new(policy))?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut router = build()?;
    let (context, mut work) = (Context::default(), Workspace::default());
    for (key, quality) in [("r-1", 1.0), ("r-2", 0.0), ("r-3", 1.0)] {
        let call = Call::new(&context, key, Seed(7));
        let explained = router.explain(&call, &mut work)?;
        println!("{key}: {explained}");
        let feedback = Feedback::new(explained.chosen, Quality::new(quality)?);
        router.feedback(&context, &feedback)?;
    }
    let resumed = Router::restore_with(&router.snapshot(), &load)?;
    println!("resumed after {} outcomes", resumed.epoch());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll::SnapshotError;

    #[test]
    fn the_example_runs() {
        main().expect("the example runs");
    }

    #[test]
    fn it_stays_while_it_wins_and_resumes_bit_for_bit() {
        let mut router = build().expect("builds");
        let context = Context::default();
        let lose = Quality::new(0.0).expect("in range");
        let favourite = |router: &Router| {
            let spread = router.distribution(&context).expect("decides");
            usize::from(spread.probabilities()[1] > 0.5)
        };
        assert_eq!(favourite(&router), 0);
        let feedback = Feedback::new(router.arms()[0].id.clone(), lose);
        router.feedback(&context, &feedback).expect("learns");
        assert_eq!(favourite(&router), 1);
        let resumed = Router::restore_with(&router.snapshot(), &load).expect("restores");
        assert_eq!(resumed.state_hash(), router.state_hash());
        assert_eq!(favourite(&resumed), 1);
        // Without the loader nobody knows the policy.
        let refused = Router::restore(&router.snapshot());
        assert!(matches!(refused, Err(SnapshotError::UnknownPolicy { .. })));
    }
}
