//! Makes `samples/sample.jsonl.zst` again: `cargo run -p plimsoll-datasets --example make_sample`.

use std::path::Path;

use plimsoll_datasets::{sample_config, simulate};

fn main() -> Result<(), plimsoll_datasets::SimulateError> {
    let path = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/samples/sample.jsonl.zst"
    ));
    let summary = simulate(&sample_config(), path, None, &|_| ())?;
    for arm in summary.arms {
        println!(
            "{:<8} true quality {:.3}, {} USD",
            arm.arm, arm.quality, arm.cost_usd
        );
    }
    Ok(())
}
