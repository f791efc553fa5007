//! Patterns of model names.

use glob::Pattern;

use super::CatalogueError;

/// A part of a name in any case, or with `*`, `?` or `[…]` a pattern of the whole name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Part(String),
    Whole(Pattern),
}

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`CatalogueError::BadPattern`].
    ///
    /// ```
    /// use plimsoll_datasets::NamePattern;
    /// assert!(NamePattern::new("GPT-4o")?.matches("openai/gpt-4o-mini"));
    /// assert!(!NamePattern::new("gpt-4o*")?.matches("openai/gpt-4o-mini"));
    /// # Ok::<(), plimsoll_datasets::CatalogueError>(())
    /// ```
    pub fn new(text: &str) -> Result<Self, CatalogueError> {
        let lower = text.to_lowercase();
        if !lower.contains(['*', '?', '[']) {
            return Ok(Self(Kind::Part(lower)));
        }
        let bad = |error: glob::PatternError| CatalogueError::BadPattern {
            got: text.to_owned(),
            message: error.msg.to_owned(),
        };
        Pattern::new(&lower)
            .map(|pattern| Self(Kind::Whole(pattern)))
            .map_err(bad)
    }

    /// Whether a name is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        match &self.0 {
            Kind::Part(part) => name.contains(part),
            Kind::Whole(pattern) => pattern.matches(&name),
        }
    }
}
