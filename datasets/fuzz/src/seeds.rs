//! Inputs to begin with: small and harmless, one of each kind there is.

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll::{Propensity, Quality};
use plimsoll_datasets::{ImportKind, LogRow, LogWriter, log_columns};

use crate::bound::folder;
use crate::import::prefix;
use crate::parquet_bytes::{
    Chunk, DELTA_BINARY_PACKED, DELTA_BYTE_ARRAY, DELTA_LENGTH_BYTE_ARRAY, Physical, deltas, equal,
    parquet,
};
use crate::parts::DIVIDER;

/// Folders of the datasets' own tests whose files are seeds too, by target.
#[must_use]
pub fn borrowed() -> Vec<(&'static str, PathBuf)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    vec![
        ("import", here.join("../tests/import/fixtures")),
        ("prices", here.join("../tests/prices")),
        ("prices", here.join("../catalogue")),
    ]
}

/// A log in the encodings by differences, which our own writer does not use.
fn differences() -> Vec<u8> {
    let chunks = [
        Chunk::texts("request_id", &["a", "b", "c"].map(str::to_owned)),
        Chunk::new(
            "model",
            Physical::Text,
            DELTA_LENGTH_BYTE_ARRAY,
            3,
            [deltas(&[1, 2, 1]), b"mlmm".to_vec()].concat(),
        ),
        Chunk::new(
            "prompt",
            Physical::Text,
            DELTA_BYTE_ARRAY,
            3,
            [
                deltas(&[0, 3, 3]),
                deltas(&[5, 7, 1]),
                b"Helloicopterp".to_vec(),
            ]
            .concat(),
        ),
        Chunk::new(
            "input_tokens",
            Physical::Integer,
            DELTA_BINARY_PACKED,
            3,
            equal(3, 7, 128),
        ),
        Chunk::floats("propensity", &[0.5; 3]),
    ];
    parquet(3, &chunks)
}

/// Target, name and bytes of every seed.
#[must_use]
pub fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for ending in ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz", "parquet"] {
        let target = match ending.split('.').next() {
            Some("csv") => "log_csv",
            Some("parquet") => "log_parquet",
            _ => "log_jsonl",
        };
        for (name, columns, rows) in logs() {
            let bytes = written(ending, &columns, &rows);
            seeds.push((target, format!("{name}.{ending}"), bytes));
        }
    }
    let mut add = |target, name: &str, bytes: Vec<u8>| {
        seeds.push((target, name.to_owned(), bytes));
    };
    for (name, text) in ODD_LOGS {
        add(
            if name.ends_with("jsonl") {
                "log_jsonl"
            } else {
                "log_csv"
            },
            name,
            text.into(),
        );
    }
    for (name, files) in TOGETHER {
        add("import", name, together(&files.map(fixture)));
    }
    for kind in ImportKind::ALL {
        let name = kind.name().replace('-', "_");
        let Some(first) = first_fixture(&name) else {
            continue;
        };
        for bits in [0b1001, 0b0010] {
            let mut bytes = prefix(*kind, bits).to_vec();
            bytes.extend(fixture(&first));
            add("import", &format!("{name}_{bits}"), bytes);
        }
    }
    add("log_parquet", "deltas.parquet", differences());
    let mut parquet = prefix(ImportKind::Table, 0).to_vec();
    let (_, _, rows) = logs().remove(0);
    let columns = ["request_id", "model", "id", "stars", "cost_cents"];
    parquet.extend(written("parquet", &columns, &rows));
    add("import", "table.parquet", parquet);
    for (name, text) in LABELS {
        add("labels", name, text.into());
    }
    for (name, text) in PRICES {
        add("prices", name, text.into());
    }
    seeds
}

fn first_fixture(kind: &str) -> Option<String> {
    let (_, folder) = borrowed().remove(0);
    let entries = fs::read_dir(folder).expect("the fixtures");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let names = names.map(|name| name.expect("a name"));
    names.filter(|name| name.starts_with(kind)).min()
}

fn fixture(name: impl AsRef<Path>) -> Vec<u8> {
    let (_, folder) = borrowed().remove(0);
    fs::read(folder.join(name)).expect("a fixture")
}

fn together(files: &[Vec<u8>]) -> Vec<u8> {
    files.join(DIVIDER)
}

