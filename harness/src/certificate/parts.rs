//! Three disjoint parts of a log, by cluster.

use plimsoll::Seed;

use super::error::CertificateError;
use super::record::Part;
use crate::judge::Clusters;
use crate::study::Study;

/// Shares of the parts to fit, choose and certify on; they sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    fit: f64,
    choose: f64,
    certify: f64,
}

impl Shares {
    /// Half to fit, a fifth to choose, three tenths to certify.
    pub const DEFAULT: Self = Self {
        fit: 0.5,
        choose: 0.2,
        certify: 0.3,
    };

    /// Three positive shares.
    ///
    /// # Errors
    /// [`CertificateError::Parts`] unless they are positive and sum to 1.
    pub fn new(fit: f64, choose: f64, certify: f64) -> Result<Self, CertificateError> {
        let all = [fit, choose, certify];
        if all.iter().all(|s| *s > 0.0) && (all.iter().sum::<f64>() - 1.0).abs() < 1e-9 {
            Ok(Self {
                fit,
                choose,
                certify,
            })
        } else {
            Err(CertificateError::Parts {
                got: format!("{fit},{choose},{certify}"),
            })
        }
    }

    /// Reads `0.5,0.2,0.3`.
    ///
    /// # Errors
    /// [`CertificateError::Parts`] when it is anything else.
    pub fn parse(text: &str) -> Result<Self, CertificateError> {
        let malformed = || CertificateError::Parts {
            got: text.to_owned(),
        };
        let shares: Vec<f64> = text
            .split(',')
            .map(|share| share.trim().parse().map_err(|_| malformed()))
            .collect::<Result<_, _>>()?;
        match shares[..] {
            [fit, choose, certify] => Self::new(fit, choose, certify).map_err(|_| malformed()),
            _ => Err(malformed()),
        }
    }

    /// Share of the part to fit on.
    #[must_use]
    pub const fn fit(&self) -> f64 {
        self.fit
    }

    /// Share of the part to choose on.
    #[must_use]
    pub const fn choose(&self) -> f64 {
        self.choose
    }

    /// Share of the part to certify on.
    #[must_use]
    pub const fn certify(&self) -> f64 {
        self.certify
    }
}

impl std::fmt::Display for Shares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{}", self.fit, self.choose, self.certify)
    }
}

/// Rows of a study's evaluated side, cut in two; both rising.
#[derive(Clone, Debug)]
pub(super) struct Rest {
    pub(super) choose: Vec<usize>,
    pub(super) certify: Vec<usize>,
}

/// Cuts the evaluated side by a seeded hash of each cluster's first request id.
pub(super) fn cut(study: &Study<'_>, shares: Shares, seed: Seed) -> Rest {
    let clusters = &study.test.clusters;
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); clusters.count];
    for (row, &cluster) in clusters.of.iter().enumerate() {
        members[cluster].push(row);
    }
    let mut order: Vec<([u8; 32], Vec<usize>)> = members
        .into_iter()
        .map(|rows| {
            let first = rows.iter().map(|&row| study.test_request(row).id.as_str());
            let mut hasher = blake3::Hasher::new();
            hasher.update(b"plimsoll parts v1");
            hasher.update(&seed.0.to_le_bytes());
            hasher.update(first.min().unwrap_or_default().as_bytes());
            (*hasher.finalize().as_bytes(), rows)
        })
        .collect();
    order.sort();
    let share = shares.choose / (shares.choose + shares.certify);
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    let target = share * clusters.of.len() as f64;
    let mut rest = Rest {
        choose: Vec::new(),
        certify: Vec::new(),
    };
    for (_, rows) in order {
        #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
        let fits = rest.choose.len() as f64 + rows.len() as f64 / 2.0 <= target;
        if fits && rest.certify.is_empty() {
            rest.choose.extend(rows);
        } else {
            rest.certify.extend(rows);
        }
    }
    rest.choose.sort_unstable();
    rest.certify.sort_unstable();
    rest
}

/// A part, described.
pub(super) fn describe(share: f64, clusters: &Clusters, mut ids: Vec<&str>) -> Part {
    ids.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    for id in &ids {
        hasher.update(&(id.len() as u64).to_le_bytes());
        hasher.update(id.as_bytes());
    }
    Part {
        share,
        requests: ids.len() as u64,
        clusters: clusters.count as u64,
        digest: hasher.finalize().to_hex().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_three_of_a_whole() {
        assert_eq!(
            Shares::parse("0.5, 0.2,0.3").expect("valid"),
            Shares::DEFAULT
        );
        for text in [
            "",
            "0.5",
            "0.5,0.5",
            "0.5,0.5,0",
            "0.5,0.2,0.2",
            "a,b,c",
            "1,1,-1",
            "NaN,0,1",
        ] {
            let error = Shares::parse(text).expect_err(text);
            assert_eq!(error.code(), "P0330", "{text}");
        }
    }
}
