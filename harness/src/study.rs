//! A study: one log, split into rows to learn from and rows to judge on, with its features and
//! expected costs. Everything that a policy may learn comes from the training rows alone.

use ndarray::{Array1, Array2, Axis};
use plimsoll::{
    ArmSpec, Calibration, Context, CostPredictor, CostRow, FeatureMap, FeatureMapConfig, Predictor,
    RawContext, Seed,
};
use plimsoll_datasets::{OutcomeLog, Request, Split, split};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::error::EvidenceError;
use crate::forecast::{FOLDS, Training};
use crate::judge::Clusters;
use crate::promise::{Play, mean};
use crate::table::{LoggedRows, OutcomeTable};

/// Least number of requests on each side of the split.
pub const SIDE_MIN: usize = 20;
/// Most requests to learn from: more add little to predictors of a few hundred features, and time.
pub const TRAIN_ROWS_MAX: usize = 50_000;
/// Most requests of a log on which nearest neighbours are tried without being asked for: their time
/// grows with the square.
pub const KNN_ROWS_MAX: usize = 20_000;
/// Least training answers of each compared arm, where only served answers are known.
const ARM_ROWS_MIN: u64 = 20;
/// Characters per token, where a log counts no tokens.
const CHARS_PER_TOKEN: usize = 4;

/// Outcomes on one side of the split.
///
/// `quality` and `cost` are what policies are tuned and judged by. Where every answer is known they
/// are the observed ones; where only the served one is, they are doubly robust scores
/// (the module `logged`), whose mean under a policy is its value.
#[derive(Clone, Debug)]
pub struct Side {
    /// Rows of the outcome table.
    pub rows: Vec<usize>,
    /// Contexts, shape (n).
    pub contexts: Vec<Context>,
    /// Observed quality, shape (n, K); NaN where the answer is not known. Predictors learn from it.
    pub labels: Array2<f64>,
    /// Quality, or its score, shape (n, K).
    pub quality: Array2<f64>,
    /// Cost in US dollars, or its score, shape (n, K).
    pub cost: Array2<f64>,
    /// What the logging policy did, when only its answers are known.
    pub logged: Option<LoggedSide>,
    /// Expected cost in US dollars, shape (n, K): cross-fitted on the training side.
    pub expected_cost: Array2<f64>,
    /// Dependent rows.
    pub clusters: Clusters,
}

/// What the logging policy did on n rows.
#[derive(Clone, Debug)]
pub struct LoggedSide {
    /// Column of the served arm; `None`: an arm that is not compared.
    pub chosen: Vec<Option<usize>>,
    /// Its propensity, logged or estimated, in (0, 1].
    pub propensity: Vec<f64>,
    /// The served answers: what the log itself earned and spent.
    pub served: Play,
    /// Expected quality q̂, shape (n, K), by a predictor that has not seen the row.
    pub predicted: Array2<f64>,
    /// Name of that predictor.
    pub predictor: String,
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
    /// The outcome predictor of doubly robust scores, with its calibration per arm.
    pub outcome: Option<(Predictor, Vec<Calibration>)>,
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
        enough_of_each(table, &train)?;
        let costs = train.fit_costs(table, |_| true)?;
        test.expected_cost = expected_costs(&costs, &test.contexts);
        let outside = (0..FOLDS)
            .into_par_iter()
            .map(|part| train.fit_costs(table, |i| usize::from(fold[i]) != part))
            .collect::<Result<Vec<CostPredictor>, EvidenceError>>()?;
        for (i, context) in train.contexts.iter().enumerate() {
            let row = expected_row(&outside[usize::from(fold[i])], context, table.arms.len());
            train.expected_cost.row_mut(i).assign(&row);
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
            outcome: None,
            unused,
            best,
        })
    }

    /// Training rows as predictors see them.
    #[must_use]
    pub fn training(&self, variances: bool) -> Training<'_> {
        Training {
            contexts: &self.train.contexts,
            quality: self.train.labels.view(),
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
            for label in &side.labels {
                hasher.update(&label.to_le_bytes());
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

    /// The request of an evaluated row.
    #[must_use]
    pub fn test_request(&self, index: usize) -> &'a Request {
        &self.log.requests[self.table.requests[self.test.rows[index]]]
    }
}

impl Side {
    fn new(table: &OutcomeTable, contexts: Vec<Context>, rows: Vec<usize>) -> Self {
        let quality = table.quality.select(Axis(0), &rows);
        Self {
            contexts,
            labels: quality.clone(),
            logged: table.logged.as_ref().map(|l| LoggedSide::new(l, &rows)),
            quality,
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
            let seen = (0..table.arms.len()).filter(move |&arm| !table.cost[[row, arm]].is_nan());
            seen.map(move |arm| CostRow {
                context,
                arm,
                output_tokens: table.output_tokens[[row, arm]],
                cost: Some(table.cost_exact[[row, arm]]),
            })
        });
        CostPredictor::fit(&specs, rows).map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))
    }
}

impl LoggedSide {
    /// Some rows of a logged table; predictions are still to come.
    pub(crate) fn new(logged: &LoggedRows, rows: &[usize]) -> Self {
        let pick = |values: &[f64]| rows.iter().map(|&row| values[row]).collect::<Vec<f64>>();
        Self {
            chosen: rows.iter().map(|&row| logged.chosen[row]).collect(),
            propensity: logged.propensity.as_deref().map(pick).unwrap_or_default(),
            served: Play {
                quality: pick(&logged.quality).into(),
                cost: pick(&logged.cost).into(),
            },
            predicted: Array2::zeros((0, 0)),
            predictor: String::new(),
        }
    }
}

/// In a log that knows served answers only, every compared arm must have some to learn from.
fn enough_of_each(table: &OutcomeTable, train: &Side) -> Result<(), EvidenceError> {
    if table.logged.is_none() {
        return Ok(());
    }
    let seen = |arm: usize| {
        let column = train.labels.column(arm);
        column.iter().filter(|label| !label.is_nan()).count() as u64
    };
    let counts: Vec<u64> = (0..table.arms.len()).map(seen).collect();
    if counts.iter().all(|count| *count >= ARM_ROWS_MIN) {
        return Ok(());
    }
    let named = |(arm, count): (&plimsoll::ArmId, &u64)| (arm.to_string(), *count);
    Err(EvidenceError::ThinlyLogged {
        arms: table.arms.iter().zip(&counts).map(named).collect(),
        least: ARM_ROWS_MIN,
    })
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

pub(crate) fn best_single(train: &Side) -> usize {
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
