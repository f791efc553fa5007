//! What every kind of export has to say for itself.

use super::call::{Call, Skip};
use super::labels::Labels;
use super::record::Record;
use super::source_files::Cut;
use super::{ImportError, ImportOptions};
use crate::assemble::Fault;

/// What a file of an export holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Calls of models.
    Calls,
    /// What calls are joined with: scores, feedback, inputs. Such files are read first.
    Side,
}

/// What one record gave.
#[derive(Default)]
pub(super) struct Made {
    pub(super) calls: Vec<Call>,
    pub(super) skips: Vec<Skip>,
    /// Scores of calls that stand in records of their own.
    pub(super) scores: Vec<Scored>,
}

/// A score, and the name of what it is about.
pub(super) struct Scored {
    pub(super) about: String,
    pub(super) score: String,
    pub(super) value: String,
}

impl Made {
    pub(super) fn skip(&mut self, reason: Skip) {
        self.skips.push(reason);
    }
}

/// One kind of export.
pub(super) trait Importer: Send + Sync {
    /// Why a record looks like this kind's; `None`: it does not.
    fn signature(&self, record: &Record<'_>) -> Option<&'static str>;

    /// How files are cut into records.
    fn cut(&self) -> Cut {
        Cut::Records
    }

    /// What the file with this first record holds.
    fn role(&self, _: &Record<'_>) -> Role {
        Role::Calls
    }

    /// Columns of its own, beyond the outcome log's.
    fn extras(&self) -> &'static [&'static str];

    /// Where it keeps thumbs, the first that has a value counts.
    fn thumbs(&self) -> &'static [&'static str] {
        &[]
    }

    /// Takes what the user asked for, or refuses what the kind cannot do.
    fn configure(&mut self, _: &ImportOptions) -> Result<(), ImportError> {
        Ok(())
    }

    /// The records that a record holds, as JSON, where it is an envelope of many; `None`: it is one
    /// itself.
    fn open(&self, _: &Record<'_>) -> Result<Option<Vec<String>>, Fault> {
        Ok(None)
    }

    /// Whether requests without a name are called after their place: `FILE:ROW`, both from 1, files
    /// with calls counted alone.
    fn names_by_place(&self) -> bool {
        false
    }

    /// Looks at the first record of the calls: wide tables find their columns here.
    fn begin(&mut self, _: &Record<'_>) -> Result<(), ImportError> {
        Ok(())
    }

    /// Takes a record of a side file; `wanted` is the name of the score that labels are made of.
    fn learn(
        &mut self,
        _: &Record<'_>,
        _wanted: Option<&str>,
        _: &mut Labels,
    ) -> Result<(), Fault> {
        Ok(())
    }

    /// Names and values of the scores that a record of calls holds itself.
    fn scores(&self, _: &Record<'_>) -> Result<Vec<(String, String)>, Fault> {
        Ok(Vec::new())
    }

    /// The calls of a record.
    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault>;

    /// How many requests of side files had no answer among the calls, once all are read.
    fn unanswered(&self) -> u64 {
        0
    }
}
