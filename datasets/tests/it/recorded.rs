//! Recorded tables, when they are at hand.

use std::path::PathBuf;
use std::time::Instant;

use plimsoll_datasets::{EvidenceKind, Input, ReadLog, ReadOptions, Warning, read};

fn recorded(name: &str) -> Option<ReadLog> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    let path = folder.join(format!("{name}.parquet"));
    if !path.exists() {
        eprintln!("skipped: no recorded table `{name}` beside the repository");
        return None;
    }
    let begin = Instant::now();
    let read = read(&Input::Path(path), &ReadOptions::default()).expect("a recorded table");
    eprintln!(
        "{name}: {} rows in {:?}",
        read.report.rows_read,
        begin.elapsed()
    );
    Some(read)
}

#[test]
fn zeroeval_is_full_information_on_27_arms() {
    let Some(read) = recorded("zeroeval") else {
        return;
    };
    assert_eq!(read.report.rows_read, 121_689);
    assert_eq!(read.report.requests, 2_840);
    assert_eq!(read.report.arms.len(), 54);
    assert_eq!(read.report.evidence.kind, EvidenceKind::FullInformation);
    assert_eq!(read.report.evidence.complete_arms.len(), 27);
}

#[test]
fn nearly_full_is_full() {
    let Some(read) = recorded("paretobandit_val") else {
        return;
    };
    assert_eq!(
        (read.report.rows_read, read.report.requests),
        (7_121, 1_785)
    );
    assert_eq!(read.report.evidence.kind, EvidenceKind::FullInformation);
    // The fourth arm lacks 0.8 % of its answers.
    assert_eq!(read.report.evidence.complete_arms.len(), 3);
}

#[test]
fn a_log_without_propensities_is_observational() {
    let Some(read) = recorded("conduit_logged") else {
        return;
    };
    assert_eq!(read.report.evidence.kind, EvidenceKind::Observational);
    // Two policies ran on the same requests, several times: most rows contradict each other.
    assert_eq!(
        (read.report.rows_read, read.report.rows_conflicting),
        (4_228, 3_176)
    );
    assert!(
        read.report
            .warnings
            .iter()
            .any(|w| matches!(w, Warning::Conflicting { .. }))
    );
}

#[test]
fn l18_a_table_without_costs_is_unpriced() {
    let Some(read) = recorded("routellm_mtbench") else {
        return;
    };
    assert!((read.report.unpriced_share - 1.0).abs() < 1e-12);
    assert!(
        read.report
            .warnings
            .contains(&Warning::Unpriced { share: 1.0 })
    );
}
