//! The engine from outside: the conditions it must survive, and the promises it makes.

mod allocations;
mod arms;
mod bandit_learning;
mod bandits;
mod cascade;
mod common;
mod cost;
mod decisions;
mod explain;
mod journal;
mod learning;
mod ledger;
mod live;
mod numerics;
mod public_api;
mod rules;
mod sessions;
mod shared;
mod snapshots;
mod structure;
mod worlds;
