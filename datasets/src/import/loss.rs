//! Quality from a logged loss: only when the user says how.

use super::expression::Expression;
use super::labels::label_of;
use super::record::Record;
use super::{ImportError, ImportOptions, QualityFrom};
use crate::assemble::Fault;

/// How a loss becomes a label.
#[derive(Clone, Debug, Default)]
pub(super) enum LossLabels {
    /// Not at all: nobody said what it means.
    #[default]
    None,
    /// The loss itself, on the scale that the user gave.
    OnScale,
    /// Whatever the user's expression makes of it.
    Expression(Expression),
}

impl LossLabels {
    /// What the user asked for; `names` are what an expression may call the loss.
    pub(super) fn new(options: &ImportOptions, names: &[&str]) -> Result<Self, ImportError> {
        if options.join.is_some() {
            return Ok(Self::None);
        }
        let refused = |what: String| ImportError::Option {
            what,
            help: format!(
                "say which losses stand for quality 0 and 1, as --scale 1..0 for 1 − loss; or give \
                 an expression: --quality '1 - {}'",
                names[0]
            ),
        };
        match (&options.quality, options.scale) {
            (None, None) => Ok(Self::None),
            (None, Some(_)) => Ok(Self::OnScale),
            (Some(QualityFrom::Expression(text)), scale) => {
                let expression = Expression::parse(text, None)?;
                let is_bare = names.contains(&text.trim());
                if is_bare && scale.is_none() {
                    return Err(refused(
                        "a loss is better when it is lower, and its range is not known".to_owned(),
                    ));
                }
                Ok(Self::Expression(expression))
            }
            (Some(_), _) => Err(refused(format!(
                "{} holds losses, neither thumbs nor scores by name",
                options.kind.name()
            ))),
        }
    }

    /// Fails when an expression names something else than `names`.
    pub(super) fn check_fields(&self, names: &[&str]) -> Result<(), ImportError> {
        let Self::Expression(expression) = self else {
            return Ok(());
        };
        match expression
            .fields()
            .iter()
            .find(|field| !names.contains(&field.as_str()))
        {
            None => Ok(()),
            Some(field) => Err(ImportError::NoField {
                field: field.clone(),
                meant: Some(names[0].to_owned()),
            }),
        }
    }

    /// The label of a loss; `record` holds what expressions may name.
    pub(super) fn label(&self, loss: &str, record: &Record<'_>) -> Result<Option<String>, Fault> {
        match self {
            Self::None => Ok(None),
            Self::OnScale => Ok(Some(loss.to_owned())),
            Self::Expression(expression) => Ok(expression.eval(record)?.map(label_of)),
        }
    }
}
