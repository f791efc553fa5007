//! Estimates against what Open Bandit Pipeline 0.5.7 prints for the same rows.
//!
//! Compared within 1e-9 and counted. Left out by intent, each named where it is skipped: what other
//! estimators or intervals print, and the peers' defects.
#![expect(
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "settings and indices are exact; counts are small"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use plimsoll_harness::bootstrap::percentile_interval;
use plimsoll_harness::ope::tune::{MseBound, Rule, bias, bias_margin, choose, tuned};
use plimsoll_harness::ope::{
    Accumulator, Estimate, Estimator, Family, LoggedRow, WeightStatistics, Weights, lower,
};
use rand_mt::Mt;
use serde_json::{Map, Value};

const TOLERANCE: f64 = 1e-9;

/// Numbers compared so far, and those left out with their reason.
#[derive(Default)]
struct Tally {
    compared: usize,
    left_out: BTreeMap<String, &'static str>,
}

impl Tally {
    fn check(&mut self, name: &str, got: f64, expect: f64) {
        let scale = expect.abs().max(1.0);
        assert!(
            (got - expect).abs() <= TOLERANCE * scale,
            "{name}: got {got}, expected {expect}"
        );
        self.compared += 1;
    }

    fn leave_out(&mut self, name: &str, reason: &'static str) {
        self.left_out.insert(name.to_owned(), reason);
    }
}

fn vectors(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/vectors")
        .join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: no reference values at ../shared/vectors/{name}");
    None
}

fn json(path: &Path) -> Value {
    serde_json::from_reader(File::open(path).expect("the file exists")).expect("it is JSON")
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

/// A number, or Python's `inf`.
fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().expect("a number as text"),
        other => other.as_f64().expect("a number"),
    }
}

fn estimate(estimator: Estimator, rows: &[LoggedRow]) -> Estimate {
    let mut accumulator = Accumulator::new(estimator);
    for row in rows {
        accumulator.push(row);
    }
    accumulator.estimate().expect("there are rows")
}

fn statistics(rows: &[LoggedRow]) -> WeightStatistics {
    let mut weights = Weights::default();
    for row in rows {
        weights.push(row);
    }
    weights.statistics().expect("there are rows")
}

/// Open Bandit Pipeline's name of a family.
fn family(name: &str) -> Option<Family> {
    Some(match name {
        "ipw" => Family::ClippedIps,
        "dr" => Family::ClippedDr,
        "switch_dr" => Family::SwitchDr,
        "dros" => Family::Dros,
        "sg_ipw" => Family::SubGaussianIps,
        "sg_dr" => Family::SubGaussianDr,
        _ => return None,
    })
}

/// `ipw`, `snipw` or `dros|lambda=5.0`.
fn estimator(name: &str) -> Option<Estimator> {
    if let Some((name, setting)) = name.split_once("|lambda=") {
        return family(name)?.at(setting.parse().ok()?).ok();
    }
    Some(match name {
        "replay" => Estimator::Replay,
        "ipw" | "ips" => Estimator::Ips,
        "snipw" | "snips" => Estimator::Snips,
        "dm" => Estimator::Dm,
        "dr" => Estimator::Dr,
        "sndr" => Estimator::Sndr,
        _ => return None,
    })
}

/// The synthetic log, by column.
struct Log {
    columns: BTreeMap<String, Vec<f64>>,
    rows: usize,
}

impl Log {
    fn read(reader: impl Read) -> Self {
        let mut reader = csv::Reader::from_reader(reader);
        let names: Vec<String> = reader
            .headers()
            .unwrap()
            .iter()
            .map(str::to_owned)
            .collect();
        let mut columns: BTreeMap<String, Vec<f64>> =
            names.iter().map(|name| (name.clone(), vec![])).collect();
        let mut rows = 0;
        for record in reader.records() {
            for (name, text) in names.iter().zip(&record.unwrap()) {
                // Columns of hashes are not needed.
                // The peer read propensities with 16 decimals: 1/46 became less than 1/46, and a
                // weight of 1 became more than τ = 1.
                let short = name == "propensity_score" && !text.contains('e');
                let text = if short {
                    text.get(..18).unwrap_or(text)
                } else {
                    text
                };
                let value = text.parse().unwrap_or(f64::NAN);
                columns.get_mut(name).unwrap().push(value);
            }
            rows += 1;
        }
        Self { columns, rows }
    }

