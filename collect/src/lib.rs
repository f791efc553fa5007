//! Fills a log in: asks the arms that a request was not put to, at a price known before.
//!
//! A production log knows what one arm answered. [`collect`] draws a sample of its requests, asks
//! the missing arms through an OpenAI-compatible service, and may have a judge score the answers
//! by a fixed [`RUBRIC`]. What it keeps to:
//!
//! - No call is sent before an upper bound of its cost is held in the budget and on disk in the
//!   [`Journal`]; spent + held ≤ budget, whatever happens to calls, network and process.
//! - An answer that was paid for is kept, and never asked for again.
//! - What a call came to is counted as an answer or as a [`Failure`] by its reason; a cost that is
//!   not known is charged in full.
//! - The key is read from the environment, sent to one host, and shown nowhere. Prompts are sent to
//!   the service and are in no journal, report or error.
//!
//! This is the one crate of the workspace that opens network connections. The network and the clock
//! are behind [`Transport`] and [`Clock`].
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use plimsoll_collect::{
//!     Clock, CollectOptions, Journal, Outgoing, Reply, SendError, Stop, Transport, collect,
//! };
//! use plimsoll_datasets::{Catalogue, Input, ReadOptions, read};
//!
//! /// A service that always says the same.
//! struct Parrot;
//!
//! impl Transport for Parrot {
//!     fn endpoint(&self) -> &str {
//!         "parrot"
//!     }
//!     async fn send(&self, _: Outgoing<'_>) -> Result<Reply, SendError> {
//!         let body = r#"{"choices": [{"message": {"content": "hello"}}],
//!                        "usage": {"prompt_tokens": 9, "completion_tokens": 1}}"#;
//!         Ok(Reply { status: 200, body: body.into(), ..Reply::default() })
//!     }
//! }
//! # struct Still;
//! # impl Clock for Still {
//! #     fn date(&self) -> SystemTime { SystemTime::UNIX_EPOCH }
//! #     fn millis(&self) -> u64 { 0 }
//! #     async fn sleep(&self, _: Duration) {}
//! # }
//!
//! let rows = "request_id,model,prompt,quality\nr1,large,hi,1\nr2,large,ho,1\n";
//! let log = read(&Input::bytes("rows.csv", rows.as_bytes()), &ReadOptions::default())?.log;
//! let prices = Catalogue::read("[arms.small]\ninput = 1\noutput = 2")?;
//! let folder = tempfile::tempdir()?;
//! let options = CollectOptions::new(vec!["small".to_owned()], 10, "0.01".parse()?, 0);
//! let journal = Journal::open(folder.path())?;
//! let run = collect(&log, &prices, &options, journal, Parrot, Still, &Stop::default(), |_| ())?;
//! assert_eq!(run.report.arms[0].calls.answered, 2);
//! assert_eq!(run.report.budget.spent_usd, "0.000022".parse()?);
//! run.filled.expect("it was not stopped").write(&folder.path().join("filled.jsonl"), false)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod asker;
mod books;
mod error;
mod failure;
mod fill;
mod http;
mod journal;
mod key;
mod plan;
mod price;
mod reply;
mod report;
mod retry;
mod rubric;
mod run;
mod sample;
mod transport;

pub use asker::{LimitField, Stop};
pub use error::CollectError;
pub use failure::Failure;
pub use fill::{Filled, PROPENSITY_COLUMN};
pub use http::{ENDPOINT_DEFAULT, HttpTransport, Timeouts};
pub use journal::{Earlier, JOURNAL_NAME, Journal, Storage};
pub use key::ApiKey;
pub use plan::CollectOptions;
pub use reply::Usage;
pub use report::{
    ArmReport, BudgetReport, Calls, CollectReport, JudgeReport, SampleReport, Tokens,
};
pub use retry::{BACKOFF_FIRST, BACKOFF_MAX, RETRY_AFTER_MAX};
pub use rubric::{RUBRIC, RUBRIC_VERSION, rubric_digest};
pub use run::{CollectProgress, Collected, collect, collect_on};
pub use transport::{Clock, Outgoing, REPLY_BYTES_MAX, Reply, SendError, SystemClock, Transport};
