//! Splits: which requests are learned from, and which are kept untouched to judge on.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use plimsoll::Seed;

use crate::log::{OutcomeLog, Request};
use crate::split_error::SplitError;

/// How requests are split; `share` in (0, 1) is the part to learn from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Split {
    /// By a seeded hash of the request id; requests of one session stay together.
    Hash {
        /// Training share.
        share: f64,
    },
    /// The earliest requests train, the latest judge.
    Time {
        /// Training share.
        share: f64,
    },
    /// By a seeded hash of a column's value: all requests of one value stay together.
    Group {
        /// The column: `task`, `tenant`, `session_id`, or one of the log's own.
        column: String,
        /// Training share.
        share: f64,
    },
}

impl Split {
    /// The usual split: by hash, 70 % to learn from.
    pub const DEFAULT: Self = Self::Hash { share: 0.7 };

    /// A split by hash.
    ///
    /// # Errors
    /// [`SplitError::Share`] when `share` is not in (0, 1).
    pub fn hash(share: f64) -> Result<Self, SplitError> {
        Self::Hash { share }.checked()
    }

    /// Reads `0.7`, `hash:0.7`, `time:0.7` or `group:COLUMN:0.7`.
    ///
    /// # Errors
    /// [`SplitError`] when the text is none of these or the share is not in (0, 1).
    pub fn parse(text: &str) -> Result<Self, SplitError> {
        let syntax = || SplitError::Syntax {
            got: text.to_owned(),
        };
        let number = |text: &str| text.parse::<f64>().map_err(|_| syntax());
        let Some((kind, rest)) = text.split_once(':') else {
            return Self::Hash {
                share: number(text)?,
            }
            .checked();
        };
        match kind {
            "hash" => Self::Hash {
                share: number(rest)?,
            },
            "time" => Self::Time {
                share: number(rest)?,
            },
            "group" => {
                let (column, share) = rest.rsplit_once(':').ok_or_else(syntax)?;
                if column.is_empty() {
                    return Err(syntax());
                }
                Self::Group {
                    column: column.to_owned(),
                    share: number(share)?,
                }
            }
            _ => return Err(syntax()),
        }
        .checked()
    }

    /// Whether requests are split by a hash of their ids.
    #[must_use]
    pub const fn is_hash(&self) -> bool {
        matches!(self, Self::Hash { .. })
    }

    /// The training share, in (0, 1).
    #[must_use]
    pub const fn share(&self) -> f64 {
        match self {
            Self::Hash { share } | Self::Time { share } | Self::Group { share, .. } => *share,
        }
    }

    fn checked(self) -> Result<Self, SplitError> {
        let got = self.share();
        if got > 0.0 && got < 1.0 {
            Ok(self)
        } else {
            Err(SplitError::Share {
                got: got.to_string(),
            })
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hash { share } => write!(f, "hash:{share}"),
            Self::Time { share } => write!(f, "time:{share}"),
            Self::Group { column, share } => write!(f, "group:{column}:{share}"),
        }
    }
}

/// Splits a log: indices of the requests to learn from, and of those to judge on, both rising.
///
/// The size of the first part is the share of requests, up to the size of one group.
///
/// # Errors
/// [`SplitError`] when requests lack the time or the column to split by.
pub fn split(
    log: &OutcomeLog,
    by: &Split,
    seed: Seed,
) -> Result<(Vec<usize>, Vec<usize>), SplitError> {
    let requests = &log.requests;
    let refs: Vec<&Request> = requests.iter().collect();
    let order = match by {
        Split::Time { .. } => by_time(requests)?,
        Split::Hash { .. } => by_hash(&refs, seed, |r| r.session_id.as_deref().unwrap_or(&r.id)),
        Split::Group { column, .. } => {
            check_column(requests, column)?;
            by_hash(&refs, seed, |r| column_value(r, column).unwrap_or_default())
        }
    };
    let (train, test) = cut(order, by.share(), requests.len());
    match (train.is_empty(), test.is_empty()) {
        (true, _) => Err(SplitError::EmptySide { side: "train on" }),
        (_, true) => Err(SplitError::EmptySide { side: "evaluate" }),
        _ => Ok((train, test)),
    }
}

fn check_column(requests: &[Request], column: &str) -> Result<(), SplitError> {
    let column = column.to_owned();
    let missing = requests
        .iter()
        .filter(|r| column_value(r, &column).is_none())
        .count();
    if missing == 0 {
        Ok(())
    } else if missing == requests.len() {
        Err(SplitError::MissingColumn {
            column,
            known: known_columns(requests),
        })
    } else {
        Err(SplitError::MissingValues {
            column,
            missing,
            requests: requests.len(),
        })
    }
}

fn known_columns(requests: &[Request]) -> Vec<String> {
    let own = requests
        .iter()
        .flat_map(|r| r.extra.keys().map(String::as_str));
    let known: BTreeSet<&str> = ["task", "tenant", "session_id"]
        .into_iter()
        .chain(own)
        .collect();
    let some = |column: &&&str| requests.iter().any(|r| column_value(r, column).is_some());
    known.iter().filter(some).map(|c| (*c).to_owned()).collect()
}

/// The request's value in a column that can name groups and segments.
#[must_use]
pub fn column_value<'r>(request: &'r Request, column: &str) -> Option<&'r str> {
    match column {
        "task" => request.task.as_deref(),
        "tenant" => request.tenant.as_deref(),
        "session_id" => request.session_id.as_deref(),
        other => request.extra.get(other).map(String::as_str),
    }
}

