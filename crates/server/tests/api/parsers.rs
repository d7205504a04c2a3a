//! The short form of the fuzz targets: random and mutated input for every parser of foreign input.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::parser_properties;

const CASES: u32 = 4_000;

/// Bytes that nobody thought of, and what everybody sends with a few bytes changed, cut or repeated.
fn input(seeds: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..5_u8, any::<u8>());
    let mutated = (
        prop::sample::select(seeds),
        prop::collection::vec(change, 0..6),
    )
        .prop_map(|(seed, changes)| {
            let mut bytes = seed.as_bytes().to_vec();
            for (at, kind, byte) in changes {
                let at = at.index(bytes.len() + 1);
                match kind {
                    0 => bytes.insert(at, byte),
                    1 => bytes.truncate(at),
                    2 => bytes.extend_from_within(at..),
                    3 if at < bytes.len() => bytes[at] = byte,
                    _ if at < bytes.len() => drop(bytes.remove(at)),
                    _ => {}
                }
                bytes.truncate(70_000);
            }
            bytes
        });
    prop_oneof![3 => mutated, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn try_all(seeds: &'static [&'static str], property: fn(&[u8])) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let tried = TestRunner::new(config).run(&input(seeds), |data| {
        property(&data);
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

const TOKEN: &str = "rc_s_AAAAAAAAAAAAAAAAAAAAAAbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-_";

#[test]
fn no_cookie_header_breaks_anything() {
    const SEEDS: &[&str] = &[
        "__Host-rollcall=rc_s_AAAAAAAAAAAAAAAAAAAAAAbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-_",
        "a=b; __Host-rollcall=rc_s_AAAAAAAAAAAAAAAAAAAAAAbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-_; c=d",
        "rollcall-zone=Europe%2FBerlin\n__Host-rollcall=x; __Host-rollcall=\"y\"",
        "__Host-rollcall",
    ];
    try_all(SEEDS, parser_properties::cookie);
}

#[test]
fn no_authorization_header_breaks_anything() {
    const SEEDS: &[&str] = &[
        "Bearer rc_s_AAAAAAAAAAAAAAAAAAAAAAbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-_",
        "bearer x\nBasic dXNlcjpwYXNz",
    ];
    try_all(SEEDS, parser_properties::bearer);
}

#[test]
fn no_text_but_its_own_is_a_token() {
    const SEEDS: &[&str] = &[TOKEN, "rc_s_"];
    assert!(
        rollcall_server::service::token::Token::parse(TOKEN).is_some(),
        "the seed is one"
    );
    try_all(SEEDS, parser_properties::token);
}

#[test]
fn no_query_string_breaks_anything() {
    const SEEDS: &[&str] = &[
        "q=nora%40acme&state=active&kind=api&sort=-created_at&page=3&page_size=50",
        "?user=01890a5d-ac96-774b-bcce-b302099a8057&action=sign_in&outcome=locked&session=x&page=1",
        "q=%F0%9F%A6%80+%2B&page=10000000&page_size=100",
    ];
    try_all(SEEDS, parser_properties::query_string);
}

#[test]
fn no_user_agent_breaks_anything() {
    const SEEDS: &[&str] = &[
        "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/155.0 Safari/604.1",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/26.0 Safari/605.1.15",
        "curl/8.11.0",
        "Android 16 iPad CPU OS 9 Windows NT",
    ];
    try_all(SEEDS, parser_properties::agent);
}

#[test]
fn no_forwarded_header_breaks_anything() {
    const SEEDS: &[&str] = &[
        "\u{1}6.6.6.6, 203.0.113.7, 10.0.0.2",
        "\u{2}for=\"[2001:db8::1]:4711\";proto=https, for=10.0.0.2;by=x",
        "\u{7}203.0.113.7:4711\n::ffff:10.0.0.1",
        "\u{4}https, http",
    ];
    try_all(SEEDS, parser_properties::forwarded);
}
