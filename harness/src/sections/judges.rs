//! Who scored the answers. A new judge, or a judge among the arms, looks like a change of quality.

use std::collections::BTreeSet;

use super::some_of;
use crate::evaluation::Gate;
use crate::study::Study;

/// Columns that name the judge.
const COLUMNS: [&str; 3] = ["judge", "judge_model", "judge_version"];

/// The judges of the study's labels, one text per combination of the columns.
pub(crate) fn judges(study: &Study<'_>) -> Vec<String> {
    let rows = study.train.rows.iter().chain(&study.test.rows);
    let judge = |&row: &usize| {
        let extra = &study.log.requests[study.table.requests[row]].extra;
        let named = COLUMNS.iter().filter_map(|column| extra.get(*column));
        let parts: Vec<&str> = named.map(String::as_str).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let distinct: BTreeSet<String> = rows.filter_map(judge).collect();
    distinct.into_iter().collect()
}

/// What must hold of the judges; nothing when the log does not name any.
pub(crate) fn gates(study: &Study<'_>, judges: &[String]) -> Vec<Gate> {
    if judges.is_empty() {
        return Vec::new();
    }
    let arms: Vec<String> = study.table.arms.iter().map(ToString::to_string).collect();
    let own: Vec<String> = arms
        .into_iter()
        .filter(|arm| {
            judges
                .iter()
                .any(|judge| judge.split(' ').any(|part| part == arm))
        })
        .collect();
    vec![
        Gate {
            name: "one judge".to_owned(),
            measured: match judges {
                [only] => only.clone(),
                several => format!("{}: {}", several.len(), some_of(several)),
            },
            passed: judges.len() == 1,
            about: "A change of judge looks like a change of judged quality; score all answers with one \
                    judge and one version of it."
                .to_owned(),
        },
        Gate {
            name: "independent judge".to_owned(),
            measured: if own.is_empty() {
                "no arm is the judge".to_owned()
            } else {
                format!("judge and arm: {}", some_of(&own))
            },
            passed: own.is_empty(),
            about: "Models favour their own answers; let a judge score them that is not an arm."
                .to_owned(),
        },
    ]
}
