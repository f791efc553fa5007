//! Small files that are read whole: policies, settings, saved evaluations.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::exit::Exit;
use crate::problem::Failure;

/// Most bytes of such a file.
const BYTES_MAX: u64 = 64 << 20;

/// The bytes of a file; `-` is standard input.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: &io::Error| {
        Failure::plain(
            Exit::Error,
            "P0704",
            format!("cannot read {}: {error}", path.display()),
            "check the path and its permissions",
        )
    };
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| failed(&error))?)
    };
    let mut bytes = Vec::new();
    reader
        .take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Failure::plain(
            Exit::Error,
            "P0705",
            format!("{} is larger than {BYTES_MAX} bytes", path.display()),
            "check that this is the file you mean",
        ));
    }
    Ok(bytes)
}

/// The text of a file in UTF-8, a byte-order mark left out; `-` is standard input.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(read_bytes(path)?).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..=valid]
            .split(|byte| *byte == b'\n')
            .count();
        Failure::plain(
            Exit::Error,
            "P0706",
            format!("{}:{line}: not valid UTF-8", path.display()),
            "save the file as UTF-8",
        )
    })?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}
