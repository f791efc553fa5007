//! Which requests are asked again: a sample by task and length of the prompt.

use std::collections::BTreeMap;

use plimsoll::Seed;
use plimsoll_datasets::{OutcomeLog, Request};

/// A sample of a log's requests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// In the order in which they are asked: at random, so that whatever a spent budget leaves out
    /// is spread over all strata.
    pub(crate) requests: Vec<Sampled>,
    /// Requests that could have been drawn: those with a prompt.
    pub(crate) eligible: usize,
    /// Strata that were drawn from.
    pub(crate) strata: usize,
}

/// A sampled request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sampled {
    /// Index into the log's requests.
    pub(crate) request: usize,
    /// Probability with which it was drawn: sampled in its stratum over all in it.
    pub(crate) propensity: f64,
}

/// Draws `wanted` requests, or all there are.
///
/// Strata are tasks by quarters of the prompts' lengths; with fewer draws than strata, tasks alone,
/// then the whole. Each gets its share of the draws and at least one; within it every request is
/// as likely as every other.
pub(crate) fn draw(log: &OutcomeLog, wanted: usize, seed: Seed) -> Sample {
    let has_prompt = |request: &Request| request.prompt.as_deref().is_some_and(|p| !p.is_empty());
    let eligible: Vec<usize> = (0..log.requests.len())
        .filter(|index| has_prompt(&log.requests[*index]))
        .collect();
    let wanted = wanted.min(eligible.len());
    let strata = strata(log, &eligible, wanted);
    let sizes: Vec<usize> = strata.iter().map(Vec::len).collect();
    let mut requests = Vec::with_capacity(wanted);
    for (mut stratum, take) in strata.into_iter().zip(allocate(&sizes, wanted)) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of requests stay below 2^53"
        )]
        let propensity = take as f64 / stratum.len() as f64;
        stratum.sort_by_cached_key(|index| key(seed, b"draw", &log.requests[*index].id));
        let drawn = stratum.into_iter().take(take);
        requests.extend(drawn.map(|request| Sampled {
            request,
            propensity,
        }));
    }
    requests.sort_by_cached_key(|sampled| key(seed, b"order", &log.requests[sampled.request].id));
    Sample {
        requests,
        eligible: eligible.len(),
        strata: sizes.len(),
    }
}

fn key(seed: Seed, part: &[u8], id: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"plimsoll collect sample v1").update(part);
    hasher.update(&seed.0.to_le_bytes()).update(id.as_bytes());
    *hasher.finalize().as_bytes()
}

/// The finest strata of which each can have a draw.
fn strata(log: &OutcomeLog, eligible: &[usize], wanted: usize) -> Vec<Vec<usize>> {
    let length = |index: usize| log.requests[index].prompt.as_deref().map_or(0, str::len);
    let mut lengths: Vec<usize> = eligible.iter().map(|index| length(*index)).collect();
    lengths.sort_unstable();
    let cuts: Vec<usize> = (1..4)
        .filter_map(|quarter| lengths.get(lengths.len() * quarter / 4).copied())
        .collect();
    let quarter = |index: usize| cuts.iter().filter(|cut| length(index) >= **cut).count();
    let task = |index: usize| log.requests[index].task.as_deref().unwrap_or_default();
    let by = |of: &dyn Fn(usize) -> (String, usize)| {
        let mut groups: BTreeMap<(String, usize), Vec<usize>> = BTreeMap::new();
        for index in eligible {
            groups.entry(of(*index)).or_default().push(*index);
        }
        groups.into_values().collect::<Vec<_>>()
    };
    let fine = by(&|index| (task(index).to_owned(), quarter(index)));
    if fine.len() <= wanted {
        return fine;
    }
    let tasks = by(&|index| (task(index).to_owned(), 0));
    if tasks.len() <= wanted {
        tasks
    } else {
        by(&|_| (String::new(), 0))
    }
}

