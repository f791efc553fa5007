//! Harness.
pub mod bounds;
pub mod bootstrap;
pub mod hull;
pub mod judge;
pub mod metrics;
pub mod promise;
pub mod candidate;
mod error;
pub mod forecast;
mod evaluation;
pub mod study;
mod replay;
mod sections;
mod table;
pub mod tune;
pub use error::EvidenceError;
pub use evaluation::*;
pub use replay::{
    INTERVAL_CONFIDENCE, INVOICE_TOLERANCE, RESAMPLES, Replay, ReplayInput, ReplayOptions, Stage, replay,
};
pub use table::{ArmChoice, OutcomeTable, UNPRICED_SHARE_MAX};
