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

/// Most memory that reading may take at once: a multiple of the bytes read, and what the largest
/// random projection takes, which is made from three numbers.
pub(crate) fn bounded<R>(bytes: usize, read: impl FnOnce() -> R) -> R {
    const PER_BYTE: u64 = 128;
    const BASE: u64 = 72 << 20;
    let mut out = None;
    let used = allocation_counter::measure(|| out = Some(read())).bytes_max;
    let most = BASE + PER_BYTE * bytes as u64;
    assert!(used <= most, "{bytes} bytes took {used} bytes of memory");
    out.expect("it was read")
}
