//! Writes the published schemas: `cargo run -p plimsoll-reports --example schemas`.

use std::path::Path;

use plimsoll_reports::{SchemaOf, schema_json};

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for (name, of) in [
        ("evaluation", SchemaOf::Evaluation),
        ("comparison", SchemaOf::Comparison),
        ("explanation", SchemaOf::Explanation),
        ("learning", SchemaOf::Learning),
        ("certificate", SchemaOf::Certificate),
        ("shortfall", SchemaOf::Shortfall),
        ("check", SchemaOf::Check),
    ] {
        std::fs::write(folder.join(format!("{name}.schema.json")), schema_json(of))?;
    }
    Ok(())
}
