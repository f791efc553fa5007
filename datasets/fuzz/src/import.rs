//! Exports of other tools: whatever comes, an import ends in a log that can be read or in a typed
//! error and nothing at all.

use std::fs;

use plimsoll_datasets::{
    ImportError, ImportKind, ImportOptions, Input, ReadError, detect, import as import_files, read,
};

use crate::bound::{assert_nothing_left, bounded, folder};
use crate::log::{check_error, options};
use crate::parts::parts;

/// First bytes that name a kind; no text begins with them.
const KIND_BYTES: u8 = 0x80;

/// Files of an export; the kind is detected, or named by a first byte from 0x80 on, the options by
/// the bits of a second.
#[must_use]
pub fn import(data: &[u8]) -> bool {
    bounded(data.len(), || {
        let (named, bits, rest) = match data {
            [kind, bits, rest @ ..] if *kind >= KIND_BYTES => {
                let index = usize::from(kind - KIND_BYTES) % ImportKind::ALL.len();
                (Some(ImportKind::ALL[index]), *bits, rest)
            }
            _ => (None, 0, data),
        };
        let inputs: Vec<Input> = parts(rest)
            .into_iter()
            .zip(["one", "two", "three", "four"])
            .map(|(bytes, name)| Input::bytes(name, bytes))
            .collect();
        let detected = inputs.iter().map(detect).find_map(|found| {
            found
                .map_err(|error| check_import_error(&error))
                .map(|detected| detected.kind)
                .ok()
        });
        let Some(kind) = named.or(detected) else {
            return false;
        };
        run(&inputs, &import_options(kind, bits))
    })
}

/// The bytes that name a kind and options.
pub(crate) fn prefix(kind: ImportKind, bits: u8) -> [u8; 2] {
    let index = ImportKind::ALL.iter().position(|own| *own == kind);
    let index = u8::try_from(index.expect("a kind")).expect("few kinds");
    [KIND_BYTES + index, bits]
}

fn import_options(kind: ImportKind, bits: u8) -> ImportOptions {
    let mut import = ImportOptions::new(kind);
    import.read = options(None);
    if kind == ImportKind::Table {
        let maps = [
            ("request_id", "id"),
            ("model", "model"),
            ("quality", "if(stars >= 4, 1, 0)"),
            ("cost_usd", "cost_cents/100"),
        ];
        import.maps = maps
            .map(|(to, from)| (to.to_owned(), from.to_owned()))
            .into();
    }
    let set = |bit: u8| bits & (1 << bit) != 0;
    import.without_prompts = set(0);
    import.redact = !set(1);
    import.quality = set(2).then(|| match "thumbs".parse() {
        Ok(quality) => quality,
        Err(never) => match never {},
    });
    // Requests are written before all of their calls are there.
    import.window_bytes = if set(3) { 64 } else { 1 << 20 };
    import.group_by = set(4).then(|| "id".to_owned());
    import.keep = set(5).then(|| "id".to_owned()).into_iter().collect();
    import
}

/// Imports; a log that comes of it can be read.
pub(crate) fn run(inputs: &[Input], options: &ImportOptions) -> bool {
    let path = folder().join("log.jsonl");
    let done = import_files(inputs, options, &path, &|_| ());
    let imported = match done {
        Ok(report) => {
            assert!(report.rows > 0 && report.records > 0);
            let _ = format!("{report:?}");
            let log = read(&Input::Path(path.clone()), &Default::default());
            fs::remove_file(&path).expect("a log");
            match log {
                Ok(log) => {
                    assert_eq!(log.report.rows_read, report.rows);
                    assert_eq!(log.report.rows_rejected, log.report.rows_conflicting);
                }
                // Rows that contradict each other are a matter of what was exported.
                Err(ReadError::TooManyRejects { report, .. }) => {
                    assert_eq!(report.rows_rejected, report.rows_conflicting);
                }
                Err(error) => panic!("what was imported cannot be read: {error}"),
            }
            true
        }
        Err(error) => {
            check_import_error(&error);
            false
        }
    };
    assert_nothing_left();
    imported
}

pub(crate) fn check_import_error(error: &ImportError) {
    if let ImportError::Read(error) = error {
        return check_error(error);
    }
    assert!(error.code().starts_with("P02"), "{}", error.code());
    assert!(!error.to_string().is_empty() && !error.help().is_empty());
    let _ = format!("{error:?}");
}
