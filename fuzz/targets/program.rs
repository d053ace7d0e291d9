#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ayni_fuzz::programs::program(data));