/// Groups of requests in the order in which they are given to training.
type Groups = Vec<Vec<usize>>;

fn by_time(requests: &[Request]) -> Result<Groups, SplitError> {
    let missing = requests.iter().filter(|r| r.timestamp_us.is_none()).count();
    if missing > 0 {
        let column = "timestamp".to_owned();
        return Err(SplitError::MissingValues {
            column,
            missing,
            requests: requests.len(),
        });
    }
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&requests[a], &requests[b]);
        a.timestamp_us
            .cmp(&b.timestamp_us)
            .then_with(|| a.id.cmp(&b.id))
    });
    // Requests of one instant are not torn apart.
    Ok(order
        .chunk_by(|&a, &b| requests[a].timestamp_us == requests[b].timestamp_us)
        .map(<[usize]>::to_vec)
        .collect())
}

fn by_hash<'r>(
    requests: &[&'r Request],
    seed: Seed,
    key: impl Fn(&'r Request) -> &'r str,
) -> Groups {
    let mut groups: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, request) in requests.iter().enumerate() {
        groups.entry(key(request)).or_default().push(index);
    }
    let mut groups: Vec<([u8; 32], Vec<usize>)> = groups
        .into_iter()
        .map(|(key, members)| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(b"plimsoll split v1");
            hasher.update(&seed.0.to_le_bytes());
            hasher.update(key.as_bytes());
            (*hasher.finalize().as_bytes(), members)
        })
        .collect();
    groups.sort();
    groups.into_iter().map(|(_, members)| members).collect()
}

/// Whole groups go to training until it holds the share.
#[expect(
    clippy::cast_precision_loss,
    reason = "request counts stay far below 2^53"
)]
fn cut(groups: Groups, share: f64, requests: usize) -> (Vec<usize>, Vec<usize>) {
    let target = share * requests as f64;
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for group in groups {
        let fits = train.len() as f64 + group.len() as f64 / 2.0 <= target;
        if fits && test.is_empty() {
            train.extend(group);
        } else {
            test.extend(group);
        }
    }
    train.sort_unstable();
    test.sort_unstable();
    (train, test)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(n: usize) -> OutcomeLog {
        let requests = (0..n)
            .map(|i| Request {
                id: format!("r{i}"),
                session_id: (i % 2 == 0).then(|| format!("s{}", i / 10)),
                tenant: Some(format!("t{}", i % 7)),
                timestamp_us: Some(i64::try_from((i * 7919) % n).expect("small")),
                ..Request::default()
            })
            .collect();
        OutcomeLog {
            requests,
            ..OutcomeLog::default()
        }
    }

    #[test]
    fn splits_read_and_write_themselves() {
        for text in ["hash:0.7", "time:0.5", "group:tenant:0.7", "group:a:b:0.2"] {
            assert_eq!(Split::parse(text).expect("valid").to_string(), text);
        }
        for text in ["", "hash", "hash:x", "group:0.7", "group::0.7", "month:0.7"] {
            assert!(
                matches!(Split::parse(text), Err(SplitError::Syntax { .. })),
                "{text}"
            );
        }
        for text in ["hash:1", "hash:0", "time:-1", "hash:NaN", "hash:1.5"] {
            assert!(
                matches!(Split::parse(text), Err(SplitError::Share { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn both_sides_are_disjoint_whole_and_repeatable() {
        let log = log(1000);
        for text in ["hash:0.7", "time:0.7", "group:tenant:0.7"] {
            let by = Split::parse(text).expect("valid");
            let (train, test) = split(&log, &by, Seed(3)).expect("splits");
            let mut all: Vec<usize> = train.iter().chain(&test).copied().collect();
            all.sort_unstable();
            assert_eq!(all, (0..1000).collect::<Vec<_>>(), "{text}");
            assert!((600..=800).contains(&train.len()), "{text} {}", train.len());
            assert_eq!(split(&log, &by, Seed(3)).expect("splits").0, train);
        }
        let by = Split::DEFAULT;
        let first = split(&log, &by, Seed(3)).expect("splits").0;
        assert_ne!(first, split(&log, &by, Seed(4)).expect("splits").0);
    }

    #[test]
    fn sessions_groups_and_time_are_respected() {
        let log = log(1000);
        let (train, test) = split(&log, &Split::DEFAULT, Seed(1)).expect("splits");
        let session = |i: &usize| log.requests[*i].session_id.clone();
        assert!(
            !train
                .iter()
                .filter_map(session)
                .any(|s| test.iter().filter_map(session).any(|t| s == t))
        );
        let by = Split::parse("time:0.7").expect("valid");
        let (train, test) = split(&log, &by, Seed(1)).expect("splits");
        let time = |i: &usize| log.requests[*i].timestamp_us;
        assert!(train.iter().map(time).max() < test.iter().map(time).min());
    }

    #[test]
    fn missing_columns_are_counted() {
        let mut log = log(10);
        log.requests[3].timestamp_us = None;
        let by = Split::parse("time:0.7").expect("valid");
        assert_eq!(
            split(&log, &by, Seed(1)),
            Err(SplitError::MissingValues {
                column: "timestamp".into(),
                missing: 1,
                requests: 10
            })
        );
        let by = Split::parse("group:region:0.7").expect("valid");
        assert!(
            matches!(split(&log, &by, Seed(1)), Err(SplitError::MissingColumn { known, .. }) if known == ["session_id", "tenant"])
        );
    }
}
