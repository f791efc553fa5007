//! `plimsoll prices`: lists, differences and imports, as they are typed.

mod common;

use std::fs;
use std::path::Path;

use common::{code, folder, names, plimsoll, run, stderr, stdout};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with `litellm.json`, `openrouter.json` and `ours.toml`.
fn folder_with_catalogues() -> TempDir {
    let folder = folder();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../datasets/tests/prices");
    for name in ["litellm.json", "openrouter.json"] {
        fs::copy(from.join(name), folder.path().join(name)).expect("copied");
    }
    fs::write(folder.path().join("ours.toml"), OURS).expect("written");
    folder
}

const OURS: &str = "\
[arms.plain]
input = 0.25
output = 0.8
[arms.gone]
input = 1
output = 1
";

#[test]
fn an_import_accounts_for_every_model_and_field() {
    let folder = folder_with_catalogues();
    let output = run(folder.path(), "prices import litellm.json -o prices.toml");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    insta::assert_snapshot!("prices_import_report", stdout(&output));
    assert!(stderr(&output).contains("wrote prices.toml"));
    assert!(stderr(&output).contains("--since DATE"));
    let toml = fs::read_to_string(folder.path().join("prices.toml")).expect("written");
    assert!(toml.starts_with("# Prices in US dollars per million tokens, imported from LiteLLM"));

    // The same as data; nothing is overwritten; standard output can take the catalogue.
    let output = run(folder.path(), "prices import litellm.json --json");
    let json: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let import = &json["import"];
    let count = |key: &str| import[key].as_u64().expect(key);
    let skipped = import["skipped"].as_array().expect("a list").len() as u64;
    assert_eq!(count("imported") + skipped, count("models"));
    let output = run(
        folder.path(),
        "prices import openrouter.json -o prices.toml",
    );
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("error[P0702]"));
    let output = run(folder.path(), "prices import litellm.json -o -");
    assert_eq!(stdout(&output).trim_end(), toml.trim_end());
}

#[test]
fn a_failed_import_writes_nothing() {
    let folder = folder_with_catalogues();
    fs::write(folder.path().join("no.json"), "{\"a\": 1}").expect("written");
    for (words, exit, error) in [
        ("prices import no.json", 1, "P0410"),
        ("prices import litellm.json --from openrouter", 1, "P0410"),
        (
            "prices import litellm.json --only nothing-like-it",
            1,
            "P0411",
        ),
        ("prices import absent.json", 1, "P0704"),
        (
            "prices import litellm.json --since 2026-03-01 --merge no.json",
            1,
            "P0401",
        ),
    ] {
        let output = run(folder.path(), &format!("{words} -o out.toml"));
        assert_eq!(code(&output), exit, "{words}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(&format!("error[{error}]")),
            "{words}: {}",
            stderr(&output)
        );
        assert!(stdout(&output).is_empty(), "{words}");
    }
    for words in [
        "prices import litellm.json --since yesterday",
        "prices import litellm.json --merge ours.toml",
        "prices import litellm.json --only [",
        "prices list --at soon",
        "prices",
    ] {
        assert_eq!(code(&run(folder.path(), words)), 2, "{words}");
    }
    let mut left = names(folder.path());
    left.sort();
    assert_eq!(
        left,
        ["litellm.json", "no.json", "openrouter.json", "ours.toml"]
    );
}

#[test]
fn models_are_listed_with_all_that_is_known() {
    let folder = folder_with_catalogues();
    let output = run(folder.path(), "prices list tiers --prices litellm.json");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    insta::assert_snapshot!("prices_list_one", stdout(&output));
    assert!(stderr(&output).contains("11 of 25 models have prices that can be used"));
    insta::assert_snapshot!(
        "prices_list_all",
        stdout(&run(folder.path(), "prices list --prices openrouter.json"))
    );

    // Names of other catalogues are resolved and explained, or told apart.
    let output = stdout(&run(folder.path(), "prices list openai/gpt-4o-2024-08-06"));
    assert!(output.contains("is `gpt-4o`"), "{output}");
    let output = run(folder.path(), "prices list gpt-4o-2024-05-13");
    assert_eq!((code(&output), stdout(&output).as_str()), (2, ""));
    assert!(
        stderr(&output)
            .contains("error[P0408]: no price is known: `gpt-4o-2024-05-13` is not `gpt-4o`"),
        "{}",
        stderr(&output)
    );

    let words = "prices list --prices ours.toml --at 2026-03-01 --json";
    let json: Value = serde_json::from_str(&stdout(&run(folder.path(), words))).expect("JSON");
    assert_eq!(json["models"][1]["period"]["prices"]["input"], "0.25");
    assert_eq!(
        json["models"][1]["period"]["prices"]["cached_input"],
        Value::Null
    );
}

