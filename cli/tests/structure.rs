//! What depends on what, and what must not be anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names in `[dependencies]` of a package's manifest.
fn dependencies(package: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(package).join("Cargo.toml")).expect("read");
    let manifest: toml::Table = text.parse().expect("TOML");
    let names = |key: &str| {
        manifest
            .get(key)
            .and_then(|table| table.as_table())
            .map(|table| table.keys().cloned().collect())
    };
    names("dependencies").unwrap_or_default()
}

#[test]
fn dependencies_point_down() {
    for (package, allowed) in [
        ("engine", &[][..]),
        ("store", &["plimsoll"][..]),
        ("datasets", &["plimsoll"][..]),
        ("collect", &["plimsoll", "plimsoll-datasets"][..]),
        ("harness", &["plimsoll", "plimsoll-datasets"][..]),
        ("reports", &["plimsoll-harness"][..]),
        (
            "cli",
            &[
                "plimsoll",
                "plimsoll-collect",
                "plimsoll-datasets",
                "plimsoll-harness",
                "plimsoll-reports",
            ][..],
        ),
    ] {
        let own: BTreeSet<String> = dependencies(package)
            .into_iter()
            .filter(|name| name.starts_with("plimsoll"))
            .collect();
        let allowed: BTreeSet<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        assert!(own.is_subset(&allowed), "{package}: {own:?}");
    }
}

/// Packages of the lock file and what each depends on.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("Cargo.lock")).expect("read");
    let lock: toml::Table = text.parse().expect("TOML");
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name").to_owned();
        let to = package
            .get("dependencies")
            .and_then(|d| d.as_array())
            .cloned()
            .unwrap_or_default();
        let first = |entry: &toml::Value| {
            entry
                .as_str()
                .and_then(|text| text.split(' ').next())
                .map(str::to_owned)
        };
        graph
            .entry(name)
            .or_default()
            .extend(to.iter().filter_map(first));
    }
    graph
}

/// Everything reachable from `from` without going through a package that `skip` names.
fn reachable(from: &[&str], skip: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let graph = locked();
    let mut open: Vec<String> = from.iter().map(|name| (*name).to_owned()).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !skip(&name) && seen.insert(name.clone()) {
            open.extend(graph.get(&name).into_iter().flatten().cloned());
        }
    }
    seen
}

const NETWORK: [&str; 8] = [
    "reqwest", "hyper", "ureq", "tokio", "curl", "isahc", "mio", "socket2",
];

/// The lock file also holds development dependencies, so this is stricter than the build.
#[test]
fn the_engine_has_no_io_no_runtime_and_no_polars() {
    let direct = dependencies("engine");
    for banned in ["polars", "rayon", "tempfile", "toml", "serde_json"]
        .iter()
        .chain(&NETWORK)
    {
        assert!(!direct.contains(*banned), "engine depends on {banned}");
    }
    let all = reachable(
        &direct.iter().map(String::as_str).collect::<Vec<_>>(),
        |_| false,
    );
    for banned in NETWORK.iter().chain(&["polars", "rayon"]) {
        assert!(!all.contains(*banned), "engine reaches {banned}");
    }
    assert!(sources(&root().join("engine/src")).len() > 10);
    for file in sources(&root().join("engine/src")) {
        let text = std::fs::read_to_string(&file).expect("read");
        // Examples in comments may show what a caller's own threads do.
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let text: String = code.collect::<Vec<_>>().join("\n");
        for banned in [
            "std::fs",
            "std::net",
            "std::time",
            "std::thread",
            "std::env",
            "SystemTime",
        ] {
            assert!(!text.contains(banned), "{} names {banned}", file.display());
        }
    }
}

/// Nothing but Polars and `collect` brings a network library, and no other source of ours names
/// one: whoever does not run `plimsoll collect` opens no connection.
#[test]
fn nothing_but_collect_reaches_for_the_network() {
    let outside_polars = |name: &str| name.starts_with("polars") || name == "object_store";
    let packages = [
        "plimsoll",
        "plimsoll-collect",
        "plimsoll-datasets",
        "plimsoll-harness",
        "plimsoll-reports",
    ];
    for package in ["engine", "datasets", "harness", "reports", "cli"] {
        let direct = dependencies(package);
        let names: Vec<&str> = direct
            .iter()
            .map(String::as_str)
            .filter(|name| !packages.contains(name))
            .collect();
        let all = reachable(&names, outside_polars);
        for banned in NETWORK {
            assert!(!all.contains(banned), "{package} reaches {banned}");
        }
        for file in sources(&root().join(package).join("src")) {
            let text = std::fs::read_to_string(&file).expect("read");
            for banned in [
                "std::net",
                "TcpStream",
                "UdpSocket",
                "object_store",
                "reqwest",
            ] {
                assert!(!text.contains(banned), "{} names {banned}", file.display());
            }
            // The client is made by one verb, and used by no other.
            let is_verb = file.ends_with("cli/src/verbs/collect.rs");
            assert!(
                is_verb || !text.contains("HttpTransport"),
                "{} connects",
                file.display()
            );
        }
    }
    // Within the crate, connections are one file's matter.
    for file in sources(&root().join("collect/src")) {
        let text = std::fs::read_to_string(&file).expect("read");
        let is_http = file.ends_with("http.rs");
        assert_eq!(text.contains("reqwest"), is_http, "{}", file.display());
        for banned in ["TcpStream", "UdpSocket", "object_store"] {
            assert!(!text.contains(banned), "{} names {banned}", file.display());
        }
    }
}

/// Money is never a float sum: no field or argument of the sources is an f32 amount (E14).
#[test]
fn money_is_never_single_precision() {
    for package in ["engine", "datasets", "collect", "harness", "reports", "cli"] {
        for file in sources(&root().join(package).join("src")) {
            let text = std::fs::read_to_string(&file).expect("read");
            for line in text
                .lines()
                .filter(|line| line.contains("usd") || line.contains("cost"))
            {
                assert!(!line.contains(": f32"), "{}: {line}", file.display());
            }
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}
