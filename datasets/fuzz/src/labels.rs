//! Labels: what `--quality`, `--scale`, `--join`, `--map`, `--keep` and `--group-by` make of texts.

use plimsoll_datasets::{ImportKind, ImportOptions, Input, Join};

use crate::bound::bounded;
use crate::import::run;
use crate::log::options;
use crate::parts::parts;

/// Calls to be labelled, where the input brings none.
const CALLS: &str = r#"{"id":"a","model":"small","stars":4,"vote":"up","note":"x","cost_cents":1}
{"id":"b","model":"large","stars":"2","vote":"down","note":null,"cost_cents":"0.5"}
{"id":"c","model":"small","stars":null,"vote":true,"m":{"x":0.25},"cost_cents":1e-3}
"#;

/// Options, one per line; then labels to be joined; then calls to be labelled, if they are others.
#[must_use]
pub fn labels(data: &[u8]) -> bool {
    bounded(data.len(), || {
        let mut given = parts(data).into_iter();
        let lines = given.next().unwrap_or_default();
        let Ok(lines) = std::str::from_utf8(lines) else {
            return false;
        };
        let joined = given.next().filter(|labels| !labels.is_empty());
        let calls = given.next().unwrap_or(CALLS.as_bytes());
        let mut import = ImportOptions::new(ImportKind::Table);
        import.read = options(None);
        import.maps = vec![
            ("request_id".to_owned(), "id".to_owned()),
            ("model".to_owned(), "model".to_owned()),
        ];
        let mut on = "id".to_owned();
        for line in lines.lines() {
            match line.split_once(' ') {
                Some(("quality", text)) => {
                    import.quality = Some(match text.parse() {
                        Ok(quality) => quality,
                        Err(never) => match never {},
                    });
                }
                Some(("scale", text)) => match text.parse() {
                    Ok(scale) => import.scale = Some(scale),
                    Err(message) => assert!(!message.is_empty()),
                },
                Some(("map", text)) => {
                    if let Some((to, from)) = text.split_once('=') {
                        import.maps.push((to.to_owned(), from.to_owned()));
                    }
                }
                Some(("on", text)) => text.clone_into(&mut on),
                Some(("keep", text)) => import.keep.push(text.to_owned()),
                Some(("group", text)) => import.group_by = Some(text.to_owned()),
                _ => {}
            }
        }
        import.join = joined.map(|labels| Join {
            input: Input::bytes("labels", labels),
            on,
        });
        run(&[Input::bytes("calls", calls)], &import)
    })
}
