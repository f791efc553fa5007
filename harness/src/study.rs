//! A study: one log, split into rows to learn from and rows to judge on, with its features and
//! expected costs. Everything that a policy may learn comes from the training rows alone.

use ndarray::{Array1, Array2, Axis};
use plimsoll::{
    ArmSpec, Context, CostPredictor, CostRow, FeatureMap, FeatureMapConfig, RawContext, Seed,
};
use plimsoll_datasets::{OutcomeLog, Request, Split, split};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::error::EvidenceError;
use crate::forecast::{FOLDS, Training};
use crate::judge::Clusters;
use crate::promise::mean;
use crate::table::OutcomeTable;

/// Least number of requests on each side of the split.
pub const SIDE_MIN: usize = 20;
/// Most requests to learn from: more add little to predictors of a few hundred features, and time.
pub const TRAIN_ROWS_MAX: usize = 50_000;
/// Most requests of a log on which nearest neighbours are tried: their time grows with the square.
pub const KNN_ROWS_MAX: usize = 20_000;
/// Characters per token, where a log counts no tokens.
const CHARS_PER_TOKEN: usize = 4;

/// Observed outcomes on one side of the split.
#[derive(Clone, Debug)]
pub struct Side {
    /// Rows of the outcome table.
    pub rows: Vec<usize>,
    /// Contexts, shape (n).
    pub contexts: Vec<Context>,
    /// Quality, shape (n, K).
    pub quality: Array2<f64>,
    /// Cost in US dollars, shape (n, K).
    pub cost: Array2<f64>,
    /// Expected cost in US dollars, shape (n, K): cross-fitted on the training side.
    pub expected_cost: Array2<f64>,
    /// Dependent rows.
    pub clusters: Clusters,
}

/// A split log, ready for forecasting.
#[derive(Clone, Debug)]
pub struct Study<'a> {
    /// The log.
    pub log: &'a OutcomeLog,
    /// Its full-information table.
    pub table: &'a OutcomeTable,
    /// Rows to learn from.
    pub train: Side,
    /// Rows to judge on.
    pub test: Side,
    /// Cross-fitting fold of each training row.
    pub fold: Vec<u8>,
    /// Text and task features, fitted on the training rows.
    pub features: FeatureMap,
    /// Cost predictor, fitted on the training rows.
    pub costs: CostPredictor,
    /// Training requests beyond [`TRAIN_ROWS_MAX`], drawn by the seed and not used.
    pub unused: usize,
    /// The arm of highest mean quality on the training rows; the cheaper one of equals.
    pub best: usize,
}

impl<'a> Study<'a> {
    /// Splits the table and fits features and costs.
    ///
    /// # Errors
    /// [`EvidenceError`] when a side is too small, or the engine refuses a row.
    pub fn new(
        log: &'a OutcomeLog,
        table: &'a OutcomeTable,
        by: &Split,
        seed: Seed,
    ) -> Result<Self, EvidenceError> {
        let (mut train_rows, test_rows) = sides(log, table, by, seed)?;
        let unused = thin(&mut train_rows, seed);
        if train_rows.len().min(test_rows.len()) < SIDE_MIN {
            return Err(EvidenceError::SplitTooSmall {
                train: train_rows.len(),
                evaluated: test_rows.len(),
                least: SIDE_MIN,
            });
        }
        let raw = |row: &usize| raw_context(&log.requests[table.requests[*row]]);
        let features = FeatureMap::fit(FeatureMapConfig::default(), train_rows.iter().map(raw))
            .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
        let contexts = |rows: &[usize]| -> Result<Vec<Context>, EvidenceError> {
            rows.par_iter()
                .map(|row| {
                    features
                        .map(&raw(row))
                        .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))
                })
                .collect()
        };
        let fold = folds(table, &train_rows, seed);
        let mut train = Side::new(table, contexts(&train_rows)?, train_rows);
        let mut test = Side::new(table, contexts(&test_rows)?, test_rows);
        let costs = train.fit_costs(table, |_| true)?;
        test.expected_cost = expected_costs(&costs, &test.contexts);
        for part in 0..FOLDS {
            let outside = train.fit_costs(table, |i| usize::from(fold[i]) != part)?;
            for (i, context) in train.contexts.iter().enumerate() {
                if usize::from(fold[i]) == part {
                    let row = expected_row(&outside, context, table.arms.len());
                    train.expected_cost.row_mut(i).assign(&row);
                }
            }
        }
        let best = best_single(&train);
        Ok(Self {
            log,
            table,
            train,
            test,
            fold,
            features,
            costs,
            unused,
            best,
        })
    }

    /// Training rows as predictors see them.
    #[must_use]
    pub fn training(&self, variances: bool) -> Training<'_> {
        Training {
            contexts: &self.train.contexts,
            quality: self.train.quality.view(),
            fold: &self.fold,
            variances,
        }
    }

    /// Digest of everything that forecasts are made from.
    pub(crate) fn digest(&self, variances: bool) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[u8::from(variances)]);
        for arm in &self.table.arms {
            hasher.update(arm.as_str().as_bytes()).update(&[0]);
        }
        hasher.update(&self.fold);
        for side in [&self.train, &self.test] {
            hasher.update(&(side.rows.len() as u64).to_le_bytes());
            for quality in &side.quality {
                hasher.update(&quality.to_le_bytes());
            }
            for context in &side.contexts {
                for feature in &context.features {
                    hasher.update(&feature.to_le_bytes());
                }
                hasher.update(context.task.as_deref().unwrap_or_default().as_bytes());
                hasher.update(&[0]);
            }
        }
        hasher.finalize()
    }

    /// Whether nearest neighbours are tried without being asked for.
    #[must_use]
    pub fn tries_knn(&self) -> bool {
        self.table.rows() <= KNN_ROWS_MAX
    }

    /// The request of an evaluated row.
    #[must_use]
    pub fn test_request(&self, index: usize) -> &'a Request {
        &self.log.requests[self.table.requests[self.test.rows[index]]]
    }
}

