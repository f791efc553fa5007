//! Decisions that wait for their outcome, bounded in number and by event time.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::event::Decided;
use crate::money::Usd;
use crate::units::{ArmId, Propensity};

/// Default of [`OpenLimits::ttl_ms`]: one day.
pub const TTL_MS: u64 = 24 * 60 * 60 * 1_000;
/// Default of [`OpenLimits::open_max`].
pub const OPEN_MAX: u64 = 65_536;

/// How long and how many decisions are kept open.
///
/// Time is that of the newest event: one event from a clock that is far ahead makes every open
/// decision old.
///
/// | field | default | range | effect |
/// |---|---|---|---|
/// | `ttl_ms` | [`TTL_MS`], one day | 0.. | a decision is given up when the newest event is this much younger |
/// | `open_max` | [`OPEN_MAX`] | 1.. | beyond it, the oldest decision is given up |
/// | `closed_max` | [`OPEN_MAX`] | 0.. | ids of closed decisions that are remembered, so that duplicate and late reports are told from unknown ones |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpenLimits {
    /// Age in milliseconds of event time at which a decision is given up.
    pub ttl_ms: u64,
    /// Most decisions that are open; 0 counts as 1.
    pub open_max: u64,
    /// Most ids of closed decisions that are remembered.
    pub closed_max: u64,
}

/// A decision that waits for its label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenDecision {
    pub(super) id: String,
    pub(super) at_ms: u64,
    /// Number of the event that opened it: orders decisions of the same time.
    pub(super) sequence: u64,
    pub(super) context: Context,
    pub(super) sampled: ArmId,
    pub(super) propensity: Propensity,
    #[serde(rename = "rule_chance")]
    pub(super) policy_chance: Option<f64>,
    /// The arm that answered; `None`: nothing was reported yet.
    pub(super) served: Option<ArmId>,
    pub(super) cost: Option<Usd>,
    pub(super) output_tokens: Option<u64>,
}

/// Why a decision is no longer open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fate {
    /// Its label came.
    Settled,
    /// Its time was up, or its place was needed.
    GivenUp,
}

/// What is known of an id.
pub(super) enum Found<'a> {
    Open(&'a OpenDecision),
    Closed(Fate),
    Nothing,
}

/// Open decisions by id and by age, and what became of the latest closed ones.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OpenDecisions {
    limits: OpenLimits,
    now_ms: u64,
    by_id: BTreeMap<String, Age>,
    by_age: BTreeMap<Age, OpenDecision>,
    closed: BTreeMap<String, Fate>,
    /// In the order in which they were closed.
    closed_order: VecDeque<String>,
}

/// Time and number of the event that opened a decision: no two have the same.
type Age = (u64, u64);

/// [`OpenDecisions`] as stored: oldest first, closed ones in the order in which they were closed.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    limits: OpenLimits,
    now_ms: u64,
    open: Vec<OpenDecision>,
    closed: Vec<(String, Fate)>,
}

impl Default for OpenLimits {
    fn default() -> Self {
        Self {
            ttl_ms: TTL_MS,
            open_max: OPEN_MAX,
            closed_max: OPEN_MAX,
        }
    }
}

impl OpenDecision {
    /// The decision's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it was taken, in milliseconds of the caller's clock.
    #[must_use]
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// The request.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The arm that was drawn.
    #[must_use]
    pub fn sampled(&self) -> &ArmId {
        &self.sampled
    }

    /// Exact probability with which it was drawn: says nothing of another arm that served.
    #[must_use]
    pub fn propensity(&self) -> Propensity {
        self.propensity
    }

    /// The arm that answered; `None`: nothing was reported yet.
    #[must_use]
    pub fn served(&self) -> Option<&ArmId> {
        self.served.as_ref()
    }

    /// What the call cost; `None`: not known yet.
    #[must_use]
    pub fn cost(&self) -> Option<Usd> {
        self.cost
    }

    /// Whether nothing was reported yet.
    pub(super) fn is_untold(&self) -> bool {
        self.served.is_none()
    }

    /// Whether the bill has come.
    pub(super) fn is_billed(&self) -> bool {
        self.cost.is_some() || self.output_tokens.is_some()
    }

    fn age(&self) -> Age {
        (self.at_ms, self.sequence)
    }
}

impl OpenDecisions {
    pub(super) fn new(limits: OpenLimits) -> Self {
        Self {
            limits,
            now_ms: 0,
            by_id: BTreeMap::new(),
            by_age: BTreeMap::new(),
            closed: BTreeMap::new(),
            closed_order: VecDeque::new(),
        }
    }

