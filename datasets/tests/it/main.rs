//! The crate as its users see it; one binary, because linking Polars takes its time.

mod any_bytes;
mod files;
mod parquet_bounds;
mod parquet_bytes;
mod prices;
mod prices_conditions;
mod prices_import;
mod prices_real;
mod reading;
mod recorded;
mod simulation;
mod streaming;
