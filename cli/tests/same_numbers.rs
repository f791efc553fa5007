//! One seed, one result: the same bytes on any number of threads, the same numbers in every format.

mod common;

use std::fs;

use common::{code, folder_with_logs, run, stderr, stdout};

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    let folder = folder_with_logs(300);
    let mut first: Option<(String, String)> = None;
    for threads in [1, 2, 8] {
        let page = format!("t{threads}.html");
        let words = format!("replay log.jsonl --seed 5 --threads {threads} --json -o {page}");
        let output = run(folder.path(), &words);
        assert!(matches!(code(&output), 0 | 3 | 5), "{}", stderr(&output));
        let page = fs::read_to_string(folder.path().join(page)).expect("written");
        let got = (stdout(&output), page);
        assert!(!got.0.is_empty());
        let want = first.get_or_insert_with(|| got.clone());
        assert!(*want == got, "{threads} threads give other bytes");
    }
    let other = run(folder.path(), "replay log.jsonl --seed 6 --json");
    assert_ne!(
        first.expect("a run").0,
        stdout(&other),
        "another seed splits otherwise"
    );
}

/// The numbers of the headline, as the terminal, the page and the JSON show them.
#[test]
fn terminal_page_and_json_show_the_same_numbers() {
    let folder = folder_with_logs(400);
    let json = run(folder.path(), "replay log.jsonl --json");
    let evaluation: serde_json::Value = serde_json::from_str(&stdout(&json)).expect("JSON");
    let terminal = plain(&stdout(&run(folder.path(), "replay log.jsonl")));
    run(folder.path(), "replay log.jsonl -o r.html");
    run(folder.path(), "replay log.jsonl -o r.md");
    let page = plain(&fs::read_to_string(folder.path().join("r.html")).expect("written"));
    // The page's own copy of the data does not count as showing it.
    let page = page.split("<script").next().unwrap_or_default().to_owned();
    let markdown = plain(&fs::read_to_string(folder.path().join("r.md")).expect("written"));
    let percent =
        |value: &serde_json::Value| format!("{:.1}", value.as_f64().expect("a number") * 100.0);
    let quality = |value: &serde_json::Value| format!("{:.3}", value.as_f64().expect("a number"));
    let wanted = [
        percent(&evaluation["savings"]["fraction"]["point"]),
        quality(&evaluation["policy"]["quality"]["point"]),
        quality(&evaluation["floor"]["quality"]),
        evaluation["requests"]["evaluated"].to_string(),
        evaluation["baseline"]["model"]
            .as_str()
            .expect("a text")
            .to_owned(),
    ];
    for want in wanted {
        for (name, shown) in [
            ("terminal", &terminal),
            ("page", &page),
            ("markdown", &markdown),
        ] {
            assert!(shown.contains(&want), "{name} lacks {want}:\n{shown}");
        }
    }
}

/// Minus signs and spaces as a keyboard has them.
fn plain(text: &str) -> String {
    text.replace('\u{2212}', "-")
        .replace(['\u{202f}', '\u{a0}'], " ")
}
