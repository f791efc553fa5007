//! The header of a table: which known column each of its columns is, and how a row is read by it.

use crate::assemble::Fault;
use crate::column::Column;
use crate::reject::RejectReason;
use crate::row::{Cell, LogRow};
use crate::timestamp::TimestampUnit;

/// The columns of a CSV or Parquet file.
pub(crate) struct Header {
    names: Vec<String>,
    known: Vec<Option<Column>>,
    /// The id comes first, so that every fault can name its row.
    order: Vec<usize>,
}

impl Header {
    pub(crate) fn new(names: Vec<String>) -> Self {
        let known: Vec<_> = names.iter().map(|name| Column::named(name)).collect();
        let id = known
            .iter()
            .position(|column| *column == Some(Column::RequestId));
        let order = id
            .into_iter()
            .chain((0..names.len()).filter(|index| Some(*index) != id))
            .collect();
        Self {
            names,
            known,
            order,
        }
    }

    /// Columns.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Reads a row whose cells are given by their column's index.
    pub(crate) fn row<'c>(
        &self,
        unit: Option<TimestampUnit>,
        cell: impl Fn(usize) -> Result<Cell<'c>, RejectReason>,
    ) -> Result<LogRow, Fault> {
        let mut row = LogRow::default();
        for &index in &self.order {
            let name = &self.names[index];
            let set = cell(index).and_then(|cell| match self.known[index] {
                Some(column) => row.set(column, cell, unit),
                None => row.set_extra(name, cell),
            });
            if let Err(reason) = set {
                return Err(Fault::new(reason)
                    .in_column(name)
                    .of_request(row.request_id));
            }
        }
        match row.check() {
            Ok(()) => Ok(row),
            Err((column, reason)) => Err(Fault::new(reason)
                .in_column(column)
                .of_request(row.request_id)),
        }
    }
}
