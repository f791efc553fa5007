//! The engine from outside: the conditions it must survive, and the promises it makes.

mod arms;
mod common;
mod cost;
mod decisions;
mod ledger;
mod numerics;
mod rules;
mod sessions;
mod snapshots;
mod structure;
mod worlds;