/// Draws per stratum: shares by size, at least one each, no more than there are; they sum to
/// `wanted`, which is at least the number of strata (or there is one).
fn allocate(sizes: &[usize], wanted: usize) -> Vec<usize> {
    let total: usize = sizes.iter().sum();
    if total == 0 {
        return vec![0; sizes.len()];
    }
    // Whole parts first; remainders are compared exactly, in units of 1/total.
    let exact = |size: usize| size as u128 * wanted as u128;
    let total = total as u128;
    let whole = |size: &usize| usize::try_from(exact(*size) / total).unwrap_or(usize::MAX);
    let mut takes: Vec<usize> = sizes
        .iter()
        .map(|size| whole(size).max(1).min(*size))
        .collect();
    loop {
        let taken: usize = takes.iter().sum();
        // Positive: the stratum has less than its share.
        let lacks = |at: usize| {
            i128::try_from(exact(sizes[at])).unwrap_or(i128::MAX)
                - i128::try_from(takes[at] as u128 * total).unwrap_or(i128::MAX)
        };
        let all = 0..sizes.len();
        if taken < wanted {
            let next = all
                .filter(|at| takes[*at] < sizes[*at])
                .max_by_key(|at| (lacks(*at), sizes.len() - at));
            match next {
                Some(at) => takes[at] += 1,
                None => return takes,
            }
        } else if taken > wanted {
            let next = all
                .filter(|at| takes[*at] > 1)
                .min_by_key(|at| (lacks(*at), *at));
            match next {
                Some(at) => takes[at] -= 1,
                None => return takes,
            }
        } else {
            return takes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stratum_has_its_share_and_at_least_one() {
        for (sizes, wanted, want) in [
            (&[10, 10][..], 4, &[2, 2][..]),
            (&[97, 2, 1], 10, &[8, 1, 1]),
            (&[3, 3, 3], 9, &[3, 3, 3]),
            (&[5, 5, 5], 4, &[2, 1, 1]),
            (&[1000, 1], 2, &[1, 1]),
            (&[7], 3, &[3]),
            (&[], 0, &[]),
        ] {
            assert_eq!(allocate(sizes, wanted), want, "{sizes:?} {wanted}");
        }
        for wanted in 4..=60 {
            let sizes = [30, 1, 17, 12];
            let takes = allocate(&sizes, wanted);
            assert_eq!(takes.iter().sum::<usize>(), wanted);
            assert!(
                takes
                    .iter()
                    .zip(&sizes)
                    .all(|(take, size)| (1..=*size).contains(take))
            );
        }
    }

    fn log() -> OutcomeLog {
        let request = |index: usize| Request {
            id: format!("r{index}"),
            prompt: (index % 10 != 9).then(|| "x".repeat(index % 40 + 1)),
            task: (index % 3 > 0).then(|| format!("t{}", index % 3)),
            ..Request::default()
        };
        OutcomeLog {
            requests: (0..400).map(request).collect(),
            ..OutcomeLog::default()
        }
    }

    #[test]
    fn a_sample_is_a_function_of_the_seed_and_knows_its_chances() {
        let log = log();
        let sample = draw(&log, 90, Seed(1));
        assert_eq!(
            (sample.requests.len(), sample.eligible, sample.strata),
            (90, 360, 12)
        );
        assert_eq!(sample, draw(&log, 90, Seed(1)));
        assert_ne!(sample.requests, draw(&log, 90, Seed(2)).requests);
        // Horvitz and Thompson: weights by 1/propensity count the population, stratum by stratum.
        let weights: f64 = sample.requests.iter().map(|s| 1.0 / s.propensity).sum();
        assert!((weights - 360.0).abs() < 1e-9, "{weights}");
        assert!(
            sample
                .requests
                .iter()
                .all(|s| log.requests[s.request].prompt.is_some())
        );
        let all = draw(&log, 10_000, Seed(1));
        assert_eq!(all.requests.len(), 360);
        assert!(all.requests.iter().all(|s| s.propensity == 1.0));
        // Fewer draws than strata: nobody's chance is nil.
        assert_eq!(draw(&log, 4, Seed(1)).strata, 3);
        assert_eq!(draw(&log, 2, Seed(1)).strata, 1);
    }

    #[test]
    fn every_request_is_drawn_about_as_often_as_its_chance_says() {
        let log = log();
        let mut drawn = vec![0_u32; log.requests.len()];
        let mut chance = vec![0.0; log.requests.len()];
        for seed in 0..400 {
            for sampled in draw(&log, 90, Seed(seed)).requests {
                drawn[sampled.request] += 1;
                chance[sampled.request] = sampled.propensity;
            }
        }
        for (count, chance) in drawn
            .iter()
            .zip(&chance)
            .filter(|(_, chance)| **chance > 0.0)
        {
            let sd = (chance * (1.0 - chance) / 400.0).sqrt();
            assert!((f64::from(*count) / 400.0 - chance).abs() < 5.0 * sd + 1e-12);
        }
    }
}
