//! The trust panel says the same everywhere, and no wording goes beyond the evidence.

use crate::common::{self, fixture, observational, off_policy};
use plimsoll_harness::{Decision, Evaluation, FrontierKind, Interval};
use plimsoll_reports::{Format, Style, render_comparison, render_evaluation};

const WORDS: [Format; 3] = [Format::Html, Format::Terminal, Format::Markdown];

fn render(evaluation: &Evaluation, format: Format) -> String {
    let style = Style {
        width: 400,
        ..Style::default()
    };
    plain(&render_evaluation(evaluation, format, &style).unwrap())
}

/// One line of text with plain spaces, with Markdown's and the page's escapes undone.
fn plain(text: &str) -> String {
    let text = text
        .replace('\\', "")
        .replace("&#36;", "$")
        .replace("&#39;", "'")
        .replace('\u{200b}', "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands above the first section.
fn headline(text: &str) -> &str {
    text.split_once("The line").unwrap().0
}

#[test]
fn o02_without_propensities_the_headline_is_a_scenario() {
    for format in WORDS {
        let text = render(&observational(), format);
        let headline = headline(&text);
        assert!(headline.contains("Not enough evidence"), "{format}");
        assert!(headline.contains("Scenario, not evidence:"), "{format}");
        assert!(headline.contains("no savings are claimed."), "{format}");
        assert!(headline.contains("Scenario of average-floor"), "{format}");
        assert!(headline.contains("Log the probability"), "{format}");
        for claim in [
            "61.5",
            "12 840",
            "$",
            " less than ",
            "is proven",
            "is shown",
        ] {
            assert!(!headline.contains(claim), "{format}: {claim}");
        }
        assert!(
            !text.contains("12 840") || format == Format::Html,
            "{format}"
        );
        assert!(
            text.contains("No monthly figure: there is no evidence"),
            "{format}"
        );
    }
}

#[test]
fn o02_a_scenario_is_never_shipped_whatever_the_verdict_says() {
    let mut bold = observational();
    bold.verdict = fixture(2, 2).verdict;
    assert_eq!(bold.verdict.decision, Decision::Ship);
    for gate in &mut bold.trust.gates {
        gate.passed = true;
    }
    let mut guessed = bold.clone();
    guessed.evidence = off_policy(2, 2).evidence;
    for evaluation in [bold, guessed] {
        for format in WORDS {
            let text = render(&evaluation, format);
            let headline = headline(&text);
            assert!(headline.contains("Not enough evidence"), "{format}");
            assert!(headline.contains("Scenario, not evidence:"), "{format}");
            assert!(
                !headline.contains("Ship") && !headline.contains("60.2"),
                "{format}"
            );
            assert!(headline.contains("Without logged propensities there is no evidence"));
        }
    }
}

#[test]
fn o03_a_failed_gate_comes_first_and_claims_nothing() {
    let mut e = off_policy(3, 2);
    e.trust.gates[1].passed = false;
    for decision in [
        Decision::InsufficientEvidence,
        Decision::Hold,
        Decision::Ship,
    ] {
        e.verdict.decision = decision;
        for format in WORDS {
            let text = render(&e, format);
            let headline = headline(&text);
            assert!(headline.contains("Not enough evidence"), "{format}");
            let failed = "A condition of trust failed: largest weight, measured 0.31 % of \
                          all weight, at most 5 %. The evidence does not settle";
            assert!(headline.contains(failed), "{format}: {headline}");
            assert!(!headline.contains("61.5"), "{format}");
            assert!(
                headline.contains("Largest weight: One request must not decide"),
                "{format}"
            );
            let gates = text.split_once("Conditions of trust").unwrap().1;
            let place = |name: &str| gates.find(name).unwrap();
            assert!(
                place("✕ failed") < place("✓ passed"),
                "{format}: failed ones on top"
            );
            assert!(
                place("largest weight") < place("effective sample size"),
                "{format}"
            );
        }
    }
}

#[test]
fn nothing_sounds_proven_that_may_not_be_shipped() {
    let mut hold = off_policy(3, 2);
    hold.verdict.decision = Decision::Hold;
    hold.verdict.reasons = vec!["Too little is saved.".to_owned()];
    let mut failed = hold.clone();
    failed.trust.gates[0].passed = false;
    let mut broken = failed.clone();
    (broken.floor.margin_low, broken.floor.margin_high) = (-0.03, -0.01);
    for evaluation in [
        hold,
        failed,
        broken,
        observational(),
        common::insufficient(),
    ] {
        for format in WORDS {
            let text = render(&evaluation, format);
            let text = text
                .split_once("<script type")
                .map_or(text.as_str(), |(page, _)| page);
            let modest = text
                .replace("not proven", "")
                .replace("Not proven", "")
                .replace("could be proven", "");
            for word in ["proven", "proves", "is shown at", "guarantee", "certain "] {
                assert!(!modest.contains(word), "{format}: {word}");
            }
        }
    }
}

#[test]
fn logged_choices_are_named_as_such_with_their_estimator() {
    for format in WORDS {
        let text = render(&off_policy(3, 2), format);
        let head = headline(&text);
        assert!(
            head.contains("estimated from logged choices by dr"),
            "{format}"
        );
        assert!(
            head.contains("Estimated from the logged choices on 10"),
            "{format}"
        );
        assert!(head.contains("the policy would spend 61.5"), "{format}");
        let full = render(&fixture(3, 2), format);
        assert!(!headline(&full).contains("stimated"), "{format}");
    }
}

#[test]
fn r09_every_format_holds_the_whole_trust_panel() {
    let e = observational();
    let csv = render_evaluation(&e, Format::Csv, &Style::default()).unwrap();
    for row in [
        "gate,mean weight,passed,0,,,\"0.912 (0.881 to 0.943), must contain 1\"",
        "overlap,claude-3-haiku,target_share,0.719,,,",
        "weights,,mean_weight,0.912,",
        "weights,rank 1,weight,41.27,,,",
        "balance,claude-3-haiku: task = mmlu,broken,1,,,",
        "missing,claude-3-haiku,quality_low,0.731,,,",
        "trust,,looks,3,,,",
        "estimator,switch-dr (τ = 10),savings,0.6171,",
        "estimator,dr,chosen,1,,,",
        "confounding,gamma 1.5,savings,,",
        "confounding,,gamma_savings,1.768,,,",
        "worst_case,,quality,,0.391,0.978,",
        "logging,,cost_usd,0.00271,",
    ] {
        assert!(csv.lines().any(|line| line.starts_with(row)), "{row}");
    }
    for format in WORDS {
        let text = render(&e, format);
        for words in [
            "2 of 6 conditions of trust failed",
            "✕ 0.830",
            "4.0 % ✕ never seen",
            "4 312 of 10 949 requests (39.4 %)",
            "0.912 (0.881 to 0.943): the 95 % interval misses 1, so the propensities are wrong",
            "41.27, which is 0.3 % of all weight",
            "1.2 % of all weight lies above 20",
            "1 of 10 balance checks failed",
            "3, this one included",
            "10 949 by request_id, the largest with 0.01 % of the requests",
            "have been looked at 3 times",
            "betting, importance-weighted",
            "◆ dr",
            "Unbiased for uniform logging only.",
            "0.882 (0.876 to 0.888)",
            "quality lies between 0.391 and 0.978",
            "makes an arm 1.77 times as likely or unlikely to be chosen (in odds) would be enough \
             to undo the savings.",
            "makes an arm 1.26 times",
            "−18.5 % to 91.5 %",
        ] {
            assert!(text.contains(words), "{format}: {words}");
        }
    }
}

#[test]
fn confounding_is_put_plainly_at_both_ends() {
    let mut e = observational();
    let confounding = e.off_policy.as_mut().unwrap().confounding.as_mut().unwrap();
    (confounding.gamma_savings, confounding.gamma_margin) = (None, None);
    for b in &mut confounding.bounds {
        b.savings = [0.01, 0.5];
    }
    let text = render(&e, Format::Terminal);
    assert!(
        text.contains("No unmeasured factor of up to 3 times the odds would be enough to undo")
    );
    assert!(text.contains("Even without any unmeasured factor quality could already be"));
}

#[test]
fn the_tornado_is_sorted_by_how_far_the_headline_moves() {
    let e = off_policy(3, 2);
    for format in WORDS {
        let text = render(&e, format);
        let table = text
            .split_once("Savings and margin under other choices")
            .unwrap()
            .1;
        let order = [
            "without the most used arm",
            "propensities clipped at 0.05",
            "estimator snips",
            "seed 2",
            "prices 20 % lower",
            "intervals clustered by tenant",
        ];
        let places: Vec<usize> = order.iter().map(|c| table.find(c).unwrap()).collect();
        assert!(places.is_sorted(), "{format}: {places:?}");
        assert!(
            table.contains("−0.003 ✕ below"),
            "{format}: not by colour alone"
        );
    }
    let bars = render(&e, Format::Terminal);
    assert!(bars.contains("███████████████████████│·"), "{bars}");
    assert!(!render(&e, Format::Markdown).contains('█'));
    let page = render(&e, Format::Html);
    assert!(page.contains("tornado-wide-title") && !page.contains('█'));
}

#[test]
fn the_slider_offers_certified_points_only_and_copes_with_none() {
    let mut e = off_policy(3, 2);
    let slider = |e: &Evaluation| render(e, Format::Html).contains("class=\"slider\"");
    assert!(slider(&e));
    for point in e
        .frontier
        .iter_mut()
        .filter(|p| p.kind == FrontierKind::Sweep)
    {
        point.certified = false;
    }
    assert!(!slider(&e));
    for format in WORDS {
        assert!(
            render(&e, format).contains("None of the other floors that were tried"),
            "{format}"
        );
    }
    e.frontier.retain(|p| p.kind != FrontierKind::Sweep);
    assert!(render(&e, Format::Html).contains("No other floors were tried."));
}

#[test]
fn r07_a_mean_weight_that_misses_one_never_reads_as_one() {
    let mut e = off_policy(3, 2);
    e.trust.weights.as_mut().unwrap().mean_weight = Interval {
        point: 0.99,
        low: 0.98,
        high: 0.999_97,
    };
    for format in WORDS {
        let text = render(&e, format);
        assert!(
            text.contains("to 0.99997): the 95 % interval misses 1"),
            "{format}"
        );
    }
}

#[test]
fn a_comparison_counts_what_may_be_shipped() {
    let mut comparison = common::comparison();
    comparison.evaluations[0].trust.gates[0].passed = false;
    let text = render_comparison(&comparison, Format::Terminal, &Style::default()).unwrap();
    assert!(text.starts_with("? None to ship"), "{text}");
    assert!(plain(&text).contains("0 to ship, 1 to hold, 2 without enough evidence"));
}

#[test]
fn o02_a_scenarios_tables_hold_no_savings() {
    for format in WORDS {
        let text = seen(&render(&observational(), format));
        for heading in ["by segment, broken", "what else could have been done"] {
            assert!(text.contains(heading), "{format}: {heading}");
        }
        assert!(!text.contains("and savings by segment"), "{format}");
        // What stands between these tables and the next sections are their rows.
        let (from, to) = ("Cost and quality", "How far to trust this");
        let part = text.split_once(from).expect(from).1;
        let part = part.rsplit_once(to).expect(to).0;
        assert!(!part.contains("Saved"), "{format}: {part}");
    }
    let proven = plain(&render(&off_policy(3, 2), Format::Terminal));
    assert!(proven.contains("Saved") && proven.contains("and savings by segment"));
}

/// The words of a text that a reader sees: no data, no tags, no file names of ours.
fn seen(text: &str) -> String {
    let shown = text.split("id=\"data\">").next().unwrap_or_default();
    let body = shown.split_once("<main").map_or(shown, |(_, main)| main);
    let mut words = String::new();
    let mut inside = false;
    for c in body.chars() {
        match c {
            '<' if text.starts_with("<!DOCTYPE") => inside = true,
            '>' if inside => {
                inside = false;
                words.push(' ');
            }
            _ if inside => {}
            c => words.push(c),
        }
    }
    plain(&words)
}

/// Places where a text says "quality" and not "judged quality".
fn bare_quality(text: &str) -> Vec<String> {
    let text = seen(text).to_lowercase();
    text.match_indices("quality")
        .filter(|(at, _)| !text[..*at].ends_with("judged "))
        .map(|(at, _)| {
            let before = text[..at].chars().rev().take(40).collect::<Vec<_>>();
            let after = text[at..].chars().take(40);
            before.into_iter().rev().chain(after).collect()
        })
        .collect()
}

/// ROBUSTNESS.md O08: a score that people have not checked is not called quality.
#[test]
fn o08_an_uncalibrated_judges_score_is_named_as_such_everywhere() {
    for (mut e, what) in [
        (fixture(3, 2), "full information"),
        (off_policy(3, 2), "logged"),
        (observational(), "scenario"),
        (common::insufficient(), "insufficient"),
    ] {
        assert!(!bare_quality(&render(&e, Format::Terminal)).is_empty());
        e.trust.judges = vec!["gpt-4o 2024-08-06".to_owned()];
        // These texts come with the evaluation: the harness names them, as its tests show.
        for reason in &mut e.verdict.reasons {
            *reason = reason.replace("Quality", "Judged quality");
        }
        for choice in &mut e.trust.intervals {
            choice.quantity = choice.quantity.replace("quality", "judged quality");
        }
        for format in WORDS {
            let text = render(&e, format);
            assert_eq!(bare_quality(&text), Vec::<String>::new(), "{what} {format}");
            let named = "Judged quality is what gpt-4o 2024-08-06 scored";
            assert!(plain(&text).contains(named), "{what} {format}");
        }
        let csv = render(&e, Format::Csv);
        assert!(csv.contains("judged quality"), "{what}: {csv}");
    }
}

#[test]
fn o08_a_comparison_of_judged_policies_says_so() {
    let mut comparison = common::comparison();
    for e in &mut comparison.evaluations {
        e.trust.judges = vec!["gpt-4o".to_owned()];
        e.verdict.reasons.clear();
    }
    for format in WORDS {
        let text = render_comparison(&comparison, format, &Style::default()).unwrap();
        assert_eq!(bare_quality(&text), Vec::<String>::new(), "{format}");
        assert!(plain(&text).contains("what gpt-4o scored"), "{format}");
    }
}

#[test]
fn the_baseline_of_production_is_no_arm() {
    let mut e = off_policy(3, 2);
    e.baseline.model = plimsoll_harness::LOGGED.to_owned();
    for format in WORDS {
        let text = plain(&render(&e, format));
        assert!(text.contains("less than production did"), "{format}");
        assert!(
            text.contains("against production, which scores"),
            "{format}"
        );
        assert!(!text.contains("everything to logged"), "{format}");
    }
    // Where an arm has that name, the arm is meant.
    e.mix[0].model = plimsoll_harness::LOGGED.to_owned();
    let text = plain(&render(&e, Format::Terminal));
    assert!(text.contains("less than sending everything to logged"));
}
