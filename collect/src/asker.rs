//! One call from its reservation to its answer: cached, capped, journalled, tried again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plimsoll::{Seed, Usd};
use serde::Serialize;
use tokio::sync::{OnceCell, watch};

use crate::books::{Books, Held, NotHeld};
use crate::error::CollectError;
use crate::failure::Failure;
use crate::journal::Answer;
use crate::price::ArmPrice;
use crate::reply::{self, TokenBound};
use crate::report::Calls;
use crate::retry;
use crate::transport::{Clock, Outgoing, Reply, SendError, Transport};

/// Asks a run to stop: calls under way are finished, no further one is sent.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Default for Stop {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Stop {
    /// Stops the run; may be called from any thread, any number of times.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether the run was asked to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    async fn stopped(&self) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(|is_stopped| *is_stopped).await;
    }
}

/// Name of the field that limits output tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitField {
    /// `max_tokens`, which nearly every service understands.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's reasoning models want instead.
    MaxCompletionTokens,
}

/// What an arm is called for; both are paid from the same budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    Answer,
    Judge,
}

/// A model that is asked, and within what limits.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) purpose: Purpose,
    pub(crate) arm: String,
    pub(crate) price: ArmPrice,
    pub(crate) output_max: u64,
    pub(crate) limit_field: LimitField,
}

/// A call, ready to be sent.
pub(crate) struct Call {
    digest: String,
    body: Vec<u8>,
    tokens: TokenBound,
    /// `None`: the counts are absurd.
    bound: Option<Usd>,
}

/// A message of a chat.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Message<'a> {
    pub(crate) role: &'static str,
    pub(crate) content: &'a str,
}

/// Tokens that a service may add to what it was sent: the chat's own marks, a system prompt of its
/// template.
const INPUT_OVERHEAD_TOKENS: u64 = 512;

impl Call {
    /// The call that puts these messages to the model. No token is shorter than a byte, so the
    /// body's bytes and an overhead bound its input tokens.
    pub(crate) fn new(endpoint: &str, asked: &Asked, messages: &[Message<'_>]) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            model: &'a str,
            messages: &'a [Message<'a>],
            #[serde(skip_serializing_if = "Option::is_none")]
            max_tokens: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            max_completion_tokens: Option<u64>,
        }
        let limit = |field| (asked.limit_field == field).then_some(asked.output_max);
        let body = serde_json::to_vec(&Body {
            model: &asked.arm,
            messages,
            max_tokens: limit(LimitField::MaxTokens),
            max_completion_tokens: limit(LimitField::MaxCompletionTokens),
        });
        let body = body.expect("texts and numbers are JSON");
        let mut hasher = blake3::Hasher::new();
        for part in [
            b"plimsoll collect call v1",
            endpoint.as_bytes(),
            asked.arm.as_bytes(),
        ] {
            hasher
                .update(&(part.len() as u64).to_le_bytes())
                .update(part);
        }
        let tokens = TokenBound {
            input_max: body.len() as u64 + INPUT_OVERHEAD_TOKENS,
            output_max: asked.output_max,
        };
        Self {
            digest: hasher.update(&body).finalize().to_hex().to_string(),
            bound: asked.price.bound(tokens.input_max, tokens.output_max),
            body,
            tokens,
        }
    }
}

/// An answer, and whether it was paid for before.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) answer: Arc<Answer>,
    pub(crate) is_cached: bool,
}

type Cell = Arc<OnceCell<Result<Got, Failure>>>;

/// Asks; shared by all workers of a run.
pub(crate) struct Asker<T, C> {
    pub(crate) transport: T,
    pub(crate) clock: C,
    pub(crate) books: Books,
    pub(crate) retries_max: u32,
    pub(crate) seed: Seed,
    pub(crate) stop: Stop,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Equal calls share one outcome.
    cells: HashMap<String, Cell>,
    tallies: BTreeMap<(Purpose, String), Calls>,
    /// Arms that are not asked again in this run.
    given_up: BTreeSet<(Purpose, String)>,
    fatal: Option<CollectError>,
}

/// What a reply, or its absence, comes to.
struct Outcome {
    charged: Usd,
    /// `None`: not known, so the bound is charged.
    cost: Option<Usd>,
    result: Result<Answer, Failure>,
}