#[test]
fn differences_are_told_in_words_and_per_cent() {
    let folder = folder_with_catalogues();
    let output = run(folder.path(), "prices diff ours.toml litellm.json");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    insta::assert_snapshot!("prices_diff_words", stdout(&output));
    let json = stdout(&run(
        folder.path(),
        "prices diff ours.toml litellm.json --only plain --json",
    ));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        json["diff"]["changed"][0]["prices"][0]["change_percent"],
        -20.0
    );
}

#[test]
fn merged_prices_hold_from_their_day_on() {
    let folder = folder_with_catalogues();
    let import =
        "prices import litellm.json --since 2026-06-01 --merge ours.toml -o ours.toml --force";
    let output = run(folder.path(), import);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("10 new, 1 at a new price, 0 unchanged, 1 not in the new"));
    let log = "request_id,model,input_tokens,output_tokens,timestamp,service_tier\n\
               1,plain,1000000,0,2026-05-31T23:59:59Z,\n\
               2,plain,1000000,0,2026-06-01T00:00:00Z,\n\
               3,tiers,1000000,0,2026-05-31T23:59:59Z,\n\
               4,tiers,100000,0,2026-06-01T00:00:00Z,batch\n\
               5,tiers,100000,0,2026-06-01T00:00:00Z,flex\n\
               6,acme/plain,10,0,2026-06-01T00:00:00Z,\n";
    fs::write(folder.path().join("log.csv"), log).expect("written");
    let output = run(folder.path(), "validate log.csv --prices ours.toml --json");
    let json: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let pricing = &json["pricing"];
    assert_eq!(
        (&pricing["priced"], &pricing["unpriced"]),
        (&3.into(), &3.into()),
        "{pricing}"
    );
    assert_eq!(pricing["outside_periods"], 1);
    let text = stdout(&run(folder.path(), "validate log.csv --prices ours.toml"));
    for line in [
        "prices: 0 outcomes had a cost, 3 got one, 3 are unpriced",
        "no price for `acme/plain`, 1 outcomes: `acme/plain` is not known",
        "unpriced, 1 outcomes of `tiers`: no price for service tier `flex`",
        "1 outcomes unpriced, at a time for which no price is known",
        "costs of `tiers` are not complete for requests with regional_processing_uplift_multiplier_eu",
    ] {
        assert!(text.contains(line), "{text} lacks {line}");
    }
    // A catalogue of another kind is imported first, so that what it leaves out is seen.
    let output = run(folder.path(), "validate log.csv --prices litellm.json");
    assert_eq!(code(&output), 1);
    assert!(
        stderr(&output).contains("plimsoll prices import litellm.json"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_catalogue_comes_from_stdin_and_a_hostile_name_stays_text() {
    let folder = folder();
    let json = r#"{"a\u001b[31m\nb": {"input_cost_per_token": 1e-7, "output_cost_per_token": 1e-7, "litellm_provider": "p", "mode": "chat"},
                   "c\u001b[31m": {"mode": "chat", "litellm_provider": "p"}}"#;
    fs::write(folder.path().join("in.json"), json).expect("written");
    let file = fs::File::open(folder.path().join("in.json")).expect("a file");
    let output = plimsoll(folder.path())
        .args(["prices", "import", "-", "-o", "out.toml"])
        .stdin(file)
        .output()
        .expect("it runs");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let all = run(folder.path(), "prices list --prices out.toml");
    assert_eq!(code(&all), 0, "{}", stderr(&all));
    for text in [stdout(&output), stderr(&output), stdout(&all)] {
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
