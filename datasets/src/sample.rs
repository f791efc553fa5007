//! The sample log that comes with the crate.

use plimsoll::Seed;

use crate::simulate::SimulateConfig;

/// The name of [`sample_log`]'s file, from which its format is known.
pub const SAMPLE_NAME: &str = "sample.jsonl.zst";

/// A synthetic log of 3,000 requests answered by four arms; `samples/README.md` is its card.
///
/// ```
/// use plimsoll_datasets::{EvidenceKind, Input, ReadOptions, SAMPLE_NAME, read, sample_log};
/// let read = read(&Input::bytes(SAMPLE_NAME, sample_log()), &ReadOptions::default())?;
/// assert_eq!(read.log.requests.len(), 3_000);
/// assert_eq!(read.report.evidence.kind, EvidenceKind::FullInformation);
/// # Ok::<(), plimsoll_datasets::ReadError>(())
/// ```
#[must_use]
pub fn sample_log() -> &'static [u8] {
    include_bytes!("../samples/sample.jsonl.zst")
}

/// The configuration from which [`sample_log`] was made.
#[must_use]
pub fn sample_config() -> SimulateConfig {
    SimulateConfig {
        requests: 3_000,
        seed: Seed(2026),
        requests_per_session: 2,
        ..SimulateConfig::default()
    }
}