    pub(super) fn find(&self, id: &str) -> Found<'_> {
        if let Some(age) = self.by_id.get(id) {
            Found::Open(&self.by_age[age])
        } else if let Some(fate) = self.closed.get(id) {
            Found::Closed(*fate)
        } else {
            Found::Nothing
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Takes note of an event's time and gives up what is too old by it: how many.
    pub(super) fn advance(&mut self, at_ms: u64) -> u64 {
        self.now_ms = self.now_ms.max(at_ms);
        let mut expired = 0;
        while let Some(((oldest, _), _)) = self.by_age.first_key_value()
            && oldest.saturating_add(self.limits.ttl_ms) < self.now_ms
        {
            self.give_up_oldest();
            expired += 1;
        }
        expired
    }

    /// Opens a decision whose id is not known: how many had to make room.
    pub(super) fn insert(&mut self, decided: &Decided, sequence: u64) -> u64 {
        let open = OpenDecision {
            id: decided.id.clone(),
            at_ms: decided.at_ms,
            sequence,
            context: decided.context.clone(),
            sampled: decided.arm.clone(),
            propensity: decided.propensity,
            policy_chance: decided.policy_chance,
            served: None,
            cost: None,
            output_tokens: None,
        };
        self.by_id.insert(decided.id.clone(), open.age());
        self.by_age.insert(open.age(), open);
        let mut evicted = 0;
        while self.by_age.len() as u64 > self.limits.open_max.max(1) {
            self.give_up_oldest();
            evicted += 1;
        }
        evicted
    }

    /// Notes who answered and what it cost.
    pub(super) fn note(
        &mut self,
        id: &str,
        served: Option<ArmId>,
        bill: Option<(Option<Usd>, Option<u64>)>,
    ) {
        let age = self.by_id.get(id);
        if let Some(open) = age.and_then(|age| self.by_age.get_mut(age)) {
            open.served = served;
            if let Some(bill) = bill {
                (open.cost, open.output_tokens) = bill;
            }
        }
    }

    /// Closes a decision whose label was learned.
    pub(super) fn settle(&mut self, id: &str) {
        if let Some((id, age)) = self.by_id.remove_entry(id) {
            self.by_age.remove(&age);
            self.close(id, Fate::Settled);
        }
    }

    fn give_up_oldest(&mut self) {
        if let Some((_, open)) = self.by_age.pop_first() {
            self.by_id.remove(&open.id);
            self.close(open.id, Fate::GivenUp);
        }
    }

    fn close(&mut self, id: String, fate: Fate) {
        self.closed_order.push_back(id.clone());
        self.closed.insert(id, fate);
        while self.closed_order.len() as u64 > self.limits.closed_max {
            if let Some(oldest) = self.closed_order.pop_front() {
                self.closed.remove(&oldest);
            }
        }
    }

    pub(super) fn stored(&self) -> Stored {
        let fate = |id: &String| (id.clone(), self.closed[id]);
        Stored {
            limits: self.limits,
            now_ms: self.now_ms,
            open: self.by_age.values().cloned().collect(),
            closed: self.closed_order.iter().map(fate).collect(),
        }
    }

    /// The decisions of their stored form after `events` events; `None`: no state can be so.
    pub(super) fn load(stored: Stored, events: u64) -> Option<Self> {
        let mut all = Self::new(stored.limits);
        all.now_ms = stored.now_ms;
        for open in stored.open {
            let age = open.age();
            let later = all.by_age.last_key_value().is_none_or(|last| *last.0 < age);
            let usable = open.context.validate().is_ok() && open.policy_chance.is_none_or(is_share);
            let new = all.by_id.insert(open.id.clone(), age).is_none();
            if !(later && usable && new && open.sequence <= events) {
                return None;
            }
            all.by_age.insert(age, open);
        }
        for (id, fate) in stored.closed {
            let new = all.closed.insert(id.clone(), fate).is_none();
            if !new || all.by_id.contains_key(&id) {
                return None;
            }
            all.closed_order.push_back(id);
        }
        let fits = all.by_id.len() as u64 <= all.limits.open_max.max(1)
            && all.closed.len() as u64 <= all.limits.closed_max;
        fits.then_some(all)
    }

    /// The arms that open decisions name.
    pub(super) fn arms(&self) -> impl Iterator<Item = &ArmId> {
        self.by_age
            .values()
            .flat_map(|open| std::iter::once(&open.sampled).chain(&open.served))
    }
}

/// Whether a value can be a probability.
pub(super) fn is_share(value: f64) -> bool {
    // Sums of probabilities may be a hair above 1.
    (0.0..=1.0 + 1e-9).contains(&value)
}
