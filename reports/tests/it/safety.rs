//! Hostile text in every field of a log reaches no browser, terminal, spreadsheet or forge.

use crate::common::{self, hostile, hostile_scenario, insufficient};
use plimsoll_reports::{Format, Style, render_comparison, render_evaluation, render_explanation};

fn render(format: Format) -> String {
    render_evaluation(
        &hostile(),
        format,
        &Style {
            color: false,
            width: 100,
        },
    )
    .unwrap()
}

/// Every report of the hostile evaluation and of the hostile scenario.
fn renders(format: Format) -> [String; 2] {
    let style = Style::default();
    [hostile(), hostile_scenario()].map(|e| render_evaluation(&e, format, &style).unwrap())
}

/// What a browser would take for a tag of that name.
fn tags(page: &str, name: &str) -> usize {
    page.matches(&format!("<{name}")).count()
}

#[test]
fn r01_markup_in_a_log_stays_text() {
    let [page, scenario] = renders(Format::Html);
    assert_eq!(tags(&page, "img") + tags(&scenario, "img"), 0);
    assert_eq!(tags(&page, "script"), 2, "the data and our script");
    assert_eq!(tags(&scenario, "script"), 1, "the data");
    assert!(!scenario.contains("<!-- @everyone") && !scenario.contains('\u{2028}'));
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(!page.contains("<!-- @everyone"));
    assert!(!page.contains('\u{2028}'));
    assert!(page.contains("&#60;/script&#62;") || page.contains("&lt;/script&gt;"));
    let island = page
        .split_once("id=\"data\">")
        .unwrap()
        .1
        .split_once("</script>")
        .unwrap()
        .0;
    assert!(!island.contains(['<', '>', '&', '\u{2028}', '\u{2029}']));
    let data: serde_json::Value = serde_json::from_str(island).unwrap();
    assert_eq!(
        data["baseline"]["model"],
        common::HOSTILE,
        "escaping loses nothing"
    );
}

#[test]
fn r01_the_policy_allows_our_style_and_script_only() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let page = render(Format::Html);
    let policy = page
        .split_once("Content-Security-Policy\" content=\"")
        .unwrap()
        .1;
    let policy = policy.split_once('"').unwrap().0;
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let inline = page
            .split_once(open)
            .unwrap()
            .1
            .split_once(close)
            .unwrap()
            .0;
        let hash = sha2::Sha256::digest(inline.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        assert!(
            policy.contains(&format!("'sha256-{hash}'")),
            "{open} {policy}"
        );
    }
    assert!(
        !page.contains(" style=\""),
        "inline styles would be blocked"
    );
    assert!(!page.contains(" onerror=\"") && !page.contains(" onclick="));
}

