//! The traffic that a certificate was made for: which requests, which segments, how long.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_datasets::{OutcomeLog, Request, column_value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{ArmTraffic, Expiry, Shift, TrafficShare};
use crate::table::OutcomeTable;

/// Least and most days that a certificate holds: as long again as its log spans.
pub const EXPIRY_DAYS: (f64, f64) = (7.0, 90.0);
/// Population stability index from which on traffic counts as another.
pub const PSI_MAX: f64 = 0.25;
/// Relative change of an arm's cost from which on its price counts as another.
pub const PRICE_SHIFT_MAX: f64 = 0.25;

const MICROSECONDS_PER_DAY: f64 = 86_400e6;
/// Bits of a filter per request: about 1 % of other requests are taken for known ones, whatever
/// their outcomes, and are set aside.
const BITS_PER_REQUEST: u64 = 10;
/// Hashes per request.
const HASHES: u64 = 7;

/// A Bloom filter over request ids (Bloom 1970): it knows every request that had a part in the
/// certificate, and takes about 1 % of others for known. Ids cannot be read from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestFilter {
    /// Requests in it.
    pub requests: u64,
    /// Hash functions.
    pub hashes: u64,
    /// Its bits, in hexadecimal.
    pub bits: String,
}

impl RequestFilter {
    /// The filter of some ids.
    #[must_use]
    pub fn of<'i>(ids: impl ExactSizeIterator<Item = &'i str>) -> Self {
        let requests = ids.len() as u64;
        let bytes = usize::try_from((requests * BITS_PER_REQUEST).div_ceil(8).max(1))
            .expect("a log in memory has few requests");
        let mut bits = vec![0_u8; bytes];
        for id in ids {
            for bit in places(id, HASHES, bytes) {
                bits[bit / 8] |= 1 << (bit % 8);
            }
        }
        Self {
            requests,
            hashes: HASHES,
            bits: hexadecimal(&bits),
        }
    }

    /// The bits, or `None` when they are not hexadecimal.
    pub(super) fn open(&self) -> Option<OpenFilter> {
        if self.bits.is_empty() || !self.bits.len().is_multiple_of(2) || !self.bits.is_ascii() {
            return None;
        }
        let byte = |i: usize| u8::from_str_radix(&self.bits[i..i + 2], 16).ok();
        let bits: Option<Vec<u8>> = (0..self.bits.len()).step_by(2).map(byte).collect();
        Some(OpenFilter {
            hashes: self.hashes.min(64),
            bits: bits?,
        })
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A filter, ready to be asked.
pub(super) struct OpenFilter {
    hashes: u64,
    bits: Vec<u8>,
}

impl OpenFilter {
    /// Whether the request had, or may have had, a part in the certificate.
    pub(super) fn knows(&self, id: &str) -> bool {
        places(id, self.hashes, self.bits.len())
            .all(|bit| self.bits[bit / 8] & (1 << (bit % 8)) != 0)
    }
}

/// Places of an id, by double hashing (Kirsch & Mitzenmacher 2006).
fn places(id: &str, hashes: u64, bytes: usize) -> impl Iterator<Item = usize> {
    let digest = blake3::derive_key("plimsoll certificate requests v1", id.as_bytes());
    let word = |from: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest[from..from + 8]);
        u64::from_le_bytes(bytes)
    };
    let (first, second) = (word(0), word(8) | 1);
    let bits = bytes as u64 * 8;
    (0..hashes).map(move |i| {
        let at = first.wrapping_add(i.wrapping_mul(second)) % bits;
        usize::try_from(at).expect("a place in memory")
    })
}

/// When a certificate of this log expires.
pub(super) fn expiry(log: &OutcomeLog, table: &OutcomeTable, columns: &[String]) -> Expiry {
    let requests: Vec<&Request> = table.requests.iter().map(|&i| &log.requests[i]).collect();
    let times = || log.requests.iter().filter_map(|r| r.timestamp_us);
    let compared: BTreeSet<&str> = table.arms.iter().map(plimsoll::ArmId::as_str).collect();
    let until = times().min().zip(times().max()).map(|(first, last)| {
        #[expect(clippy::cast_precision_loss, reason = "microseconds fit well enough")]
        let days = (last - first) as f64 / MICROSECONDS_PER_DAY;
        let days = days.ceil().clamp(EXPIRY_DAYS.0, EXPIRY_DAYS.1);
        #[expect(clippy::cast_possible_truncation, reason = "at most 90 days")]
        let more = (days * MICROSECONDS_PER_DAY) as i64;
        (last, last.saturating_add(more), days)
    });
    let time = match until {
        Some((_, _, days)) => format!(
            "It holds for requests up to {days:.0} days after the log's last, as long as the log \
             itself spans within 7 to 90 days"
        ),
        None => "Its log has no timestamps, so no date ends it".to_owned(),
    };
    Expiry {
        certified_at: until.map(|(last, _, _)| rfc3339(last)),
        valid_until: until.map(|(_, end, _)| rfc3339(end)),
        valid_until_us: until.map(|(_, end, _)| end),
        shift_max: PSI_MAX,
        price_shift_max: PRICE_SHIFT_MAX,
        rule: format!(
            "{time}; it ends earlier when a check finds the line broken, an arm that it does not \
             know, an arm's cost off by more than {:.0} %, or a segment column with a population \
             stability index above {PSI_MAX}.",
            PRICE_SHIFT_MAX * 100.0
        ),
        arms: log
            .arms
            .iter()
            .map(|arm| ArmTraffic {
                model: arm.to_string(),
                compared: compared.contains(arm.as_str()),
            })
            .collect(),
        traffic: shares(&requests, columns),
    }
}

