//! What was known before an arm was chosen.

use std::collections::BTreeMap;

use plimsoll_datasets::{OutcomeLog, Request};

use super::LoggedSample;
use super::null::count;

/// Most covariates that [`Covariate::of_requests`] gives.
pub const COVARIATES_MAX: usize = 32;

/// Least rows inside and outside of a group that is compared.
pub const GROUP_ROWS_MIN: usize = 30;

/// Most values of one column that become groups.
const VALUES_MAX: usize = 10;

/// Parts of the log by order, to find propensities that were right only for a time.
const PERIODS: usize = 4;

/// Knots of known propensities are at their quartiles.
const QUANTILES: usize = 4;

/// Least standard deviation of a function of propensities: less may be rounding.
const DEVIATION_MIN: f64 = 0.01;

/// A number per row that was fixed before the arm was chosen.
///
/// Nothing that the arm can change may be one: neither its tokens (tokenizers differ), nor its
/// latency, nor anything learned from this row's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariate {
    /// What it is, for instance `task = code`.
    pub name: String,
    /// Its values, shape (n).
    pub values: Vec<f64>,
}

impl Covariate {
    /// Covariates of the requests `rows` of a log: the most frequent tasks and tenants, the number
    /// of eligible arms, the length of the prompt, quarters of the log and of the day (UTC).
    ///
    /// At most [`COVARIATES_MAX`]; groups smaller than [`GROUP_ROWS_MIN`] are left out. Columns
    /// that Plimsoll does not know are left out too: they may depend on the answer.
    #[must_use]
    pub fn of_requests(log: &OutcomeLog, rows: &[usize]) -> Vec<Self> {
        let request = |row: &usize| &log.requests[*row];
        let mut all = Vec::new();
        all.extend(groups(
            "task",
            rows.iter().map(|r| request(r).task.as_deref()),
        ));
        all.extend(groups(
            "tenant",
            rows.iter().map(|r| request(r).tenant.as_deref()),
        ));
        all.extend(numeric(
            "prompt length",
            rows.iter().map(|r| length(request(r))),
        ));
        all.extend(numeric(
            "eligible arms",
            rows.iter().map(|r| {
                Some(count(
                    request(r)
                        .candidates
                        .as_ref()
                        .map_or(log.arms.len(), Vec::len),
                ))
            }),
        ));
        all.extend(periods(log, rows));
        all.extend(groups(
            "hour (UTC)",
            rows.iter()
                .map(|r| request(r).timestamp_us.map(quarter_of_day)),
        ));
        all.truncate(COVARIATES_MAX);
        all
    }

    /// The first arm's propensity p, and max(0, p − knot) at its quartiles, which are known on every
    /// row when there are two arms: calibration of propensities against frequencies, slope and bends
    /// (Cox 1958, doi:10.1093/biomet/45.3-4.562).
    ///
    /// Bins would do the same, but for a log with rounded propensities a bin's edge can tell which
    /// arm was chosen; these functions are continuous. Empty with more than two arms, where the
    /// propensities of arms not chosen are unknown, and for propensities that hardly vary.
    #[must_use]
    pub fn of_propensities(sample: &LoggedSample<'_>) -> Vec<Self> {
        let others = sample.chosen.iter().any(Option::is_none);
        if sample.arms.len() != 2 || sample.eligible.is_some() || others {
            return Vec::new();
        }
        let first: Vec<f64> = sample
            .chosen
            .iter()
            .zip(sample.propensity)
            .map(|(&arm, &p)| if arm == Some(0) { p } else { 1.0 - p })
            .collect();
        let mut sorted = first.clone();
        sorted.sort_by(f64::total_cmp);
        let arm = &sample.arms[0];
        let whole = Self {
            name: format!("propensity of {arm}"),
            values: first.clone(),
        };
        let bends = (1..QUANTILES).map(|q| {
            let knot = sorted[sorted.len() * q / QUANTILES];
            Self {
                name: format!("propensity of {arm} above {knot:.3}"),
                values: first.iter().map(|p| (p - knot).max(0.0)).collect(),
            }
        });
        let mut all: Vec<Self> = std::iter::once(whole)
            .chain(bends)
            .filter(|c| c.deviation() > DEVIATION_MIN)
            .collect();
        all.dedup_by(|a, b| a.name == b.name);
        all
    }

    /// Standard deviation of the values.
    fn deviation(&self) -> f64 {
        let n = count(self.values.len());
        let mean = self.values.iter().sum::<f64>() / n;
        let squares: f64 = self.values.iter().map(|v| (v - mean) * (v - mean)).sum();
        (squares / n).sqrt()
    }