    fn get(&self, name: &str, row: usize) -> f64 {
        self.columns[name][row]
    }

    fn index(&self, name: &str, row: usize) -> usize {
        let value = self.get(name, row);
        (0..1000)
            .find(|&i| f64::from(i) == value)
            .map(|i| usize::try_from(i).unwrap())
            .expect("a small integer")
    }

    fn vector(&self, prefix: &str, width: usize, row: usize) -> Vec<f64> {
        (0..width)
            .map(|k| self.get(&format!("{prefix}{k}"), row))
            .collect()
    }
}

const ARMS: usize = 4;

fn target(log: &Log, case: &str, row: usize) -> Vec<f64> {
    if case != "bin_det" {
        return log.vector("pi_e_", ARMS, row);
    }
    let q = log.vector("q_hat_", ARMS, row);
    let best = (0..ARMS).rev().fold(0, |best, k| {
        if q[k] > q[best] || (q[k] == q[best] && k < best) {
            k
        } else {
            best
        }
    });
    (0..ARMS)
        .map(|k| if k == best { 1.0 } else { 0.0 })
        .collect()
}

fn rows_of(log: &Log, case: &str) -> Vec<LoggedRow> {
    let reward = if case.starts_with("cont") {
        "reward_cont"
    } else {
        "reward_bin"
    };
    (0..log.rows)
        .map(|i| {
            LoggedRow::of(
                &target(log, case, i),
                &log.vector("q_hat_", ARMS, i),
                log.index("action", i),
                log.get("pscore", i),
                log.get(reward, i),
            )
            .unwrap()
        })
        .collect()
}

/// Rows with other weights and without predictions.
fn reweighted(rows: &[LoggedRow], weight: impl Fn(usize, &LoggedRow) -> f64) -> Vec<LoggedRow> {
    rows.iter()
        .enumerate()
        .map(|(i, row)| LoggedRow::new(weight(i, row), row.outcome()).unwrap())
        .collect()
}

#[test]
fn synthetic_log_equals_open_bandit_pipeline() {
    let Some(folder) = vectors("ope") else { return };
    let log = Log::read(File::open(folder.join("log.csv")).unwrap());
    let expected = json(&folder.join("expected.json"));
    let mut tally = Tally::default();
    for (case, expect) in object(&expected["cases"]) {
        let rows = rows_of(&log, case);
        assert_eq!(rows.len(), 2000);
        points(&mut tally, case, &rows, &log, &expected, expect);
        bootstrap(
            &mut tally,
            case,
            &rows,
            &expect["bootstrap_seed12345_B100_alpha0.05"],
        );
        tuning(&mut tally, case, &rows, &expect["tuning"]);
        helpers(&mut tally, case, &rows, &expect["helpers"]);
        diagnostics(&mut tally, case, &rows, &expect["diagnostics"]);
        standard_errors(&mut tally, case, &rows, &expect["ci"]);
        peers(&mut tally, case, &rows, expect);
    }
    for (name, reason) in &tally.left_out {
        eprintln!("left out: {name}: {reason}");
    }
    // All numbers of the file but those left out by name.
    assert_eq!((tally.compared, tally.left_out.len()), (620, 27));
}

fn points(
    tally: &mut Tally,
    case: &str,
    rows: &[LoggedRow],
    log: &Log,
    all: &Value,
    expect: &Value,
) {
    for (name, value) in object(&expect["point"]) {
        let label = format!("{case} {name}");
        if value == "nan" {
            // 0/0 at λ = 1 for rows of weight 0: ours is the limit, with ŵ = 0 there.
            let ours = estimate(estimator(name).unwrap(), rows).point;
            assert!(ours.is_finite());
            tally.leave_out(&label, "the peer's NaN for sub-Gaussian weights at λ = 1");
            continue;
        }
        let got = if let Some(max) = name.strip_prefix("bipw_given_true_iw|lambda=") {
            // Balanced IPW normalises the clipped weights: SNIPS of clipped weights.
            let max: f64 = max.parse().unwrap();
            let clipped = reweighted(rows, |_, row| row.weight().min(max));
            estimate(Estimator::Snips, &clipped).point
        } else if name == "mips|p_e_a_given" {
            let marginal = reweighted(rows, |i, _| marginal_weight(log, case, all, i));
            estimate(Estimator::Ips, &marginal).point
        } else {
            estimate(estimator(name).expect("every name is known"), rows).point
        };
        tally.check(&label, got, number(value));
    }
}

