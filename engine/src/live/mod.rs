//! A router in service: one owner, and everything that changes it is an event.

mod open;
mod stored;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::event::{Decided, Event, Report};
use crate::feedback::Feedback;
use crate::ledger::Ledger;
use crate::money::Usd;
use crate::policy::{PolicyError, Workspace};
use crate::router::{Choice, Known, Router};
use crate::router_error::{DecideError, FeedbackError};
use crate::sealed::COUNT_MAX;
use crate::spending::{SpendError, Spending};

pub use open::{OPEN_MAX, OpenDecision, OpenLimits, TTL_MS};
pub use stored::{LIVE_MAGIC, LIVE_VERSION};

use open::{Fate, Found, OpenDecisions, is_share};

/// A [`Router`] with its open decisions: feedback comes by decision id, delayed, twice or never.
///
/// All change goes through [`apply`](Self::apply), so that a journal of [`Event`]s and a snapshot
/// make the same state again, bit for bit. Time is the events' own: nothing here reads a clock.
///
/// A decision is open until its label comes, its time is up, or younger ones need its place. The
/// bill (cost, tokens) may come before the label or with it; whatever is said a second time
/// changes nothing and is counted.
///
/// ```
/// # use plimsoll::{ArmId, ArmSpec, CostPredictor, Random, Router};
/// use plimsoll::{Applied, Call, Context, Event, Live, OpenLimits, Quality, Report, Seed, Workspace};
/// # let arms = vec![ArmSpec::new(ArmId::new("a")?), ArmSpec::new(ArmId::new("b")?)];
/// # let cost = CostPredictor::fit(&arms, [])?;
/// # let router = Router::with_policy(arms, None, cost, Box::new(Random::new(2)?))?;
/// let mut live = Live::new(router, OpenLimits::default());
/// let (context, mut work) = (Context::default(), Workspace::default());
///
/// let call = Call::new(&context, "request-1", Seed(7));
/// let choice = live.router().choose(&call, &mut work)?;
/// let decided = live.router().decided(&call, choice, 1_000, &mut work);
/// live.apply(&Event::Decided(decided))?;
///
/// let report = Event::Reported(Report::label("request-1", 61_000, Quality::new(1.0)?));
/// assert_eq!(live.apply(&report), Ok(Applied::Learned));
/// assert_eq!(live.apply(&report), Ok(Applied::Duplicate));
///
/// let resumed = Live::restore(&live.snapshot())?;
/// assert_eq!(resumed.snapshot(), live.snapshot());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Live {
    router: Router,
    open: OpenDecisions,
    counts: Counts,
    /// Caps; `None`: there are none.
    spending: Option<Spending>,
    /// Number of the next event.
    sequence: u64,
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Applied {
    /// A decision was opened.
    Opened,
    /// A decision of this id is known already: nothing changed.
    OpenedBefore,
    /// An outcome was learned.
    Learned,
    /// The served arm was noted; there was nothing to learn yet.
    Noted,
    /// The report said nothing new: nothing changed.
    Duplicate,
    /// No decision of this id is known: nothing changed.
    Unknown,
    /// The decision had been given up, its time up or its place needed: nothing changed.
    Late,
    /// The arms changed.
    ArmsChanged,
    /// What was held for a decision, if anything, is free again.
    Released,
    /// A cap was set.
    CapSet,
}

/// How often each thing happened, since the state was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Decisions opened.
    pub opened: u64,
    /// Decisions under an id that was known already.
    pub opened_before: u64,
    /// Reports and outcomes learned.
    pub learned: u64,
    /// Reports after which another arm than the one drawn is known to have answered.
    pub served_by_another: u64,
    /// Reports that said nothing new.
    pub duplicate: u64,
    /// Reports of decisions that are not known.
    pub unknown: u64,
    /// Reports of decisions that had been given up.
    pub late: u64,
    /// Decisions given up without a label because their time was up.
    pub expired: u64,
    /// Decisions given up without a label because younger ones needed their place.
    pub evicted: u64,
    /// Events refused as invalid.
    pub refused: u64,
}

