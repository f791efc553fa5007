//! Which arm of a catalogue a name of a log means, and how sure that is.

use std::collections::BTreeSet;

use super::Catalogue;
use crate::column::did_you_mean;

/// What a name means in a catalogue.
///
/// A name is resolved only where there is one answer: itself, a declared alias, or the same name
/// with or without the prefix of its maker. Whatever else may be meant is named, never used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution<'c> {
    /// An arm of that name.
    Exact {
        /// The arm.
        arm: &'c str,
    },
    /// A declared alias of an arm.
    Alias {
        /// The arm.
        arm: &'c str,
    },
    /// The same name with or without its maker's prefix, as `openai/gpt-4o` and `gpt-4o`.
    MakersPrefix {
        /// The arm.
        arm: &'c str,
        /// Further arms that it may be, all at the same prices.
        same: Vec<&'c str>,
    },
    /// Several arms at different prices.
    Ambiguous {
        /// The arms.
        candidates: Vec<&'c str>,
    },
    /// A dated snapshot (`gpt-4o-2024-08-06`) of which only the undated name is known, or the
    /// other way round: their prices may differ.
    OtherSnapshot {
        /// What is known.
        candidates: Vec<&'c str>,
    },
    /// Nothing.
    Unknown {
        /// A name like it.
        meant: Option<&'c str>,
    },
}

/// Makers of models and the prefixes under which catalogues list what they sell themselves.
const MAKERS: [&[&str]; 8] = [
    &["openai"],
    &["anthropic"],
    &["google", "gemini"],
    &["mistral", "mistralai"],
    &["deepseek"],
    &["xai", "x-ai"],
    &["cohere"],
    &["moonshot", "moonshotai"],
];

impl<'c> Resolution<'c> {
    /// The arm, when there is no doubt of its price.
    #[must_use]
    pub fn arm(&self) -> Option<&'c str> {
        match self {
            Self::Exact { arm } | Self::Alias { arm } | Self::MakersPrefix { arm, .. } => Some(arm),
            _ => None,
        }
    }

    /// How `asked` was resolved, or why it was not; `None`: it is an arm's own name.
    #[must_use]
    pub fn explain(&self, asked: &str) -> Option<String> {
        let list = |names: &[&str]| {
            let shown: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            shown.join(", ")
        };
        match self {
            Self::Exact { .. } => None,
            Self::Alias { arm } => Some(format!("`{asked}` is an alias of `{arm}`")),
            Self::MakersPrefix { arm, same } if same.is_empty() => Some(format!(
                "`{asked}` is `{arm}`: the same name but for its maker's prefix"
            )),
            Self::MakersPrefix { arm, same } => Some(format!(
                "`{asked}` is `{arm}` but for its maker's prefix; {} has the same prices",
                list(same)
            )),
            Self::Ambiguous { candidates } => Some(format!(
                "`{asked}` may be {}, at different prices: say which with an alias",
                list(candidates)
            )),
            Self::OtherSnapshot { candidates } => Some(format!(
                "`{asked}` is not {}: snapshots have prices of their own; if they are the same, \
                 say so with an alias",
                list(candidates)
            )),
            Self::Unknown { meant: Some(meant) } => {
                Some(format!("`{asked}` is not known; is it `{meant}`?"))
            }
            Self::Unknown { meant: None } => Some(format!("`{asked}` is not known")),
        }
    }
}

