//! The page is usable by everyone: by structure here, in a browser elsewhere.

use crate::common;
use plimsoll_reports::{Format, Style, render_comparison, render_evaluation};

fn page() -> String {
    render_evaluation(&common::fixture(11, 30), Format::Html, &Style::default()).unwrap()
}

fn estimated() -> String {
    render_evaluation(&common::off_policy(11, 30), Format::Html, &Style::default()).unwrap()
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    text.split(open)
        .skip(1)
        .map(|part| part.split_once(close).unwrap().0)
        .collect()
}

#[test]
fn r08_a_screen_reader_finds_its_way() {
    let comparison = render_comparison(&common::comparison(), Format::Html, &Style::default());
    for page in [page(), comparison.unwrap()] {
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
        assert_eq!(page.matches("<title>").count(), 1);
        assert!(page.contains("name=\"viewport\""));
        for landmark in [
            "<header",
            "<nav class=\"contents\" aria-label=",
            "<main",
            "<footer",
        ] {
            assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
        }
        assert_eq!(page.matches("<h1").count(), 1);
        assert!(page.contains("<a class=\"skip\" href=\"#verdict\">"));
        for id in between(&page, "href=\"#", "\"") {
            assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
        }
    }
}

#[test]
fn r08_ids_are_unique_and_references_resolve() {
    let scenario = render_evaluation(&common::observational(), Format::Html, &Style::default());
    for page in [page(), estimated(), scenario.unwrap()] {
        check_ids(&page);
    }
}

fn check_ids(page: &str) {
    let mut ids = between(page, " id=\"", "\"");
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "every id is unique");
    for attribute in [" aria-labelledby=\"", " for=\"", " data-table=\""] {
        for id in between(page, attribute, "\"")
            .iter()
            .flat_map(|list| list.split(' '))
        {
            assert!(ids.binary_search(&id).is_ok(), "{attribute}{id}");
        }
    }
}

#[test]
fn r08_tables_have_captions_and_scopes() {
    for page in [page(), estimated()] {
        check_tables(&page);
    }
}

fn check_tables(page: &str) {
    let tables = between(page, "<table", "</table>");
    assert!(tables.len() >= 8, "{} tables", tables.len());
    for table in tables {
        assert_eq!(table.matches("<caption").count(), 1);
        let headings = table.matches("<th ").count();
        assert_eq!(table.matches("<th scope=").count(), headings, "{table}");
        let rows = table.matches("<tr").count() - 1;
        assert_eq!(table.matches("<th scope=\"row\">").count(), rows);
    }
    for region in between(page, "class=\"scroll\"", ">") {
        assert!(region.contains("tabindex=\"0\"") && region.contains("role=\"region\""));
    }
}

#[test]
fn r08_drawings_have_words_and_two_sizes() {
    for (page, count) in [(page(), 5), (estimated(), 8)] {
        check_drawings(&page, count);
    }
}

fn check_drawings(page: &str, count: usize) {
    let charts = between(page, "<svg class=\"chart ", "</svg>");
    assert_eq!(charts.len(), 2 * count, "{count} charts, wide and narrow");
    for chart in &charts {
        assert!(chart.contains("role=\"img\"") && chart.contains("aria-labelledby="));
        assert!(chart.contains("<title id=") && chart.contains("<desc id="));
    }
    let narrow = charts.iter().filter(|c| c.starts_with("narrow"));
    assert_eq!(narrow.count(), count);
    // Whatever else is drawn is decoration beside the same numbers as text.
    let drawings = page.matches("<svg ").count();
    assert_eq!(
        page.matches("aria-hidden=\"true\" focusable=\"false\"")
            .count(),
        drawings - 2 * count
    );
}

