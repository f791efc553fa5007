//! Plimsoll's engine.
mod money;
mod units;

pub use money::{MoneyError, PICO_PER_USD, Price, Usd};
pub use units::{ArmId, Propensity, Quality, Seed, UnitError};
