//! Any table: the user says which field, or which expression over fields, each column is.

use super::call::{Call, Joins};
use super::expression::{Computed, Expression};
use super::importer::{Importer, Made};
use super::record::Record;
use super::{ImportError, fault};
use crate::assemble::Fault;
use crate::column::{Column, did_you_mean};
use crate::reject::RejectReason;
use crate::row::Cell;
use crate::timestamp::TimestampUnit;

/// Columns by their expressions.
#[derive(Default)]
pub(super) struct Table {
    texts: Vec<(Column, String)>,
    maps: Vec<(Column, Expression)>,
    unit: Option<TimestampUnit>,
}

impl Table {
    /// Of `column = expression` pairs; what is not mapped is taken from a field of its own name.
    pub(super) fn new(
        maps: &[(String, String)],
        unit: Option<TimestampUnit>,
    ) -> Result<Self, ImportError> {
        let mut texts: Vec<(Column, String)> = Vec::new();
        for (name, text) in maps {
            let Some(column) = Column::named(name) else {
                let known = Column::ALL.into_iter().map(Column::name);
                let meant = did_you_mean(name, known);
                return Err(ImportError::Option {
                    what: format!("the outcome log has no column `{name}`"),
                    help: match meant {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!(
                            "map one of {}; other fields are kept with --keep",
                            Column::ALL.map(Column::name).join(", ")
                        ),
                    },
                });
            };
            if texts.iter().any(|(other, _)| *other == column) {
                return Err(ImportError::Option {
                    what: format!("`{name}` is mapped twice"),
                    help: "map each column once".to_owned(),
                });
            }
            texts.push((column, text.clone()));
        }
        Ok(Self {
            texts,
            maps: Vec::new(),
            unit,
        })
    }
}

impl Importer for Table {
    fn signature(&self, _: &Record<'_>) -> Option<&'static str> {
        None
    }

    fn extras(&self) -> &'static [&'static str] {
        &[]
    }

    fn begin(&mut self, record: &Record<'_>) -> Result<(), ImportError> {
        let mut maps = Vec::new();
        for (column, text) in &self.texts {
            let expression = Expression::parse(text, Some(record))?;
            for field in expression.fields() {
                super::run::check_field(field, record)?;
            }
            maps.push((*column, expression));
        }
        for column in Column::ALL {
            // Objects may leave out what they have no value for, the first one too.
            if !maps.iter().any(|(other, _)| *other == column) {
                maps.push((column, Expression::parse(column.name(), None)?));
            }
        }
        for needed in [Column::RequestId, Column::Model] {
            let is_mapped = self.texts.iter().any(|(column, _)| *column == needed);
            if !is_mapped && !record.names().contains(&needed.name()) {
                let names = record.names();
                let meant = did_you_mean(needed.name(), names.iter().copied());
                return Err(ImportError::Option {
                    what: format!("no field is mapped to `{}`", needed.name()),
                    help: format!("add --map {}={}", needed.name(), meant.unwrap_or("FIELD")),
                });
            }
        }
        self.maps = maps;
        Ok(())
    }

    fn calls(&self, record: &Record<'_>, made: &mut Made) -> Result<(), Fault> {
        let mut call = Call::default();
        for (column, expression) in &self.maps {
            let Some(value) = expression.eval(record)? else {
                continue;
            };
            let text = match value {
                Computed::Text(text) => text,
                // Twelve digits are pico-dollars: what a float knows of an amount of money.
                Computed::Number(number) if *column == Column::CostUsd => {
                    let cost = plimsoll::Usd::from_f64(number).filter(|_| number >= 0.0);
                    call.row.cost =
                        Some(cost.ok_or_else(|| fault(expression.text(), RejectReason::Negative))?);
                    continue;
                }
                Computed::Number(number) => number.to_string(),
            };
            let value = if text.starts_with(['[', '{']) {
                Cell::Json(&text)
            } else {
                Cell::Untyped(&text)
            };
            call.row
                .set(*column, value, self.unit)
                .map_err(|reason| fault(expression.text(), reason))?;
        }
        // Rows of one request with different models are different arms' answers.
        call.joins = Joins::Nothing;
        made.calls.push(call);
        Ok(())
    }
}
