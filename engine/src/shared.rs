//! One router, many threads: decisions without a lock, one learner.

use crate::call::Call;
use crate::event::{Event, Report};
use crate::ledger::Denied;
use crate::live::{Applied, Live};
use crate::policy::Workspace;
use crate::router::{Choice, Router};
use crate::router_error::{DecideError, FeedbackError};
use crate::spending::{Ask, SpendError, Spending};
use crate::sync::{Mutex, MutexGuard, Published};

/// Default of the most events that wait to be learned.
pub const QUEUE_MAX: usize = 1 << 20;

/// A [`Live`] router that many threads share.
///
/// Threads decide on an immutable [`Router`] that they read without a lock. What changes it is
/// queued; whoever calls [`learn`](Self::learn) takes the queue, applies it in order, and publishes
/// the router as it is then. Events are numbered in queue order, so that a journal of them makes
/// the same state again. No thread is started here: call `learn` from one of your own, every few
/// milliseconds.
///
/// ```
/// # use plimsoll::{ArmId, ArmSpec, CostPredictor, Random, Router};
/// use plimsoll::{Call, Context, Live, OpenLimits, Quality, Report, Seed, SharedRouter, Workspace};
/// # let arms = vec![ArmSpec::new(ArmId::new("a")?), ArmSpec::new(ArmId::new("b")?)];
/// # let cost = CostPredictor::fit(&arms, [])?;
/// # let router = Router::with_policy(arms, None, cost, Box::new(Random::new(2)?))?;
/// let shared = SharedRouter::new(Live::new(router, OpenLimits::default()));
/// std::thread::scope(|threads| {
///     for thread in 0..2 {
///         let shared = &shared;
///         threads.spawn(move || {
///             let (context, mut work) = (Context::default(), Workspace::default());
///             for request in 0..10 {
///                 let key = format!("{thread}-{request}");
///                 let call = Call::new(&context, &key, Seed(7));
///                 let (_choice, _number) = shared.decide(&call, 1_000, &mut work).expect("decides");
///                 let good = Quality::new(1.0).expect("in range");
///                 shared.report(Report::label(key, 2_000, good)).expect("there is room");
///             }
///         });
///     }
/// });
/// let learned = shared.learn()?;
/// assert_eq!((learned.events, learned.counts.learned), (40, 20));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SharedRouter {
    published: Published<Router>,
    queue: Mutex<Queue>,
    learner: Mutex<Learner>,
    queue_max: usize,
    /// Whether there is a ledger: a router without one takes no lock to decide.
    capped: bool,
}

/// Events in the order in which they will be learned.
#[derive(Debug)]
struct Queue {
    /// Number of the first event that waits.
    first: u64,
    events: Vec<Event>,
    /// The ledger after all events that are queued: the learner's, some events ahead.
    spending: Option<Spending>,
}

/// Whoever learns, one at a time.
#[derive(Debug)]
struct Learner {
    live: Live,
    /// Room for the next queue, so that senders need not make it under the lock.
    spare: Vec<Event>,
}

/// What one call of [`SharedRouter::learn`] did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Learned {
    /// Events taken from the queue.
    pub events: u64,
    /// Number of the first event that has not been applied: all below it have been.
    pub sequence: u64,
    /// What the events did.
    pub counts: Applications,
    /// Numbers of the first events that were refused, and why; at most [`REFUSALS_MAX`].
    pub refused: Vec<(u64, FeedbackError)>,
}

/// Most refusals that [`Learned`] tells one by one.
pub const REFUSALS_MAX: usize = 16;

/// What a batch of events did, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applications {
    /// Decisions opened.
    pub opened: u64,
    /// Outcomes learned.
    pub learned: u64,
    /// Duplicates, reports of unknown decisions and late reports: they changed nothing.
    pub ignored: u64,
    /// Other changes.
    pub other: u64,
    /// Events refused.
    pub refused: u64,
}

/// Why an event was not queued, or the queue not learned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SharedError {
    /// The queue is full.
    #[error("{waiting} events wait to be learned, no more are taken")]
    QueueFull {
        /// Events that wait.
        waiting: usize,
    },
    /// A policy panicked while it learned: the learner's state may be half changed.
    #[error("a policy panicked while it learned; the router still decides, but learns no more")]
    LearnerLost,
    /// No decision was taken.
    #[error(transparent)]
    Decide(#[from] DecideError),
    /// The ledger cannot book the event.
    #[error(transparent)]
    Spending(#[from] SpendError),
}

impl SharedError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "P0563",
            Self::LearnerLost => "P0564",
            Self::Decide(error) => error.code(),
            Self::Spending(error) => error.code(),
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::QueueFull { .. } => {
                "call `learn` more often; until then `choose` decides, without feedback by id"
            }
            Self::LearnerLost => "recover from snapshot and journal, and report the policy's bug",
            Self::Decide(error) => error.help(),
            Self::Spending(error) => error.help(),
        }
    }
}

