//! Fifty looks at a growing log.

use plimsoll::{PredictorChoice, Seed};
use plimsoll_datasets::Request;
use plimsoll_harness::bounds::clopper_pearson_lower;
use plimsoll_harness::certificate::{
    Certificate, CheckOptions, Files, TuneOptions, Tuning, check, tune,
};

use super::world::{self, LINE};
use super::{DELTA, Evidence, Failure, count, policy, row};

/// Looks at a growing log, and requests between them.
const LOOKS: (usize, usize) = (50, 20);

/// Prints how often a certificate's check, and a bound for one look, prove what is not so.
pub(crate) fn looks(evidence: Evidence, runs: u64) -> Result<(), Failure> {
    let predictor = PredictorChoice::Tasks;
    let sealed = certificate(evidence)?;
    let wrong = count(runs, |seed| Ok(anytime_wrong(evidence, &sealed, seed)))?;
    row("looks", evidence, "certificate", predictor, runs, wrong);
    if evidence == Evidence::Full {
        let wrong = count(runs, |seed| Ok(naive_wrong(seed)))?;
        row("looks", evidence, "naive", predictor, runs, wrong);
    }
    Ok(())
}

/// A certified router, made on a log where there is much to save.
fn certificate(evidence: Evidence) -> Result<(Certificate, Vec<u8>), Failure> {
    let log = evidence.log("easy", 2000, 7, "c");
    let options = TuneOptions::new(policy("easy", PredictorChoice::Tasks), Seed(7));
    match tune(&evidence.input(&log), &options, &|_| ())? {
        Tuning::Certified(certified) => Ok(certified.seal("", Files::default())),
        Tuning::Refused(shortfall) => Err(shortfall.reasons.join("; ").into()),
    }
}

fn anytime_wrong(evidence: Evidence, sealed: &(Certificate, Vec<u8>), seed: u64) -> bool {
    let whole = evidence.log("aa", LOOKS.0 * LOOKS.1, 1_000_000 + seed, "l");
    let options = CheckOptions {
        resamples: 2,
        ..CheckOptions::default()
    };
    (1..=LOOKS.0).any(|look| {
        let mut part = whole.clone();
        part.requests.truncate(look * LOOKS.1);
        let got = check(&evidence.input(&part), &sealed.0, &sealed.1, &options);
        got.is_ok_and(|got| got.bound.low > 0.0)
    })
}

/// The exact bound for one look, read fifty times.
fn naive_wrong(seed: u64) -> bool {
    let whole = world::log("aa", LOOKS.0 * LOOKS.1, 1_000_000 + seed, "l");
    let good = |request: &Request| request.outcomes[0].quality.is_some_and(|q| q.get() > 0.5);
    (1..=LOOKS.0).any(|look| {
        let part = &whole.requests[..look * LOOKS.1];
        let successes = part.iter().filter(|r| good(r)).count() as u64;
        clopper_pearson_lower(successes, part.len() as u64, DELTA).is_some_and(|low| low > LINE)
    })
}
