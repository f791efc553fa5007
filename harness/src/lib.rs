//! Harness.
pub mod bounds;
pub mod bootstrap;
mod evaluation;
pub use evaluation::*;
