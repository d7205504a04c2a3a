//! See `properties::query_string`.
#![no_main]

#[allow(dead_code, reason = "each target uses one of them")]
#[path = "../../crates/server/tests/api/parser_properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::query_string(data));
