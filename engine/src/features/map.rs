//! From what a caller knows about a request to a context, with weights fitted on training rows.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::cues::{CUES, CueCounts};
use super::text::{Counts, HASH_BUCKETS, TextFeatures, TextFeaturesConfig, normalise, project};
use crate::context::{Context, ContextError};
use crate::math;

/// Weight of each standardised cue, so that cues together weigh about as much as the text.
const CUE_SCALE: f64 = 0.25;
/// Standardised values are clipped here, so that one odd request cannot dominate.
const STANDARD_MAX: f64 = 5.0;

/// Settings of a [`FeatureMap`].
///
/// | field | default | range | effect |
/// |---|---|---|---|
/// | `text` | 256 dimensions | | the hashed part of the text |
/// | `tasks_max` | 64 | 0.. | most frequent tasks that get a feature of their own |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeatureMapConfig {
    /// The hashed part of the text.
    pub text: TextFeaturesConfig,
    /// Most frequent training tasks that get a feature of their own.
    pub tasks_max: usize,
}

impl Default for FeatureMapConfig {
    fn default() -> Self {
        Self {
            text: TextFeaturesConfig::default(),
            tasks_max: 64,
        }
    }
}

/// What a caller knows about a request. All parts are optional.
#[derive(Clone, Copy, Default)]
pub struct RawContext<'a> {
    /// The prompt.
    pub text: Option<&'a str>,
    /// Task or category.
    pub task: Option<&'a str>,
    /// Tokens of the request as sent.
    pub input_tokens: Option<u64>,
    /// The caller's own features.
    pub embedding: Option<&'a [f32]>,
}

impl fmt::Debug for RawContext<'_> {
    /// Leaves out the text: it must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawContext")
            .field("task", &self.task)
            .field("input_tokens", &self.input_tokens)
            .finish_non_exhaustive()
    }
}

/// Why features could not be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// Two training rows have embeddings of different lengths.
    #[error("training row {row}: embedding has {got} values, earlier rows have {expected}")]
    EmbeddingLength {
        /// Position of the row.
        row: usize,
        /// Values in this row.
        got: usize,
        /// Values in earlier rows.
        expected: usize,
    },
    /// An embedding value is NaN or infinite.
    #[error("training row {row}: embedding value {index} is not finite")]
    EmbeddingValue {
        /// Position of the row.
        row: usize,
        /// Position in the embedding.
        index: usize,
    },
}

impl FeatureError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::EmbeddingLength { .. } => "P0122",
            Self::EmbeddingValue { .. } => "P0123",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::EmbeddingLength { .. } => "embed every request with the same embedding model",
            Self::EmbeddingValue { .. } => "drop the embedding of this row, or compute it again",
        }
    }
}

/// Mean and spread of one training column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Column {
    mean: f64,
    deviation: f64,
}

/// A fitted map from [`RawContext`] to [`Context`].
///
/// Features, in order: text (inverse document frequency per hash bucket learned on the training
/// rows, projected, length 1) and standardised cues, when the training rows had text; one
/// feature per known task; log input tokens, standardised, when the training rows had them; the
/// embedding, standardised and scaled by 1/√(its length), when they had one. An unknown task, a
/// missing text or a missing count gives zeros: the training mean. No intercept: predictors add
/// their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureMap {
    text: TextFeatures,
    /// Inverse document frequency per bucket, shape (2¹⁶); empty without training text.
    idf: Vec<f32>,
    cues: Vec<Column>,
    /// Known tasks, sorted.
    tasks: Vec<String>,
    tokens: Option<Column>,
    embedding: Vec<Column>,
}

/// Room to count n-grams in: reuse one per thread, see [`FeatureMap::map_into`].
#[derive(Clone, Debug, Default)]
pub struct FeatureSpace {
    counts: Counts,
}

/// Running mean and squared deviations (Welford).
#[derive(Clone, Copy, Default)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn push(&mut self, x: f64) {
        self.count += 1;
        let delta = x - self.mean;
        self.mean += delta / math::count(self.count);
        self.squares += delta * (x - self.mean);
    }

    fn column(&self) -> Column {
        let variance = self.squares / math::count(self.count.max(1));
        Column {
            mean: self.mean,
            deviation: variance.sqrt(),
        }
    }
}

impl Column {
    fn standardise(self, x: f64) -> f64 {
        // A constant column says nothing.
        if self.deviation > 1e-9 * (1.0 + self.mean.abs()) {
            ((x - self.mean) / self.deviation).clamp(-STANDARD_MAX, STANDARD_MAX)
        } else {
            0.0
        }
    }
}

