//! Harness.
pub mod bounds;
pub mod bootstrap;
pub mod hull;
pub mod metrics;
pub mod promise;
mod evaluation;
pub use evaluation::*;
