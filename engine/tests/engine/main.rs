//! The engine from outside: the conditions it must survive, and the promises it makes.

mod bandits;
mod common;
mod cost;
mod decisions;
mod journal;
mod learning;
mod ledger;
mod live;
mod numerics;
mod sessions;
mod shared;
mod snapshots;
mod structure;
