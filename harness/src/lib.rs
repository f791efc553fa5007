//! Harness.
mod evaluation;
pub use evaluation::*;
