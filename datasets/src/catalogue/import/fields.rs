//! What the fields of LiteLLM's catalogue are about.

/// Which price a field states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Component {
    Input,
    Output,
    CachedInput,
    Reasoning,
    CacheWrite,
    CacheWriteHour,
    PerRequest,
}

/// What a field is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A price under a condition.
    Price {
        component: Component,
        /// Empty: standard.
        service_tier: &'static str,
        above_input_tokens: u64,
    },
    /// Something about prices that is not supported.
    Unsupported,
    /// About other things than prices.
    Descriptive,
    /// Not known.
    Unknown,
}

/// Longer names first where one begins with another.
const COMPONENTS: [(&str, Component); 8] = [
    (
        "cache_creation_input_token_cost_above_1hr",
        Component::CacheWriteHour,
    ),
    ("cache_creation_input_token_cost", Component::CacheWrite),
    ("cache_read_input_token_cost", Component::CachedInput),
    ("input_cost_per_token_cache_hit", Component::CachedInput),
    ("output_cost_per_reasoning_token", Component::Reasoning),
    ("input_cost_per_token", Component::Input),
    ("output_cost_per_token", Component::Output),
    ("input_cost_per_request", Component::PerRequest),
];

/// LiteLLM's suffixes of service tiers, and the tier as it is called here.
const TIERS: [(&str, &str); 6] = [
    ("", ""),
    ("_batches", "batch"),
    ("_flex", "flex"),
    ("_priority", "priority"),
    ("_balanced", "balanced"),
    ("_ultrafast", "ultrafast"),
];

/// Words in the names of fields that are about prices.
const PRICE_WORDS: [&str; 8] = [
    "cost",
    "price",
    "pricing",
    "multiplier",
    "uplift",
    "billing",
    "free_requests",
    "fee",
];

/// Beginnings of the names of fields that are not.
const DESCRIPTIVE_PREFIXES: [&str; 8] = [
    "supports_",
    "supported_",
    "max_",
    "bedrock_",
    "gemini_",
    "token_count_",
    "use_",
    "uses_",
];

const DESCRIPTIVE: [&str; 16] = [
    "audio_transcription_config",
    "comment",
    "default_reasoning_effort",
    "deprecation_date",
    "litellm_provider",
    "metadata",
    "mode",
    "output_vector_size",
    "prompt_cache_min_tokens",
    "reasoning_effort_levels",
    "rpm",
    "rules",
    "source",
    "thinking_always_on",
    "tpm",
    "vertex_ai_audio_api",
];

impl Field {
    /// What the field of that name is.
    pub(super) fn named(name: &str) -> Self {
        let price = COMPONENTS.iter().find_map(|(prefix, component)| {
            let (above_input_tokens, tier) = length(name.strip_prefix(prefix)?)?;
            let (_, service_tier) = TIERS.iter().find(|(suffix, _)| *suffix == tier)?;
            Some(Self::Price {
                component: *component,
                service_tier,
                above_input_tokens,
            })
        });
        if let Some(price) = price {
            return price;
        }
        let is_descriptive = DESCRIPTIVE.contains(&name)
            || DESCRIPTIVE_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix));
        match name {
            _ if is_descriptive => Self::Descriptive,
            _ if PRICE_WORDS.iter().any(|word| name.contains(word)) => Self::Unsupported,
            _ => Self::Unknown,
        }
    }
}

/// The length in `_above_200k_tokens`, and what follows.
fn length(rest: &str) -> Option<(u64, &str)> {
    let Some(after) = rest.strip_prefix("_above_") else {
        return Some((0, rest));
    };
    let (thousands, rest) = after.split_once("k_tokens")?;
    let tokens = thousands.parse::<u64>().ok()?.checked_mul(1000)?;
    (tokens > 0).then_some((tokens, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_fields_are() {
        let price = |component, service_tier, above_input_tokens| Field::Price {
            component,
            service_tier,
            above_input_tokens,
        };
        for (name, want) in [
            ("input_cost_per_token", price(Component::Input, "", 0)),
            (
                "output_cost_per_token_batches",
                price(Component::Output, "batch", 0),
            ),
            (
                "input_cost_per_token_above_200k_tokens_priority",
                price(Component::Input, "priority", 200_000),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_100k_tokens",
                price(Component::CacheWriteHour, "", 100_000),
            ),
            (
                "cache_creation_input_token_cost_above_1hr",
                price(Component::CacheWriteHour, "", 0),
            ),
            (
                "cache_creation_input_token_cost_flex",
                price(Component::CacheWrite, "flex", 0),
            ),
            (
                "input_cost_per_token_cache_hit",
                price(Component::CachedInput, "", 0),
            ),
            (
                "input_cost_per_request",
                price(Component::PerRequest, "", 0),
            ),
            ("input_cost_per_token_decisions", Field::Unsupported),
            ("input_cost_per_audio_token", Field::Unsupported),
            (
                "regional_processing_uplift_multiplier_eu",
                Field::Unsupported,
            ),
            ("explicit_cache_read_input_token_cost", Field::Unsupported),
            ("output_cost_per_image_above_0k_tokens", Field::Unsupported),
            ("supports_vision", Field::Descriptive),
            ("max_input_tokens", Field::Descriptive),
            ("shoe_size", Field::Unknown),
        ] {
            assert_eq!(Field::named(name), want, "{name}");
        }
    }
}
