//! The engine in a batch job: JSONL in, JSONL out, resumed where it was cut off.
//!
//! ```sh
//! cargo run -p plimsoll-store --example batch -- requests.jsonl decisions.jsonl [router.snapshot]
//! ```
//!
//! A decision is a function of snapshot, id and seed. A job that was killed goes on after its last
//! whole line, and the file is byte for byte what it would have been.

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use plimsoll::{
    ArmId, ArmSpec, Call, CostPredictor, EpsilonGreedy, MeanConfig, RawContext, Router, Seed,
    Workspace,
};
use serde::{Deserialize, Serialize};

const SEED: Seed = Seed(7);

#[derive(Deserialize)]
struct Line {
    id: String,
    text: Option<String>,
    task: Option<String>,
    input_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Decided<'a> {
    id: &'a str,
    arm: &'a ArmId,
    propensity: f64,
    expected_cost_usd: Option<f64>,
}

/// Decides every request of `input` that `output` has no line for; how many that were.
fn run(router: &Router, input: &Path, output: &Path) -> Result<usize, Box<dyn Error>> {
    let done = whole_lines(output)?;
    let mut out = BufWriter::new(OpenOptions::new().create(true).append(true).open(output)?);
    let (mut work, mut decided) = (Workspace::default(), 0);
    for (number, line) in BufReader::new(File::open(input)?)
        .lines()
        .enumerate()
        .skip(done)
    {
        let line: Line = serde_json::from_str(&line?).map_err(|error| {
            format!("line {}, column {}: no request", number + 1, error.column())
        })?;
        let context = router.context(&RawContext {
            text: line.text.as_deref(),
            task: line.task.as_deref(),
            input_tokens: line.input_tokens,
            embedding: None,
        })?;
        let choice = router.choose(&Call::new(&context, &line.id, SEED), &mut work)?;
        serde_json::to_writer(
            &mut out,
            &Decided {
                id: &line.id,
                arm: &router.arms()[choice.arm].id,
                propensity: choice.propensity.get(),
                expected_cost_usd: work.costs[choice.arm],
            },
        )?;
        out.write_all(b"\n")?;
        decided += 1;
    }
    out.flush()?;
    Ok(decided)
}

/// Cuts off an unfinished last line; the number of lines before it.
fn whole_lines(output: &Path) -> Result<usize, Box<dyn Error>> {
    if !output.exists() {
        return Ok(0);
    }
    let (mut reader, mut line) = (BufReader::new(File::open(output)?), Vec::new());
    let (mut lines, mut whole) = (0, 0_u64);
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.ends_with(b"\n") {
            lines += 1;
            whole += line.len() as u64;
        }
        line.clear();
    }
    OpenOptions::new()
        .write(true)
        .open(output)?
        .set_len(whole)?;
    Ok(lines)
}

/// Without a snapshot: two arms, of which one in ten requests tries either.
fn fresh() -> Result<Router, Box<dyn Error>> {
    let arms = vec![
        ArmSpec::new(ArmId::new("small")?).priced("0.10".parse()?, "0.40".parse()?),
        ArmSpec::new(ArmId::new("large")?).priced("2.50".parse()?, "10".parse()?),
    ];
    let cost = CostPredictor::fit(&arms, [])?;
    let policy = EpsilonGreedy::default().policy(2, MeanConfig::default())?;
    Ok(Router::with_policy(arms, None, cost, Box::new(policy))?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, rest @ ..] = args.as_slice() else {
        return Err("usage: batch REQUESTS.jsonl DECISIONS.jsonl [ROUTER.snapshot]".into());
    };
    let router = match rest {
        [snapshot, ..] => Router::restore(&fs::read(snapshot)?)?,
        [] => fresh()?,
    };
    let decided = run(&router, Path::new(input), Path::new(output))?;
    eprintln!(
        "decided {decided} requests with router {}",
        &router.state_hash()[..16]
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_was_cut_off_anywhere_ends_with_the_same_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        let request = |i: u64| {
            format!("{{\"id\": \"r-{i}\", \"text\": \"{i} words\", \"input_tokens\": {i}}}")
        };
        let requests: Vec<_> = (0..40).map(request).collect();
        fs::write(&input, requests.join("\n")).expect("writes");
        let router = fresh().expect("builds");
        assert_eq!(run(&router, &input, &output).expect("runs"), 40);
        let whole = fs::read(&output).expect("reads");
        assert_eq!(String::from_utf8_lossy(&whole).lines().count(), 40);
        // A router from its snapshot decides alike.
        let restored = Router::restore(&router.snapshot()).expect("restores");
        for cut in [0, 1, 100, whole.len() / 2, whole.len() - 1, whole.len()] {
            fs::write(&output, &whole[..cut]).expect("writes");
            run(&restored, &input, &output).expect("resumes");
            assert_eq!(fs::read(&output).expect("reads"), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_broken_line_is_named_without_its_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        fs::write(&input, "{\"id\": \"r-1\"}\n{\"id\": secret}\n").expect("writes");
        let error = run(&fresh().expect("builds"), &input, &output).expect_err("refused");
        let text = error.to_string();
        assert!(
            text.starts_with("line 2, column") && !text.contains("secret"),
            "{text}"
        );
    }
}