impl FeatureMap {
    /// Learns weights and scales from training rows.
    ///
    /// # Errors
    /// [`FeatureError`] when embeddings differ in length or hold NaN or infinity.
    pub fn fit<'a>(
        config: FeatureMapConfig,
        rows: impl IntoIterator<Item = RawContext<'a>>,
    ) -> Result<Self, FeatureError> {
        let text = TextFeatures::new(config.text);
        let mut documents = 0_u64;
        let mut frequency: Vec<u32> = Vec::new();
        let mut cues = vec![Moments::default(); CUES.len()];
        let mut tokens = Moments::default();
        let mut embedding: Vec<Moments> = Vec::new();
        let mut tasks: BTreeMap<&str, u64> = BTreeMap::new();
        let mut scratch = Vec::new();
        for (row, raw) in rows.into_iter().enumerate() {
            if let Some(content) = raw.text {
                documents += 1;
                frequency.resize(HASH_BUCKETS, 0);
                for (bucket, _) in text.extract_sparse(content) {
                    frequency[bucket as usize] += 1;
                }
                scratch.clear();
                CueCounts::of(content).push(&mut scratch);
                cues.iter_mut().zip(&scratch).for_each(|(m, x)| m.push(*x));
            }
            if let Some(task) = raw.task {
                *tasks.entry(task).or_default() += 1;
            }
            if let Some(count) = raw.input_tokens {
                tokens.push(math::ln(1.0 + math::count(count)));
            }
            if let Some(values) = raw.embedding {
                push_embedding(row, values, &mut embedding)?;
            }
        }
        let idf = frequency
            .iter()
            .map(|df| inverse_frequency(documents, *df))
            .collect();
        Ok(Self {
            text,
            idf,
            cues: if documents > 0 {
                cues.iter().map(Moments::column).collect()
            } else {
                vec![]
            },
            tasks: most_frequent(tasks, config.tasks_max),
            tokens: (tokens.count > 0).then(|| tokens.column()),
            embedding: embedding.iter().map(Moments::column).collect(),
        })
    }

    /// Features of a context that this map makes.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        let text = if self.idf.is_empty() {
            0
        } else {
            self.text.config().dimensions
        };
        text + self.cues.len()
            + self.tasks.len()
            + usize::from(self.tokens.is_some())
            + self.embedding.len()
    }

    /// Tasks that have a feature of their own, sorted.
    #[must_use]
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// The context of one request.
    ///
    /// # Errors
    /// [`ContextError`] when the embedding has another length than in training or holds a value
    /// that is not finite.
    pub fn map(&self, raw: &RawContext<'_>) -> Result<Context, ContextError> {
        let mut context = Context::default();
        self.map_into(raw, &mut FeatureSpace::default(), &mut context)?;
        Ok(context)
    }

    /// Replaces `out` by the context of one request. Where `space` and `out` are reused, nothing is
    /// allocated once both have met a request as large.
    ///
    /// # Errors
    /// As [`map`](Self::map); `out` is then of no use.
    pub fn map_into(
        &self,
        raw: &RawContext<'_>,
        space: &mut FeatureSpace,
        out: &mut Context,
    ) -> Result<(), ContextError> {
        out.describe(raw);
        let features = &mut out.features;
        features.clear();
        features.reserve(self.dimensions());
        self.push_text(raw.text, space, features);
        features.extend(
            self.tasks
                .iter()
                .map(|t| f64::from(u8::from(raw.task == Some(t)))),
        );
        if let Some(column) = self.tokens {
            features.push(raw.input_tokens.map_or(0.0, |count| {
                column.standardise(math::ln(1.0 + math::count(count))) * CUE_SCALE
            }));
        }
        self.push_embedding(raw.embedding, features)?;
        out.validate()
    }

    fn push_text(&self, text: Option<&str>, space: &mut FeatureSpace, features: &mut Vec<f64>) {
        if self.idf.is_empty() {
            return;
        }
        let dimensions = self.text.config().dimensions;
        let Some(content) = text else {
            features.resize(dimensions + self.cues.len(), 0.0);
            return;
        };
        features.resize(dimensions, 0.0);
        self.text
            .sparse(content, &mut space.counts, |bucket, weight| {
                let (at, sign) = project(bucket, dimensions);
                features[at] += sign * f64::from(weight) * f64::from(self.idf[bucket as usize]);
            });
        normalise(features);
        CueCounts::of(content).push(features);
        for (column, x) in self.cues.iter().zip(&mut features[dimensions..]) {
            *x = column.standardise(*x) * CUE_SCALE;
        }
    }

    fn push_embedding(
        &self,
        embedding: Option<&[f32]>,
        features: &mut Vec<f64>,
    ) -> Result<(), ContextError> {
        let expected = self.embedding.len();
        let Some(values) = embedding.filter(|_| expected > 0) else {
            features.resize(features.len() + expected, 0.0);
            return Ok(());
        };
        if values.len() != expected {
            return Err(ContextError::EmbeddingLength {
                got: values.len(),
                expected,
            });
        }
        let scale = 1.0 / math::len(expected).sqrt();
        for (column, &x) in self.embedding.iter().zip(values) {
            if !x.is_finite() {
                return Err(ContextError::Feature {
                    index: features.len(),
                    got: f64::from(x),
                });
            }
            features.push(column.standardise(f64::from(x)) * scale);
        }
        Ok(())
    }

    /// Whether a restored map can be used without running out of bounds.
    pub(crate) fn is_sound(&self) -> bool {
        let columns_finite = |columns: &[Column]| {
            columns
                .iter()
                .all(|c| c.mean.is_finite() && c.deviation.is_finite())
        };
        (self.idf.is_empty() && self.cues.is_empty()
            || self.idf.len() == HASH_BUCKETS && self.cues.len() == CUES.len())
            && self.idf.iter().all(|x| x.is_finite())
            && (1..=HASH_BUCKETS).contains(&self.text.config().dimensions)
            && columns_finite(&self.cues)
            && columns_finite(&self.embedding)
            && columns_finite(self.tokens.as_slice())
    }
}

