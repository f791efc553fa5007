//! The public interface is reviewed: every public name and method, against a list.
//!
//! `rustdoc`'s JSON is not stable, so the list is read from the sources: what `lib.rs` re-exports,
//! and every `pub` item with its signature below `src`. When a change is meant, write the list
//! anew and review its difference like code:
//!
//! ```sh
//! PLIMSOLL_BLESS=1 cargo test -p plimsoll --test engine public_api
//! ```
//!
//! A removed or changed line breaks callers: it needs a line in CHANGELOG.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// Source files below `folder`, sorted.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).expect("the crate's own sources");
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Code without comments and without its unit tests, one space for any white space.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next();
    let lines = code.unwrap_or_default().lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    let words = lines.flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

/// What `pub use path::{A, B as C};` and `pub mod name` make public in `lib.rs`.
fn exported(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for statement in code.split(';') {
        if let Some((_, list)) = statement.split_once("pub use ") {
            let single = list.rsplit("::").next().unwrap_or(list);
            let list = list
                .split_once('{')
                .map_or(single, |(_, inner)| inner.trim_end_matches(['}', ' ']));
            names.extend(
                list.split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty())
                    .map(|name| name.rsplit(" as ").next().unwrap_or(name).to_owned()),
            );
        } else if let Some((_, name)) = statement.split_once("pub mod ") {
            let name = name.split([' ', '{']).next().unwrap_or_default();
            names.push(format!("mod {name}"));
        }
    }
    names.sort();
    names
}

/// Signatures of `pub` items: up to the body, or to the end of the statement or field.
fn signatures(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("pub ") {
        let before = code[..start].chars().next_back().unwrap_or(' ');
        let rest = &code[start..];
        if !before.is_whitespace() || rest.starts_with("pub use ") {
            continue;
        }
        let (mut depth, mut end) = (0_i32, rest.len());
        let is_field = ![
            "fn ", "const ", "struct ", "enum ", "trait ", "type ", "mod ",
        ]
        .iter()
        .any(|kind| rest[4..].starts_with(kind));
        let bytes = rest.as_bytes();
        for (i, byte) in bytes.iter().enumerate() {
            let ends = matches!(byte, b'{' | b'}' | b';') || (*byte == b',' && is_field);
            if ends && depth <= 0 {
                end = i;
                break;
            }
            match byte {
                b'(' | b'[' | b'<' => depth += 1,
                b'>' if bytes[i - 1] == b'-' || bytes[i - 1] == b'=' => {}
                b')' | b']' | b'>' => depth -= 1,
                _ => {}
            }
        }
        // A value is no part of a signature, but a constant's is what callers rely on.
        found.push(rest[..end].trim().to_owned());
    }
    found
}

/// The public methods of a trait and the variants of an enum are public without saying so.
fn bodies(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for kind in ["pub trait ", "pub enum "] {
        for (start, _) in code.match_indices(kind) {
            let rest = &code[start..];
            let (mut depth, mut end) = (0_i32, rest.len());
            for (i, byte) in rest.bytes().enumerate() {
                match byte {
                    b'{' => depth += 1,
                    b'}' if depth == 1 => {
                        end = i + 1;
                        break;
                    }
                    b'}' => depth -= 1,
                    _ => {}
                }
            }
            let body = &rest[..end];
            if kind == "pub enum " {
                found.push(body.to_owned());
            } else {
                let methods = body.match_indices(" fn ").map(|(at, _)| {
                    let method = &body[at + 1..];
                    let end = method.find([';', '{']).unwrap_or(method.len());
                    method[..end].trim().to_owned()
                });
                let name = rest[..rest.find('{').unwrap_or(rest.len())]
                    .trim()
                    .to_owned();
                found.extend(methods.map(|method| format!("{name}: {method}")));
            }
        }
    }
    found
}

fn interface() -> String {
    let source = root().join("src");
    let mut lines = Vec::new();
    let exports = exported(&code(
        &fs::read_to_string(source.join("lib.rs")).expect("readable"),
    ));
    lines.extend(exports.into_iter().map(|name| format!("export {name}")));
    for path in sources(&source) {
        let code = code(&fs::read_to_string(&path).expect("readable"));
        let relative = path.strip_prefix(&source).expect("below src");
        let name = relative.to_string_lossy().replace('\\', "/");
        let all: BTreeSet<String> = signatures(&code).into_iter().chain(bodies(&code)).collect();
        lines.extend(all.into_iter().map(|line| format!("{name}: {line}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[test]
fn the_public_interface_is_the_one_reviewed() {
    let path = root().join("tests/engine/public_api.txt");
    let got = interface();
    if std::env::var_os("PLIMSOLL_BLESS").is_some() {
        fs::write(&path, &got).expect("writable");
    }
    let expect = fs::read_to_string(&path).expect("the reviewed list");
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (expect.lines().collect(), got.lines().collect());
    let gone: Vec<_> = old.difference(&new).collect();
    let come: Vec<_> = new.difference(&old).collect();
    assert!(
        gone.is_empty() && come.is_empty(),
        "the public interface changed; if that is meant, see the top of this file\n\
         gone: {gone:#?}\ncome: {come:#?}"
    );
}

#[test]
fn items_are_found_in_code() {
    let code = code(
        "pub use a::{B, C as D};\npub use e::F;\n/// Doc.\npub fn g<T: Into<u8>>(x: T) -> Vec<T> { x }\n\
         pub struct H { pub i: Vec<(u8, u8)>, j: u8 }\npub const K: [u8; 2] = [1, 2];\n\
         pub(crate) fn hidden() {}\npub trait L { fn m(&self); }\npub enum N { O { p: u8 }, Q }",
    );
    assert_eq!(exported(&code), ["B", "D", "F"]);
    assert_eq!(
        signatures(&code),
        [
            "pub fn g<T: Into<u8>>(x: T) -> Vec<T>",
            "pub struct H",
            "pub i: Vec<(u8, u8)>",
            "pub const K: [u8; 2] = [1, 2]",
            "pub trait L",
            "pub enum N",
        ]
    );
    assert_eq!(
        bodies(&code),
        ["pub trait L: fn m(&self)", "pub enum N { O { p: u8 }, Q }"]
    );
}
