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
    quieten();
    ExitCode::from(app::run().code())
}

/// A decoder that panics on damaged bytes is caught, and an error says so in words: the panic's own
/// message would only be in its way.
fn quieten() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !plimsoll_datasets::is_decoding() {
            usual(panic);
        }
    }));
}
