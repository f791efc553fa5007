//! Everything that changes a router, as data: what a journal holds and a resume replays.

use serde::{Deserialize, Serialize};

use crate::arm::ArmSpec;
use crate::arms_in_service::ArmBelief;
use crate::context::Context;
use crate::feedback::Feedback;
use crate::ledger::{Cap, Scope};
use crate::money::Usd;
use crate::router::Router;
use crate::router_error::FeedbackError;
use crate::spending::{Held, SpendError};
use crate::units::{ArmId, Propensity, Quality};

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
    /// A request was decided; feedback by its id may follow.
    Decided(Decided),
    /// What is known of a decision, by its id.
    Reported(Report),
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
    /// A decision's call was never made: what was held for it is free again.
    Released {
        /// The decision's id.
        id: String,
        /// When, in milliseconds of the clock that [`Decided::at_ms`] was read from.
        at_ms: u64,
    },
    /// A spender gets a cap, or another one.
    CapSet {
        /// The spender.
        scope: Scope,
        /// Its cap from now on.
        cap: Cap,
    },
}

/// A decision as it was taken: what feedback by its id needs later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The decision's id: the request's key.
    pub id: String,
    /// When, in milliseconds of the caller's clock.
    pub at_ms: u64,
    /// The request.
    pub context: Context,
    /// The arm that was drawn.
    pub arm: ArmId,
    /// Exact probability with which it was drawn.
    pub propensity: Propensity,
    /// Probability with which the policy as it was then would choose it, see
    /// [`Policy::policy_chance`](crate::Policy::policy_chance); `None`: the policy does not learn
    /// from it. Stored under its first name.
    #[serde(default, rename = "rule_chance")]
    pub policy_chance: Option<f64>,
    /// What is held for its call; `None`: no cap covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// What became of a decision, by its id: all at once, or the bill first and the label later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The decision's id.
    pub id: String,
    /// When, in milliseconds of the clock that [`Decided::at_ms`] was read from.
    pub at_ms: u64,
    /// The arm that answered, where it is another than the one drawn (a provider's fallback).
    #[serde(default)]
    pub served: Option<ArmId>,
    /// Quality of the answer; `None`: no label yet.
    #[serde(default)]
    pub quality: Option<Quality>,
    /// What the call cost.
    #[serde(default)]
    pub cost: Option<Usd>,
    /// Output tokens, reasoning included.
    #[serde(default)]
    pub output_tokens: Option<u64>,
    /// How much the outcome counts; 1 unless the caller knows better.
    pub weight: f64,
}

impl Report {
    /// A report that says nothing yet.
    #[must_use]
    pub fn new(id: impl Into<String>, at_ms: u64) -> Self {
        Self {
            id: id.into(),
            at_ms,
            served: None,
            quality: None,
            cost: None,
            output_tokens: None,
            weight: 1.0,
        }
    }

    /// A label, weight 1.
    #[must_use]
    pub fn label(id: impl Into<String>, at_ms: u64, quality: Quality) -> Self {
        Self {
            quality: Some(quality),
            ..Self::new(id, at_ms)
        }
    }
}

impl Router {
    /// Applies one change.
    ///
    /// A router keeps no open decisions and no ledger: it takes no notice of [`Event::Decided`];
    /// [`Event::Reported`], [`Event::Released`] and [`Event::CapSet`] need a
    /// [`Live`](crate::Live).
    ///
    /// # Errors
    /// [`FeedbackError`] when the change is invalid; the router is unchanged then.
    pub fn apply(&mut self, event: &Event) -> Result<(), FeedbackError> {
        match event {
            Event::Feedback { context, feedback } => self.feedback(context, feedback),
            Event::Decided(_) => Ok(()),
            Event::Reported(_) => Err(FeedbackError::NoOpenDecisions),
            Event::ArmArchived { arm, archived } => self.set_archived(arm, *archived),
            Event::ArmChanged { spec } => self.set_arm(spec.clone()),
            Event::ArmAdded { spec, belief } => self.add_arm(spec.clone(), belief),
            Event::ArmMarkedDown { arm, until_ms } => self.mark_down(arm, *until_ms),
            Event::Released { .. } | Event::CapSet { .. } => Err(SpendError::NoLedger.into()),
        }
    }
}
