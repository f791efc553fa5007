//! Harness.
pub mod bounds;
pub mod bootstrap;
pub mod hull;
pub mod judge;
pub mod metrics;
pub mod promise;
mod error;
mod evaluation;
mod table;
pub use error::EvidenceError;
pub use evaluation::*;
pub use table::{ArmChoice, OutcomeTable, UNPRICED_SHARE_MAX};
