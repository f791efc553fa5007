//! See `plimsoll_datasets_fuzz::prices`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = plimsoll_datasets_fuzz::prices(data);
});
