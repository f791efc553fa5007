//! Outcome logs.
mod assemble;
mod catalogue;
mod catalogue_error;
mod catalogue_toml;
mod column;
mod csv_log;
mod evidence;
mod jsonl;
mod log;
mod parquet;
mod read;
mod read_error;
mod reject;
mod report;
mod row;
mod sample;
mod simulate;
mod simulate_text;
mod source;
mod split;
mod split_error;
mod timestamp;
mod write;
mod write_error;
mod write_parquet;

pub use catalogue::{
    ArmPrices, Catalogue, PricePeriod, PricingSummary, TokenPrices, UnknownArm,
};
pub use catalogue_error::{CatalogueError, TextPlace};
pub use column::log_columns;
pub use evidence::{COVERAGE_MIN, Evidence};
pub use log::{EvidenceKind, Outcome, OutcomeLog, Request};
pub use read::{ReadLog, ReadOptions, read, read_with_progress};
pub use read_error::{Location, ReadError};
pub use reject::{Reject, RejectReason, write_rejects};
pub use report::{
    ArmCoverage, Clusters, FileSummary, SegmentColumn, TenantInfluence, TimeSpan, ValidationReport,
    Warning,
};
pub use row::LogRow;
pub use sample::{SAMPLE_NAME, sample_config, sample_log};
pub use simulate::{
    ArmTruth, Logging, SimulateConfig, SimulateError, SimulatedArm, SimulatedRequest, Simulation,
    SimulationSummary, simulate,
};
pub use source::Input;
pub use split::{Split, column_value, folds, split};
pub use split_error::SplitError;
pub use timestamp::TimestampUnit;
pub use write::{LogWriter, write_log};
pub use write_error::WriteError;
