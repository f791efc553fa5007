//! Inputs that the benches share: deterministic, so that runs can be compared.

pub mod bandit;
pub mod process;

pub use plimsoll_engine_benches::{Numbers, arms, contexts, outcomes, prompt};
