//! Headers with a right checksum, and CBOR items one after another.

/// `payload` behind a header as snapshots have it.
pub(crate) fn seal(magic: [u8; 8], version: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes).update(payload);
    bytes.extend_from_slice(hasher.finalize().as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The payload of sealed bytes.
pub(crate) fn payload(sealed: &[u8]) -> &[u8] {
    &sealed[52..]
}

/// The first CBOR item of `rest` as bytes, and taken off it; `None`: there is none.
pub(crate) fn item<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let all = *rest;
    let mut after = all;
    ciborium::from_reader::<ciborium::Value, _>(&mut after).ok()?;
    *rest = after;
    Some(&all[..all.len() - after.len()])
}

/// A value as CBOR.
pub(crate) fn cbor(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("memory does not fail");
    bytes
}

/// Memory that reading `bytes` may take at once: a multiple of them, what fits one list of records,
/// and, where there is one, the largest random projection, which is made from three numbers.
pub(crate) fn bounded<R>(bytes: &[u8], read: impl FnOnce() -> R) -> R {
    const PER_BYTE: usize = 128;
    const BASE: usize = 1 << 20;
    const PROJECTION: usize = 64 << 20;
    let mut most = BASE + PER_BYTE * bytes.len();
    if projects(bytes) {
        most += PROJECTION;
    }
    let mut out = None;
    let used = allocation_counter::measure(|| out = Some(read())).bytes_max;
    let length = bytes.len();
    assert!(
        used <= most as u64,
        "{length} bytes took {used} bytes of memory"
    );
    out.expect("it was read")
}

/// Whether the bytes speak of a projection, and do not say that there is none.
fn projects(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"projection";
    const NULL: u8 = 0xf6;
    bytes
        .windows(NAME.len() + 1)
        .any(|window| window.starts_with(NAME) && window.last() != Some(&NULL))
}
