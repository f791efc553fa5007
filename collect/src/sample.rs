//! Which requests are asked again: a sample by task and length of the prompt.

use std::collections::BTreeSet;

use plimsoll::Seed;
use plimsoll_datasets::{OutcomeLog, Request};

/// A sample of a log's requests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Indices into the log's requests, in the order in which they are asked: at random, so that
    /// whatever a spent budget leaves out is spread over all strata.
    pub(crate) requests: Vec<usize>,
    /// Probability with which each was drawn: the same for all, so that means over the sample need
    /// no weights.
    pub(crate) propensity: f64,
    /// Requests that could have been drawn: those with a prompt.
    pub(crate) eligible: usize,
    /// Strata among these.
    pub(crate) strata: usize,
}

/// Draws n = `wanted` of the N requests with a prompt, or all there are.
///
/// Strata are tasks by quarters of the prompts' lengths. The requests are put in order of their
/// strata, at random within, and every (N/n)th is taken from a random start: each is drawn with
/// chance n/N exactly, and a stratum of N_h requests has n·N_h/N draws, rounded up or down.
/// Systematic sampling of a stratified list: Cochran, Sampling Techniques, 3rd ed. 1977, ch. 8.
pub(crate) fn draw(log: &OutcomeLog, wanted: usize, seed: Seed) -> Sample {
    let has_prompt = |request: &Request| request.prompt.as_deref().is_some_and(|p| !p.is_empty());
    let mut eligible: Vec<usize> = (0..log.requests.len())
        .filter(|index| has_prompt(&log.requests[*index]))
        .collect();
    let quarter = quarters(log, &eligible);
    let stratum = |index: usize| {
        let task = log.requests[index].task.as_deref();
        (task.unwrap_or_default(), quarter(length(log, index)))
    };
    let id = |index: usize| log.requests[index].id.as_str();
    eligible.sort_by_cached_key(|index| {
        let (task, quarter) = stratum(*index);
        (task.to_owned(), quarter, hash(seed, b"draw", id(*index)))
    });
    let strata: BTreeSet<_> = eligible.iter().map(|index| stratum(*index)).collect();
    let total = eligible.len();
    let wanted = wanted.min(total);
    let start = start(seed, total);
    let mut requests: Vec<usize> = (0..wanted)
        .map(|i| eligible[(start + i * total) / wanted])
        .collect();
    requests.sort_by_cached_key(|index| hash(seed, b"order", id(*index)));
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of requests stay below 2^53"
    )]
    let propensity = wanted as f64 / total.max(1) as f64;
    Sample {
        requests,
        propensity,
        eligible: total,
        strata: strata.len(),
    }
}

/// A whole number from 0 to `total` − 1, each as likely as every other but for 2⁻⁶⁴·`total`.
fn start(seed: Seed, total: usize) -> usize {
    let mut bits = [0; 8];
    bits.copy_from_slice(&hash(seed, b"start", "")[..8]);
    let scaled = u128::from(u64::from_le_bytes(bits)) * total as u128;
    usize::try_from(scaled >> 64).expect("below the total")
}

fn hash(seed: Seed, part: &[u8], id: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"plimsoll collect sample v1").update(part);
    hasher.update(&seed.0.to_le_bytes()).update(id.as_bytes());
    *hasher.finalize().as_bytes()
}

fn length(log: &OutcomeLog, index: usize) -> usize {
    log.requests[index].prompt.as_deref().map_or(0, str::len)
}

/// Which quarter of the eligible prompts a length belongs to.
fn quarters(log: &OutcomeLog, eligible: &[usize]) -> impl Fn(usize) -> usize + use<> {
    let mut lengths: Vec<usize> = eligible.iter().map(|index| length(log, *index)).collect();
    lengths.sort_unstable();
    let cut = |quarter| lengths.get(lengths.len() * quarter / 4).copied();
    let cuts: Vec<usize> = (1..4).filter_map(cut).collect();
    move |length| cuts.iter().filter(|cut| length >= **cut).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn log() -> OutcomeLog {
        let request = |index: usize| Request {
            id: format!("r{index}"),
            prompt: (index % 10 != 9).then(|| "x".repeat(index % 40 + 1)),
            task: (!index.is_multiple_of(3)).then(|| format!("t{}", index % 3)),
            ..Request::default()
        };
        OutcomeLog {
            requests: (0..400).map(request).collect(),
            ..OutcomeLog::default()
        }
    }

    #[test]
    fn a_sample_is_a_function_of_the_seed() {
        let log = log();
        let sample = draw(&log, 90, Seed(1));
        assert_eq!(
            (sample.requests.len(), sample.eligible, sample.strata),
            (90, 360, 12)
        );
        assert_eq!(sample, draw(&log, 90, Seed(1)));
        assert_ne!(sample.requests, draw(&log, 90, Seed(2)).requests);
        assert!((sample.propensity - 0.25).abs() < f64::EPSILON);
        assert!(
            sample
                .requests
                .iter()
                .all(|index| log.requests[*index].prompt.is_some())
        );
        let distinct: BTreeSet<_> = sample.requests.iter().collect();
        assert_eq!(distinct.len(), 90);
        let all = draw(&log, 10_000, Seed(1));
        assert!(all.requests.len() == 360 && all.propensity >= 1.0);
        let none = draw(&OutcomeLog::default(), 10, Seed(1));
        assert_eq!((none.requests.len(), none.strata), (0, 0));
    }

    #[test]
    fn every_stratum_has_its_share() {
        let log = log();
        let stratum = |index: usize| {
            let request = &log.requests[index];
            let length = request.prompt.as_deref().map_or(0, str::len);
            (
                request.task.clone(),
                [11, 21, 31].iter().filter(|cut| length >= **cut).count(),
            )
        };
        let count = |indices: &[usize]| {
            let mut counts: BTreeMap<_, f64> = BTreeMap::new();
            for index in indices {
                *counts.entry(stratum(*index)).or_default() += 1.0;
            }
            counts
        };
        let population = count(&draw(&log, 1000, Seed(1)).requests);
        assert_eq!(population.len(), 12);
        for wanted in [1, 5, 17, 90, 359] {
            for seed in 0..20 {
                let sample = draw(&log, wanted, Seed(seed));
                let drawn = count(&sample.requests);
                for (stratum, size) in &population {
                    let share = size * sample.propensity;
                    let got = drawn.get(stratum).copied().unwrap_or(0.0);
                    assert!(
                        (got - share).abs() < 1.0 + 1e-9,
                        "{stratum:?}: {got} of {share}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_request_is_drawn_as_often_as_its_chance_says() {
        let log = log();
        let seeds = 600;
        let mut drawn = vec![0_u32; log.requests.len()];
        for seed in 0..seeds {
            for index in draw(&log, 90, Seed(seed)).requests {
                drawn[index] += 1;
            }
        }
        // 0.25 ± 5 standard errors.
        let se = (0.25_f64 * 0.75 / 600.0).sqrt();
        for (request, count) in log.requests.iter().zip(&drawn) {
            let share = f64::from(*count) / 600.0;
            let want = if request.prompt.is_some() { 0.25 } else { 0.0 };
            assert!((share - want).abs() < 5.0 * se, "{}: {share}", request.id);
        }
    }
}
