//! The report of one evaluation, in the order people read it.

use plimsoll_harness::Evaluation;

use super::{
    baseline, headline, is_scenario, methods, money, off_policy, quality, sensitivity, trust,
};
use crate::document::{Document, Section};
use crate::escape::{label, shorten};

const NAME_CHARS_MAX: usize = 160;

/// The document of an evaluation.
pub(crate) fn evaluation_document(e: &Evaluation) -> Document {
    let sections: Vec<Option<Section>> = vec![
        Some(quality::against_the_line(e)),
        Some(quality::frontier(e)),
        Some(money::what_if(e)),
        Some(money::mix(e)),
        Some(quality::segments(e)),
        Some(money::projection(e)),
        Some(trust::panel(e)),
        off_policy::estimates(e),
        sensitivity::tornado(e),
        Some(methods::metrics(e)),
        quality::changed(e),
        Some(methods::methods(e)),
    ];
    Document {
        title: format!("{}: {}", headline::word(e), label(&e.policy.name)),
        kicker: format!(
            "{} of {} against {}{}",
            if is_scenario(e) {
                "Scenario"
            } else {
                "Evaluation"
            },
            shorten(&e.policy.name, NAME_CHARS_MAX),
            baseline(e),
            off_policy::source(e)
        ),
        headline: headline::headline(e),
        sections: sections.into_iter().flatten().collect(),
        colophon: format!(
            "Plimsoll {} · log {} · policy {} · seed {}",
            label(&e.manifest.version),
            short_digest(&e.manifest.log_digest),
            short_digest(&e.manifest.policy_digest),
            e.manifest.seed
        ),
    }
}

/// Enough of a digest to recognise it.
fn short_digest(digest: &str) -> String {
    label(&digest.chars().take(12).collect::<String>())
}
