//! Seeds on two threads: each run depends on its seed alone.

use std::sync::Mutex;
use std::thread;

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

/// First of the seeds that are reported: settings were chosen on others, below it and from 1,000 on.
const FIRST_SEED: u64 = 100;

/// So many seeds on which nothing was chosen.
pub(crate) fn reported(seeds: u64) -> std::ops::Range<u64> {
    FIRST_SEED..FIRST_SEED + seeds
}

/// Runs `work` for every seed; results are in the order of the seeds.
pub(crate) fn over_seeds<T: Send>(
    seeds: impl Iterator<Item = u64>,
    work: impl Fn(u64) -> Anyhow<T> + Sync,
) -> Anyhow<Vec<T>> {
    let seeds: Vec<u64> = seeds.collect();
    let next = Mutex::new(0..seeds.len());
    let run = || -> Result<Vec<(usize, T)>, String> {
        let mut done = Vec::new();
        loop {
            let at = next.lock().map_err(|e| e.to_string())?.next();
            let Some(at) = at else { return Ok(done) };
            done.push((at, work(seeds[at]).map_err(|e| e.to_string())?));
        }
    };
    let mut done = thread::scope(|scope| {
        let other = scope.spawn(run);
        let mut done = run()?;
        done.extend(other.join().map_err(|_| "a run panicked".to_owned())??);
        Ok::<_, String>(done)
    })?;
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