/// Marginalised IPS: IPS with p(e|π)/p(e|π_b) for the observed embedding e.
fn marginal_weight(log: &Log, case: &str, all: &Value, row: usize) -> f64 {
    let embedding = log.index("embed", row);
    let marginal = |policy: &[f64]| -> f64 {
        (0..ARMS)
            .map(|k| policy[k] * number(&all["mips"]["p_e_a"][k][embedding]))
            .sum()
    };
    marginal(&target(log, case, row)) / marginal(&log.vector("pi_b_", ARMS, row))
}

/// NumPy's `RandomState(seed).choice(terms, n).mean()`, `count` times.
fn numpy_bootstrap(terms: &[f64], seed: u32, count: usize) -> Vec<f64> {
    let mut random = Mt::new(seed);
    let last = u32::try_from(terms.len() - 1).unwrap();
    let mask = last
        .next_power_of_two()
        .max(1)
        .wrapping_mul(2)
        .wrapping_sub(1);
    let mask = if last.is_power_of_two() {
        mask
    } else {
        mask >> 1
    };
    (0..count)
        .map(|_| {
            let sum: f64 = terms
                .iter()
                .map(|_| {
                    loop {
                        let index = random.next_u32() & mask;
                        if index <= last {
                            break terms[index as usize];
                        }
                    }
                })
                .sum();
            sum / terms.len() as f64
        })
        .collect()
}

fn bootstrap_of(
    tally: &mut Tally,
    label: &str,
    rows: &[LoggedRow],
    estimator: Estimator,
    count: usize,
    expect: &Value,
) {
    let terms: Vec<f64> = rows.iter().map(|row| estimator.terms(row).direct).collect();
    let means = numpy_bootstrap(&terms, 12345, count);
    let mean = means.iter().sum::<f64>() / count as f64;
    let interval = percentile_interval(mean, means, 0.95);
    tally.check(&format!("{label} mean"), mean, number(&expect["mean"]));
    tally.check(
        &format!("{label} low"),
        interval.low,
        number(&expect["95.0% CI (lower)"]),
    );
    tally.check(
        &format!("{label} high"),
        interval.high,
        number(&expect["95.0% CI (upper)"]),
    );
}

fn bootstrap(tally: &mut Tally, case: &str, rows: &[LoggedRow], expect: &Value) {
    for (name, expect) in object(expect) {
        let label = format!("{case} bootstrap {name}");
        if name == "snipw" {
            tally.leave_out(
                &label,
                "the peer resamples w r/mean(w) with a fixed mean(w)",
            );
            continue;
        }
        bootstrap_of(tally, &label, rows, estimator(name).unwrap(), 100, expect);
    }
}

fn tuning(tally: &mut Tally, case: &str, rows: &[LoggedRow], expect: &Value) {
    for (name, expect) in object(expect) {
        let label = format!("{case} tuning {name}");
        let delta = number(&expect["delta"]);
        let rule = match name.split_once('|').unwrap().1 {
            "slope" => Rule::Slope { delta },
            "mse|use_bias_upper_bound=True" => Rule::Mse {
                bias: MseBound::Upper { delta },
            },
            "mse|use_bias_upper_bound=False" => Rule::Mse {
                bias: MseBound::Estimated,
            },
            other => panic!("unknown rule {other}"),
        };
        let grid: Vec<f64> = expect["lambdas"]
            .as_array()
            .unwrap()
            .iter()
            .map(number)
            .collect();
        let family = family(name.split('|').next().unwrap()).unwrap();
        let choice = choose(family, &grid, rule, rows).unwrap();
        let (_, chosen) = choice.estimator.setting().unwrap();
        let best = number(&expect["best_lambda"]);
        assert_eq!(chosen, best, "{label}");
        tally.compared += 1;
        // The peer estimates on the rows it tuned on; so must the comparison.
        tally.check(
            &label,
            estimate(choice.estimator, rows).point,
            number(&expect["value"]),
        );
        let Some(scores) = expect.get("mse_scores") else {
            continue;
        };
        for (setting, score) in object(scores) {
            let setting: f64 = setting.parse().unwrap();
            let candidate = choice
                .candidates
                .iter()
                .find(|c| c.setting == setting)
                .unwrap();
            tally.check(
                &format!("{label} {setting}"),
                candidate.score,
                number(score),
            );
        }
    }
}

