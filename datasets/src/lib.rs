//! Outcome logs.
mod log;
pub use log::{EvidenceKind, Outcome, OutcomeLog, Request};
