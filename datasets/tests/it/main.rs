//! The crate as its users see it; one binary, because linking Polars takes its time.

mod files;
mod reading;
mod recorded;