fn helpers(tally: &mut Tally, case: &str, rows: &[LoggedRow], expect: &Value) {
    for (name, expect) in object(expect) {
        let label = format!("{case} {name}");
        let parts: Vec<&str> = name.split('|').collect();
        let after = |part: &str| part.split_once('=').unwrap().1.parse::<f64>().unwrap();
        let got = match parts[..] {
            ["bias_in_ope", "clip", max] => bias(Family::ClippedIps.at(after(max)).unwrap(), rows),
            ["bias_upper_bound", "clip", max, delta] => {
                bias(Family::ClippedIps.at(after(max)).unwrap(), rows)
                    + bias_margin(rows, after(delta))
            }
            [name, bound, delta] => {
                let estimator = estimator(name).unwrap();
                let value = estimate(estimator, rows);
                let largest = largest_term(estimator, rows);
                match bound {
                    "student_t_lower" => lower::student_t(&value, after(delta)).unwrap(),
                    "bernstein_lower" => lower::bernstein(&value, largest, after(delta)).unwrap(),
                    "hoeffding_lower" => lower::hoeffding(&value, largest, after(delta)),
                    other => panic!("unknown bound {other}"),
                }
            }
            _ => panic!("unknown helper {name}"),
        };
        tally.check(&label, got, number(expect));
    }
}

fn largest_term(estimator: Estimator, rows: &[LoggedRow]) -> f64 {
    rows.iter()
        .map(|row| estimator.terms(row).direct)
        .fold(f64::NEG_INFINITY, f64::max)
}

fn diagnostics(tally: &mut Tally, case: &str, rows: &[LoggedRow], expect: &Value) {
    let ours = statistics(rows);
    for (name, expect) in object(expect) {
        let label = format!("{case} {name}");
        if name.starts_with("w_quantiles_linear") {
            let weights: Vec<f64> = rows.iter().map(LoggedRow::weight).collect();
            for (confidence, expect) in [0.0, 0.8, 0.98].iter().zip(expect.as_array().unwrap()) {
                let high =
                    percentile_interval(f64::NEG_INFINITY, weights.clone(), *confidence).high;
                tally.check(&label, high, number(expect));
            }
            continue;
        }
        let got = match name.as_str() {
            "ess" => ours.effective_sample_size,
            "w_max" => ours.max,
            "w_mean" => ours.mean,
            "w_sum" => ours.sum,
            "w2_sum" => ours.sum_of_squares,
            "frac_zero_weight" => ours.zero_share,
            "match_rate" => ours.match_rate,
            other => panic!("unknown diagnostic {other}"),
        };
        tally.check(&label, got, number(expect));
    }
}

/// Normal quantile at 97.5 % as SciPy has it.
const Z: f64 = 1.959_963_984_540_054;

fn standard_errors(tally: &mut Tally, case: &str, rows: &[LoggedRow], expect: &Value) {
    for (name, expect) in object(expect) {
        let label = format!("{case} interval {name}");
        let ratio = name == "snipw_delta_method";
        let value = estimate(
            estimator(name.trim_end_matches("_delta_method")).unwrap(),
            rows,
        );
        let mut error = value.standard_error.unwrap();
        if ratio {
            // The reference divides Σψ² by n², ours by n (n − 1) as for any variance.
            error *= (1999.0_f64 / 2000.0).sqrt();
        }
        tally.check(&label, value.point, number(&expect["mean"]));
        tally.check(
            &label,
            error,
            number(&expect[if ratio { "se" } else { "se_ddof1" }]),
        );
        tally.check(
            &label,
            value.point - Z * error,
            number(&expect["normal95"][0]),
        );
        tally.check(
            &label,
            value.point + Z * error,
            number(&expect["normal95"][1]),
        );
        if let Some(student) = expect.get("t95") {
            let width = lower::student_t_width(&value, 0.025).unwrap();
            tally.check(&label, value.point - width, number(&student[0]));
            tally.check(&label, value.point + width, number(&student[1]));
        }
    }
}

