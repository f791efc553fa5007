//! What the fuzz targets do with bytes: one function each, so that a test can feed them seeds.
//!
//! Each answers whether the bytes were what they should be, and so were put to work.

mod bound;
mod import;
mod labels;
mod log;
#[path = "../../tests/it/parquet_bytes.rs"]
#[expect(dead_code, reason = "the tests put more into files than a seed needs")]
mod parquet_bytes;
mod parts;
mod prices;
mod seeds;

pub use import::import;
pub use labels::labels;
pub use log::{log_csv, log_jsonl, log_parquet};
pub use prices::prices;
pub use seeds::{borrowed, seeds};