#[test]
fn r08_colours_are_themed() {
    let page = estimated();
    let style = between(&page, "<style>", "</style>")[0];
    for color in between(&page, "fill=\"#", "\"")
        .iter()
        .chain(&between(&page, "stroke=\"#", "\""))
    {
        assert!(
            style.contains(&format!("svg [fill=\"#{color}\"]")),
            "#{color} has no theme"
        );
        assert!(
            style.contains(&format!("svg [stroke=\"#{color}\"]")),
            "#{color} has no theme"
        );
    }
    assert!(style.contains("@media (prefers-color-scheme: dark)"));
    assert!(style.contains("@media print"));
    assert!(style.contains("@media (forced-colors: active)"));
    assert!(style.contains(":focus-visible"));
    assert!(style.contains("prefers-reduced-motion"));
}

/// WCAG's contrast ratio of two sRGB colours.
fn contrast(a: &str, b: &str) -> f64 {
    let luminance = |hex: &str| -> f64 {
        [(1, 0.2126), (3, 0.7152), (5, 0.0722)]
            .iter()
            .map(|(at, weight)| {
                let channel = u8::from_str_radix(&hex[*at..at + 2], 16).unwrap();
                let c = f64::from(channel) / 255.0;
                weight
                    * if c <= 0.04045 {
                        c / 12.92
                    } else {
                        ((c + 0.055) / 1.055).powf(2.4)
                    }
            })
            .sum()
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn r08_text_has_contrast_in_light_and_dark() {
    let style = include_str!("../../templates/report.css");
    let themes = between(style, ":root {", "}");
    for theme in &themes[..2] {
        let color = |name: &str| between(theme, &format!("--{name}: "), ";")[0];
        for text in [
            "ink", "muted", "accent", "hull", "line", "oracle", "good", "caution", "bad",
        ] {
            for ground in ["paper", "card"] {
                let ratio = contrast(color(text), color(ground));
                assert!(ratio >= 4.5, "{text} on {ground}: {ratio:.2}");
            }
        }
        for tone in ["good", "caution", "bad", "neutral"] {
            let wash = format!("{tone}-wash");
            assert!(contrast(color("ink"), color(&wash)) >= 7.0, "{tone}");
            assert!(contrast(color("muted"), color(&wash)) >= 4.5, "{tone}");
        }
        assert!(contrast(color("arm"), color("paper")) >= 3.0);
    }
}

#[test]
fn r08_without_script_nothing_is_missing() {
    let page = page();
    let slider = between(&page, "<div class=\"slider\"", "</div>")[0];
    assert!(
        slider.contains(" hidden>"),
        "the slider appears by script only"
    );
    let table = between(&page, "id=\"what-if-table\"", "</table>")[0];
    assert_eq!(
        table.matches("<tr").count(),
        7,
        "all six proven settings stand in a table"
    );
    assert!(!page.contains("<noscript"), "nothing to apologise for");
}

#[test]
fn r08_the_slider_knows_proven_settings_only() {
    let page = page();
    let table = between(&page, "id=\"what-if-table\"", "</table>")[0];
    assert!(table.contains("keep 0.98<"), "the judged setting");
    assert!(
        !table.contains("keep 0.99") && !table.contains("keep 1<"),
        "not proven, not offered"
    );
    assert!(
        page.contains("data-start=\"5\""),
        "it starts where the policy is"
    );
}

#[test]
fn r08_a_comparison_without_slider_has_no_script() {
    let page = render_comparison(&common::comparison(), Format::Html, &Style::default()).unwrap();
    assert!(!page.contains("<script>"));
}

#[test]
fn r08_separators_do_not_depend_on_a_locale() {
    let page = page();
    assert!(page.contains("10\u{202f}949"));
    assert!(!page.contains("10,949") && !page.contains("10.949"));
}

#[test]
fn r08_what_is_not_proven_is_not_shown_large() {
    let page = render_evaluation(&common::insufficient(), Format::Html, &Style::default()).unwrap();
    assert!(!page.contains("class=\"slider\"") && !page.contains("<script>"));
    assert!(
        page.contains("id=\"what-if-table\""),
        "the table stays, marked"
    );
}
