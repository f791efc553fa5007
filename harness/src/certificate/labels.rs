//! What to label first.

use std::collections::BTreeMap;

use plimsoll::Router;
use plimsoll_datasets::{Request, column_value};

use super::record::{LabelArm, LabelPlan, LabelRequest, LabelSegment};
use crate::study::raw_context;
use crate::table::OutcomeTable;
use plimsoll_datasets::OutcomeLog;

/// Most requests named.
const REQUESTS_MAX: usize = 20;
/// Most segments named.
const SEGMENTS_MAX: usize = 20;

type Name<'l> = (String, &'l str);

/// Requests that lack a label, by how much theirs would narrow a bound: first where the policy's
/// own choice is unlabelled, then in the segment of the fewest labelled requests, because a bound
/// narrows by about n^(−1/2) − (n + 1)^(−1/2) with one more.
pub(super) fn plan(
    log: &OutcomeLog,
    table: &OutcomeTable,
    columns: &[String],
    router: Option<&Router>,
) -> LabelPlan {
    let mut labelled: BTreeMap<Name<'_>, u64> = BTreeMap::new();
    let mut missing: BTreeMap<Name<'_>, u64> = BTreeMap::new();
    for &index in &table.requests {
        for name in names(&log.requests[index], columns) {
            *labelled.entry(name).or_default() += 1;
        }
    }
    let mut arms: BTreeMap<&str, u64> = BTreeMap::new();
    let mut requests: Vec<(bool, u64, LabelRequest)> = Vec::new();
    for &index in &table.set_aside {
        let request = &log.requests[index];
        let unlabelled = unlabelled(log, table, request);
        if unlabelled.is_empty() {
            continue;
        }
        for arm in &unlabelled {
            *arms.entry(arm).or_default() += 1;
        }
        let mut least: Option<(u64, String)> = None;
        for name in names(request, columns) {
            let n = labelled.get(&name).copied().unwrap_or(0);
            *missing.entry(name.clone()).or_default() += 1;
            if least.as_ref().is_none_or(|(fewest, _)| n < *fewest) {
                least = Some((n, format!("{}={}", name.0, name.1)));
            }
        }
        let chosen = router.and_then(|router| choice(router, request));
        let is_chosen = |arm: &&str| chosen.as_deref() == Some(*arm);
        let chosen_unlabelled = unlabelled.iter().any(is_chosen);
        let mut arms: Vec<&str> = unlabelled;
        arms.sort_by_key(|arm| !is_chosen(arm));
        requests.push((
            !chosen_unlabelled,
            least.as_ref().map_or(u64::MAX, |(n, _)| *n),
            LabelRequest {
                request_id: request.id.clone(),
                arms: arms.into_iter().map(str::to_owned).collect(),
                chosen_unlabelled,
                segment: least.map(|(_, name)| name),
            },
        ));
    }
    requests.sort_by(|a, b| (a.0, a.1, &a.2.request_id).cmp(&(b.0, b.1, &b.2.request_id)));
    let mut arms: Vec<LabelArm> = arms
        .into_iter()
        .map(|(model, missing)| LabelArm {
            model: model.to_owned(),
            missing,
        })
        .collect();
    arms.sort_by(|a, b| b.missing.cmp(&a.missing).then(a.model.cmp(&b.model)));
    LabelPlan {
        requests: requests
            .into_iter()
            .take(REQUESTS_MAX)
            .map(|(_, _, request)| request)
            .collect(),
        arms,
        segments: segments(&labelled, &missing),
    }
}

fn segments(
    labelled: &BTreeMap<Name<'_>, u64>,
    missing: &BTreeMap<Name<'_>, u64>,
) -> Vec<LabelSegment> {
    let mut all: Vec<LabelSegment> = labelled
        .keys()
        .chain(missing.keys().filter(|name| !labelled.contains_key(*name)))
        .map(|name| LabelSegment {
            column: name.0.clone(),
            value: name.1.to_owned(),
            labelled: labelled.get(name).copied().unwrap_or(0),
            missing: missing.get(name).copied().unwrap_or(0),
        })
        .collect();
    all.sort_by(|a, b| (a.labelled, &a.column, &a.value).cmp(&(b.labelled, &b.column, &b.value)));
    all.truncate(SEGMENTS_MAX);
    all
}

fn names<'l>(request: &'l Request, columns: &[String]) -> Vec<Name<'l>> {
    columns
        .iter()
        .filter_map(|column| Some((column.clone(), column_value(request, column)?)))
        .collect()
}

/// Compared arms whose answer has no label: of all of them, or of the one that was served.
fn unlabelled<'t>(log: &OutcomeLog, table: &'t OutcomeTable, request: &Request) -> Vec<&'t str> {
    let outcome = |name: &str| {
        request
            .outcomes
            .iter()
            .find(|o| log.arms[o.arm as usize].as_str() == name)
    };
    let lacks = |name: &str| match (outcome(name), &table.logged) {
        (Some(outcome), _) => outcome.quality.is_none(),
        (None, logged) => logged.is_none(),
    };
    table
        .arms
        .iter()
        .map(plimsoll::ArmId::as_str)
        .filter(|name| lacks(name))
        .collect()
}

/// The arm that the policy would most likely choose.
fn choice(router: &Router, request: &Request) -> Option<String> {
    let context = router.context(&raw_context(request)).ok()?;
    let distribution = router.distribution(&context).ok()?;
    let p = distribution.probabilities();
    let best = (0..p.len()).reduce(|best, arm| if p[arm] > p[best] { arm } else { best })?;
    Some(router.arms()[best].id.to_string())
}
