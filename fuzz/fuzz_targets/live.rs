//! See `plimsoll_fuzz::live`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = plimsoll_fuzz::live(data);
});
