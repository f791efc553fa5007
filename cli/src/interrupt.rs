//! Ctrl-C and termination: unfinished files go, the process ends with 130.

use crate::exit::Exit;
use crate::staging;

/// Installs the handler; where that is impossible, signals end the process as they always do.
pub(crate) fn install() {
    let _ = ctrlc::set_handler(|| {
        let _no_more_files = staging::abandon_all();
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
}
