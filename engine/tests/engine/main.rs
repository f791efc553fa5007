//! The engine from outside: the conditions it must survive, and the promises it makes.

mod bandits;
mod common;
mod cost;
mod decisions;
mod ledger;
mod numerics;
mod sessions;
mod snapshots;
mod structure;
