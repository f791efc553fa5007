//! Segments: groups of requests that must not pay for the average.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array2;
use plimsoll_datasets::{OutcomeLog, column_value};

use super::error::CertificateError;
use super::evidence::{Examined, examine};
use super::record::{CertifiedSegment, SegmentMode, SegmentStatus};
use crate::judge::{Clusters, holm};
use crate::promise::Line;
use crate::study::Study;

/// Columns that always make segments, where a log has them.
const USUAL: [&str; 2] = ["task", "tenant"];

/// A group of rows of the evaluated side.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) column: String,
    pub(super) value: String,
    pub(super) rows: Vec<usize>,
    pub(super) waived: bool,
}

/// What is asked of segments.
#[derive(Clone, Debug, Default)]
pub(super) struct Demands {
    /// Columns besides the usual ones.
    pub(super) columns: Vec<String>,
    /// `column=value`.
    pub(super) waived: Vec<String>,
}

impl Demands {
    /// All columns that make segments.
    pub(super) fn all_columns(&self) -> Vec<String> {
        let mut all: Vec<String> = USUAL.iter().map(|c| (*c).to_owned()).collect();
        for column in &self.columns {
            if !all.contains(column) {
                all.push(column.clone());
            }
        }
        all
    }

    /// Refuses names that the log does not have.
    pub(super) fn check(&self, log: &OutcomeLog) -> Result<(), CertificateError> {
        let mut known: BTreeSet<String> = BTreeSet::new();
        let columns = self.all_columns();
        for request in &log.requests {
            for column in &columns {
                if let Some(value) = column_value(request, column) {
                    known.insert(format!("{column}={value}"));
                }
            }
        }
        let is_column = |column: &&String| {
            let start = format!("{column}=");
            !known.iter().any(|name| name.starts_with(&start))
        };
        let unknown = self
            .waived
            .iter()
            .find(|name| !known.contains(*name))
            .or_else(|| self.columns.iter().find(is_column));
        match unknown {
            None => Ok(()),
            Some(got) => Err(CertificateError::UnknownSegment {
                got: got.clone(),
                known: known.into_iter().collect(),
            }),
        }
    }

    /// Groups rows of the evaluated side; columns with a single value make none.
    pub(super) fn groups(&self, study: &Study<'_>, rows: &[usize]) -> Vec<Group> {
        let mut groups = Vec::new();
        for column in self.all_columns() {
            let mut values: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for &row in rows {
                if let Some(value) = column_value(study.test_request(row), &column) {
                    values.entry(value).or_default().push(row);
                }
            }
            if values.len() > 1 {
                groups.extend(values.into_iter().map(|(value, rows)| Group {
                    waived: self.waived.contains(&format!("{column}={value}")),
                    column: column.clone(),
                    value: value.to_owned(),
                    rows,
                }));
            }
        }
        groups
    }
}

impl Group {
    fn name(&self) -> String {
        format!("{}={}", self.column, self.value)
    }
}

/// Examines every segment under one policy.
pub(super) fn examine_all(
    study: &Study<'_>,
    probabilities: &Array2<f64>,
    line: Line,
    groups: &[Group],
    confidence: f64,
) -> Vec<CertifiedSegment> {
    let alpha = 1.0 - confidence;
    let examined: Vec<Examined> = groups
        .iter()
        .map(|group| examine(study, probabilities, line, &group.rows, confidence))
        .collect();
    let asked: Vec<usize> = (0..groups.len()).filter(|&g| !groups[g].waived).collect();
    let broken = broken(study, probabilities, line, groups, &asked, &examined, alpha);
    groups
        .iter()
        .zip(examined)
        .enumerate()
        .map(|(index, (group, examined))| CertifiedSegment {
            column: group.column.clone(),
            value: group.value.clone(),
            requests: group.rows.len() as u64,
            clusters: Clusters::of_rows(&study.test.clusters.of, &group.rows).count as u64,
            status: if group.waived {
                SegmentStatus::Waived
            } else if broken.contains(&index) {
                SegmentStatus::Broken
            } else if examined.bound.proven() {
                SegmentStatus::Proven
            } else {
                SegmentStatus::Open
            },
            bound: examined.bound,
        })
        .collect()
}

/// Segments shown to be below the line, together at level `alpha`: Holm where p-values exist,
/// Bonferroni on the bounds where only served answers are known.
fn broken(
    study: &Study<'_>,
    probabilities: &Array2<f64>,
    line: Line,
    groups: &[Group],
    asked: &[usize],
    examined: &[Examined],
    alpha: f64,
) -> Vec<usize> {
    let marks: Vec<bool> = if study.test.logged.is_some() {
        #[expect(clippy::cast_precision_loss, reason = "few segments")]
        let confidence = 1.0 - alpha / asked.len().max(1) as f64;
        let high = |g: &usize| {
            let rows = &groups[*g].rows;
            examine(study, probabilities, line, rows, confidence)
                .bound
                .high
        };
        asked.iter().map(|g| high(g) < 0.0).collect()
    } else {
        let p_values: Vec<f64> = asked.iter().map(|&g| examined[g].broken_p).collect();
        holm(&p_values, alpha)
    };
    asked
        .iter()
        .zip(marks)
        .filter(|(_, broken)| *broken)
        .map(|(g, _)| *g)
        .collect()
}

/// Names of the segments that forbid a policy.
pub(super) fn vetoes(segments: &[CertifiedSegment], mode: SegmentMode) -> Vec<String> {
    segments
        .iter()
        .filter(|segment| match (mode, segment.status) {
            (_, SegmentStatus::Waived | SegmentStatus::Proven) => false,
            (_, SegmentStatus::Broken) => true,
            (mode, SegmentStatus::Open) => mode == SegmentMode::Prove,
        })
        .map(|segment| format!("{}={}", segment.column, segment.value))
        .collect()
}

/// Names of groups, for messages.
pub(super) fn smallest(groups: &[Group]) -> Option<String> {
    groups
        .iter()
        .min_by_key(|group| group.rows.len())
        .map(Group::name)
}
