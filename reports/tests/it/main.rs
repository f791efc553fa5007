//! The crate as its users see it; one binary, because linking the harness takes its time.

mod common;
mod contract;
mod golden;
mod learning;
mod page;
mod safety;
mod sizes;
mod trust;
