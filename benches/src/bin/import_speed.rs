//! Importing a large JSONL of `LiteLLM` payloads beside a Polars scan of the same file.
//!
//! `cargo run --release -p plimsoll-benches --bin import_speed -- [MEGABYTES]`
//!
//! A file of about that size (1,000 by default) is generated in the temporary folder and kept
//! there. Each side runs in a process of its own, in turns: Polars scans the lines and sums three
//! numbers of every row; the import parses, groups by request, redacts, and writes Parquet.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use plimsoll_benches::process::{child, measured, median};
use plimsoll_datasets::{ImportKind, ImportOptions, Input, import};
use polars::prelude::{LazyFileListReader, LazyJsonLineReader, PlRefPath, col, len};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs of each side.
const RUNS: usize = 3;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--scan", log] => measured(|| scan(Path::new(log))),
        ["--import", log] => measured(|| bring_in(Path::new(log))),
        [] => compare(1_000),
        [megabytes] => compare(megabytes.parse()?),
        _ => Err("usage: import_speed [MEGABYTES]".into()),
    }
}

fn compare(megabytes: u32) -> Result<()> {
    let path = std::env::temp_dir().join(format!("plimsoll-payloads-{megabytes}.jsonl"));
    if !path.exists() {
        generate(&path, u64::from(megabytes) * 1_000_000)?;
    }
    let size = f64::from(u32::try_from(path.metadata()?.len() / 1_000)?) / 1e3;
    let (mut scans, mut imports) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        scans.push(child("--scan", &path)?);
        imports.push(child("--import", &path)?);
    }
    for (name, runs) in [("polars scan", &scans), ("import", &imports)] {
        let wall = median(runs.iter().map(|run| run.wall_seconds).collect());
        let cpu = median(runs.iter().map(|run| run.cpu_seconds).collect());
        let peak = median(runs.iter().map(|run| run.peak_mib).collect());
        println!(
            "{name}: {:.0} MB/s, {:.0} MB per CPU-second, {peak:.0} MiB at most ({size:.0} MB, \
             medians of {RUNS})",
            size / wall,
            size / cpu
        );
    }
    Ok(())
}

/// Reads every line and sums what a bill would be made of.
fn scan(path: &Path) -> Result<()> {
    let frame = LazyJsonLineReader::new(PlRefPath::new(path.to_string_lossy()))
        .with_infer_schema_length(std::num::NonZeroUsize::new(1_000))
        .finish()?
        .select([
            col("response_cost").sum(),
            col("prompt_tokens").sum(),
            col("completion_tokens").sum(),
            len(),
        ])
        .collect_with_engine(polars::prelude::Engine::Streaming)?
        .unwrap_single();
    println!("{} rows", frame.height());
    Ok(())
}

fn bring_in(path: &Path) -> Result<()> {
    let to: PathBuf = path.with_extension(format!("{}.parquet", std::process::id()));
    let options = ImportOptions::new(ImportKind::Litellm);
    let report = import(&[Input::Path(path.to_owned())], &options, &to, &|_| ())?;
    println!("{} rows", report.rows);
    std::fs::remove_file(to)?;
    Ok(())
}

/// Payloads as `LiteLLM` writes them, prices of the model's row and all: about 6 kB each.
fn generate(path: &Path, bytes: u64) -> Result<()> {
    let staged = path.with_extension("part");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&staged)?);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let words = [
        "order",
        "invoice",
        "why",
        "please",
        "the",
        "model",
        "answers",
        "never",
        "late",
        "again",
        "parcel",
        "translate",
        "function",
        "returns",
        "summary",
    ];
    let mut written = 0;
    for n in 0_u64.. {
        if written >= bytes {
            break;
        }
        let mut text = |least: u64, most: u64| {
            let count = least + random.next_u64() % (most - least);
            let word = |_| words[usize::try_from(random.next_u64() % 15).unwrap_or(0)];
            (0..count).map(word).collect::<Vec<_>>().join(" ")
        };
        let (prompt, answer) = (text(20, 300), text(20, 400));
        let (input, output) = (prompt.len() / 4, answer.len() / 4);
        let start = 1_790_000_000.0 + f64::from(u32::try_from(n)?) * 0.37;
        let cost = format!(
            "{:.9}",
            f64::from(u32::try_from(input + 4 * output)?) * 1.5e-7
        );
        let price = |k| format!(",\"input_cost_per_token_kind_{k}\":null");
        let prices = (0..60).map(price).collect::<Vec<_>>().concat();
        let line = format!(
            concat!(
                r#"{{"id":"chatcmpl-{n}","litellm_call_id":"call-{n}","trace_id":"trace-{t}","#,
                r#""session_id":"","call_type":"acompletion","cache_hit":null,"stream":null,"#,
                r#""status":"success","custom_llm_provider":"openai","startTime":{start},"#,
                r#""endTime":{end},"response_time":1.25,"model":"openai/gpt-4o-mini","#,
                r#""model_group":"gpt-4o-mini","response_cost":{cost},"prompt_tokens":{input},"#,
                r#""completion_tokens":{output},"total_tokens":{total},"cost_breakdown":"#,
                r#"{{"total_cost":{cost},"service_tier":null}},"metadata":{{"user_api_key_team_id":"#,
                r#""team-{team}","usage_object":{{"prompt_tokens":{input},"completion_tokens":"#,
                r#"{output},"prompt_tokens_details":{{"cached_tokens":0}},"#,
                r#""completion_tokens_details":{{"reasoning_tokens":0}}}}}},"request_tags":[],"#,
                r#""messages":[{{"role":"system","content":"You help."}},{{"role":"user","#,
                r#""content":"{prompt}"}}],"response":{{"id":"chatcmpl-{n}","choices":[{{"message":"#,
                r#"{{"role":"assistant","content":"{answer}"}}}}]}},"model_map_information":"#,
                r#"{{"model_map_key":"gpt-4o-mini","model_map_value":{{"key":"gpt-4o-mini"{prices}}}}}}}"#,
                "\n"
            ),
            n = n,
            t = n / 3,
            start = start,
            end = start + 1.25,
            cost = cost,
            input = input,
            output = output,
            total = input + output,
            team = n % 40,
            prompt = prompt,
            answer = answer,
            prices = prices,
        );
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    out.into_inner()?.sync_all()?;
    std::fs::rename(staged, path)?;
    Ok(())
}