/// A log as its writer writes it.
fn written(ending: &str, columns: &[&str], rows: &[LogRow]) -> Vec<u8> {
    let path = folder().join(format!("seed.{ending}"));
    let mut writer = LogWriter::create(&path, columns).expect("a seed");
    for row in rows {
        writer.write(row).expect("a row");
    }
    writer.finish().expect("a seed");
    let bytes = fs::read(&path).expect("a seed");
    fs::remove_file(&path).expect("a seed");
    bytes
}

type Log = (&'static str, Vec<&'static str>, Vec<LogRow>);

fn logs() -> Vec<Log> {
    let all: Vec<&str> = log_columns()
        .map(|(name, _)| name)
        .chain(["start", "end", "id", "stars", "cost_cents"])
        .collect();
    let row = |at: u32, model: &str| LogRow {
        request_id: format!("r{}", at / 2),
        model: model.to_owned(),
        quality: Quality::new(f64::from(at % 3) / 2.0).ok(),
        cost: format!("0.00{at}").parse().ok(),
        input_tokens: Some(u64::from(at) * 100),
        output_tokens: Some(30),
        cached_input_tokens: (at % 2 == 0).then_some(0),
        reasoning_tokens: (at % 4 == 0).then_some(7),
        timestamp_us: Some(1_772_323_200_000_000 + i64::from(at / 2) * 60_000_000),
        propensity: Propensity::new(0.25).ok(),
        served: Some(at % 2 == 0),
        prompt: Some(format!("Write \"{}\", in Rust…\n", at / 2)),
        embedding: Some(vec![0.5, -1.0]),
        task: Some("code".to_owned()),
        tenant: Some(format!("t{}", at / 4)),
        session_id: Some(format!("s{}", at / 4)),
        candidates: Some(vec!["small".to_owned(), "large".to_owned()]),
        latency_ms: Some(12.5),
        status: Some("ok".to_owned()),
        extra: vec![
            ("start".to_owned(), "2026-03-01T00:00:00Z".to_owned()),
            ("end".to_owned(), "2026-03-01T00:00:01Z".to_owned()),
            ("id".to_owned(), format!("r{at}")),
            ("stars".to_owned(), "4".to_owned()),
            ("cost_cents".to_owned(), "12".to_owned()),
        ],
    };
    let full: Vec<LogRow> = (0..6)
        .map(|at| row(at, if at % 2 == 0 { "small" } else { "large" }))
        .collect();
    let sparse = |row: &LogRow| LogRow {
        request_id: row.request_id.clone(),
        model: row.model.clone(),
        quality: row.quality.filter(|_| row.served == Some(true)),
        cost: row.cost,
        ..LogRow::default()
    };
    let logged = |row: &LogRow| LogRow {
        request_id: format!("{}{}", row.request_id, row.model),
        embedding: None,
        candidates: None,
        ..row.clone()
    };
    let streamed = [
        "request_id",
        "model",
        "quality",
        "cost_usd",
        "propensity",
        "prompt",
        "timestamp",
        "task",
    ];
    vec![
        ("full", all, full.clone()),
        (
            "sparse",
            vec!["request_id", "model", "quality", "cost_usd"],
            full.iter().map(sparse).collect(),
        ),
        ("logged", streamed.into(), full.iter().map(logged).collect()),
    ]
}

const ODD_LOGS: [(&str, &str); 6] = [
    (
        "odd_numbers.jsonl",
        "{\"request_id\":\"a\",\"model\":\"m\",\"quality\":-0.0,\"cost_usd\":1e-12}\n\
         {\"request_id\":\"b\",\"model\":\"m\",\"quality\":1e400,\"cost_usd\":\"0.1\"}\n\
         {\"request_id\":\"c\",\"model\":\"m\",\"input_tokens\":18446744073709551615}\n",
    ),
    (
        "odd_texts.jsonl",
        "\u{feff}{\"request_id\":\"\\ud83d\\ude00\",\"model\":\"m\",\"x\":{\"y\":[1,\"a\"]}}\r\n\
         {\"request_id\":\"a\",\"request_id\":\"b\",\"model\":\"m\"}\n\n",
    ),
    (
        "times.jsonl",
        "{\"request_id\":\"a\",\"model\":\"m\",\"timestamp\":1772323200000}\n\
         {\"request_id\":\"b\",\"model\":\"m\",\"timestamp\":\"2026-03-01T12:00:00+02:00\"}\n",
    ),
    (
        "odd_numbers.csv",
        "request_id,model,quality,cost_usd,served,candidates\na,m,.5,1e-3,true,\"[\"\"m\"\"]\"\n\
         b,m,NaN,-1,0,m\n",
    ),
    (
        "semicolons.csv",
        "\u{feff}request_id;model;quality;x\r\na;m;1;\"two\nlines\"\r\nb;m;0;\r\n",
    ),
    (
        "tabs.csv",
        "request_id\tmodel\tquality\ttimestamp\na\tm\t1\t1772323200000\n",
    ),
];