impl<T: Transport, C: Clock> Asker<T, C> {
    pub(crate) fn new(
        transport: T,
        clock: C,
        books: Books,
        retries_max: u32,
        seed: Seed,
        stop: Stop,
    ) -> Self {
        Self {
            transport,
            clock,
            books,
            retries_max,
            seed,
            stop,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stopped the run, once.
    pub(crate) fn take_fatal(&self) -> Option<CollectError> {
        self.state().fatal.take()
    }

    /// The calls made to an arm so far.
    pub(crate) fn tally(&self, purpose: Purpose, arm: &str) -> Calls {
        let tallies = &self.state().tallies;
        tallies
            .get(&(purpose, arm.to_owned()))
            .cloned()
            .unwrap_or_default()
    }

    fn count(&self, asked: &Asked, change: impl FnOnce(&mut Calls)) {
        let key = (asked.purpose, asked.arm.clone());
        change(self.state().tallies.entry(key).or_default());
    }

    /// Counts a failure that only the answer's use shows.
    pub(crate) fn count_failure(&self, asked: &Asked, failure: Failure, got: &Got) {
        self.count(asked, |calls| {
            if got.is_cached {
                calls.cached -= 1;
            } else {
                calls.answered -= 1;
            }
            calls.fail(failure);
        });
    }

    /// The answer to a call: kept, had from an equal call, or paid for now.
    pub(crate) async fn ask(&self, asked: &Asked, call: &Call) -> Result<Got, Failure> {
        let shared = Arc::clone(self.state().cells.entry(call.digest.clone()).or_default());
        let mut is_first = false;
        let first = async {
            is_first = true;
            match self.books.answer(&call.digest) {
                Some(answer) => Ok(Got {
                    answer,
                    is_cached: true,
                }),
                None => self.pay(asked, call).await,
            }
        };
        let result = shared.get_or_init(|| first).await.clone();
        let result = result.map(|got| Got {
            is_cached: got.is_cached || !is_first,
            ..got
        });
        self.count(asked, |calls| match &result {
            Ok(got) => calls.answer(&got.answer, got.is_cached),
            Err(failure) => calls.fail(*failure),
        });
        result
    }

    async fn pay(&self, asked: &Asked, call: &Call) -> Result<Got, Failure> {
        let mut attempt = 0;
        loop {
            if self.stop.is_stopped() {
                return Err(Failure::Interrupted);
            }
            let key = (asked.purpose, asked.arm.clone());
            if self.state().given_up.contains(&key) {
                return Err(Failure::ArmStopped);
            }
            let held = self.reserve(asked, call).await?;
            let (result, wait) = self.send(asked, call, held).await?;
            let failure = match result {
                Ok(answer) => {
                    return Ok(Got {
                        answer,
                        is_cached: false,
                    });
                }
                Err(failure) => failure,
            };
            if failure.stops_arm() {
                self.state().given_up.insert(key);
            }
            if !failure.is_passing() || attempt >= self.retries_max {
                return Err(failure);
            }
            let own = retry::backoff(self.seed, &call.digest, attempt);
            let wait = wait.map_or(own, |theirs| theirs.max(own));
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = self.stop.stopped() => return Err(Failure::Interrupted),
            }
            attempt += 1;
        }
    }

    /// Waits for room in the budget as long as calls under way may leave some over.
    async fn reserve(&self, asked: &Asked, call: &Call) -> Result<Held, Failure> {
        let bound = call.bound.ok_or(Failure::NoBound)?;
        loop {
            // Listening begins before looking, so that nothing settled in between is missed.
            let freed = self.books.freed().notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            match self.books.reserve(&call.digest, &asked.arm, bound) {
                Ok(held) => return Ok(held),
                Err(NotHeld::Never(failure)) => return Err(failure),
                Err(NotHeld::Fatal(error)) => return Err(self.fatal(error)),
                Err(NotHeld::Wait) => tokio::select! {
                    () = freed => {}
                    () = self.stop.stopped() => return Err(Failure::Interrupted),
                },
            }
        }
    }

    /// Sends the call and settles what was held, whatever comes of it.
    async fn send(
        &self,
        asked: &Asked,
        call: &Call,
        held: Held,
    ) -> Result<(Result<Arc<Answer>, Failure>, Option<std::time::Duration>), Failure> {
        let outgoing = Outgoing {
            digest: &call.digest,
            model: &asked.arm,
            body: &call.body,
        };
        let begun = self.clock.millis();
        let sent = self.transport.send(outgoing).await;
        let latency_ms = self.clock.millis().saturating_sub(begun);
        let wait = sent
            .as_ref()
            .ok()
            .and_then(|reply| retry::retry_after(reply, self.clock.date()));
        let outcome = outcome(asked, call, held.bound, sent, latency_ms);
        self.count(asked, |calls| calls.charge(outcome.charged, outcome.cost));
        let failure = outcome.result.as_ref().err().copied();
        let settled = self
            .books
            .settle(held, &call.digest, outcome.charged, outcome.result);
        match (settled, failure) {
            (Ok(Some(answer)), _) => Ok((Ok(answer), None)),
            (Ok(None), failure) => Ok((Err(failure.unwrap_or(Failure::Dropped)), wait)),
            (Err(error), _) => Err(self.fatal(error)),
        }
    }

    /// The journal refuses: nothing more may be sent.
    fn fatal(&self, error: CollectError) -> Failure {
        self.state().fatal.get_or_insert(error);
        self.stop.stop();
        Failure::Interrupted
    }
}

fn outcome(
    asked: &Asked,
    call: &Call,
    bound: Usd,
    sent: Result<Reply, SendError>,
    latency_ms: u64,
) -> Outcome {
    let failed = |failure: Failure, cost: Option<Usd>| {
        let cost = if failure.may_be_charged() {
            cost
        } else {
            Some(Usd::ZERO)
        };
        Outcome {
            charged: cost.unwrap_or(bound),
            cost,
            result: Err(failure),
        }
    };
    let reply = match sent {
        Ok(reply) => reply,
        Err(SendError::Connect) => return failed(Failure::Connect, None),
        Err(SendError::Timeout) => return failed(Failure::Timeout, None),
        Err(SendError::Dropped) => return failed(Failure::Dropped, None),
        Err(SendError::TooLarge) => return failed(Failure::TooLarge, None),
    };
    match reply.status {
        200..=299 => {}
        300..=399 => return failed(Failure::Redirect, None),
        status => return failed(Failure::Http(status), None),
    }
    match reply::parse(&reply.body, call.tokens) {
        Ok(parsed) => {
            let cost = parsed
                .usage
                .as_ref()
                .and_then(|usage| asked.price.cost(usage));
            // Within the bound's tokens the cost is within the bound.
            Outcome {
                charged: cost.unwrap_or(bound),
                cost,
                result: Ok(Answer {
                    content: parsed.content,
                    usage: parsed.usage,
                    cost,
                    is_truncated: parsed.is_truncated,
                    latency_ms,
                }),
            }
        }
        Err((failure, usage)) => failed(failure, usage.and_then(|usage| asked.price.cost(&usage))),
    }
}
