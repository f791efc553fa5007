//! `plimsoll prices`: price catalogues, listed, compared and imported.

mod diff;
mod import;
mod list;

use std::path::Path;

use plimsoll_datasets::{
    Catalogue, CatalogueError, ImportOptions, PriceImport, TokenPrices, import_prices,
};

use crate::app::Context;
use crate::args::{PricesArgs, PricesVerb};
use crate::exit::Exit;
use crate::input::read_text;
use crate::log_input::{BUILT_IN, catalogue_failure};
use crate::problem::Failure;

pub(crate) fn run(context: &Context, args: &PricesArgs) -> Result<Exit, Failure> {
    match &args.what {
        PricesVerb::List(args) => list::run(context, args),
        PricesVerb::Diff(args) => diff::run(context, args),
        PricesVerb::Import(args) => import::run(context, args),
    }
}

/// Reads a catalogue of any supported format, and says on standard error what was left out.
fn load(context: &Context, path: &Path) -> Result<Catalogue, Failure> {
    if path == Path::new(BUILT_IN) {
        return Ok(Catalogue::embedded());
    }
    let import = read(path, &ImportOptions::default())?;
    let skipped = import.report.skipped.len();
    if skipped > 0 {
        let name = crate::console::shell_word(&path.to_string_lossy());
        context.console.note(&format!(
            "{}: {} of {} models have prices that can be used; `plimsoll prices import {name}` \
             says why the others have not",
            path.display(),
            import.report.imported,
            import.report.models,
        ));
    }
    Ok(import.catalogue)
}

fn read(path: &Path, options: &ImportOptions) -> Result<PriceImport, Failure> {
    let text = read_text(path)?;
    let failed = |error: CatalogueError| catalogue_failure(path, &error);
    import_prices(&text, options).map_err(failed)
}

/// The known prices of a list, in US dollars per million tokens.
fn in_words(prices: &TokenPrices) -> String {
    let mut words = vec![format!("input {}", prices.input)];
    let optional = [
        ("cached input", prices.cached_input),
        ("cache write", prices.cache_write),
        ("cache write 1 h", prices.cache_write_1h),
    ];
    let known = |(name, price): (&str, Option<plimsoll::Price>)| {
        price.map(|price| format!("{name} {price}"))
    };
    words.extend(optional.into_iter().filter_map(known));
    words.push(format!("output {}", prices.output));
    words.extend(known(("reasoning", prices.reasoning)));
    words.extend(prices.per_request.map(|fee| format!("{fee} a request")));
    if prices.is_free() {
        words.push("free".to_owned());
    }
    words.join(", ")
}
