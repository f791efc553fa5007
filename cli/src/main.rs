//! `plimsoll`: recorded logs in, verdicts and reports out.
//!
//! This crate reads the command line, does the input and output, and says what happened; the
//! other crates do the work.

mod app;
mod args;
mod codes;
mod console;
mod excerpt;
mod exit;
mod input;
mod interrupt;
mod log_input;
mod output;
mod policy_file;
mod problem;
mod progress;
mod settings;
mod staging;
mod toml_check;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(app::run().code())
}
