//! What can become of one call, other than an answer.

use serde::{Deserialize, Serialize};

/// Why a call has no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Failure {
    /// The service answered with this status.
    Http(u16),
    /// No connection was made, so nothing was sent.
    Connect,
    /// The time ran out after the call was sent.
    Timeout,
    /// The connection broke after the call was sent.
    Dropped,
    /// The reply is larger than [`REPLY_BYTES_MAX`](crate::REPLY_BYTES_MAX).
    TooLarge,
    /// The reply points elsewhere; the key is not carried there.
    Redirect,
    /// The reply is not JSON.
    NotJson,
    /// The reply has no choice with a message.
    NoChoices,
    /// The message holds no text.
    NoContent,
    /// Token counts are no counts, contradict each other, or exceed what was asked for.
    BadUsage,
    /// The judge's reply is not a number from 0 to 1.
    BadScore,
    /// The call's bound is absurdly large.
    NoBound,
    /// The budget does not cover the call.
    Budget,
    /// The arm was given up in this run: unknown, forbidden, or beyond its bound.
    ArmStopped,
    /// The run was asked to stop.
    Interrupted,
    /// An earlier run ended before the outcome was known.
    Lost,
}

impl Failure {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> String {
        let name = match self {
            Self::Http(status) => return format!("http-{status}"),
            Self::Connect => "not-connected",
            Self::Timeout => "timeout",
            Self::Dropped => "connection-lost",
            Self::TooLarge => "reply-too-large",
            Self::Redirect => "redirect",
            Self::NotJson => "not-json",
            Self::NoChoices => "no-choices",
            Self::NoContent => "no-content",
            Self::BadUsage => "bad-usage",
            Self::BadScore => "bad-score",
            Self::NoBound => "no-bound",
            Self::Budget => "budget",
            Self::ArmStopped => "arm-given-up",
            Self::Interrupted => "interrupted",
            Self::Lost => "lost",
        };
        name.to_owned()
    }

    /// Whether another attempt may fare better: limits, faults of the service, lost connections.
    pub(crate) const fn is_passing(self) -> bool {
        match self {
            Self::Http(status) => matches!(status, 408 | 429 | 500..=599),
            Self::Connect | Self::Timeout | Self::Dropped => true,
            _ => false,
        }
    }

    /// Whether the service may have charged for it, as far as can be known from here.
    ///
    /// Services do not charge for calls that they refuse. Whether a call that a gateway lost
    /// (408, 502, 504, 520 to 527) reached a model is not known.
    pub(crate) const fn may_be_charged(self) -> bool {
        match self {
            Self::Http(status) => matches!(status, 408 | 502 | 504 | 520..=527),
            Self::Connect | Self::Redirect => false,
            _ => true,
        }
    }

    /// Whether every further call to the arm would meet the same: it is not asked again.
    pub(crate) const fn stops_arm(self) -> bool {
        matches!(self, Self::Http(401 | 403 | 404) | Self::BadUsage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart() {
        // status, tried again, may be charged, stops the arm
        for (status, again, charged, stops) in [
            (400, false, false, false),
            (401, false, false, true),
            (404, false, false, true),
            (408, true, true, false),
            (422, false, false, false),
            (429, true, false, false),
            (500, true, false, false),
            (502, true, true, false),
            (503, true, false, false),
            (504, true, true, false),
            (524, true, true, false),
            (529, true, false, false),
        ] {
            let failure = Failure::Http(status);
            let got = (
                failure.is_passing(),
                failure.may_be_charged(),
                failure.stops_arm(),
            );
            assert_eq!(got, (again, charged, stops), "{status}");
        }
    }
}