fn peers(tally: &mut Tally, case: &str, rows: &[LoggedRow], expect: &Value) {
    for (name, expect) in object(&expect["vw_estimators"]) {
        let label = format!("{case} vw {name}");
        match name.as_str() {
            "ips" | "snips" => {
                let got = estimate(estimator(name).unwrap(), rows).point;
                tally.check(&label, got, number(expect));
            }
            "gaussian_interval|alpha=0.05" => {
                let value = estimate(Estimator::Ips, rows);
                let width = Z * value.standard_error.unwrap();
                tally.check(&label, value.point - width, number(&expect[0]));
                tally.check(&label, value.point + width, number(&expect[1]));
            }
            "mle" | "cressieread" | "cressieread_w_bounds" => {
                tally.leave_out(
                    &label,
                    "empirical likelihood, an estimator that is not offered",
                );
            }
            _ => tally.leave_out(&label, "an interval method, not an estimator: see `bounds`"),
        }
    }
    if expect.get("confseq").is_some() {
        tally.leave_out(
            &format!("{case} confseq"),
            "an interval method: see `bounds`",
        );
    }
}

/// Rows of the small Open Bandit log of `campaign` by `behaviour`, for the target `evaluation`.
fn open_bandit(folder: &Path, campaign: &str, behaviour: &str, evaluation: &str) -> Vec<LoggedRow> {
    let open = |name: String| File::open(folder.join(name)).unwrap();
    let log = Log::read(GzDecoder::new(open(format!(
        "{behaviour}_{campaign}_log.csv.gz"
    ))));
    let predictions = Log::read(open(format!("qhat_table_{behaviour}_{campaign}.csv")));
    let arms = predictions.rows;
    let policy = (evaluation == "bts").then(|| Log::read(open(format!("bts_{campaign}.csv"))));
    (0..log.rows)
        .map(|i| {
            let column = format!("pos{}", log.index("position", i) - 1);
            let target: Vec<f64> = (0..arms)
                .map(|k| {
                    let uniform = 1.0 / arms as f64;
                    policy
                        .as_ref()
                        .map_or(uniform, |table| table.get(&column, k))
                })
                .collect();
            LoggedRow::of(
                &target,
                &predictions.columns[&column],
                log.index("item_id", i),
                log.get("propensity_score", i),
                log.get("click", i),
            )
            .unwrap()
        })
        .collect()
}

#[test]
fn open_bandit_logs_equal_open_bandit_pipeline() {
    let Some(folder) = vectors("obd") else { return };
    let reference = json(&folder.join("reference.json"));
    let mut tally = Tally::default();
    for (name, expect) in object(&reference["estimates"]) {
        let (campaign, rest) = name.split_once('|').unwrap();
        let (behaviour, evaluation) = rest.split('|').next().unwrap().split_once("->").unwrap();
        let rows = open_bandit(&folder, campaign, behaviour, evaluation);
        assert_eq!(rows.len(), 10_000);
        log_itself(&mut tally, name, &rows, expect);
        for (estimate_name, value) in object(&expect["point"]) {
            let estimator = estimator(estimate_name).expect("every name is known");
            let label = format!("{name} {estimate_name}");
            tally.check(&label, estimate(estimator, &rows).point, number(value));
        }
        open_bandit_tuning(&mut tally, name, &rows, &expect["tuning"]);
        for (bootstrap, estimator) in [("ipw", Estimator::Ips), ("dr", Estimator::Dr)] {
            let label = format!("{name} bootstrap {bootstrap}");
            if label == SWAPPED {
                tally.leave_out(
                    &label,
                    "rows of equal time in another order: resamples differ",
                );
                continue;
            }
            let expect = &expect[format!("{bootstrap}_bootstrap1000_seed12345")];
            bootstrap_of(&mut tally, &label, &rows, estimator, 1000, expect);
        }
        open_bandit_bounds(&mut tally, name, &rows, expect);
    }
    assert_eq!((tally.compared, tally.left_out.len()), (333, 1));
}

