//! The engine from outside: the conditions it must survive, and the promises it makes.
//!
//! A test's name begins with the line of the matrix that it stands for; `structure` checks that
//! every line has one.
//!
//! | line | condition | tests in |
//! |---|---|---|
//! | E01 | `numerics`, `bandits`, `live` |
//! | E02 | `numerics` |
//! | E03 | ties, one arm, no arm | `decisions`, `bandits` |
//! | E04 | `numerics`, `src/policy/linear_arm_tests.rs` |
//! | E05 | `numerics`, `src/policy/linear_arm_tests.rs` |
//! | E06 | `numerics`, `src/policy/linear_arm_tests.rs` |
//! | E07 | features of any scale | `numerics` |
//! | E08 | probabilities: finite, above the floor, sum 1 | `decisions`, `bandits` |
//! | E09 | `shared`, `decisions` |
//! | E10 | feedback that is delayed, twice, unknown, late | `live` |
//! | E11 | `decisions`, `rules` |
//! | E12 | `decisions`, `arms`, `cost`, `rules` |
//! | E13 | parts of money sum to the total | `numerics` |
//! | E14 | `structure`, `caps` |
//! | E15 | `bandit_learning`, `arms` |
//! | E16 | threads decide, learn, reserve and store | `shared`, `caps`, `tests/shuttle.rs` |
//! | E17 | allocations per decision | `allocations`, `shared` |
//! | S01 | faults at every call, kill -9 | `journal`, the store's `faults` and `kill` |
//! | S02 | `snapshots`, `live`, `journal`, the store's `files` |
//! | S03 | resumed bit for bit | `live`, `caps`, `bandits`, `snapshots`, `rules` |
//! | S04 | `live`, `snapshots` |
//! | S05 | newer and older formats | `snapshots`, `live`, `journal`, `caps` |
//! | S06 | `live` |
//! | S07 | `live` |
//! | S08 | two writers | the store's `files` |
//! | S09 | files for their owner only, no prompts | the store's `files` |
//! | S10 | `forged`, `snapshots`, `live`, `journal`, `bandits` |

mod allocations;
mod arms;
mod bandit_learning;
mod bandits;
mod caps;
mod cascade;
mod common;
mod cost;
mod decisions;
mod explain;
mod forged;
mod journal;
mod learning;
mod ledger;
mod live;
mod numerics;
mod outside;
mod public_api;
mod rules;
mod sessions;
mod shared;
mod snapshots;
mod structure;
mod warm_start;
mod worlds;
