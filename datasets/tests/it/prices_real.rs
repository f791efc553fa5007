use std::path::Path;
use plimsoll_datasets::{ImportOptions, PriceImport, import_prices};

fn whole() -> Option<PriceImport> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/prices/litellm.json");
    let text = std::fs::read_to_string(path).ok()?;
    Some(import_prices(&text, &ImportOptions::default()).expect("it imports"))
}

#[test]
fn look() {
    let start = std::time::Instant::now();
    let Some(import) = whole() else { return };
    println!("{:?}", start.elapsed());
    let toml = import.catalogue.to_toml("x");
    std::fs::write("/tmp/pr_out.toml", &toml).expect("w");
    let start = std::time::Instant::now();
    let again = plimsoll_datasets::Catalogue::read(&toml).expect("reads");
    println!("read {:?} {}", start.elapsed(), toml.len());
    assert!(again.arms().eq(import.catalogue.arms()));
    std::fs::write("/tmp/pr_report.json", serde_json::to_string_pretty(&import.report).expect("j")).expect("w");
}
