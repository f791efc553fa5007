//! Everything that changes a router, as data: what a journal holds and a resume replays.

use serde::{Deserialize, Serialize};

use crate::arm::ArmSpec;
use crate::arms_in_service::ArmBelief;
use crate::context::Context;
use crate::feedback::Feedback;
use crate::router::Router;
use crate::router_error::FeedbackError;
use crate::units::ArmId;

/// One change of a router. Equal routers that apply equal events stay equal, bit for bit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[non_exhaustive]
pub enum Event {
    /// An outcome is learned.
    Feedback {
        /// The request as it was decided.
        context: Context,
        /// What became of it.
        feedback: Feedback,
    },
    /// An arm is taken out of service or back.
    ArmArchived {
        /// The arm.
        arm: ArmId,
        /// Whether it is out of service.
        archived: bool,
    },
    /// An arm's prices, window or capabilities change.
    ArmChanged {
        /// The arm as it is now.
        spec: ArmSpec,
    },
    /// An arm is added, as the last one.
    ArmAdded {
        /// The arm.
        spec: ArmSpec,
        /// What is believed of it.
        belief: ArmBelief,
    },
    /// An arm is marked down, or up again.
    ArmMarkedDown {
        /// The arm.
        arm: ArmId,
        /// Event time from which it is back, in milliseconds; `None`: it is back now.
        until_ms: Option<i64>,
    },
}

impl Router {
    /// Applies one change.
    ///
    /// # Errors
    /// [`FeedbackError`] when the change is invalid; the router is unchanged then.
    pub fn apply(&mut self, event: &Event) -> Result<(), FeedbackError> {
        match event {
            Event::Feedback { context, feedback } => self.feedback(context, feedback),
            Event::ArmArchived { arm, archived } => self.set_archived(arm, *archived),
            Event::ArmChanged { spec } => self.set_arm(spec.clone()),
            Event::ArmAdded { spec, belief } => self.add_arm(spec.clone(), belief),
            Event::ArmMarkedDown { arm, until_ms } => self.mark_down(arm, *until_ms),
        }
    }
}
