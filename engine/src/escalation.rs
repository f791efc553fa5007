//! A cascade's second and later steps.

use crate::call::Call;
use crate::policy::{Cascade, CascadeStep, NextStep, Workspace, cascade_cost};
use crate::random::unit_interval_of;
use crate::router::{Router, request};
use crate::router_error::DecideError;

impl Router {
    /// What a [`Cascade`] does after the calls in `run`: ask another arm, or stop.
    ///
    /// Give each step's call a key of its own: randomness is a function of key and seed, and
    /// feedback by id names the call. With no calls in `run` this is [`choose`](Self::choose).
    /// A cap on cost holds for all calls together; where no other arm may answer, it stops.
    ///
    /// # Errors
    /// [`DecideError`] when the policy is no cascade, `run` is impossible, or no arm may answer and
    /// none has.
    pub fn next_step(
        &self,
        call: &Call<'_>,
        run: &[CascadeStep],
        work: &mut Workspace,
    ) -> Result<NextStep, DecideError> {
        let Some(cascade) = self.policy.downcast_ref::<Cascade>() else {
            let policy = self.policy.name().to_owned();
            return Err(DecideError::NotCascade { policy });
        };
        let spent = cascade_cost(run).as_f64();
        let left = call.cost_max_usd.map(|most| (most - spent).max(0.0));
        let call = Call {
            cost_max_usd: left,
            ..*call
        };
        match self.survey(&call, work) {
            Ok(()) => {
                // An arm that was asked is no reason to disregard marks.
                for step in run {
                    if let Some(eligible) = work.eligible.get_mut(step.arm) {
                        *eligible = false;
                    }
                }
                self.heed_marks(&call, &mut work.eligible);
            }
            Err(DecideError::NoEligibleArm { .. } | DecideError::OverCostMax { .. })
                if !run.is_empty() =>
            {
                work.eligible.fill(false);
            }
            Err(error) => return Err(error),
        }
        let (eligible, costs) = (
            std::mem::take(&mut work.eligible),
            std::mem::take(&mut work.costs),
        );
        let request = request(&call, &eligible, &costs);
        let draw = unit_interval_of(call.key, call.seed);
        let next = cascade.next(&request, run, draw, work);
        (work.eligible, work.costs) = (eligible, costs);
        next.map_err(|error| self.refusal(error))
    }
}
