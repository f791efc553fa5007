//! A fixed random projection: many features become few.

use serde::{Deserialize, Serialize};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::inverse_factor::{LANES, padded, product, product_scratch};
use crate::math;

/// Most entries of a projection: a snapshot cannot ask for more memory than this.
pub(super) const ENTRIES_MAX: usize = 1 << 24;

/// z = Rx with entries ±1/√rank, so that lengths and inner products are kept on average
/// (Achlioptas 2003, doi:10.1016/S0022-0000(03)00025-4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Recipe", into = "Recipe")]
pub(super) struct Projection {
    recipe: Recipe,
    /// R in tiles of 8 rows, padded with zeros: tile row after tile row, each by rows.
    entries: Vec<f32>,
}

/// All that a projection is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Recipe {
    rank: usize,
    dimensions: usize,
    seed: u64,
}

impl Projection {
    /// From `dimensions` features to `rank`; `None`: there would be none, or too many entries.
    pub(super) fn new(rank: usize, dimensions: usize, seed: u64) -> Option<Self> {
        let recipe = Recipe {
            rank,
            dimensions,
            seed,
        };
        if rank.max(dimensions) > ENTRIES_MAX {
            return None;
        }
        let size = padded(rank).checked_mul(padded(dimensions))?;
        if rank == 0 || dimensions == 0 || size > ENTRIES_MAX {
            return None;
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut entries = vec![0.0; size];
        #[expect(clippy::cast_possible_truncation, reason = "one size for all entries")]
        let one = (1.0 / math::len(rank).sqrt()) as f32;
        let band = padded(dimensions) * LANES;
        for row in 0..rank {
            let start = row / LANES * band + row % LANES * LANES;
            let mut bits = 0;
            for column in 0..dimensions {
                if column % 64 == 0 {
                    bits = random.next_u64();
                }
                let at = start + column / LANES * LANES * LANES + column % LANES;
                entries[at] = if bits >> (column % 64) & 1 == 0 {
                    one
                } else {
                    -one
                };
            }
        }
        Some(Self { recipe, entries })
    }

    pub(super) fn rank(&self) -> usize {
        self.recipe.rank
    }

    pub(super) fn dimensions(&self) -> usize {
        self.recipe.dimensions
    }

    /// Writes Rx to `out`, shape (padded rank); `x` is padded single precision.
    pub(super) fn apply(&self, x: &[f32], out: &mut [f32], scratch: &mut Vec<f32>) {
        scratch.resize(product_scratch(self.recipe.rank), 0.0);
        product(&self.entries, x, out, scratch);
    }
}

impl TryFrom<Recipe> for Projection {
    type Error = &'static str;

    fn try_from(recipe: Recipe) -> Result<Self, Self::Error> {
        Self::new(recipe.rank, recipe.dimensions, recipe.seed)
            .ok_or("a projection of no or too many entries")
    }
}

impl From<Projection> for Recipe {
    fn from(projection: Projection) -> Self {
        projection.recipe
    }
}
