//! Why a price catalogue is not one, with line and column.

use plimsoll::MoneyError;

/// Where in a text an error lies, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPlace {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl std::fmt::Display for TextPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a price catalogue was not read, or an arm is not in it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// Not TOML.
    #[error("line {place}: not TOML: {message}")]
    Syntax {
        /// Where.
        place: TextPlace,
        /// What the parser said.
        message: String,
    },
    /// A key that means nothing here.
    #[error("line {place}: unknown key `{key}`")]
    UnknownKey {
        /// Where.
        place: TextPlace,
        /// The key.
        key: String,
        /// A key like it that does mean something.
        meant: Option<String>,
        /// All keys that do.
        known: &'static [&'static str],
    },
    /// A value of the wrong type.
    #[error("line {place}: `{key}` must be {wanted}")]
    WrongType {
        /// Where.
        place: TextPlace,
        /// The key.
        key: String,
        /// What it wants.
        wanted: &'static str,
    },
    /// A price that is not one.
    #[error("line {place}: `{key}`: {source}")]
    BadPrice {
        /// Where.
        place: TextPlace,
        /// The key.
        key: String,
        /// Why.
        source: MoneyError,
    },
    /// An arm or period without a price it needs.
    #[error("line {place}: arm `{arm}` has no `{key}`")]
    MissingPrice {
        /// Where.
        place: TextPlace,
        /// The arm.
        arm: String,
        /// The key.
        key: &'static str,
    },
    /// Periods that overlap or end before they begin.
    #[error("line {place}: the periods of arm `{arm}` {what}")]
    BadPeriods {
        /// Where.
        place: TextPlace,
        /// The arm.
        arm: String,
        /// What is wrong with them.
        what: &'static str,
    },
    /// A name that means two arms.
    #[error("line {place}: `{alias}` names both `{first}` and `{second}`")]
    AliasClash {
        /// Where.
        place: TextPlace,
        /// The name.
        alias: String,
        /// An arm.
        first: String,
        /// The other arm.
        second: String,
    },
    /// An arm the catalogue does not have.
    #[error("no price is known for `{arm}`")]
    UnknownArm {
        /// The arm.
        arm: String,
        /// A known name like it.
        meant: Option<String>,
    },
}

impl CatalogueError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "P0401",
            Self::UnknownKey { .. } => "P0402",
            Self::WrongType { .. } => "P0403",
            Self::BadPrice { .. } => "P0404",
            Self::MissingPrice { .. } => "P0405",
            Self::BadPeriods { .. } => "P0406",
            Self::AliasClash { .. } => "P0407",
            Self::UnknownArm { .. } => "P0408",
        }
    }

    /// Line and column.
    #[must_use]
    pub const fn location(&self) -> Option<TextPlace> {
        match self {
            Self::Syntax { place, .. }
            | Self::UnknownKey { place, .. }
            | Self::WrongType { place, .. }
            | Self::BadPrice { place, .. }
            | Self::MissingPrice { place, .. }
            | Self::BadPeriods { place, .. }
            | Self::AliasClash { place, .. } => Some(*place),
            Self::UnknownArm { .. } => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Syntax { .. } => {
                "names with dots or slashes need quotes: [arms.\"a/b-1.5\"]".into()
            }
            Self::UnknownKey {
                meant: Some(meant), ..
            } => format!("did you mean `{meant}`?"),
            Self::UnknownKey { known, .. } => format!("known here: {}", known.join(", ")),
            Self::WrongType { key, wanted, .. } => format!("make `{key}` {wanted}"),
            Self::BadPrice { .. } => {
                "prices are US dollars per million tokens, with at most six decimal places".into()
            }
            Self::MissingPrice { arm, key, .. } => {
                format!("give `{arm}` its `{key}`; a price of nothing must be written as 0")
            }
            Self::BadPeriods { .. } => {
                "`valid_from` is included, `valid_until` is not: let one end where the next begins"
                    .into()
            }
            Self::AliasClash { .. } => "let every name and alias mean one arm".into(),
            Self::UnknownArm {
                meant: Some(meant), ..
            } => {
                format!("did you mean `{meant}`? else add the arm or an alias to the catalogue")
            }
            Self::UnknownArm { .. } => {
                "add the arm to the catalogue (`plimsoll prices` shows the known ones)".into()
            }
        }
    }
}
