//! Why tuning or a check is refused.

use crate::error::EvidenceError;

/// Tuning or a check cannot even begin.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The log does not support it.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// Without propensities, what the other arms would have answered cannot be known.
    #[error(
        "the log is observational: it does not say with which probability each arm was chosen, so \
         nothing can be certified on it"
    )]
    Observational,
    /// The parts are not three shares of a whole.
    #[error("parts must be three positive shares that sum to 1, got `{got}`")]
    Parts {
        /// As given.
        got: String,
    },
    /// A waiver or a segment column names something that the log does not have.
    #[error("the log has no segment `{got}`")]
    UnknownSegment {
        /// As given.
        got: String,
        /// Segments of the log.
        known: Vec<String>,
    },
    /// The log is the one that the certificate rests on.
    #[error(
        "all {requests} requests of this log had a part in the certificate: the same rows, not new \
         evidence"
    )]
    SameRows {
        /// Usable requests of the log.
        requests: u64,
    },
    /// The stored router is not the certified one.
    #[error("the stored router is not the certified one: BLAKE3 {got}, certified is {certified}")]
    OtherRouter {
        /// Digest found.
        got: String,
        /// Digest in the certificate.
        certified: String,
    },
    /// The certificate contradicts itself.
    #[error("the certificate is not usable: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
}

impl CertificateError {
    /// The stable code that `plimsoll explain` knows.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Evidence(error) => error.code(),
            Self::Parts { .. } => "P0330",
            Self::Observational => "P0335",
            Self::UnknownSegment { .. } => "P0331",
            Self::SameRows { .. } => "P0332",
            Self::OtherRouter { .. } => "P0333",
            Self::Malformed { .. } => "P0334",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Evidence(error) => error.help(),
            Self::Observational => {
                "log propensities, or collect every arm's answer for a sample of requests".into()
            }
            Self::Parts { .. } => "give fit, choose and certify, for instance 0.5,0.2,0.3".into(),
            Self::UnknownSegment { known, .. } if known.is_empty() => {
                "the log has no column that makes segments: leave --waive and --segment out".into()
            }
            Self::UnknownSegment { known, .. } => {
                let shown: Vec<&str> = known.iter().take(8).map(String::as_str).collect();
                let more = if known.len() > shown.len() {
                    ", …"
                } else {
                    ""
                };
                format!("name one of the log's: {}{more}", shown.join(", "))
            }
            Self::SameRows { .. } => {
                "collect requests that came after the certificate's log, and check those".into()
            }
            Self::OtherRouter { .. } => {
                "keep the snapshot that was written with the certificate beside it, or tune again"
                    .into()
            }
            Self::Malformed { .. } => {
                "give the certificate.json that `plimsoll tune` wrote, unedited".into()
            }
        }
    }
}