impl Counts {
    fn is_sound(&self) -> bool {
        let decisions = [self.opened, self.opened_before, self.expired, self.evicted];
        let reports = [self.learned, self.duplicate, self.unknown, self.late];
        let others = [self.served_by_another, self.refused];
        let mut all = decisions.iter().chain(&reports).chain(&others);
        all.all(|count| *count <= COUNT_MAX)
    }
}

impl Live {
    /// A router in service, with no decision open.
    #[must_use]
    pub fn new(router: Router, limits: OpenLimits) -> Self {
        Self {
            router,
            open: OpenDecisions::new(limits),
            counts: Counts::default(),
            spending: None,
            sequence: 0,
        }
    }

    /// The same under the caps of a ledger.
    ///
    /// Decide with [`decide`](Self::decide) then: it chooses no arm that a cap denies, and its
    /// event holds the money. The report's cost settles it by decision id, once; a hold whose bill
    /// does not come in time is charged in full.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.spending = Some(Spending::new(ledger));
        self
    }

    /// Decides which arm answers, and the event of it. The call may be made once
    /// [`apply`](Self::apply) has taken the event; until then nothing is held.
    ///
    /// # Errors
    /// [`DecideError`] when no arm may answer, be it that caps deny them all.
    pub fn decide(
        &self,
        call: &Call<'_>,
        at_ms: u64,
        work: &mut Workspace,
    ) -> Result<(Choice, Decided), DecideError> {
        let Some(spending) = &self.spending else {
            let choice = self.router.choose(call, work)?;
            return Ok((choice, self.router.decided(call, choice, at_ms, work)));
        };
        let asks = self.router.asks(call);
        let denials = spending.denials(&asks, at_ms);
        let choice = self.router.choose_among(call, &denials, work)?;
        let mut decided = self.router.decided(call, choice, at_ms, work);
        decided.held = spending.held(&asks[choice.arm]);
        Ok((choice, decided))
    }

    /// What was spent and is held under caps; `None`: there is no ledger.
    #[must_use]
    pub fn spending(&self) -> Option<&Spending> {
        self.spending.as_ref()
    }

    /// Applies one event. Equal states that apply equal events stay equal, bit for bit, refused
    /// events included.
    ///
    /// # Errors
    /// [`FeedbackError`] when the event is invalid: it is numbered and counted, its time is taken
    /// note of, and nothing else changes. Money that a report says was spent stays booked even
    /// where there is nothing to learn from it.
    pub fn apply(&mut self, event: &Event) -> Result<Applied, FeedbackError> {
        self.sequence += 1;
        let applied = match event {
            Event::Decided(decided) => self.decided(decided, event),
            Event::Reported(report) => self.reported(report, event),
            Event::Feedback { .. } => self.router.apply(event).map(|()| Applied::Learned),
            Event::Released { at_ms, .. } => {
                self.counts.expired += self.open.advance(*at_ms);
                self.book(event).map(|()| Applied::Released)
            }
            Event::CapSet { .. } => self.book(event).map(|()| Applied::CapSet),
            _ => self.router.apply(event).map(|()| Applied::ArmsChanged),
        };
        let counts = &mut self.counts;
        let count = match applied {
            Ok(Applied::Opened) => &mut counts.opened,
            Ok(Applied::OpenedBefore) => &mut counts.opened_before,
            Ok(Applied::Learned) => &mut counts.learned,
            Ok(Applied::Duplicate) => &mut counts.duplicate,
            Ok(Applied::Unknown) => &mut counts.unknown,
            Ok(Applied::Late) => &mut counts.late,
            Ok(Applied::Noted | Applied::ArmsChanged | Applied::Released | Applied::CapSet) => {
                return applied;
            }
            Err(_) => &mut counts.refused,
        };
        *count += 1;
        applied
    }

    fn decided(&mut self, decided: &Decided, event: &Event) -> Result<Applied, FeedbackError> {
        self.counts.expired += self.open.advance(decided.at_ms);
        if self.spending.is_some() || decided.held.is_some() {
            self.book(event)?;
        }
        self.router.index(&decided.arm)?;
        decided.context.validate().map_err(FeedbackError::Context)?;
        if let Some(got) = decided.policy_chance.filter(|chance| !is_share(*chance)) {
            let (name, allowed) = ("policy_chance", "[0, 1]");
            return Err(PolicyError::Parameter { name, got, allowed }.into());
        }
        if !matches!(self.open.find(&decided.id), Found::Nothing) {
            return Ok(Applied::OpenedBefore);
        }
        self.counts.evicted += self.open.insert(decided, self.sequence);
        Ok(Applied::Opened)
    }

    fn reported(&mut self, report: &Report, event: &Event) -> Result<Applied, FeedbackError> {
        self.counts.expired += self.open.advance(report.at_ms);
        if self.spending.is_some() {
            self.book(event)?;
        }
        let open = match self.open.find(&report.id) {
            Found::Open(open) => open,
            Found::Closed(Fate::Settled) => return Ok(Applied::Duplicate),
            Found::Closed(Fate::GivenUp) => return Ok(Applied::Late),
            Found::Nothing => return Ok(Applied::Unknown),
        };
        // What was said first stands.
        let named = report.served.as_ref().filter(|_| open.is_untold());
        let served = named.or(open.served.as_ref());
        let by_another = served.is_some_and(|served| *served != open.sampled);
        let arm = served.unwrap_or(&open.sampled).clone();
        let billed = open.is_billed();
        let bills = !billed && (report.cost.is_some() || report.output_tokens.is_some());
        if report.quality.is_none() && !bills {
            let Some(served) = named else {
                return Ok(Applied::Duplicate);
            };
            self.router.index(served)?;
            self.counts.served_by_another += u64::from(by_another);
            self.open.note(&report.id, Some(arm), None);
            return Ok(Applied::Noted);
        }
        let known = Known {
            // A bill that came before the label is the best expectation of the cost there is.
            cost_expected: open.cost.map(Usd::as_f64).or_else(|| {
                let arm = self.router.index(&arm).ok()?;
                self.router.cost().expected(&open.context, arm)
            }),
            // The rule chose the sampled arm; of another it says nothing.
            policy_chance: open.policy_chance.filter(|_| !by_another),
        };
        let feedback = Feedback {
            arm,
            quality: report.quality,
            cost: report.cost.filter(|_| bills),
            output_tokens: report.output_tokens.filter(|_| bills),
            weight: report.weight,
            propensity: Some(open.propensity).filter(|_| !by_another),
        };
        let first_told = by_another && open.served.is_none();
        self.router.learn(&open.context, &feedback, known)?;
        self.counts.served_by_another += u64::from(first_told);
        if report.quality.is_some() {
            self.open.settle(&report.id);
        } else {
            let bill = (report.cost, report.output_tokens);
            self.open.note(&report.id, Some(feedback.arm), Some(bill));
        }
        Ok(Applied::Learned)
    }

    /// Books money where there is a ledger.
    fn book(&mut self, event: &Event) -> Result<(), FeedbackError> {
        let spending = self.spending.as_mut().ok_or(SpendError::NoLedger)?;
        Ok(spending.apply(event)?)
    }

    /// The router: decide with it, read from it.
    #[must_use]
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// Events applied so far, which is the number of the next one.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How often each thing happened.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Decisions that are open.
    #[must_use]
    pub fn open_decisions(&self) -> usize {
        self.open.len()
    }

    /// The open decision of that id.
    #[must_use]
    pub fn open_decision(&self, id: &str) -> Option<&OpenDecision> {
        match self.open.find(id) {
            Found::Open(open) => Some(open),
            _ => None,
        }
    }

    /// Newest event time, in milliseconds of the caller's clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.open.now_ms()
    }
}

/// Equal states decide and learn alike ever after.
impl PartialEq for Live {
    fn eq(&self, other: &Self) -> bool {
        self.snapshot() == other.snapshot()
    }
}
