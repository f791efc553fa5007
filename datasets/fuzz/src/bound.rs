//! What holds for every target: a bound on memory, a folder to write to, a hook for panics.

use std::panic;
use std::path::Path;
use std::sync::OnceLock;

use peak_alloc::PeakAlloc;
use tempfile::TempDir;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Room for buffers that are there whatever the input: decoders' windows, batches, threads' first
/// use of their pools.
const MEMORY_BYTES: usize = 64 << 20;
/// Room per byte of input: a record is held as text, as values and as a row of a log at once.
const MEMORY_PER_BYTE: usize = 1 << 10;

/// Most decompressed bytes that a target lets a reader take from an input.
pub(crate) const READ_BYTES: u64 = 1 << 20;

/// Runs `work` and asserts that at no time it held more than 64 MiB and 1 KiB per byte of input,
/// on all threads together.
pub(crate) fn bounded<T>(input_bytes: usize, work: impl FnOnce() -> T) -> T {
    keep_silent_while_decoding();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let done = work();
    let used = MEMORY.peak_usage().saturating_sub(before);
    let allowed = MEMORY_BYTES + input_bytes.saturating_mul(MEMORY_PER_BYTE);
    assert!(
        used <= allowed,
        "{used} bytes of memory for {input_bytes} bytes of input, {allowed} are allowed"
    );
    done
}

/// Polars panics on some damaged files, which `plimsoll-datasets` catches and tells as an error;
/// libFuzzer's hook would end the process before.
fn keep_silent_while_decoding() {
    static HOOK: OnceLock<()> = OnceLock::new();
    HOOK.get_or_init(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !plimsoll_datasets::is_decoding() {
                usual(info);
            }
        }));
    });
}

/// A folder of the process's own.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| tempfile::tempdir().expect("a folder for temporary files"))
        .path()
}

/// Asserts that nothing is left in the folder.
pub(crate) fn assert_nothing_left() {
    let left: Vec<_> = std::fs::read_dir(folder())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert!(left.is_empty(), "files are left behind: {left:?}");
}