impl Context {
    /// Takes over what is no feature; whatever the caller asked of the arms is forgotten.
    pub(crate) fn describe(&mut self, raw: &RawContext<'_>) {
        match (&mut self.task, raw.task) {
            (Some(own), Some(task)) => task.clone_into(own),
            (own, task) => *own = task.map(str::to_owned),
        }
        self.input_tokens = raw.input_tokens;
        self.required.clear();
        self.eligible = None;
    }
}

fn push_embedding(
    row: usize,
    values: &[f32],
    moments: &mut Vec<Moments>,
) -> Result<(), FeatureError> {
    if moments.is_empty() {
        moments.resize(values.len(), Moments::default());
    }
    if values.len() != moments.len() {
        let (got, expected) = (values.len(), moments.len());
        return Err(FeatureError::EmbeddingLength { row, got, expected });
    }
    for (index, (moments, &x)) in moments.iter_mut().zip(values).enumerate() {
        if !x.is_finite() {
            return Err(FeatureError::EmbeddingValue { row, index });
        }
        moments.push(f64::from(x));
    }
    Ok(())
}

/// ln((1+n)/(1+df)) + 1, as in scikit-learn's smoothed definition.
fn inverse_frequency(documents: u64, frequency: u32) -> f32 {
    let ratio = (1.0 + math::count(documents)) / (1.0 + f64::from(frequency));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a weight needs no more digits"
    )]
    let idf = (math::ln(ratio) + 1.0) as f32;
    idf
}

/// The names of the most frequent tasks, sorted; ties go to the earlier name.
fn most_frequent(tasks: BTreeMap<&str, u64>, most: usize) -> Vec<String> {
    let mut ranked: Vec<(&str, u64)> = tasks.into_iter().collect();
    ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut names: Vec<String> = ranked
        .iter()
        .take(most)
        .map(|(t, _)| (*t).to_owned())
        .collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw<'a>(text: &'a str, task: &'a str) -> RawContext<'a> {
        RawContext {
            text: Some(text),
            task: Some(task),
            input_tokens: Some(9),
            embedding: None,
        }
    }

    #[test]
    fn unknown_and_missing_parts_are_zeros() {
        let rows = [raw("write a poem", "art"), raw("solve x + 1 = 2", "math")];
        let map = FeatureMap::fit(FeatureMapConfig::default(), rows).expect("fits");
        let known = map.map(&raw("write a poem", "art")).expect("maps");
        assert_eq!(known.features.len(), map.dimensions());
        let at = 256 + CUES.len();
        assert_eq!(known.features[at..at + 2], [1.0, 0.0]);
        let unknown = map.map(&raw("x", "chemistry")).expect("maps");
        assert_eq!(unknown.features[at..at + 2], [0.0, 0.0]);
        let nothing = map.map(&RawContext::default()).expect("maps");
        assert!(nothing.features.iter().all(|x| *x == 0.0));
    }

    #[test]
    fn what_is_reused_has_no_say() {
        let rows = [raw("write a poem", "art"), raw("solve x + 1 = 2", "math")];
        let map = FeatureMap::fit(FeatureMapConfig::default(), rows).expect("fits");
        let long = "many words, ".repeat(500);
        let (mut space, mut reused) = (FeatureSpace::default(), Context::default());
        for row in [raw(&long, "art"), raw("x", "math"), RawContext::default()] {
            reused.required = vec!["tools".to_owned()];
            map.map_into(&row, &mut space, &mut reused).expect("maps");
            assert_eq!(Ok(&reused), map.map(&row).as_ref());
        }
    }

    #[test]
    fn embeddings_are_checked() {
        let row = |e| RawContext {
            embedding: Some(e),
            ..RawContext::default()
        };
        let map = FeatureMap::fit(
            FeatureMapConfig::default(),
            [row(&[1.0, 2.0]), row(&[3.0, 4.0])],
        )
        .expect("fits");
        assert_eq!(map.dimensions(), 2);
        assert!(matches!(
            map.map(&row(&[1.0])),
            Err(ContextError::EmbeddingLength {
                got: 1,
                expected: 2
            })
        ));
        assert!(map.map(&row(&[1.0, f32::NAN])).is_err());
        let bad = FeatureMap::fit(FeatureMapConfig::default(), [row(&[1.0]), row(&[1.0, 2.0])]);
        assert!(matches!(
            bad,
            Err(FeatureError::EmbeddingLength { row: 1, .. })
        ));
    }

    #[test]
    fn debug_keeps_the_prompt_to_itself() {
        assert!(!format!("{:?}", raw("secret words", "t")).contains("secret"));
    }
}
