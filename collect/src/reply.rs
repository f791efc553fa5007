//! What a service replied, read with distrust.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;

/// Tokens of one call. Each token is in one count only, but that cached ones are input as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Input tokens from the provider's cache.
    pub cached_input_tokens: u64,
    /// Output tokens without reasoning tokens.
    pub output_tokens: u64,
    /// Hidden reasoning tokens.
    pub reasoning_tokens: u64,
}

/// A usable reply.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) content: String,
    /// `None`: the reply does not say.
    pub(crate) usage: Option<Usage>,
    /// The model ran into the limit of output tokens.
    pub(crate) is_truncated: bool,
}

/// What tokens a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenBound {
    pub(crate) input_max: u64,
    pub(crate) output_max: u64,
}

/// Reads the body of a chat completion.
///
/// The failure comes with what the reply says of its tokens, if that can be believed: a reply
/// without text may have been paid for.
pub(crate) fn parse(body: &[u8], bound: TokenBound) -> Result<Parsed, (Failure, Option<Usage>)> {
    let value: Value = serde_json::from_slice(body).map_err(|_| (Failure::NotJson, None))?;
    let usage = usage(&value, bound).map_err(|failure| (failure, None))?;
    let choice = value.get("choices").and_then(|choices| choices.get(0));
    let message = choice.and_then(|choice| choice.get("message"));
    let message = message.filter(|message| message.is_object());
    let message = message.ok_or((Failure::NoChoices, usage))?;
    let content = match message.get("content") {
        Some(Value::String(text)) if !text.is_empty() && !text.contains('\0') => text.clone(),
        _ => return Err((Failure::NoContent, usage)),
    };
    let finish = choice.and_then(|choice| choice.get("finish_reason"));
    Ok(Parsed {
        content,
        usage,
        is_truncated: finish.and_then(Value::as_str) == Some("length"),
    })
}

