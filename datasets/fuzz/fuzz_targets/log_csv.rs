//! See `plimsoll_datasets_fuzz::log_csv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = plimsoll_datasets_fuzz::log_csv(data);
});