/// Fixtures that belong together.
const TOGETHER: [(&str, [&str; 3]); 4] = [
    (
        "langfuse",
        [
            "langfuse_observations.jsonl",
            "langfuse_scores.jsonl",
            "langfuse_traces.jsonl",
        ],
    ),
    (
        "tensorzero",
        [
            "tensorzero_model_inference.jsonl",
            "tensorzero_chat_inference.jsonl",
            "tensorzero_boolean_metric_feedback.jsonl",
        ],
    ),
    (
        "openai_batch",
        [
            "openai_batch_output.jsonl",
            "openai_batch_input.jsonl",
            "openai_batch_errors.jsonl",
        ],
    ),
    (
        "obd",
        ["obd_all.csv", "obd_men.csv", "obd_item_context.csv"],
    ),
];

const LABELS: [(&str, &str); 8] = [
    (
        "stars",
        "quality stars\nscale 1..5\nkeep note\nmap cost_usd=cost_cents/100\n",
    ),
    ("falling", "quality stars\nscale 5..1\ngroup model\n"),
    ("thumbs", "quality thumbs:vote\n"),
    (
        "expression",
        "quality if(stars >= 4, 1, 0)\nmap latency_ms=math::pow(stars, 2) % 7\n",
    ),
    ("nested", "quality m.x\nmap task=str::to_uppercase(vote)\n"),
    (
        "joined",
        "quality score\non id\nscale 0..10\n\n--8<--\nid,score\na,7\nb,\nc,10\na,7\n",
    ),
    (
        "joined_json",
        "quality thumbs:vote\non trace.id\n\n--8<--\n[{\"trace\":{\"id\":\"a\"},\"vote\":\"thumbs_up\"},\
         {\"trace\":{\"id\":\"b\"},\"vote\":\"👎\"}]",
    ),
    (
        "calls",
        "quality stars - 1\nmap tenant=who\n\n--8<--\n\n--8<--\nid,model,stars,who\na,m,1.5,x\nb,n,2,y\n",
    ),
];

const PRICES: [(&str, &str); 4] = [
    (
        "ours.toml",
        "date = 2026-10-01\n[arms.\"small\"]\ninput = 0.15\noutput = \"0.60\"\ncached_input = 0.075\n\
         cache_write = 0.1875\ncache_write_1h = 0.30\nper_request = 0.005\n\
         context_window_tokens = 128000\ncapabilities = [\"tools\"]\naliases = [\"vendor/small\"]\n\
         provider = \"vendor\"\nnot_priced = [\"web_search\"]\nrates = [\n\
         { service_tier = \"batch\", input = 0.075, output = 0.30 },\n\
         { above_input_tokens = 200000, input = 0.30, output = 0.90 },\n\
         { windows = [\"sat,sun 00:00-24:00\", \"16:30-24:00\"], input = 0.10, output = 0.40 },\n]\n",
    ),
    (
        "periods.toml",
        "[arms.\"large\"]\nperiods = [\n{ valid_until = 2026-06-01, input = 5, output = 25 },\n\
         { valid_from = 2026-06-01, input = 4, output = 20 },\n]\n",
    ),
    (
        "litellm.json",
        "{\"sample_spec\":{\"mode\":\"chat\"},\"gpt-x\":{\"input_cost_per_token\":1.5e-07,\
         \"output_cost_per_token\":6e-07,\"input_cost_per_token_above_200k_tokens\":3e-07,\
         \"output_cost_per_token_above_200k_tokens\":9e-07,\"cache_read_input_token_cost\":7.5e-08,\
         \"input_cost_per_token_batches\":7.5e-08,\"output_cost_per_token_batches\":3e-07,\
         \"litellm_provider\":\"x\",\"mode\":\"chat\",\"max_input_tokens\":128000}}",
    ),
    (
        "openrouter.json",
        "{\"data\":[{\"id\":\"x/gpt-x\",\"canonical_slug\":\"x/gpt-x-2026-03-01\",\
         \"context_length\":128000,\"pricing\":{\"prompt\":\"0.00000015\",\
         \"completion\":\"0.0000006\",\"request\":\"0\",\"input_cache_read\":\"0.000000075\"}}]}",
    ),
];