#[test]
fn r01_the_page_asks_the_network_for_nothing() {
    for page in [
        render_evaluation(&insufficient(), Format::Html, &Style::default()).unwrap(),
        render_comparison(&common::comparison(), Format::Html, &Style::default()).unwrap(),
    ] {
        for outside in [
            "http://", "https://", "src=", "url(", "@import", "<link", "<iframe", "<base",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        for target in page.split("href=\"").skip(1) {
            assert!(target.starts_with('#'), "{}", &target[..40]);
        }
    }
}

#[test]
fn r02_a_terminal_executes_nothing() {
    for width in [0, 40, 80, 200] {
        let style = Style {
            color: false,
            width,
        };
        let evaluation = render_evaluation(&hostile(), Format::Terminal, &style).unwrap();
        let mut explanation = common::explanation();
        explanation.request_id = common::HOSTILE.to_owned();
        explanation.reason = common::HOSTILE.to_owned();
        explanation.arms[0].model = common::HOSTILE.to_owned();
        let explanation = render_explanation(&explanation, Format::Terminal, &style).unwrap();
        let scenario = render_evaluation(&hostile_scenario(), Format::Terminal, &style).unwrap();
        for text in [evaluation, scenario, explanation] {
            for character in text.chars() {
                let code = character as u32;
                let control = code < 0x20 && character != '\n' || (0x7f..=0x9f).contains(&code);
                let bidi = (0x202a..=0x202e).contains(&code) || (0x2066..=0x2069).contains(&code);
                assert!(
                    !control && !bidi && code != 0x2028,
                    "U+{code:04X} at width {width}"
                );
            }
        }
    }
    assert!(render(Format::Terminal).contains("\\x1b]8;;"));
}

#[test]
fn r02_colour_is_only_written_when_asked_for() {
    let colored = |color| {
        let style = Style { color, width: 80 };
        render_evaluation(&common::fixture(2, 2), Format::Terminal, &style).unwrap()
    };
    assert!(colored(true).starts_with("\u{1b}[1;32m✓ Ship\u{1b}[0m\n"));
    assert!(colored(false).starts_with("✓ Ship\n"));
    let bare = colored(true)
        .replace("\u{1b}[0m", "")
        .replace("\u{1b}[1;32m", "");
    assert_eq!(bare.replace("\u{1b}[1m", ""), colored(false));
}

#[test]
fn r03_a_spreadsheet_computes_nothing() {
    let mut evaluation = common::fixture(2, 1);
    for (bad, good) in [
        ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
    ] {
        evaluation.baseline.model = bad.to_owned();
        evaluation.verdict.reasons = vec![bad.to_owned()];
        let text = render_evaluation(&evaluation, Format::Csv, &Style::default()).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let find = |section: &str, metric: &str| {
            rows.iter()
                .find(|r| &r[0] == section && &r[2] == metric)
                .unwrap()
        };
        assert_eq!(&find("baseline", "quality")[1], good);
        assert_eq!(&find("verdict", "reason")[6], good);
        // Numbers keep their sign: they are numbers.
        let change = find("quality_change", "quality");
        assert_eq!(change[3].parse(), Ok(evaluation.quality_change.point));
        assert!(change[3].starts_with('-'));
    }
}

#[test]
fn r03_the_trust_panel_holds_no_formula() {
    let mut evaluation = common::observational();
    common::evidence::poison(&mut evaluation, "=HYPERLINK(\"x\")");
    let text = render_evaluation(&evaluation, Format::Csv, &Style::default()).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut sections = std::collections::BTreeSet::new();
    for row in reader.records().map(Result::unwrap) {
        for cell in [&row[0], &row[1], &row[2], &row[6]] {
            assert!(!cell.starts_with('='), "{row:?}");
            if cell.starts_with("'=") {
                sections.insert(row[0].to_owned());
            }
        }
    }
    for section in [
        "gate",
        "overlap",
        "balance",
        "missing",
        "interval",
        "estimator",
        "off_policy",
    ] {
        assert!(sections.contains(section), "{section} is not poisoned");
    }
}

#[test]
fn r03_every_number_reads_back_exactly() {
    let evaluation = common::fixture(3, 2);
    let text = render_evaluation(&evaluation, Format::Csv, &Style::default()).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers: Vec<String> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        headers,
        ["section", "name", "metric", "point", "low", "high", "text"]
    );
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    for row in &rows {
        for cell in [&row[3], &row[4], &row[5]] {
            assert!(cell.is_empty() || cell.parse::<f64>().is_ok(), "{row:?}");
        }
    }
    let cost = rows
        .iter()
        .find(|r| &r[0] == "policy" && &r[2] == "cost_usd")
        .unwrap();
    assert_eq!(cost[3].parse(), Ok(evaluation.policy.cost_usd.point));
    assert_eq!(cost[4].parse(), Ok(evaluation.policy.cost_usd.low));
    assert_eq!(cost[5].parse(), Ok(evaluation.policy.cost_usd.high));
}

#[test]
fn r04_a_comment_mentions_and_links_nobody() {
    for comment in renders(Format::Markdown) {
        check_comment(&comment);
    }
}

fn check_comment(comment: &str) {
    let text = without_code(comment);
    assert!(!text.contains("@everyone"), "a mention");
    assert!(!text.contains("http://"), "a link");
    assert!(!text.contains("](h"), "a link");
    assert!(!text.contains("<img") && !text.contains("<script") && !text.contains("<!--"));
    for line in text.lines().filter(|l| l.starts_with('|')) {
        let bars = line.replace("\\|", "").matches('|').count();
        assert!(bars >= 3 && line.ends_with('|'), "{line}");
    }
    let control = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}' || c == '\u{2028}';
    assert!(!comment.contains(control));
}

/// The comment without its fenced blocks, in which nothing is markup.
fn without_code(comment: &str) -> String {
    let mut fenced = false;
    let mut text = String::new();
    for line in comment.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            text.push_str(line);
            text.push('\n');
        }
    }
    assert!(!fenced, "every fence is closed");
    text
}

#[test]
fn r04_a_comment_is_never_too_long() {
    let mut long = common::fixture(200, 500);
    let name = "|@<".repeat(40_000);
    long.baseline.model.clone_from(&name);
    long.verdict.reasons = vec![name.clone(); 100];
    long.diagnostics.warnings = vec![name.clone(); 100];
    long.manifest.policy_toml = name.clone();
    long.manifest.command = name.clone();
    for arm in &mut long.diagnostics.arms {
        arm.model.clone_from(&name);
    }
    for segment in &mut long.segments {
        segment.value.clone_from(&name);
    }
    let comment = render_evaluation(&long, Format::Markdown, &Style::default()).unwrap();
    assert!(comment.len() <= 65_000, "{} bytes", comment.len());
    assert!(comment.starts_with("## ✓ Ship"));
    for mut trusted in [common::wide(), common::observational()] {
        common::evidence::poison(&mut trusted, &name);
        let comment = render_evaluation(&trusted, Format::Markdown, &Style::default()).unwrap();
        assert!(comment.len() <= 65_000, "{} bytes", comment.len());
        assert!(
            comment.contains("<summary>How far to trust this</summary>"),
            "the trust panel is never what is left out"
        );
    }
    let usual = render_evaluation(
        &common::fixture(50, 500),
        Format::Markdown,
        &Style::default(),
    );
    let usual = usual.unwrap();
    assert!(
        usual.len() <= 65_000 && !usual.contains("Left out"),
        "{} bytes",
        usual.len()
    );
}
