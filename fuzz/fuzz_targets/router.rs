//! See `plimsoll_fuzz::router`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = plimsoll_fuzz::router(data);
});
