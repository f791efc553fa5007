//! Keys, tokens and mail addresses in prompts are blotted out before they reach the log.
//!
//! What is found is replaced by what it was, `[email]`; nothing of it is kept, not even a digest,
//! because a digest of a mail address is soon undone. Prompts stay as useful for features: what
//! matters is that an address was there.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// A kind of secret: what tells that it may be there, how it looks, and what takes its place.
struct Secret {
    hint: &'static str,
    pattern: LazyLock<Regex>,
    blot: &'static str,
}

macro_rules! secrets {
    ($($hint:literal $pattern:literal $blot:literal)*) => {
        [$(Secret {
            hint: $hint,
            pattern: LazyLock::new(|| Regex::new($pattern).expect("a pattern of ours")),
            blot: $blot,
        }),*]
    };
}

static SECRETS: [Secret; 7] = secrets! {
    "sk-" r"\bsk-[A-Za-z0-9_-]{16,}" "[api-key]"
    "AKIA" r"\bAKIA[0-9A-Z]{16}\b" "[aws-key]"
    "eyJ" r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+" "[jwt]"
    "gh" r"\bgh[pousr]_[A-Za-z0-9]{30,}" "[github-token]"
    "xox" r"\bxox[abprs]-[A-Za-z0-9-]{10,}" "[slack-token]"
    "PRIVATE KEY" r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)" "[private-key]"
    "@" r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}\b" "[email]"
};

/// Blots secrets out; how many there were.
pub(super) fn redact(text: &mut String) -> u64 {
    let mut count = 0;
    for secret in &SECRETS {
        if !text.contains(secret.hint) {
            continue;
        }
        let replaced = secret.pattern.replace_all(text, |_: &regex::Captures<'_>| {
            count += 1;
            secret.blot
        });
        if let Cow::Owned(replaced) = replaced {
            *text = replaced;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l19_secrets_are_blotted_out() {
        let key = format!("sk-{}", "aB3".repeat(10));
        let aws = format!("AKIA{}", "A1B2".repeat(4));
        let jwt = format!("eyJ{}.eyJ{}.sig", "a".repeat(12), "b".repeat(12));
        let mut text = format!("mail ann.lee+x@mail.example.org, use {key} or {aws}, {jwt}!");
        assert_eq!(redact(&mut text), 4);
        assert_eq!(text, "mail [email], use [api-key] or [aws-key], [jwt]!");
        let mut plain = "a risk-averse @user, 3 @ 5 and task-1".to_owned();
        let before = plain.clone();
        assert_eq!((redact(&mut plain), plain), (0, before));
    }
}
