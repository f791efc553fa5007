//! What the fuzz targets do with bytes: one function each, so that a test can feed them seeds.
//!
//! Each answers whether the bytes were what they should be, and so were put to work.
//!
//! Checksums are no protection against a forger, and no fuzzer gets past them: the targets take
//! what stands behind a checksum and seal it themselves.

mod config;
mod events;
mod history;
mod journal;
mod live;
mod router;
mod seal;
mod seeds;
mod work;

pub use config::{config, money, text};
pub use events::events;
pub use history::recovery;
pub use journal::journal;
pub use live::live;
pub use router::router;
pub use seeds::seeds;
