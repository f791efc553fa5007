//! What every kind of export has to say for itself.

use super::call::{Call, Skip};
use super::labels::Labels;
use super::record::Record;
use super::source_files::Cut;
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

    /// Looks at the first record of the calls: wide tables find their columns here.
    fn begin(&mut self, _: &Record<'_>) -> Result<(), super::ImportError> {
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
}
