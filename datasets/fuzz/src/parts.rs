//! Several files in one input, divided by a line of its own.

/// Divides the files of one input.
pub(crate) const DIVIDER: &[u8] = b"\n--8<--\n";

/// Most files that an input is divided into.
const PARTS_MAX: usize = 4;

/// The files of an input, at least one; what follows the last divider that counts is one file.
pub(crate) fn parts(data: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = data;
    while parts.len() + 1 < PARTS_MAX
        && let Some(at) = rest
            .windows(DIVIDER.len())
            .position(|bytes| bytes == DIVIDER)
    {
        parts.push(&rest[..at]);
        rest = &rest[at + DIVIDER.len()..];
    }
    parts.push(rest);
    parts
}
