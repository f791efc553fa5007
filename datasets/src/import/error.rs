//! Why an import did not end in a log.

use crate::read_error::ReadError;
use crate::reject::Reject;
use crate::write_error::WriteError;

/// Why an export was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// No kind of export looks like this.
    #[error("{file} looks like no export that is known")]
    UnknownKind {
        /// The file.
        file: String,
        /// Names of its first record's fields.
        fields: Vec<String>,
    },
    /// An expression that cannot be understood.
    #[error("`{text}` cannot be understood: {message}")]
    Expression {
        /// The expression.
        text: String,
        /// What is wrong with it.
        message: String,
    },
    /// A field that no record has.
    #[error("the export has no field `{field}`")]
    NoField {
        /// The field.
        field: String,
        /// A field that may be meant.
        meant: Option<String>,
    },
    /// An option that this kind of export does not take, or lacks.
    #[error("{what}")]
    Option {
        /// What is wrong.
        what: String,
        /// What to do.
        help: String,
    },
    /// No record makes a row.
    #[error("nothing to import: none of {records} records makes a row")]
    NothingLeft {
        /// Records read.
        records: u64,
        /// What became of them, in words.
        why: Vec<String>,
        /// The rejects with their places, as far as they were kept.
        rejects: Vec<Reject>,
    },
    /// Too many records cannot be read.
    #[error("{rejected} of {records} records cannot be used, more than {:.1} %", max_reject * 100.0)]
    TooManyRejects {
        /// Records left out.
        rejected: u64,
        /// Records read.
        records: u64,
        /// The share allowed.
        max_reject: f64,
        /// The rejects with their places, as far as they were kept.
        rejects: Vec<Reject>,
    },
    /// Too many labels mean nothing.
    #[error("{faults} of {labels} labels mean nothing: {why}")]
    TooManyLabelFaults {
        /// Labels that mean nothing.
        faults: u64,
        /// Labels seen.
        labels: u64,
        /// The most frequent reason.
        why: String,
    },
}

impl ImportError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Read(error) => error.code(),
            Self::Write(error) => error.code(),
            Self::UnknownKind { .. } => "P0250",
            Self::Expression { .. } => "P0251",
            Self::NoField { .. } => "P0252",
            Self::Option { .. } => "P0253",
            Self::NothingLeft { .. } => "P0254",
            Self::TooManyRejects { .. } => "P0255",
            Self::TooManyLabelFaults { .. } => "P0256",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Read(error) => error.help(),
            Self::Write(error) => error.help(),
            Self::UnknownKind { fields, .. } if fields.is_empty() => {
                "name the kind with --from, or map the columns with --from table --map".to_owned()
            }
            Self::UnknownKind { fields, .. } => format!(
                "name the kind with --from; or map the columns yourself: --from table --map \
                 model=COLUMN --map cost_usd=COLUMN …; it has: {}",
                some_of(fields)
            ),
            Self::Expression { .. } => {
                "write a field's name, or arithmetic over fields: `cost_cents/100`, \
                 `if(stars >= 4, 1, 0)`"
                    .to_owned()
            }
            Self::NoField { meant, .. } => match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "name one of the export's fields, `a.b` for b inside a".to_owned(),
            },
            Self::Option { help, .. } => help.clone(),
            Self::NothingLeft { why, .. } if why.is_empty() => {
                "the files hold no records; name the right ones".to_owned()
            }
            Self::NothingLeft { why, .. } => {
                let why = why.join("; ");
                format!("{why}; --detect says what kind of export the files look like")
            }
            Self::TooManyRejects { .. } => {
                "see the first ones above; --rejects FILE lists them all, and --max-reject allows \
                 more"
                    .to_owned()
            }
            Self::TooManyLabelFaults { .. } => {
                "say what the labels mean: --quality thumbs for thumbs, --scale 1..5 for grades, \
                 an expression for words; or allow more with --max-reject"
                    .to_owned()
            }
        }
    }
}

fn some_of(fields: &[String]) -> String {
    let shown = 20;
    let list = fields
        .iter()
        .take(shown)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if fields.len() > shown {
        format!("{list} and {} more", fields.len() - shown)
    } else {
        list
    }
}
