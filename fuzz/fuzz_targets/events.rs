//! See `plimsoll_fuzz::events`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = plimsoll_fuzz::events(data);
});
