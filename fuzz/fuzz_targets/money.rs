//! See `plimsoll_fuzz::money`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = plimsoll_fuzz::money(data);
});
