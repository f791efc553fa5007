//! What carries a call, and what time it is: the network and the clock, behind two traits.

use std::future::Future;
use std::time::{Duration, SystemTime};

/// Most bytes of a reply.
pub const REPLY_BYTES_MAX: usize = 8 << 20;

/// A call as it is sent.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// Digest of endpoint, model and body.
    pub digest: &'a str,
    /// The model that is asked.
    pub model: &'a str,
    /// JSON of the request.
    pub body: &'a [u8],
}

/// What came back.
#[derive(Clone, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The header `Date`.
    pub date: Option<String>,
    /// The body; at most [`REPLY_BYTES_MAX`] bytes. Only that of a success is read.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No connection was made: nothing was sent.
    Connect,
    /// The time ran out; the call may have been answered.
    Timeout,
    /// The connection broke; the call may have been answered.
    Dropped,
    /// The body is larger than [`REPLY_BYTES_MAX`].
    TooLarge,
}

/// Carries one call, once.
pub trait Transport: Send + Sync + 'static {
    /// What the answers' digests are keyed by besides the call: where it goes.
    fn endpoint(&self) -> &str;

    /// Sends a call and waits for its reply.
    fn send(&self, call: Outgoing<'_>) -> impl Future<Output = Result<Reply, SendError>> + Send;
}

/// A clock, and waiting by it.
pub trait Clock: Send + Sync + 'static {
    /// The date, which headers are compared with.
    fn date(&self) -> SystemTime;

    /// Milliseconds since some moment, never going back.
    fn millis(&self) -> u64;

    /// Waits.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(std::time::Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Clock for SystemClock {
    fn date(&self) -> SystemTime {
        SystemTime::now()
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
