//! The store against crashes, failing disks, other writers and `kill -9`.

mod common;
mod faults;
mod files;
mod kill;
mod sim;