/// Why a batch was not learned: the learner's error, or that of the log it was to be written to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError<E: std::error::Error + 'static> {
    /// The learner cannot go on.
    #[error(transparent)]
    Shared(SharedError),
    /// The events were not logged. They are back at the head of the queue, unlearned.
    #[error(transparent)]
    Log(E),
}

impl SharedRouter {
    /// Shares a router; at most [`QUEUE_MAX`] events wait to be learned.
    #[must_use]
    pub fn new(live: Live) -> Self {
        Self::with_queue(live, QUEUE_MAX)
    }

    /// Shares a router; at most `queue_max` events wait to be learned.
    #[must_use]
    pub fn with_queue(live: Live, queue_max: usize) -> Self {
        Self {
            published: Published::new(live.router().clone()),
            queue: Mutex::new(Queue {
                first: live.sequence(),
                events: Vec::new(),
                spending: live.spending().cloned(),
            }),
            capped: live.spending().is_some(),
            learner: Mutex::new(Learner {
                live,
                spare: Vec::new(),
            }),
            queue_max,
        }
    }

    /// Decides which arm answers, on the newest published state: no lock is taken, and nothing is
    /// allocated in steady state. Nothing is remembered: feedback to it comes as
    /// [`Event::Feedback`].
    ///
    /// # Errors
    /// [`DecideError`] when no arm may answer or the request cannot be used.
    pub fn choose(&self, call: &Call<'_>, work: &mut Workspace) -> Result<Choice, DecideError> {
        self.published.read(|router| router.choose(call, work))
    }

    /// Decides, and queues that it did, so that feedback can come by the request's key: the choice
    /// and the event's number. `at_ms` is now, by the caller's clock.
    ///
    /// Under caps, no arm is chosen that one denies, and the call's money is held when this
    /// returns: in the same step in which it was found to be there. A caller whose holds must
    /// outlive a crash makes the call once the event is logged.
    ///
    /// # Errors
    /// [`SharedError`] when no decision was taken, or the queue is full.
    pub fn decide(
        &self,
        call: &Call<'_>,
        at_ms: u64,
        work: &mut Workspace,
    ) -> Result<(Choice, u64), SharedError> {
        if self.capped {
            return self.decide_capped(call, at_ms, work);
        }
        let (choice, decided) = self.published.read(|router| {
            let choice = router.choose(call, work)?;
            let decided = router.decided(call, choice, at_ms, work);
            Ok::<_, DecideError>((choice, decided))
        })?;
        Ok((choice, self.send(Event::Decided(decided))?))
    }

    /// Draws without the lock; under it, draws again if other arms are denied by now. What the
    /// first draw was has no say in that, so that the propensity is exact.
    fn decide_capped(
        &self,
        call: &Call<'_>,
        at_ms: u64,
        work: &mut Workspace,
    ) -> Result<(Choice, u64), SharedError> {
        let router = self.published.full();
        let asks = router.asks(call);
        let draw = |denials: &[Option<Denied>], work: &mut Workspace| {
            let choice = router.choose_among(call, denials, work)?;
            let decided = router.decided(call, choice, at_ms, work);
            Ok::<_, DecideError>((choice, decided))
        };
        let before = self.queue().denials(&asks, at_ms);
        let mut drawn = draw(&before, work);
        let mut queue = self.queue();
        let now = queue.denials(&asks, at_ms);
        let denied = |denials: &[Option<Denied>]| denials.iter().map(Option::is_some).collect();
        let (denied_before, denied_now): (Vec<bool>, Vec<bool>) = (denied(&before), denied(&now));
        if denied_before != denied_now {
            drawn = draw(&now, work);
        }
        let (choice, mut decided) = drawn?;
        let spending = queue.spending.as_ref();
        decided.held = spending.and_then(|spending| spending.held(&asks[choice.arm]));
        let number = queue.push(Event::Decided(decided), self.queue_max)?;
        Ok((choice, number))
    }

