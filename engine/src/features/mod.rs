//! Features of a request: text without weights, and the part that is fitted on training rows.

mod cues;
mod map;
mod text;

pub use cues::CUES;
pub use map::{FeatureError, FeatureMap, FeatureMapConfig, FeatureSpace, RawContext};
pub use text::{HASH_BUCKETS, TextFeatures, TextFeaturesConfig};
