//! What is known about an arm before it answers anything.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::money::Price;
use crate::units::ArmId;

/// An arm: a model, what it charges and what it can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArmSpec {
    /// The arm's name.
    pub id: ArmId,
    /// Price of an input token; `None`: unknown, never free.
    #[serde(default)]
    pub input: Option<Price>,
    /// Price of an output token, reasoning included.
    #[serde(default)]
    pub output: Option<Price>,
    /// Price of an input token read from the provider's cache; `None`: as `input`.
    #[serde(default)]
    pub cached_input: Option<Price>,
    /// Most tokens the model can read and write in one call.
    #[serde(default)]
    pub context_window_tokens: Option<u64>,
    /// What the arm can do, for instance `tools` or `vision`.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Out of service: keeps what it learned, answers nothing.
    #[serde(default)]
    pub archived: bool,
    /// Who sells its answers, for caps per provider; `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

impl ArmSpec {
    /// An arm of which only the name is known.
    #[must_use]
    pub fn new(id: ArmId) -> Self {
        Self {
            id,
            input: None,
            output: None,
            cached_input: None,
            context_window_tokens: None,
            capabilities: Vec::new(),
            archived: false,
            provider: None,
        }
    }

    /// The same arm with prices per input and output token.
    #[must_use]
    pub fn priced(mut self, input: Price, output: Price) -> Self {
        (self.input, self.output) = (Some(input), Some(output));
        self
    }

    /// Whether this arm may answer the request.
    #[must_use]
    pub fn may_answer(&self, context: &Context) -> bool {
        let fits = match (self.context_window_tokens, context.input_tokens) {
            (Some(window), Some(tokens)) => tokens <= window,
            _ => true,
        };
        let named = context
            .eligible
            .as_ref()
            .is_none_or(|arms| arms.contains(&self.id));
        let able = context
            .required
            .iter()
            .all(|c| self.capabilities.contains(c));
        !self.archived && fits && named && able
    }
}
