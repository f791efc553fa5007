//! See `plimsoll_fuzz::text`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = plimsoll_fuzz::text(data);
});