impl Catalogue {
    /// What a name means here.
    ///
    /// ```
    /// use plimsoll_datasets::Catalogue;
    /// let catalogue = Catalogue::read("[arms.gpt-4o]\ninput = 2.5\noutput = 10")?;
    /// assert_eq!(catalogue.resolve("openai/gpt-4o").arm(), Some("gpt-4o"));
    /// // Another snapshot may have another price.
    /// assert_eq!(catalogue.resolve("gpt-4o-2024-05-13").arm(), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn resolve(&self, name: &str) -> Resolution<'_> {
        if let Some((arm, _)) = self.arms.get_key_value(name) {
            return Resolution::Exact { arm };
        }
        if let Some(arm) = self.aliases.get(name) {
            return Resolution::Alias { arm };
        }
        let candidates = self.under_makers_prefixes(name);
        if let Some((arm, same)) = candidates.split_first() {
            let periods = &self.arms[*arm].periods;
            if same
                .iter()
                .all(|other| self.arms[*other].periods == *periods)
            {
                let same = same.to_vec();
                return Resolution::MakersPrefix { arm, same };
            }
            return Resolution::Ambiguous { candidates };
        }
        let candidates = self.other_snapshots(name);
        if !candidates.is_empty() {
            return Resolution::OtherSnapshot { candidates };
        }
        let meant = self.meant(name);
        Resolution::Unknown { meant }
    }

    /// A known name or alias like `arm`.
    #[must_use]
    pub fn meant(&self, arm: &str) -> Option<&str> {
        let names = self.arms.keys().chain(self.aliases.keys());
        did_you_mean(arm, names.map(String::as_str))
    }

    /// The arms that are `name` but for a prefix of its maker.
    fn under_makers_prefixes(&self, name: &str) -> Vec<&str> {
        let mut arms = BTreeSet::new();
        for prefixes in MAKERS {
            let stripped = prefixes
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix)?.strip_prefix('/'));
            let bare = match stripped {
                Some(bare) => bare,
                None if !name.contains('/') => name,
                None => continue,
            };
            let prefixed = prefixes.iter().map(|prefix| format!("{prefix}/{bare}"));
            for asked in prefixed.chain([bare.to_owned()]) {
                let arm = self.arms.get_key_value(&asked).map(|(arm, _)| arm);
                let arm = arm.or_else(|| self.aliases.get(&asked));
                let is_makers = |arm: &&String| {
                    let seller = self.arms[*arm].provider.as_deref();
                    seller.is_none_or(|seller| sells_for(seller, prefixes))
                };
                arms.extend(arm.filter(is_makers).map(String::as_str));
            }
        }
        arms.into_iter().collect()
    }

    /// The arms that are the same model without, or with another, date at its end.
    fn other_snapshots(&self, name: &str) -> Vec<&str> {
        let (bare, _) = split_date(last_part(name));
        let is_same = |arm: &&String| {
            let (other, _) = split_date(last_part(arm));
            other == bare && is_same_seller(arm, name)
        };
        self.arms
            .keys()
            .filter(is_same)
            .map(String::as_str)
            .collect()
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, last)| last)
}

/// Whether a seller, as catalogues name them, is the maker of these prefixes or sells its models
/// under them.
fn sells_for(seller: &str, prefixes: &[&str]) -> bool {
    let is_maker = |prefix: &&str| seller.starts_with(prefix) || seller.ends_with(prefix);
    let is_cloud = prefixes.contains(&"google") && seller.starts_with("vertex_ai");
    prefixes.iter().any(is_maker) || is_cloud || seller == "openrouter"
}

/// Whether two names may be of one seller: equal prefixes, one maker's, or one without.
fn is_same_seller(one: &str, other: &str) -> bool {
    let prefix = |name: &'_ str| name.rsplit_once('/').map(|(prefix, _)| prefix.to_owned());
    let maker = |prefix: &str| MAKERS.iter().position(|known| known.contains(&prefix));
    match (prefix(one), prefix(other)) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            one == other || maker(&one).is_some_and(|maker_of| Some(maker_of) == maker(&other))
        }
        (Some(prefix), None) | (None, Some(prefix)) => maker(&prefix).is_some(),
    }
}

/// A name without a date at its end (`-2024-08-06`, `-20240806`), and the date.
fn split_date(name: &str) -> (&str, Option<&str>) {
    let has_shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(byte, want)| match want {
                    b'0' => byte.is_ascii_digit(),
                    _ => byte == want,
                })
    };
    for shape in ["-0000-00-00", "-00000000", "@00000000"] {
        let cut = name.len().checked_sub(shape.len());
        if let Some((bare, date)) = cut.and_then(|at| name.split_at_checked(at))
            && has_shape(date, shape)
        {
            return (bare, Some(date));
        }
    }
    (name, None)
}