/// The one bootstrap that differs, by 3e-7: the peer sorts by time, not stably, and its resamples
/// address rows by their place.
const SWAPPED: &str = "men|random->bts|qhat=table bootstrap dr";

/// What the reference says about the rows themselves, the other policy's own log left aside.
fn log_itself(tally: &mut Tally, name: &str, rows: &[LoggedRow], expect: &Value) {
    let clicks: f64 = rows.iter().map(LoggedRow::outcome).sum();
    tally.check(name, clicks / 10_000.0, number(&expect["behaviour_mean"]));
    let weights = statistics(rows);
    tally.check(name, weights.effective_sample_size, number(&expect["ess"]));
    tally.check(name, weights.max, number(&expect["w_max"]));
    tally.check(name, weights.mean, number(&expect["w_mean"]));
}

/// The reference does not print its grid: λ ∈ {1, 5, 10, 100, ∞} gives its choices.
fn open_bandit_tuning(tally: &mut Tally, name: &str, rows: &[LoggedRow], expect: &Value) {
    let grid = [1.0, 5.0, 10.0, 100.0, f64::INFINITY];
    for (kind, expect) in object(expect) {
        let (family_name, rule) = kind.split_once('|').unwrap();
        let rule = if rule == "slope" {
            Rule::Slope { delta: 0.1 }
        } else {
            Rule::Mse {
                bias: MseBound::Upper { delta: 0.1 },
            }
        };
        let label = format!("{name} {kind}");
        let choice = choose(family(family_name).unwrap(), &grid, rule, rows).unwrap();
        let best = number(&expect["best_lambda"]);
        assert_eq!(choice.estimator.setting().unwrap().1, best, "{label}");
        tally.compared += 1;
        tally.check(
            &label,
            estimate(choice.estimator, rows).point,
            number(&expect["value"]),
        );
    }
}

fn open_bandit_bounds(tally: &mut Tally, name: &str, rows: &[LoggedRow], expect: &Value) {
    let snips = estimate(Estimator::Snips, rows);
    let error = snips.standard_error.unwrap() * (9_999.0_f64 / 10_000.0).sqrt();
    tally.check(name, error, number(&expect["snipw_delta_se"]));
    let ips = estimate(Estimator::Ips, rows);
    let student = lower::student_t(&ips, 0.05).unwrap();
    tally.check(name, student, number(&expect["ipw_student_t_lower_0.05"]));
    let bernstein = lower::bernstein(&ips, largest_term(Estimator::Ips, rows), 0.05).unwrap();
    tally.check(name, bernstein, number(&expect["ipw_bernstein_lower_0.05"]));
}

/// O03: an estimate that rests on two rows of 10,000 is shown as such.
#[test]
fn o03_weights_show_an_estimate_to_refuse() {
    let Some(folder) = vectors("obd") else { return };
    let rows = open_bandit(&folder, "women", "bts", "random");
    let weights = statistics(&rows);
    assert!((weights.effective_sample_size - 2.08).abs() < 0.01);
    assert!((weights.max - 21_739.13).abs() < 0.01);
    assert!(weights.max_share > 0.69, "{}", weights.max_share);
    // O04: the mean weight is 3.13 where 1 is expected; its error says that nobody can tell.
    assert!(weights.mean > 3.0 && weights.mean_standard_error.unwrap() > 2.0);
}

/// O05: settings are not chosen on the rows that are estimated on.
#[test]
fn o05_tuning_rows_are_not_estimated_on() {
    let rows: Vec<LoggedRow> = (0..100)
        .map(|i| LoggedRow::new(f64::from(i % 7), 1.0).unwrap())
        .collect();
    let rule = Rule::Slope { delta: 0.1 };
    let grid = Family::ClippedIps.grid();
    let error = tuned(Family::ClippedIps, grid, rule, &rows[..60], &rows[40..]).unwrap_err();
    assert_eq!(error.code(), "P0343");
    assert!(error.to_string().starts_with("20 rows"), "{error}");
    let fine = tuned(Family::ClippedIps, grid, rule, &rows[..50], &rows[50..]).unwrap();
    assert_eq!(fine.estimate.unwrap().rows, 50);
    assert_eq!(fine.choice.tuning_rows, 50);
}
