//! How long to wait before the next attempt.

use std::time::{Duration, SystemTime};

use plimsoll::Seed;

use crate::transport::Reply;

/// First wait, doubled with every further attempt.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// Longest wait of our own.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Longest wait that a service's `Retry-After` is granted.
pub const RETRY_AFTER_MAX: Duration = Duration::from_mins(1);

/// Exponential backoff, half of it drawn by the seed, the call and the attempt: calls that failed
/// together do not come back together, and equal seeds wait alike.
pub(crate) fn backoff(seed: Seed, digest: &str, attempt: u32) -> Duration {
    let doubled = BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(attempt));
    let half = doubled.min(BACKOFF_MAX) / 2;
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"plimsoll collect backoff v1");
    hasher
        .update(&seed.0.to_le_bytes())
        .update(&attempt.to_le_bytes());
    let hash = hasher.update(digest.as_bytes()).finalize();
    let drawn = u32::from(u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]]));
    half + half * drawn / u32::from(u16::MAX)
}

/// What `Retry-After` asks for: seconds, or a date as the service's own clock tells it.
pub(crate) fn retry_after(reply: &Reply, now: SystemTime) -> Option<Duration> {
    let text = reply.retry_after.as_deref()?.trim();
    let wanted = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time.
        text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        let theirs = reply
            .date
            .as_deref()
            .and_then(|date| httpdate::parse_http_date(date).ok());
        until
            .duration_since(theirs.unwrap_or(now))
            .unwrap_or_default()
    };
    Some(wanted.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_differ() {
        let seed = Seed(7);
        for attempt in 0..40 {
            let wait = backoff(seed, "a", attempt);
            let whole = BACKOFF_FIRST
                .saturating_mul(2_u32.saturating_pow(attempt))
                .min(BACKOFF_MAX);
            assert!(wait >= whole / 2 && wait <= whole, "{attempt}: {wait:?}");
            assert_eq!(wait, backoff(seed, "a", attempt));
        }
        assert_ne!(backoff(seed, "a", 3), backoff(seed, "b", 3));
        assert_ne!(backoff(seed, "a", 3), backoff(Seed(8), "a", 3));
    }

    #[test]
    fn both_forms_of_retry_after_are_understood() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let now = httpdate::parse_http_date(date).expect("a date");
        let seconds = |n| Some(Duration::from_secs(n));
        for (value, theirs, want) in [
            (Some("0"), None, seconds(0)),
            (Some(" 7 "), None, seconds(7)),
            (Some("86400"), None, seconds(60)),
            (Some("99999999999999999999999"), None, seconds(60)),
            (Some("Sun, 06 Nov 1994 08:49:42 GMT"), None, seconds(5)),
            // The service's clock is an hour ahead of ours: what counts is the difference.
            (
                Some("Sun, 06 Nov 1994 09:49:40 GMT"),
                Some("Sun, 06 Nov 1994 09:49:37 GMT"),
                seconds(3),
            ),
            (Some("Sun, 06 Nov 1994 08:49:00 GMT"), None, seconds(0)),
            (Some("Sat, 06 Nov 2094 08:49:37 GMT"), None, seconds(60)),
            (Some("-5"), None, None),
            (Some("soon"), None, None),
            (Some(""), None, None),
            (None, None, None),
        ] {
            let reply = Reply {
                retry_after: value.map(str::to_owned),
                date: theirs.map(str::to_owned),
                ..Reply::default()
            };
            assert_eq!(retry_after(&reply, now), want, "{value:?}");
        }
    }
}
