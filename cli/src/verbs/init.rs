//! `plimsoll init`: a commented policy to start from.

use std::path::Path;

use crate::app::Context;
use crate::exit::Exit;
use crate::policy_file::TEMPLATE;
use crate::problem::Failure;
use crate::staging::write_file;

const NAME: &str = "policy.toml";

pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let target = context.global.output.as_deref().unwrap_or(Path::new(NAME));
    if target == Path::new("-") {
        context.console.data(TEMPLATE)?;
        return Ok(Exit::Done);
    }
    write_file(target, TEMPLATE.as_bytes(), context.global.force)?;
    context.console.note(&format!("wrote {}", target.display()));
    let name = crate::console::shell_word(&target.to_string_lossy());
    context
        .console
        .next(&format!("plimsoll replay LOG --policy {name}"));
    Ok(Exit::Done)
}
