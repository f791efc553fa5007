//! One arm for everything, and every arm alike.

use serde::{Deserialize, Serialize};

use super::{
    ArmPrior, Estimate, Outcome, Policy, PolicyError, Request, Workspace, check_arm, encode_state,
};
use crate::context::Context;

/// Always the same arm; while it may not answer, any eligible arm alike.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `arm` | – | 0 to K − 1 | the arm |
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fixed {
    arms: usize,
    arm: usize,
}

/// Every eligible arm alike: the logging policy under which replay by rejection is unbiased.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Random {
    arms: usize,
}

impl Fixed {
    pub(crate) const NAME: &'static str = "fixed";

    /// Arm `arm` of `arms`.
    ///
    /// # Errors
    /// [`PolicyError::Arm`] when there is no such arm.
    pub fn new(arms: usize, arm: usize) -> Result<Self, PolicyError> {
        if arm < arms {
            Ok(Self { arms, arm })
        } else {
            Err(PolicyError::Arm { got: arm, arms })
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.arm < self.arms
    }
}

impl Random {
    pub(crate) const NAME: &'static str = "random";

    /// Over `arms` arms.
    ///
    /// # Errors
    /// [`PolicyError::NoArms`] without any.
    pub fn new(arms: usize) -> Result<Self, PolicyError> {
        if arms == 0 {
            Err(PolicyError::NoArms)
        } else {
            Ok(Self { arms })
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.arms > 0
    }
}

impl Policy for Fixed {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn arms(&self) -> usize {
        self.arms
    }

    fn reads_costs(&self) -> bool {
        false
    }

    fn distribution(
        &self,
        request: &Request<'_>,
        _: &mut Workspace,
        out: &mut [f64],
    ) -> Result<(), PolicyError> {
        if request.eligible[self.arm] {
            out[self.arm] = 1.0;
            Ok(())
        } else {
            even(request.eligible, out)
        }
    }

    fn estimates(
        &self,
        request: &Request<'_>,
        _: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        let estimate = |arm| scored(request, arm, f64::from(u8::from(arm == self.arm)));
        out.clear();
        out.extend((0..self.arms).map(estimate));
        Ok(())
    }

    fn check(&self, _: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        check_arm(self, outcome)
    }

    fn update(&mut self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        self.check(context, outcome)
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

impl Policy for Random {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn arms(&self) -> usize {
        self.arms
    }

    fn reads_costs(&self) -> bool {
        false
    }

    fn distribution(
        &self,
        request: &Request<'_>,
        _: &mut Workspace,
        out: &mut [f64],
    ) -> Result<(), PolicyError> {
        even(request.eligible, out)
    }

    fn estimates(
        &self,
        request: &Request<'_>,
        _: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        out.clear();
        out.extend((0..self.arms).map(|arm| scored(request, arm, 0.0)));
        Ok(())
    }

    fn check(&self, _: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        check_arm(self, outcome)
    }

    fn update(&mut self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        self.check(context, outcome)
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

fn scored(request: &Request<'_>, arm: usize, score: f64) -> Estimate {
    let feasible = request.eligible[arm];
    Estimate {
        quality: None,
        score: if feasible { score } else { f64::NEG_INFINITY },
        feasible,
    }
}

/// Every eligible arm alike.
pub(super) fn even(eligible: &[bool], out: &mut [f64]) -> Result<(), PolicyError> {
    let count = eligible.iter().filter(|can| **can).count();
    if count == 0 {
        return Err(PolicyError::NothingEligible);
    }
    for (p, can) in out.iter_mut().zip(eligible) {
        *p = if *can {
            1.0 / crate::math::len(count)
        } else {
            0.0
        };
    }
    Ok(())
}
