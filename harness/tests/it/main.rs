//! The crate as its users see it; one binary, because linking Polars takes its time.

mod certificate;
mod certificate_logged;
mod learning;
mod logged;
mod logs;
mod ope_laws;
mod ope_vectors;
mod replay;
mod stream;