    /// Itself, when enough rows are inside and outside of the group.
    fn if_populated(self) -> Option<Self> {
        let inside = self.values.iter().filter(|v| **v > 0.5).count();
        let least = inside.min(self.values.len() - inside);
        (least >= GROUP_ROWS_MIN).then_some(self)
    }
}

/// Indicators of the most frequent values, the most frequent first.
fn groups<'a>(
    column: &str,
    values: impl Iterator<Item = Option<&'a str>> + Clone,
) -> Vec<Covariate> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in values.clone().flatten() {
        *counts.entry(value).or_default() += 1;
    }
    let mut by_count: Vec<(&str, usize)> = counts.into_iter().collect();
    by_count.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let two = by_count.len() == 2 && values.clone().all(|v| v.is_some());
    // Two groups that make up the whole say the same thing twice.
    by_count.truncate(if two { 1 } else { VALUES_MAX });
    by_count
        .into_iter()
        .filter_map(|(group, _)| {
            Covariate {
                name: format!("{column} = {group}"),
                values: values
                    .clone()
                    .map(|v| f64::from(u8::from(v == Some(group))))
                    .collect(),
            }
            .if_populated()
        })
        .collect()
}

/// A number that most rows have; the others take the mean, which neither helps nor harms.
fn numeric(name: &str, values: impl Iterator<Item = Option<f64>>) -> Option<Covariate> {
    let values: Vec<Option<f64>> = values.collect();
    let known: Vec<f64> = values.iter().copied().flatten().collect();
    let (first, n) = (*known.first()?, known.len());
    if n * 2 < values.len() || known.iter().all(|v| (v - first).abs() < f64::EPSILON) {
        return None;
    }
    let mean = known.iter().sum::<f64>() / count(n);
    Some(Covariate {
        name: name.to_owned(),
        values: values.into_iter().map(|v| v.unwrap_or(mean)).collect(),
    })
}

/// ln(1 + characters of the prompt).
fn length(request: &Request) -> Option<f64> {
    let prompt = request.prompt.as_deref()?;
    Some(count(prompt.chars().count()).ln_1p())
}

/// Quarters of the rows by time, or by their order where times are missing.
fn periods(log: &OutcomeLog, rows: &[usize]) -> Vec<Covariate> {
    let n = rows.len();
    let mut order: Vec<usize> = (0..n).collect();
    if rows.iter().all(|&r| log.requests[r].timestamp_us.is_some()) {
        order.sort_by_key(|&i| (log.requests[rows[i]].timestamp_us, i));
    }
    (0..PERIODS)
        .filter_map(|period| {
            let mut values = vec![0.0; n];
            for &i in &order[n * period / PERIODS..n * (period + 1) / PERIODS] {
                values[i] = 1.0;
            }
            Covariate {
                name: format!("quarter {} of the log", period + 1),
                values,
            }
            .if_populated()
        })
        .collect()
}

fn quarter_of_day(timestamp_us: i64) -> &'static str {
    match timestamp_us.div_euclid(3_600_000_000).rem_euclid(24) {
        0..6 => "00–06",
        6..12 => "06–12",
        12..18 => "12–18",
        _ => "18–24",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(task: Option<&str>, prompt: &str, hour: i64) -> Request {
        Request {
            task: task.map(str::to_owned),
            prompt: Some(prompt.to_owned()),
            timestamp_us: Some(hour * 3_600_000_000),
            ..Request::default()
        }
    }

    #[test]
    fn covariates_name_groups_large_enough_to_compare() {
        let requests = (0..200)
            .map(|i| {
                let task = match i % 10 {
                    0 => None,
                    1..6 => Some("code"),
                    6..9 => Some("chat"),
                    _ => Some("rare"),
                };
                request(task, if i % 2 == 0 { "a" } else { "bcd" }, i64::from(i))
            })
            .collect();
        let log = OutcomeLog {
            requests,
            ..OutcomeLog::default()
        };
        let rows: Vec<usize> = (0..200).collect();
        let all = Covariate::of_requests(&log, &rows);
        let names: Vec<&str> = all.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "task = code",
                "task = chat",
                "prompt length",
                "quarter 1 of the log",
                "quarter 2 of the log",
                "quarter 3 of the log",
                "quarter 4 of the log",
                "hour (UTC) = 00–06",
                "hour (UTC) = 06–12",
                "hour (UTC) = 12–18",
                "hour (UTC) = 18–24",
            ]
        );
        assert!((all[0].values.iter().sum::<f64>() - 100.0).abs() < 1e-12);
        assert!(all.iter().all(|c| !c.name.contains("bcd")));
    }
}
