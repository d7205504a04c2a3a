//! The map in `docs/security.md`: every requirement stands there once, and every test that it names exists.

use std::collections::BTreeMap;
use std::path::PathBuf;

const REQUIREMENTS: std::ops::RangeInclusive<u32> = 1..=100;

fn read(path: &str) -> Option<String> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    std::fs::read_to_string(root.join(path)).ok()
}

/// What is wrong with a map, where `missing` says what is not there of a test.
fn faults(map: &str, missing: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
    for line in map.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let number = cells[0].parse::<u32>().ok();
        let tests: Vec<_> = line
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| is_test(name))
            .collect();
        if let Some(number) = number {
            *seen.entry(number).or_default() += 1;
            // What is neither tested nor said to be open would be a claim.
            if tests.is_empty() && !line.contains("not yet, ") {
                found.push(format!("row {number} names no test and no reason"));
            }
        }
        found.extend(tests.into_iter().filter_map(&missing));
    }
    for number in REQUIREMENTS {
        let times = seen.remove(&number).unwrap_or_default();
        if times != 1 {
            found.push(format!("row {number} stands there {times} times"));
        }
    }
    found.extend(
        seen.keys()
            .map(|number| format!("row {number} is no requirement")),
    );
    found
}

fn is_test(name: &str) -> bool {
    [
        "api::",
        "db::",
        "server::",
        "core::",
        "client::",
        "end2end: ",
        "fuzz: ",
        "proof: ",
        "lint: ",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

/// What is missing of a test that is named like `api::rotation::a_due_token_rotates_once`,
/// `server::http::body::each_part_takes_one_type`, `end2end: times.spec.js: its title`, `fuzz: token`,
/// `proof: kill-each` or `lint: Formatting`.
fn missing(name: &str) -> Option<String> {
    if let Some(target) = name.strip_prefix("fuzz: ") {
        let path = format!("fuzz/fuzz_targets/{target}.rs");
        return read(&path)
            .is_none()
            .then(|| format!("{path} is not there"));
    }
    if let Some(proof) = name.strip_prefix("proof: ") {
        let words = proof.split('-').filter(|word| !word.is_empty());
        let variant: String = words
            .map(|word| word[..1].to_uppercase() + &word[1..])
            .collect();
        let there = read("crates/proof/src/main.rs")
            .is_some_and(|text| text.contains(&format!("Proof::{variant} =>")));
        return (!there).then(|| format!("there is no proof {proof}"));
    }
    if let Some(step) = name.strip_prefix("lint: ") {
        let there = read("crates/xtask/src/lint.rs")
            .is_some_and(|text| text.contains(&format!("\"{step}\"")));
        return (!there).then(|| format!("there is no lint {step}"));
    }
    if let Some(rest) = name.strip_prefix("end2end: ") {
        let (file, title) = rest.split_once(": ").unwrap_or((rest, ""));
        let Some(text) = read(&format!("end2end/tests/{file}")) else {
            return Some(format!("end2end/tests/{file} is not there"));
        };
        let there = title.is_empty() || text.contains(&format!("test(\"{title}\""));
        return (!there).then(|| format!("{file} has no test {title:?}"));
    }
    let (module, function) = name.rsplit_once("::")?;
    let (place, module) = module.split_once("::").unwrap_or((module, "lib"));
    let folder = match place {
        "api" | "db" => format!("crates/server/tests/{place}"),
        _ => format!("crates/{place}/src"),
    };
    let path = format!("{folder}/{}.rs", module.replace("::", "/"));
    let Some(text) = read(&path) else {
        return Some(format!("{path} is not there"));
    };
    (!has_test(&text, function)).then(|| format!("{path} has no test {function}"))
}

fn has_test(text: &str, function: &str) -> bool {
    let listed = || {
        let list = text.split("both_databases!(").nth(1)?.split(')').next()?;
        list.split(',')
            .any(|name| name.trim() == function)
            .then_some(())
    };
    let marked = || {
        let before = text.split(&format!("fn {function}(")).next()?;
        let mark = before
            .lines()
            .rev()
            .find(|line| line.trim_start().starts_with("#["))?;
        let between = before.rsplit(mark).next()?;
        let own = !between.contains("fn ") && text.contains(&format!("fn {function}("));
        (own && (mark.contains("#[test]") || mark.contains("#[tokio::test"))).then_some(())
    };
    listed().or_else(marked).is_some()
}

#[test]
fn every_requirement_has_its_tests_and_every_named_test_exists() {
    let map = read("docs/security.md").expect("the page is there");
    let found = faults(&map, missing);
    assert!(found.is_empty(), "docs/security.md:\n{}", found.join("\n"));
}

#[test]
fn a_map_that_claims_too_much_is_found_out() {
    for absent in [
        "api::rotation::a_due_token_rotates_thrice",
        "api::nowhere::a_due_token_rotates_once",
        "server::http::body::type_fits",
        "core::rotation::judge",
        "end2end: times.spec.js: no such title",
        "end2end: nowhere.spec.js",
        "fuzz: nothing",
    ] {
        assert!(is_test(absent) && missing(absent).is_some(), "{absent}");
    }
    let row =
        |number: u32| format!("| {number} | what | `api::rotation::a_due_token_rotates_once` |\n");
    let whole: String = REQUIREMENTS.map(row).collect();
    assert_eq!(faults(&whole, missing), Vec::<String>::new());
    let twice = format!("{whole}{}", row(7));
    assert_eq!(faults(&twice, missing), ["row 7 stands there 2 times"]);
    let without = whole.replace(
        &row(100),
        "| 100 | what | soon |\n| 101 | what | not yet, because |\n",
    );
    assert_eq!(
        faults(&without, missing),
        [
            "row 100 names no test and no reason",
            "row 101 is no requirement"
        ]
    );
}
