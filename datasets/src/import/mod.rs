//! From the exports of gateways and tracing tools to outcome logs.
//!
//! [`import`] reads the files once, record by record: each kind of export says what calls of models
//! a record tells of ([`importer::Importer`]), [`gather`] joins the calls of one request, labels are
//! looked up, and rows are written. What makes no row is counted by reason; what cannot be read is
//! a [`Reject`] with its place.

mod call;
mod error;
mod expression;
mod gather;
mod helicone;
mod importer;
mod kind;
mod labels;
mod langfuse;
mod litellm;
mod loss;
mod obd;
mod openai_batch;
mod openrouter;
mod otel;
mod otlp;
mod out;
mod parquet_rows;
mod pass;
mod portkey;
mod record;
mod redact;
mod report;
mod routellm;
mod routerbench;
mod run;
mod source_files;
mod table;
mod tally;
mod tensorzero;
mod vw;
mod vw_dsjson;

pub use error::ImportError;
pub use kind::{Detected, ImportKind, detect};
pub use labels::{ArmLabels, LabelReport, QualityFrom, Scale};
pub use report::ImportReport;
pub use run::{ImportOptions, Join, import};

use crate::assemble::Fault;
use crate::reject::RejectReason;
use call::Call;

/// A fault of the value at a path.
fn fault(path: &str, reason: RejectReason) -> Fault {
    Fault::new(reason).in_column(path)
}

/// Time and latency of a call from its beginning and end, in microseconds.
fn times(call: &mut Call, start: Option<i64>, end: Option<i64>) -> Result<(), RejectReason> {
    call.row.timestamp_us = start.or(end);
    let (Some(start), Some(end)) = (start, end) else {
        return Ok(());
    };
    if end < start {
        return Err(RejectReason::ClockSkew {
            earlier: "the start",
            later: "the end",
        });
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "a latency in microseconds is below 2^53"
    )]
    let micros = (end - start) as f64;
    call.row.latency_ms = Some(micros / 1e3);
    Ok(())
}