/// Requests per value of each column that has more than one.
pub(super) fn shares(requests: &[&Request], columns: &[String]) -> Vec<TrafficShare> {
    let mut all = Vec::new();
    for column in columns {
        let mut values: BTreeMap<&str, u64> = BTreeMap::new();
        for request in requests {
            let value = column_value(request, column).unwrap_or_default();
            *values.entry(value).or_default() += 1;
        }
        let named = values.keys().any(|value| !value.is_empty());
        all.extend(
            values
                .into_iter()
                .filter(|_| named)
                .map(|(value, requests)| TrafficShare {
                    column: column.clone(),
                    value: value.to_owned(),
                    requests,
                }),
        );
    }
    all
}

/// How each column has moved: PSI = Σ (p − q) ln(p/q) with half a request added to every count,
/// less (B − 1)(1/n + 1/m), its mean when nothing has moved.
pub(super) fn shifts(old: &[TrafficShare], new: &[TrafficShare], limit: f64) -> Vec<Shift> {
    let columns: BTreeSet<&str> = old.iter().map(|s| s.column.as_str()).collect();
    columns
        .into_iter()
        .map(|column| {
            let counts = |all: &[TrafficShare]| -> BTreeMap<String, u64> {
                all.iter()
                    .filter(|s| s.column == column)
                    .map(|s| (s.value.clone(), s.requests))
                    .collect()
            };
            let psi = psi(&counts(old), &counts(new));
            Shift {
                column: column.to_owned(),
                psi,
                exceeded: psi > limit,
            }
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
fn psi(old: &BTreeMap<String, u64>, new: &BTreeMap<String, u64>) -> f64 {
    let values: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let (n, m): (u64, u64) = (old.values().sum(), new.values().sum());
    if n == 0 || m == 0 {
        return 0.0;
    }
    let bins = values.len() as f64;
    let share = |counts: &BTreeMap<String, u64>, value: &String, total: u64| {
        let count = counts.get(value).copied().unwrap_or(0) as f64;
        (count + 0.5) / (total as f64 + 0.5 * bins)
    };
    let raw: f64 = values
        .iter()
        .map(|value| {
            let (p, q) = (share(old, value, n), share(new, value, m));
            (p - q) * (p / q).ln()
        })
        .sum();
    (raw - (bins - 1.0) * (1.0 / n as f64 + 1.0 / m as f64)).max(0.0)
}

/// A time in UTC to the second, by days of the civil calendar.
pub(super) fn rfc3339(microseconds: i64) -> String {
    let seconds = microseconds.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_read_them() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1_000_000), want);
        }
    }

    #[test]
    fn a_filter_knows_its_own_and_few_others() {
        let ids: Vec<String> = (0..2000).map(|i| format!("r{i}")).collect();
        let filter = RequestFilter::of(ids.iter().map(String::as_str));
        let open = filter.open().expect("hexadecimal");
        assert!(ids.iter().all(|id| open.knows(id)));
        let wrong = (0..10_000).filter(|i| open.knows(&format!("s{i}"))).count();
        assert!(wrong < 250, "{wrong}");
        let broken = RequestFilter {
            bits: "zz".to_owned(),
            ..filter
        };
        assert!(broken.open().is_none());
    }

    #[test]
    fn traffic_that_moves_is_seen_and_chance_is_not() {
        let counts = |a: u64, b: u64| {
            vec![
                TrafficShare {
                    column: "task".into(),
                    value: "a".into(),
                    requests: a,
                },
                TrafficShare {
                    column: "task".into(),
                    value: "b".into(),
                    requests: b,
                },
            ]
        };
        let same = shifts(&counts(500, 500), &counts(52, 48), PSI_MAX);
        assert!(!same[0].exceeded && same[0].psi < 0.01, "{same:?}");
        let moved = shifts(&counts(500, 500), &counts(90, 10), PSI_MAX);
        assert!(moved[0].exceeded, "{moved:?}");
    }
}
