//! What `plimsoll explain` knows about error codes.

/// One section per code: `## P0203: title`, then text.
const BOOKS: [&str; 7] = [
    include_str!("codes/engine.md"),
    include_str!("codes/datasets.md"),
    include_str!("codes/harness.md"),
    include_str!("codes/cli.md"),
    include_str!("codes/reports.md"),
    include_str!("codes/store.md"),
    include_str!("codes/collect.md"),
];

/// An error code, explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Explained {
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: &'static str,
}

/// Every code.
pub(crate) fn all() -> impl Iterator<Item = Explained> {
    BOOKS
        .iter()
        .flat_map(|book| book.split("## ").skip(1))
        .filter_map(|section| {
            let (head, text) = section.split_once('\n')?;
            let (code, title) = head.split_once(": ")?;
            Some(Explained {
                code,
                title,
                text: text.trim(),
            })
        })
}

/// The explanation of a code, in capitals or not.
pub(crate) fn find(code: &str) -> Option<Explained> {
    all().find(|explained| explained.code.eq_ignore_ascii_case(code))
}

/// Whether a text has the shape of a code.
pub(crate) fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix(['P', 'p']);
    digits.is_some_and(|d| d.len() == 4 && d.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Codes in string literals of the sources, wherever they are in the workspace.
    fn codes_in(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                codes_in(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source");
                let mut rest = text.as_str();
                while let Some(at) = rest.find("\"P0") {
                    let literal = &rest[at + 1..];
                    if let Some(code) = literal.get(..5).filter(|code| is_code(code))
                        && literal[5..].starts_with('"')
                    {
                        found.insert(code.to_owned());
                    }
                    rest = &literal[1..];
                }
            }
        }
    }

    #[test]
    fn every_code_is_explained_and_every_explanation_has_its_code() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut used = BTreeSet::new();
        for package in [
            "engine", "store", "datasets", "collect", "harness", "reports", "cli",
        ] {
            codes_in(&root.join(package).join("src"), &mut used);
        }
        assert!(used.len() > 50, "{used:?}");
        let explained: BTreeSet<String> = all().map(|e| e.code.to_owned()).collect();
        assert_eq!(used, explained);
        assert_eq!(explained.len(), all().count(), "one section per code");
        assert!(all().all(|e| !e.title.is_empty() && e.text.len() > 20));
    }

    #[test]
    fn codes_are_found_in_any_case() {
        assert_eq!(find("p0203").expect("known").code, "P0203");
        assert_eq!(find("P9999"), None);
        for (text, want) in [
            ("P0203", true),
            ("p0203", true),
            ("P020", false),
            ("a.csv", false),
        ] {
            assert_eq!(is_code(text), want);
        }
    }
}
