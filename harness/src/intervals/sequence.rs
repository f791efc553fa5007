//! A margin that is looked at again and again while its log grows.

use super::capital::mixture_lower;
use super::weighted::{Sought, WeightedRewards};
use crate::bounds::Looks;

impl WeightedRewards<'_> {
    /// Confidence sequences, each one-sided at level `alpha`, for V (`retain` = `None`) or for the
    /// margin V − `retain`·V_b, in the order of the rows: lower, upper.
    ///
    /// Both hold after every cluster at once. Nothing that later rows can change enters an earlier
    /// bet: clusters weigh by their size over `largest_cluster` and not over the largest seen.
    /// `None` as for [`value_lower`](Self::value_lower), and when a cluster is larger.
    #[must_use]
    pub fn sequence(
        &self,
        retain: Option<f64>,
        largest_cluster: u64,
        alpha: f64,
    ) -> Option<(f64, f64)> {
        let sought = match retain {
            None => Sought {
                policy: 1.0,
                baseline: 0.0,
            },
            Some(retain) => self.margin(retain)?,
        };
        let floor = -retain.unwrap_or(0.0);
        let low = self.sequence_lower(sought, largest_cluster, alpha)?;
        let high = -self.sequence_lower(sought.mirrored(), largest_cluster, alpha)?;
        Some((low.clamp(floor, 1.0), high.clamp(floor, 1.0)))
    }

    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    fn sequence_lower(&self, sought: Sought, largest_cluster: u64, alpha: f64) -> Option<f64> {
        let sizes = self.clusters.map(crate::judge::Clusters::sizes);
        let largest_seen = sizes.map_or(1.0, |sizes| sizes.into_iter().fold(1.0, f64::max));
        let share = largest_seen / largest_cluster as f64;
        (share <= 1.0).then_some(())?;
        self.with_streams(sought, alpha, Looks::Anytime, |streams, weights| {
            let weights: Option<Vec<f64>> =
                weights.map(|weights| weights.iter().map(|w| w * share).collect());
            mixture_lower(streams, weights.as_deref(), alpha, Looks::Anytime)
        })?
    }
}