impl Side {
    fn new(table: &OutcomeTable, contexts: Vec<Context>, rows: Vec<usize>) -> Self {
        Self {
            contexts,
            quality: table.quality.select(Axis(0), &rows),
            cost: table.cost.select(Axis(0), &rows),
            expected_cost: Array2::zeros((rows.len(), table.arms.len())),
            clusters: Clusters::of_rows(&table.cluster, &rows),
            rows,
        }
    }

    fn fit_costs(
        &self,
        table: &OutcomeTable,
        use_row: impl Fn(usize) -> bool,
    ) -> Result<CostPredictor, EvidenceError> {
        // Recorded costs are what was paid; prices would only guess at them.
        let specs: Vec<ArmSpec> = table.arms.iter().cloned().map(ArmSpec::new).collect();
        let rows = self
            .rows
            .iter()
            .zip(&self.contexts)
            .enumerate()
            .filter(|(i, _)| use_row(*i));
        let rows = rows.flat_map(|(_, (&row, context))| {
            (0..table.arms.len()).map(move |arm| CostRow {
                context,
                arm,
                output_tokens: table.output_tokens[[row, arm]],
                cost: Some(table.cost_exact[[row, arm]]),
            })
        });
        CostPredictor::fit(&specs, rows).map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))
    }
}

/// What is known of a request before an arm is chosen.
#[must_use]
pub fn raw_context(request: &Request) -> RawContext<'_> {
    let estimate = |prompt: &str| (prompt.len() / CHARS_PER_TOKEN) as u64;
    RawContext {
        text: request.prompt.as_deref(),
        task: request.task.as_deref(),
        input_tokens: request
            .input_tokens
            .or_else(|| request.prompt.as_deref().map(estimate)),
        embedding: request.embedding.as_deref(),
    }
}

/// Splits the table's rows; rows of one cluster never stand on both sides of a hash split.
fn sides(
    log: &OutcomeLog,
    table: &OutcomeTable,
    by: &Split,
    seed: Seed,
) -> Result<(Vec<usize>, Vec<usize>), EvidenceError> {
    let (train, _) =
        split(log, by, seed).map_err(|e| EvidenceError::engine(e.code(), &e, &e.help()))?;
    let mut in_train = vec![false; log.requests.len()];
    for index in train {
        in_train[index] = true;
    }
    let mut side: Vec<bool> = table
        .requests
        .iter()
        .map(|&request| in_train[request])
        .collect();
    if by.is_hash() {
        let mut first: Vec<Option<bool>> = vec![None; table.clusters];
        for (side, &cluster) in side.iter_mut().zip(&table.cluster) {
            *side = *first[cluster].get_or_insert(*side);
        }
    }
    Ok((0..table.rows()).partition(|&row| side[row]))
}

/// Keeps a random [`TRAIN_ROWS_MAX`] of the rows, in their order; gives the number left out.
fn thin(rows: &mut Vec<usize>, seed: Seed) -> usize {
    let unused = rows.len().saturating_sub(TRAIN_ROWS_MAX);
    if unused > 0 {
        rows.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed.0));
        rows.truncate(TRAIN_ROWS_MAX);
        rows.sort_unstable();
    }
    unused
}

/// Folds by cluster, balanced in number of clusters, shuffled by the seed.
fn folds(table: &OutcomeTable, train: &[usize], seed: Seed) -> Vec<u8> {
    let clusters = Clusters::of_rows(&table.cluster, train);
    let mut order: Vec<(blake3::Hash, usize)> = (0..clusters.count)
        .map(|cluster| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(b"plimsoll folds v1");
            hasher.update(&seed.0.to_le_bytes());
            hasher.update(&(cluster as u64).to_le_bytes());
            (hasher.finalize(), cluster)
        })
        .collect();
    order.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    let mut fold_of = vec![0_u8; clusters.count];
    for (position, (_, cluster)) in order.into_iter().enumerate() {
        fold_of[cluster] = u8::try_from(position % FOLDS).expect("there are few folds");
    }
    clusters
        .of
        .iter()
        .map(|&cluster| fold_of[cluster])
        .collect()
}

fn expected_costs(costs: &CostPredictor, contexts: &[Context]) -> Array2<f64> {
    let arms = costs.arms();
    let mut out = Array2::zeros((contexts.len(), arms));
    for (mut row, context) in out.outer_iter_mut().zip(contexts) {
        row.assign(&expected_row(costs, context, arms));
    }
    out
}

/// Expected costs of one request; every compared arm is priced.
fn expected_row(costs: &CostPredictor, context: &Context, arms: usize) -> Array1<f64> {
    (0..arms)
        .map(|arm| {
            costs
                .expected(context, arm)
                .expect("compared arms have recorded costs")
        })
        .collect()
}

fn best_single(train: &Side) -> usize {
    let arms = 0..train.quality.ncols();
    let value = |arm: usize| {
        (
            mean(train.quality.column(arm)),
            mean(train.cost.column(arm)),
        )
    };
    arms.reduce(|best, arm| {
        let ((q, c), (best_q, best_c)) = (value(arm), value(best));
        let equal = (q - best_q).abs() < 1e-12;
        if (equal && c < best_c) || (!equal && q > best_q) {
            arm
        } else {
            best
        }
    })
    .expect("a table has at least two arms")
}