    /// Queues what became of a decision; its number. Under caps, its cost is settled at once.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn report(&self, report: Report) -> Result<u64, SharedError> {
        self.send(Event::Reported(report))
    }

    /// Queues any event; its number. Once [`Learned::sequence`] is above it, it is applied.
    ///
    /// # Errors
    /// [`SharedError::QueueFull`]; and [`SharedError::Spending`] when the ledger cannot book it.
    pub fn send(&self, event: Event) -> Result<u64, SharedError> {
        self.queue().push(event, self.queue_max)
    }

    /// Learns what waits, in order, and publishes the router as it is then.
    ///
    /// # Errors
    /// [`SharedError::LearnerLost`] when a policy panicked before.
    pub fn learn(&self) -> Result<Learned, SharedError> {
        let nowhere = |_: u64, _: &[Event]| Ok::<(), std::convert::Infallible>(());
        self.learn_logged(nowhere).map_err(|error| match error {
            LearnError::Shared(error) => error,
            LearnError::Log(never) => match never {},
        })
    }

    /// As [`learn`](Self::learn), but `log` gets the number of the first event and the events
    /// before any is applied: what it stores can be acknowledged.
    ///
    /// # Errors
    /// [`LearnError::Log`] with the log's error: the events wait at the head of the queue again.
    pub fn learn_logged<E: std::error::Error + 'static>(
        &self,
        mut log: impl FnMut(u64, &[Event]) -> Result<(), E>,
    ) -> Result<Learned, LearnError<E>> {
        let mut guard = self.learner().map_err(LearnError::Shared)?;
        let Learner { live, spare } = &mut *guard;
        let batch = {
            let mut queue = self.queue();
            queue.first += queue.events.len() as u64;
            std::mem::replace(&mut queue.events, std::mem::take(spare))
        };
        if let Err(error) = log(live.sequence(), &batch) {
            self.put_back(batch);
            return Err(LearnError::Log(error));
        }
        let mut learned = Learned {
            events: batch.len() as u64,
            sequence: 0,
            counts: Applications::default(),
            refused: Vec::new(),
        };
        for event in &batch {
            let number = live.sequence();
            learned.count(number, live.apply(event));
        }
        learned.sequence = live.sequence();
        if learned.counts.learned + learned.counts.other > 0 {
            self.published.publish(live.router().clone());
        }
        *spare = batch;
        spare.clear();
        Ok(learned)
    }

    /// What is spent and held under caps after all events that are queued; `None`: there is no
    /// ledger.
    #[must_use]
    pub fn spending(&self) -> Option<Spending> {
        self.queue().spending.clone()
    }

    /// Events that wait to be learned.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue().events.len()
    }

    /// The router that decides at this moment.
    #[must_use]
    pub fn router(&self) -> std::sync::Arc<Router> {
        self.published.full()
    }

    /// The learner's state: between two calls of [`learn`](Self::learn), whole.
    ///
    /// # Errors
    /// [`SharedError::LearnerLost`] when a policy panicked while it learned.
    pub fn with_live<R>(&self, read: impl FnOnce(&Live) -> R) -> Result<R, SharedError> {
        Ok(read(&self.learner()?.live))
    }

    fn put_back(&self, mut batch: Vec<Event>) {
        let mut queue = self.queue();
        queue.first -= batch.len() as u64;
        batch.append(&mut queue.events);
        queue.events = batch;
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Only pushes and swaps happen behind it, so that it is whole whatever happened.
        self.queue
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn learner(&self) -> Result<MutexGuard<'_, Learner>, SharedError> {
        self.learner.lock().map_err(|_| SharedError::LearnerLost)
    }
}

impl Queue {
    fn push(&mut self, event: Event, queue_max: usize) -> Result<u64, SharedError> {
        let waiting = self.events.len();
        if waiting >= queue_max {
            return Err(SharedError::QueueFull { waiting });
        }
        if let Some(spending) = &mut self.spending {
            spending.apply(&event)?;
        }
        self.events.push(event);
        Ok(self.first + waiting as u64)
    }

    fn denials(&self, asks: &[Ask], at_ms: u64) -> Vec<Option<Denied>> {
        let spending = self.spending.as_ref();
        spending.map_or_else(Vec::new, |spending| spending.denials(asks, at_ms))
    }
}

impl Learned {
    fn count(&mut self, number: u64, applied: Result<Applied, FeedbackError>) {
        let counts = &mut self.counts;
        let count = match applied {
            Ok(Applied::Opened) => &mut counts.opened,
            Ok(Applied::Learned) => &mut counts.learned,
            Ok(Applied::OpenedBefore | Applied::Duplicate | Applied::Unknown | Applied::Late) => {
                &mut counts.ignored
            }
            Ok(Applied::Noted | Applied::ArmsChanged | Applied::Released | Applied::CapSet) => {
                &mut counts.other
            }
            Err(error) => {
                if self.refused.len() < REFUSALS_MAX {
                    self.refused.push((number, error));
                }
                &mut counts.refused
            }
        };
        *count += 1;
    }
}
