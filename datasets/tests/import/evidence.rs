//! What an import's page and report promise of a log is what validating the log finds.

use plimsoll_datasets::{EvidenceKind, ImportKind, ImportOptions, Input};

use crate::golden::{fixture, lenient, run};

fn check(options: &ImportOptions, input: Input, wanted: EvidenceKind) {
    let name = options.kind.name();
    let (report, read, _) =
        run(&[input], options).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(read.report.evidence.kind, wanted, "{name}");
    assert_eq!(
        read.report.rows_rejected, 0,
        "{name}: the log reads as it was written"
    );
    assert_eq!(
        read.report.outcomes, report.rows,
        "{name}: no row contradicts another"
    );
}

#[test]
fn logs_are_the_evidence_that_was_promised() {
    let table = |text: &str| Input::bytes("t.csv", text.as_bytes());
    let of = |kind| lenient(kind);
    check(
        &of(ImportKind::Routerbench),
        table(
            "sample_id,prompt,a,b,a|total_cost,b|total_cost\nx,p,1.0,0.0,0.1,0.2\ny,q,1.0,1.0,0.1,0.2\n",
        ),
        EvidenceKind::FullInformation,
    );
    check(
        &of(ImportKind::Routellm),
        table("prompt,weak,strong\np,True,True\np,False,True\n"),
        EvidenceKind::FullInformation,
    );
    check(
        &of(ImportKind::Obd),
        fixture("obd_all.csv"),
        EvidenceKind::LoggedWithPropensities,
    );
    check(
        &of(ImportKind::Vw),
        fixture("vw_adf.txt"),
        EvidenceKind::LoggedWithPropensities,
    );
    check(
        &of(ImportKind::VwDsjson),
        fixture("vw_dsjson_decisions.jsonl"),
        EvidenceKind::LoggedWithPropensities,
    );
    check(
        &of(ImportKind::Vw),
        // One label without a probability, and nothing is known of the others' overlap.
        fixture("vw_cb.txt"),
        EvidenceKind::Observational,
    );
    check(
        &of(ImportKind::Otel),
        fixture("otel_spans.jsonl"),
        EvidenceKind::Observational,
    );
    check(
        &of(ImportKind::OpenaiBatch),
        fixture("openai_batch_output.jsonl"),
        EvidenceKind::Observational,
    );
}
