//! Columns that nearly have a known name, in a log in which the known one is empty.

use crate::column::{Column, did_you_mean};
use crate::log::{Outcome, OutcomeLog, Request};
use crate::report::{SegmentColumn, Warning};

/// One warning for each unknown column that may be a known one.
pub(crate) fn misspelt(log: &OutcomeLog, columns: &[SegmentColumn]) -> Vec<Warning> {
    let unknown = |segment: &&SegmentColumn| Column::named(&segment.column).is_none();
    let mut unknown = columns.iter().filter(unknown).peekable();
    if unknown.peek().is_none() {
        return Vec::new();
    }
    let empty: Vec<&str> = Column::ALL
        .into_iter()
        .filter(|column| is_empty(log, *column))
        .map(Column::name)
        .collect();
    unknown
        .filter_map(|segment| {
            let meant = did_you_mean(&segment.column, empty.iter().copied())?;
            Some(Warning::Misspelt {
                column: segment.column.clone(),
                meant: meant.to_owned(),
            })
        })
        .collect()
}

/// Whether no row has a value in the column.
fn is_empty(log: &OutcomeLog, column: Column) -> bool {
    let requests = |has: fn(&Request) -> bool| !log.requests.iter().any(has);
    let outcomes = |has: fn(&Outcome) -> bool| {
        let mut all = log.requests.iter().flat_map(|request| &request.outcomes);
        !all.any(has)
    };
    match column {
        // Every row has them.
        Column::RequestId | Column::Model => false,
        Column::Quality => outcomes(|o| o.quality.is_some()),
        Column::CostUsd => outcomes(|o| o.cost.is_some()),
        Column::InputTokens => outcomes(|o| o.input_tokens.is_some()),
        Column::OutputTokens => outcomes(|o| o.output_tokens.is_some()),
        Column::CachedInputTokens => outcomes(|o| o.cached_input_tokens.is_some()),
        Column::ReasoningTokens => outcomes(|o| o.reasoning_tokens.is_some()),
        Column::Propensity => outcomes(|o| o.propensity.is_some()),
        Column::Served => outcomes(|o| o.served.is_some()),
        Column::LatencyMs => outcomes(|o| o.latency_ms.is_some()),
        Column::Status => outcomes(|o| o.status.is_some()),
        Column::Timestamp => requests(|r| r.timestamp_us.is_some()),
        Column::Prompt => requests(|r| r.prompt.is_some()),
        Column::Embedding => requests(|r| r.embedding.is_some()),
        Column::Task => requests(|r| r.task.is_some()),
        Column::Tenant => requests(|r| r.tenant.is_some()),
        Column::SessionId => requests(|r| r.session_id.is_some()),
        Column::Candidates => requests(|r| r.candidates.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Input, ReadOptions, Warning, read};

    #[track_caller]
    fn expect(header: &str, want: &[(&str, &str)]) {
        let rows = format!("request_id,model,{header}\nr1,a,1,0.5\nr1,b,1,0.5\n");
        let input = Input::bytes("rows.csv", rows.into_bytes());
        let read = read(&input, &ReadOptions::default()).expect("a log");
        let got: Vec<_> = read
            .report
            .warnings
            .iter()
            .filter_map(|warning| match warning {
                Warning::Misspelt { column, meant } => Some((column.as_str(), meant.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(got, want, "{header}");
    }

    #[test]
    fn nearly_known_names_are_warned_about_when_the_known_one_is_empty() {
        expect(
            "qualty,cost",
            &[("cost", "cost_usd"), ("qualty", "quality")],
        );
        expect(
            "Quality,costUSD",
            &[("Quality", "quality"), ("costUSD", "cost_usd")],
        );
        expect("quality,cost_usd", &[]);
        expect("quality,qualty", &[]);
    }

    #[test]
    fn names_of_their_own_are_left_alone() {
        for name in [
            "region",
            "language",
            "tier",
            "category",
            "channel",
            "difficulty",
            "country",
            "dataset",
            "subject",
            "benchmark",
            "source",
            "version",
            "plan",
            "user_agent",
            "endpoint",
        ] {
            expect(&format!("quality,{name}"), &[]);
        }
    }
}
