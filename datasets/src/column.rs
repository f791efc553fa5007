//! The columns of the outcome log, version 1: their names and what each wants.

/// A known column of the outcome log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Column {
    RequestId,
    Model,
    Quality,
    CostUsd,
    InputTokens,
    OutputTokens,
    CachedInputTokens,
    ReasoningTokens,
    Timestamp,
    Propensity,
    Served,
    Prompt,
    Embedding,
    Task,
    Tenant,
    SessionId,
    Candidates,
    LatencyMs,
    Status,
}

/// What a column's cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Count,
    Time,
    Flag,
    Numbers,
    Texts,
}

impl Column {
    /// Every known column, in the order in which they are written.
    pub(crate) const ALL: [Self; 19] = [
        Self::RequestId,
        Self::Model,
        Self::Quality,
        Self::CostUsd,
        Self::InputTokens,
        Self::OutputTokens,
        Self::CachedInputTokens,
        Self::ReasoningTokens,
        Self::Timestamp,
        Self::Propensity,
        Self::Served,
        Self::Prompt,
        Self::Embedding,
        Self::Task,
        Self::Tenant,
        Self::SessionId,
        Self::Candidates,
        Self::LatencyMs,
        Self::Status,
    ];

    /// The column of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    /// The column's name in a file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RequestId => "request_id",
            Self::Model => "model",
            Self::Quality => "quality",
            Self::CostUsd => "cost_usd",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::CachedInputTokens => "cached_input_tokens",
            Self::ReasoningTokens => "reasoning_tokens",
            Self::Timestamp => "timestamp",
            Self::Propensity => "propensity",
            Self::Served => "served",
            Self::Prompt => "prompt",
            Self::Embedding => "embedding",
            Self::Task => "task",
            Self::Tenant => "tenant",
            Self::SessionId => "session_id",
            Self::Candidates => "candidates",
            Self::LatencyMs => "latency_ms",
            Self::Status => "status",
        }
    }

    /// What the column's cells are.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Quality | Self::CostUsd | Self::Propensity | Self::LatencyMs => Kind::Number,
            Self::InputTokens
            | Self::OutputTokens
            | Self::CachedInputTokens
            | Self::ReasoningTokens => Kind::Count,
            Self::Timestamp => Kind::Time,
            Self::Served => Kind::Flag,
            Self::Embedding => Kind::Numbers,
            Self::Candidates => Kind::Texts,
            _ => Kind::Text,
        }
    }

    /// What a cell must hold, in words.
    pub(crate) const fn wanted(self) -> &'static str {
        match self {
            Self::RequestId | Self::Model => "a text that is not empty",
            Self::Quality => "a number in [0, 1] or null",
            Self::CostUsd => "a number of US dollars, 0 or more, or null",
            Self::InputTokens
            | Self::OutputTokens
            | Self::CachedInputTokens
            | Self::ReasoningTokens => "a whole number, 0 or more, or null",
            Self::Timestamp => "an RFC 3339 text with its UTC offset, a datetime or null",
            Self::Propensity => "a number in (0, 1] or null",
            Self::Served => "true, false or null",
            Self::Embedding => "a list of finite numbers or null",
            Self::Candidates => "a list of model names or null",
            Self::LatencyMs => "a number of milliseconds, 0 or more, or null",
            Self::Prompt | Self::Task | Self::Tenant | Self::SessionId | Self::Status => {
                "a text or null"
            }
        }
    }
}

/// The known columns of the outcome log as `(name, what a cell must hold)`, in writing order.
///
/// ```
/// assert_eq!(plimsoll_datasets::log_columns().next().map(|(name, _)| name), Some("request_id"));
/// ```
pub fn log_columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    Column::ALL
        .into_iter()
        .map(|column| (column.name(), column.wanted()))
}

/// The known name most like `name`, when one is near enough to be a slip of the pen.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.82)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_columns() {
        for column in Column::ALL {
            assert_eq!(Column::named(column.name()), Some(column));
        }
        assert_eq!(Column::named("prompt_id"), None);
    }

    #[test]
    fn slips_of_the_pen_find_their_name() {
        let known = || Column::ALL.into_iter().map(Column::name);
        assert_eq!(did_you_mean("requestid", known()), Some("request_id"));
        assert_eq!(did_you_mean("Quality", known()), Some("quality"));
        assert_eq!(did_you_mean("zzz", known()), None);
    }
}
