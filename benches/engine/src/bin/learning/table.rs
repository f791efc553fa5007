//! A recorded table: what every arm answered to every request, and what it charged.

use std::fs;
use std::path::Path;

use plimsoll::{ArmId, Context};

/// n requests, K arms, d features.
#[derive(Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) arms: Vec<ArmId>,
    /// Shape (n).
    pub(crate) contexts: Vec<Context>,
    /// Shape (n, K), in [0, 1].
    pub(crate) quality: Vec<f64>,
    /// Shape (n, K), in US dollars.
    pub(crate) cost: Vec<f64>,
}

impl Table {
    /// Reads what `learning_rows` wrote.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let text = fs::read_to_string(path)?;
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().ok_or("an empty file")?.split(',').collect();
        let arms = head
            .iter()
            .filter_map(|name| name.strip_prefix("quality:"))
            .map(ArmId::new)
            .collect::<Result<Vec<_>, _>>()?;
        let d = head.iter().filter(|name| name.starts_with("x_")).count();
        let k = arms.len();
        if head.len() != 1 + d + 2 * k {
            return Err(format!("{}: {} columns", path.display(), head.len()).into());
        }
        let name = path.file_stem().map(|s| s.to_string_lossy().into_owned());
        let mut table = Self {
            name: name.unwrap_or_default(),
            arms,
            contexts: Vec::new(),
            quality: Vec::new(),
            cost: Vec::new(),
        };
        for line in lines {
            let (tokens, rest) = line.split_once(',').ok_or("a line without columns")?;
            let row: Vec<f64> = rest.split(',').map(str::parse).collect::<Result<_, _>>()?;
            if row.len() != d + 2 * k {
                return Err(format!("{}: a line of {} columns", path.display(), row.len()).into());
            }
            table.contexts.push(Context {
                features: row[..d].to_vec(),
                input_tokens: Some(tokens.parse()?),
                ..Context::default()
            });
            table.quality.extend_from_slice(&row[d..d + k]);
            table.cost.extend_from_slice(&row[d + k..]);
        }
        Ok(table)
    }

    pub(crate) fn len(&self) -> usize {
        self.contexts.len()
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.contexts.first().map_or(0, |c| c.features.len())
    }

    /// Mean quality and mean cost of an arm.
    pub(crate) fn means(&self, arm: usize) -> (f64, f64) {
        let k = self.arms.len();
        let mean = |of: &[f64]| of.iter().skip(arm).step_by(k).sum::<f64>() / float(self.len());
        (mean(&self.quality), mean(&self.cost))
    }

    /// The arm of highest mean quality.
    pub(crate) fn best(&self) -> usize {
        let quality = |arm: usize| self.means(arm).0;
        (0..self.arms.len()).fold(0, |a, b| if quality(b) > quality(a) { b } else { a })
    }

    /// The arm of least mean cost whose mean quality reaches `floor`.
    pub(crate) fn cheapest_above(&self, floor: f64) -> Option<usize> {
        (0..self.arms.len())
            .filter(|arm| self.means(*arm).0 >= floor)
            .min_by(|a, b| self.means(*a).1.total_cmp(&self.means(*b).1))
    }

    /// Mean cost of the cheapest mix of two arms in fixed shares whose mean quality is `floor`.
    pub(crate) fn static_mix(&self, floor: f64) -> f64 {
        let means: Vec<(f64, f64)> = (0..self.arms.len()).map(|arm| self.means(arm)).collect();
        let mut least = f64::INFINITY;
        for (high, cost_high) in means.iter().filter(|m| m.0 >= floor) {
            least = least.min(*cost_high);
            for (low, cost_low) in means.iter().filter(|m| m.0 < floor) {
                let share = (floor - low) / (high - low);
                least = least.min(share * cost_high + (1.0 - share) * cost_low);
            }
        }
        least
    }

    /// Mean cost of whoever knows every answer before choosing, at mean quality `floor`.
    pub(crate) fn clairvoyant(&self, floor: f64) -> f64 {
        let k = self.arms.len();
        let at = |lambda: f64| {
            let (mut quality, mut cost) = (0.0, 0.0);
            for row in 0..self.len() {
                let cells = row * k..(row + 1) * k;
                let loss = |i: usize| self.cost[i] - lambda * self.quality[i];
                let chosen = cells
                    .min_by(|a, b| loss(*a).total_cmp(&loss(*b)))
                    .unwrap_or(0);
                quality += self.quality[chosen];
                cost += self.cost[chosen];
            }
            (quality / float(self.len()), cost / float(self.len()))
        };
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if at(middle).0 < floor {
                low = middle;
            } else {
                high = middle;
            }
        }
        at(high).1
    }

    /// The table of these arms only.
    pub(crate) fn of_arms(&self, arms: &[usize]) -> Self {
        let k = self.arms.len();
        let pick = |of: &[f64]| -> Vec<f64> {
            of.chunks_exact(k)
                .flat_map(|row| arms.iter().map(|arm| row[*arm]))
                .collect()
        };
        Self {
            name: self.name.clone(),
            arms: arms.iter().map(|arm| self.arms[*arm].clone()).collect(),
            contexts: self.contexts.clone(),
            quality: pick(&self.quality),
            cost: pick(&self.cost),
        }
    }
}

/// A count as a number.
pub(crate) fn float(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
