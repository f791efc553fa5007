//! Ctrl-C and termination: unfinished files go, the process ends with 130.

use std::sync::{Mutex, PoisonError};

use crate::exit::Exit;
use crate::staging;

type Gently = Box<dyn FnOnce() + Send>;

/// What the first signal does instead of ending the process.
static GENTLY: Mutex<Option<Gently>> = Mutex::new(None);

/// Installs the handler; where that is impossible, signals end the process as they always do.
pub(crate) fn install() {
    let _ = ctrlc::set_handler(|| {
        if let Some(stop) = set(None) {
            stop();
            return;
        }
        let _no_more_files = staging::abandon_all();
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
}

/// Until this is dropped, the first signal calls `stop`; a second one ends the process as ever.
pub(crate) struct Gentle;

impl Gentle {
    pub(crate) fn new(stop: impl FnOnce() + Send + 'static) -> Self {
        set(Some(Box::new(stop)));
        Self
    }
}

impl Drop for Gentle {
    fn drop(&mut self) {
        set(None);
    }
}

fn set(stop: Option<Gently>) -> Option<Gently> {
    let mut gently = GENTLY.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *gently, stop)
}
