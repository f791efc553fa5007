//! Requests of a newer log that had no part in a certificate.

use std::collections::BTreeMap;

use plimsoll_datasets::{OutcomeLog, Request};

use super::error::CertificateError;
use super::record::{Certificate, CheckRows};
use crate::judge::Clusters;
use crate::table::OutcomeTable;

/// Rows that prove something new, in the order of time.
pub(super) struct Fresh {
    /// Rows of the table.
    pub(super) rows: Vec<usize>,
    pub(super) clusters: Clusters,
    pub(super) counts: CheckRows,
    /// Requests of the log that had no part in the certificate, usable or not.
    pub(super) unknown: Vec<usize>,
}

impl Fresh {
    pub(super) fn of(
        log: &OutcomeLog,
        table: &OutcomeTable,
        certificate: &Certificate,
    ) -> Result<Self, CertificateError> {
        let filter = certificate
            .requests
            .open()
            .ok_or(CertificateError::Malformed {
                what: "its request filter is damaged",
            })?;
        let same_log = log.digest == certificate.digests.log;
        let request = |row: usize| &log.requests[table.requests[row]];
        let is_new = |request: &Request| !same_log && !filter.knows(&request.id);
        let mut rows: Vec<usize> = (0..table.rows())
            .filter(|&row| is_new(request(row)))
            .collect();
        let known = table.rows() - rows.len();
        if rows.is_empty() {
            return Err(CertificateError::SameRows {
                requests: known as u64,
            });
        }
        // The order must be the same at every look, or the looks are many tests and not one: by
        // time, or as they stand in the log where a time is missing.
        if rows.iter().all(|&row| request(row).timestamp_us.is_some()) {
            let when = |row: &usize| {
                let request = request(*row);
                (request.timestamp_us, &request.id)
            };
            rows.sort_by(|a, b| when(a).cmp(&when(b)));
        }
        let size_max = certificate.cluster_requests_max.max(1);
        let mut seen: BTreeMap<usize, u64> = BTreeMap::new();
        let all = rows.len();
        rows.retain(|&row| {
            let size = seen.entry(table.cluster[row]).or_default();
            *size += 1;
            *size <= size_max
        });
        let clusters = Clusters::of_rows(&table.cluster, &rows);
        Ok(Self {
            counts: CheckRows {
                judged: rows.len() as u64,
                clusters: clusters.count as u64,
                known: known as u64,
                set_aside: table.set_aside.len() as u64,
                beyond_cluster_size: (all - rows.len()) as u64,
            },
            unknown: (0..log.requests.len())
                .filter(|&i| is_new(&log.requests[i]))
                .collect(),
            clusters,
            rows,
        })
    }
}
