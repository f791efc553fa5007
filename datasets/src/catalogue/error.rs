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
    /// Price lists under conditions that contradict each other.
    #[error("line {place}: the rates of arm `{arm}` {what}")]
    BadRates {
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
    #[error("no price is known: {why}")]
    UnknownArm {
        /// The arm.
        arm: String,
        /// What was looked for.
        why: String,
        /// A known name like it.
        meant: Option<String>,
    },
    /// A text that is none of the catalogues that can be imported.
    #[error("not a price catalogue: {what}")]
    NotACatalogue {
        /// What it is instead.
        what: String,
    },
    /// A catalogue of which no model can be used.
    #[error("no model could be imported: {why}")]
    NothingImported {
        /// The commonest reason, or that nothing was selected.
        why: String,
    },
    /// A pattern that is not one.
    #[error("`{got}` is no pattern of names: {message}")]
    BadPattern {
        /// The pattern.
        got: String,
        /// What is wrong with it.
        message: String,
    },
    /// New prices that would change what held before.
    #[error("`{arm}` has prices from {from} on already, so none can begin at {since}")]
    MergeRewrites {
        /// The arm.
        arm: String,
        /// When its last known prices begin.
        from: String,
        /// When the new ones should.
        since: String,
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
            Self::BadRates { .. } => "P0409",
            Self::NotACatalogue { .. } => "P0410",
            Self::NothingImported { .. } => "P0411",
            Self::BadPattern { .. } => "P0412",
            Self::MergeRewrites { .. } => "P0413",
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
            | Self::BadRates { place, .. }
            | Self::AliasClash { place, .. } => Some(*place),
            _ => None,
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
                "prices are US dollars per million tokens, with at most six decimal places \
                 (`per_request`: US dollars, with at most twelve)"
                    .into()
            }
            Self::MissingPrice { arm, key, .. } => {
                format!("give `{arm}` its `{key}`; a price of nothing must be written as 0")
            }
            Self::BadPeriods { .. } => {
                "`valid_from` is included, `valid_until` is not: let one end where the next begins"
                    .into()
            }
            Self::BadRates { .. } => {
                "give each rate a service_tier, an above_input_tokens or windows of its own".into()
            }
            Self::NotACatalogue { .. } => {
                "wanted our TOML, LiteLLM's model_prices_and_context_window.json or the answer of \
                 OpenRouter's /api/v1/models; --from says which it is"
                    .into()
            }
            Self::NothingImported { .. } => {
                "check that it is the file you mean, and --from and --only; nothing was written"
                    .into()
            }
            Self::BadPattern { .. } => {
                "give a part of a name, or a pattern such as \"openai/*\"".into()
            }
            Self::MergeRewrites { .. } => {
                "give a later --since: prices that held before are not rewritten".into()
            }
            Self::AliasClash { .. } => "let every name and alias mean one arm".into(),
            Self::UnknownArm {
                meant: Some(meant), ..
            } => {
                format!("did you mean `{meant}`? else add the arm or an alias to the catalogue")
            }
            Self::UnknownArm { .. } => {
                "add the arm to the catalogue (`plimsoll prices list` shows the known ones)".into()
            }
        }
    }
}
