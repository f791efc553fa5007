//! Many features become few: by a fixed random matrix, or by components fitted on contexts.

use serde::{Deserialize, Serialize};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::linear_arms::LinearConfig;
use super::principal_components::PrincipalComponents;
use crate::inverse_factor::{LANES, padded, product, product_scratch, single};
use crate::math;

/// Most entries of a projection: a snapshot cannot ask for more memory than this.
pub(super) const ENTRIES_MAX: usize = 1 << 24;

/// What stands between a context and the regressions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(super) enum Projection {
    Random(RandomSigns),
    Fitted(PrincipalComponents),
}

/// A random projection is stored as what it is made of, components as they are.
#[derive(Serialize, Deserialize)]
struct Stored {
    rank: usize,
    dimensions: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    components: Option<PrincipalComponents>,
}

impl Projection {
    /// Random, from `dimensions` features to `rank`; `None`: there would be none, or too many entries.
    pub(super) fn random(rank: usize, dimensions: usize, seed: u64) -> Option<Self> {
        RandomSigns::new(rank, dimensions, seed).map(Self::Random)
    }

    fn matrix(&self) -> &Tiles {
        match self {
            Self::Random(signs) => &signs.matrix,
            Self::Fitted(components) => components.matrix(),
        }
    }

    pub(super) fn rank(&self) -> usize {
        self.matrix().rows
    }

    pub(super) fn dimensions(&self) -> usize {
        self.matrix().columns
    }

    /// Whether a policy with these settings can have it.
    pub(super) fn fits(&self, config: &LinearConfig) -> bool {
        match self {
            Self::Random(_) => config.rank == Some(self.rank()),
            Self::Fitted(_) => config.rank.is_none() && config.intercept,
        }
    }

    /// What [`apply`](Self::apply) takes, of a context's features.
    pub(super) fn single(&self, features: &[f64], out: &mut Vec<f32>) {
        match self {
            Self::Random(_) => single(1.0, features, out),
            Self::Fitted(components) => components.centre(features, out),
        }
    }

    /// Writes Rx to `out`, shape (padded rank).
    pub(super) fn apply(&self, x: &[f32], out: &mut [f32], scratch: &mut Vec<f32>) {
        scratch.resize(product_scratch(self.rank()), 0.0);
        product(&self.matrix().entries, x, out, scratch);
    }
}

impl TryFrom<Stored> for Projection {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let (rank, dimensions) = (stored.rank, stored.dimensions);
        match (stored.seed, stored.components) {
            (Some(seed), None) => {
                Self::random(rank, dimensions, seed).ok_or("a projection of no or too many entries")
            }
            (None, Some(components)) => {
                let projection = Self::Fitted(components);
                if (projection.rank(), projection.dimensions()) == (rank, dimensions) {
                    Ok(projection)
                } else {
                    Err("components of another shape")
                }
            }
            _ => Err("a projection is random or fitted"),
        }
    }
}

impl From<Projection> for Stored {
    fn from(projection: Projection) -> Self {
        let (rank, dimensions) = (projection.rank(), projection.dimensions());
        let (seed, components) = match projection {
            Projection::Random(signs) => (Some(signs.seed), None),
            Projection::Fitted(components) => (None, Some(components)),
        };
        Self {
            rank,
            dimensions,
            seed,
            components,
        }
    }
}

/// z = Rx with entries ±1/√rank, so that lengths and inner products are kept on average
/// (Achlioptas 2003, doi:10.1016/S0022-0000(03)00025-4).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RandomSigns {
    seed: u64,
    matrix: Tiles,
}

impl RandomSigns {
    fn new(rank: usize, dimensions: usize, seed: u64) -> Option<Self> {
        let mut matrix = Tiles::zeros(rank, dimensions)?;
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        #[expect(clippy::cast_possible_truncation, reason = "one size for all entries")]
        let one = (1.0 / math::len(rank).sqrt()) as f32;
        for row in 0..rank {
            let mut bits = 0;
            for column in 0..dimensions {
                if column % 64 == 0 {
                    bits = random.next_u64();
                }
                let sign = if bits >> (column % 64) & 1 == 0 {
                    one
                } else {
                    -one
                };
                matrix.set(row, column, sign);
            }
        }
        Some(Self { seed, matrix })
    }
}

/// A matrix in tiles of 8 rows, padded with zeros: tile row after tile row, each by rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tiles {
    rows: usize,
    columns: usize,
    entries: Vec<f32>,
}

impl Tiles {
    /// All zeros; `None`: there would be no entries, or too many.
    pub(super) fn zeros(rows: usize, columns: usize) -> Option<Self> {
        if rows.max(columns) > ENTRIES_MAX {
            return None;
        }
        let size = padded(rows).checked_mul(padded(columns))?;
        (rows > 0 && columns > 0 && size <= ENTRIES_MAX).then(|| Self {
            rows,
            columns,
            entries: vec![0.0; size],
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    fn place(&self, row: usize, column: usize) -> usize {
        let band = row / LANES * LANES * padded(self.columns);
        band + column / LANES * LANES * LANES + row % LANES * LANES + column % LANES
    }

    pub(super) fn set(&mut self, row: usize, column: usize, entry: f32) {
        let at = self.place(row, column);
        self.entries[at] = entry;
    }

    /// One row's entries.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        (0..self.columns).map(move |column| self.entries[self.place(row, column)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{decode_state, encode_state};

    /// Snapshots of random projections stay what they were: a recipe.
    #[test]
    fn random_projections_are_stored_as_their_recipe() {
        let projection = Projection::random(3, 4, 7).expect("entries");
        let bytes = encode_state(&projection);
        assert_eq!(bytes, b"\xa3\x64rank\x03\x6adimensions\x04\x64seed\x07");
        let again: Projection = decode_state("", &bytes).expect("restores");
        assert_eq!(again, projection);
        let signs: Vec<String> = (0..3)
            .map(|row| {
                let entries = projection.matrix().row(row);
                entries.map(|e| if e > 0.0 { '+' } else { '-' }).collect()
            })
            .collect();
        assert_eq!(signs, ["-+--", "++-+", "+-++"]);
    }
}