fn usage(value: &Value, bound: TokenBound) -> Result<Option<Usage>, Failure> {
    let usage = match value.get("usage") {
        None | Some(Value::Null) => return Ok(None),
        Some(usage) if usage.is_object() => usage,
        Some(_) => return Err(Failure::BadUsage),
    };
    let count = |value: Option<&Value>| match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(Failure::BadUsage),
    };
    let detail = |group: &str, name: &str| {
        let group = usage.get(group).filter(|group| !group.is_null());
        Ok(count(group.and_then(|group| group.get(name)))?.unwrap_or(0))
    };
    let input = count(usage.get("prompt_tokens"))?.ok_or(Failure::BadUsage)?;
    let completion = count(usage.get("completion_tokens"))?.ok_or(Failure::BadUsage)?;
    let total = count(usage.get("total_tokens"))?;
    let cached = detail("prompt_tokens_details", "cached_tokens")?;
    let reasoning = detail("completion_tokens_details", "reasoning_tokens")?;
    // Most services count reasoning as part of the completion, some beside it; the total tells.
    let sum = |parts: &[u64]| {
        parts
            .iter()
            .try_fold(0_u64, |sum, part| sum.checked_add(*part))
    };
    let beside = sum(&[input, completion, reasoning]);
    let is_beside = reasoning > 0 && total.is_some() && total == beside;
    let output = if is_beside {
        Some(completion)
    } else {
        completion.checked_sub(reasoning)
    };
    let output = output.ok_or(Failure::BadUsage)?;
    let produced = sum(&[output, reasoning]).ok_or(Failure::BadUsage)?;
    if cached > input || input > bound.input_max || produced > bound.output_max {
        return Err(Failure::BadUsage);
    }
    Ok(Some(Usage {
        input_tokens: input,
        cached_input_tokens: cached,
        output_tokens: output,
        reasoning_tokens: reasoning,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: TokenBound = TokenBound {
        input_max: 100,
        output_max: 50,
    };

    fn with_usage(usage: &str) -> String {
        format!(r#"{{"choices":[{{"message":{{"content":"yes"}}}}],"usage":{usage}}}"#)
    }

    fn counts(usage: &str) -> Option<[u64; 4]> {
        let parsed = parse(with_usage(usage).as_bytes(), BOUND).ok()?;
        let usage = parsed.usage?;
        Some([
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
        ])
    }

    #[test]
    fn every_token_is_counted_once() {
        for (usage, want) in [
            (
                r#"{"prompt_tokens":10,"completion_tokens":5}"#,
                [10, 0, 5, 0],
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,
                    "prompt_tokens_details":{"cached_tokens":4},
                    "completion_tokens_details":{"reasoning_tokens":3}}"#,
                [10, 4, 2, 3],
            ),
            // Reasoning beside the completion.
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":18,
                    "completion_tokens_details":{"reasoning_tokens":3}}"#,
                [10, 0, 5, 3],
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":0,"prompt_tokens_details":null}"#,
                [10, 0, 0, 0],
            ),
        ] {
            assert_eq!(counts(usage), Some(want), "{usage}");
        }
    }

    #[test]
    fn absurd_usage_is_a_failure() {
        for usage in [
            r#"{"prompt_tokens":-1,"completion_tokens":5}"#,
            r#"{"prompt_tokens":1.5,"completion_tokens":5}"#,
            r#"{"prompt_tokens":"10","completion_tokens":5}"#,
            r#"{"prompt_tokens":1e30,"completion_tokens":5}"#,
            r#"{"prompt_tokens":101,"completion_tokens":5}"#,
            r#"{"prompt_tokens":10,"completion_tokens":51}"#,
            r#"{"prompt_tokens":10,"completion_tokens":18446744073709551615,"total_tokens":1,
                "completion_tokens_details":{"reasoning_tokens":3}}"#,
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":11}}"#,
            r#"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":6}}"#,
            r#"{"completion_tokens":5}"#,
            "{}",
            "[1]",
        ] {
            let failure = parse(with_usage(usage).as_bytes(), BOUND).err();
            assert_eq!(failure, Some((Failure::BadUsage, None)), "{usage}");
        }
    }

    #[test]
    fn garbage_is_a_failure() {
        let paid = Some(Usage {
            input_tokens: 9,
            output_tokens: 1,
            ..Usage::default()
        });
        for (body, failure, usage) in [
            ("", Failure::NotJson, None),
            ("<html>busy</html>", Failure::NotJson, None),
            (r#"{"choices":[{"mess"#, Failure::NotJson, None),
            ("7", Failure::NoChoices, None),
            (r#"{"error":{"message":"no"}}"#, Failure::NoChoices, None),
            (r#"{"choices":[]}"#, Failure::NoChoices, None),
            (r#"{"choices":{"0":1}}"#, Failure::NoChoices, None),
            (
                r#"{"choices":[{"message":"hello"}]}"#,
                Failure::NoChoices,
                None,
            ),
            (
                r#"{"choices":[{"message":{"content":7}}]}"#,
                Failure::NoContent,
                None,
            ),
            (
                r#"{"choices":[{"message":{"content":""}}]}"#,
                Failure::NoContent,
                None,
            ),
            (
                r#"{"choices":[{"message":{"content":null}}],
                    "usage":{"prompt_tokens":9,"completion_tokens":1}}"#,
                Failure::NoContent,
                paid,
            ),
        ] {
            let got = parse(body.as_bytes(), BOUND).err();
            assert_eq!(got, Some((failure, usage)), "{body}");
        }
        let deep = "[".repeat(100_000);
        let got = parse(deep.as_bytes(), BOUND).err();
        assert_eq!(got, Some((Failure::NotJson, None)));
    }

    /// Whatever bytes come, the outcome is an answer within the bound or a failure.
    #[test]
    fn mangled_replies_are_answers_within_the_bound_or_failures() {
        let whole = with_usage(
            r#"{"prompt_tokens":90,"completion_tokens":45,"total_tokens":135,
                "prompt_tokens_details":{"cached_tokens":40},
                "completion_tokens_details":{"reasoning_tokens":30}}"#,
        );
        let (mut answers, mut failures, mut state) = (0, 0, 7_u32);
        let mut roll = |sides: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % sides
        };
        for _ in 0..50_000 {
            let mut bytes = whole.clone().into_bytes();
            for _ in 0..=roll(3) {
                let at = roll(bytes.len());
                match roll(3) {
                    0 => bytes[at] = b"0123456789-.e\"{}[]:,nx"[roll(22)],
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, b"0123456789-.e\"{}[]:,nx"[roll(22)]),
                }
            }
            match parse(&bytes, BOUND) {
                Ok(parsed) => {
                    answers += 1;
                    let usage = parsed.usage.unwrap_or_default();
                    assert!(
                        usage.input_tokens <= 100
                            && usage.cached_input_tokens <= usage.input_tokens
                    );
                    assert!(usage.output_tokens + usage.reasoning_tokens <= 50);
                }
                Err(_) => failures += 1,
            }
        }
        assert!(answers > 1000 && failures > 1000, "{answers} {failures}");
    }

    #[test]
    fn missing_usage_and_truncation_are_said() {
        let body = r#"{"choices":[{"message":{"content":"yes"},"finish_reason":"length"}]}"#;
        let parsed = parse(body.as_bytes(), BOUND).expect("usable");
        assert!(parsed.is_truncated && parsed.usage.is_none());
    }
}
