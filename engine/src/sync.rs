//! What shared state is made of: the real thing, or under `cfg(shuttle)` a stand-in whose every
//! interleaving a test can try.

#[cfg(not(shuttle))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard};

/// A value that one replaces and many read without waiting.
#[cfg(not(shuttle))]
#[derive(Debug)]
pub(crate) struct Published<T>(arc_swap::ArcSwap<T>);

#[cfg(not(shuttle))]
impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(arc_swap::ArcSwap::from_pointee(value))
    }

    /// Reads the value of this moment; it stays whole while it is read.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        // A guard is a slot of the thread's own: readers share no counter.
        read(&self.0.load())
    }

    pub(crate) fn full(&self) -> std::sync::Arc<T> {
        self.0.load_full()
    }

    pub(crate) fn publish(&self, value: T) {
        self.0.store(std::sync::Arc::new(value));
    }
}

/// As above: a pointer behind a lock, held for no longer than copying it takes.
#[cfg(shuttle)]
#[derive(Debug)]
pub(crate) struct Published<T>(Mutex<std::sync::Arc<T>>);

#[cfg(shuttle)]
impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(std::sync::Arc::new(value)))
    }

    pub(crate) fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.full())
    }

    pub(crate) fn full(&self) -> std::sync::Arc<T> {
        let pointer = self.0.lock().expect("copying a pointer does not panic");
        std::sync::Arc::clone(&pointer)
    }

    pub(crate) fn publish(&self, value: T) {
        let mut pointer = self.0.lock().expect("copying a pointer does not panic");
        *pointer = std::sync::Arc::new(value);
    }
}
