//! Values worked out from a record's fields: `cost_cents/100`, `if(stars >= 4, 1, 0)`.

use evalexpr::{ContextWithMutableVariables, EvalexprError, HashMapContext, Node, Value as Number};

use super::record::{Record, Value};
use super::{ImportError, fault};
use crate::assemble::Fault;
use crate::reject::RejectReason;

/// An expression over a record's fields; a bare field's name is one too.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    text: String,
    tree: Option<Node>,
    fields: Vec<String>,
}

/// The evaluator calls itself per level of nesting, and a level takes a byte: this many fit any
/// thread's stack.
const BYTES_MAX: usize = 1_000;

/// What an expression gives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Computed {
    /// A field's own value, as it is written.
    Text(String),
    /// A computed number.
    Number(f64),
}

impl Expression {
    /// Parses an expression; what names a field of the first record is that field, whatever signs
    /// are in its name.
    pub(crate) fn parse(text: &str, first: Option<&Record<'_>>) -> Result<Self, ImportError> {
        let text = text.trim();
        let bare = first.is_some_and(|record| record.has(text) || record.names().contains(&text));
        if bare {
            return Ok(Self {
                text: text.to_owned(),
                tree: None,
                fields: vec![text.to_owned()],
            });
        }
        let failed = |message: String| ImportError::Expression {
            text: text.to_owned(),
            message,
        };
        if text.len() > BYTES_MAX {
            return Err(ImportError::Expression {
                text: text.chars().take(20).chain(['…']).collect(),
                message: format!("it is longer than {BYTES_MAX} bytes"),
            });
        }
        let tree =
            evalexpr::build_operator_tree(text).map_err(|error| failed(error.to_string()))?;
        let fields: Vec<String> = tree
            .iter_variable_identifiers()
            .map(str::to_owned)
            .collect();
        if fields.is_empty() {
            return Err(failed("it names no field of the export".to_owned()));
        }
        if tree.iter_function_identifiers().any(|name| !is_pure(name)) {
            return Err(failed("it calls an unknown function".to_owned()));
        }
        // Operators without their operands are seen when they are worked out.
        let mut ones = HashMapContext::new();
        for field in &fields {
            let _ = ones.set_value(field.clone(), Number::Float(1.0));
        }
        if let Err(error) = tree.eval_with_context(&ones)
            && matches!(
                error,
                EvalexprError::WrongOperatorArgumentAmount { .. }
                    | EvalexprError::WrongFunctionArgumentAmount { .. }
            )
        {
            return Err(failed(error.to_string()));
        }
        let is_field = fields.len() == 1 && fields[0] == text;
        Ok(Self {
            text: text.to_owned(),
            tree: (!is_field).then_some(tree),
            fields,
        })
    }

    /// The fields it reads.
    pub(crate) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// As it was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Its value; `None` when a field that it reads is absent or null.
    pub(crate) fn eval(&self, record: &Record<'_>) -> Result<Option<Computed>, Fault> {
        let Some(tree) = &self.tree else {
            return Ok(record.loose_text(&self.fields[0])?.map(Computed::Text));
        };
        let mut context = HashMapContext::new();
        for field in &self.fields {
            let Some(value) = record.value(field)? else {
                return Ok(None);
            };
            let number = number(&value, record, field)?;
            context
                .set_value(field.clone(), number)
                .map_err(|_| self.failed())?;
        }
        let value = tree
            .eval_with_context(&context)
            .map_err(|_| self.failed())?;
        let number = match value {
            Number::Float(number) => number,
            #[expect(clippy::cast_precision_loss, reason = "an integer written by the user")]
            Number::Int(number) => number as f64,
            Number::Boolean(flag) => f64::from(u8::from(flag)),
            Number::String(text) => return Ok(Some(Computed::Text(text))),
            _ => return Err(self.failed()),
        };
        if number.is_finite() {
            Ok(Some(Computed::Number(number)))
        } else {
            Err(fault(&self.text, RejectReason::NotFinite))
        }
    }

    fn failed(&self) -> Fault {
        fault(&self.text, RejectReason::BadExpression)
    }
}

/// A field as the expression sees it: numbers, also those written as text in CSV, are floats.
fn number(value: &Value<'_>, record: &Record<'_>, field: &str) -> Result<Number, Fault> {
    let text = record.loose_text(field)?.unwrap_or_default();
    let is_text = matches!(value, Value::Json(raw) if raw.starts_with('"'));
    Ok(match text.trim().parse::<f64>() {
        Ok(number) if !is_text && number.is_finite() => Number::Float(number),
        _ => match text.as_str() {
            "true" => Number::Boolean(true),
            "false" => Number::Boolean(false),
            _ => Number::String(text),
        },
    })
}

/// Functions without side effects, of those that the language has.
fn is_pure(name: &str) -> bool {
    name.starts_with("math::")
        || name.starts_with("str::")
        || [
            "if",
            "min",
            "max",
            "floor",
            "ceil",
            "round",
            "len",
            "contains",
            "contains_any",
        ]
        .contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(text: &str, record: &str) -> Result<Option<Computed>, &'static str> {
        let record = Record::of_json(record).expect("JSON");
        let expression = Expression::parse(text, Some(&record)).map_err(|_| "unparsable")?;
        expression
            .eval(&record)
            .map_err(|fault| fault.reason.name())
    }

    #[test]
    fn expressions_compute_from_fields() {
        let record =
            r#"{"cost_cents": 12, "m": {"stars": 4}, "rating": "up", "a b": 7, "n": null}"#;
        assert_eq!(
            eval("cost_cents/100", record),
            Ok(Some(Computed::Number(0.12)))
        );
        assert_eq!(
            eval("if(m.stars >= 4, 1, 0)", record),
            Ok(Some(Computed::Number(1.0)))
        );
        assert_eq!(
            eval("rating == \"up\"", record),
            Ok(Some(Computed::Number(1.0)))
        );
        assert_eq!(
            eval("a b", record),
            Ok(Some(Computed::Text("7".to_owned())))
        );
        assert_eq!(eval("n", record), Ok(None));
        assert_eq!(eval("n + 1", record), Ok(None));
        assert_eq!(eval("rating + 1", record), Err("bad-expression"));
        assert_eq!(eval("1 / (cost_cents - 12)", record), Err("not-finite"));
        assert_eq!(eval("1 +", record), Err("unparsable"));
        assert_eq!(eval("1 + 1", record), Err("unparsable"));
    }
}
