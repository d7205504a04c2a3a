//! Every secret that a proof has seen, and the search for it where none may lie: row 3 of the list of
//! security requirements. Tokens are searched as text and as the bytes that they stand for.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use aho_corasick::AhoCorasick;
use anyhow::{Context as _, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use http::{Method, StatusCode};
use rollcall_bench::client::Connection;
use tokio::process::Command;

use crate::place::Place;

static SEEN: Mutex<Option<HashSet<String>>> = Mutex::new(None);
static FORGOTTEN: AtomicUsize = AtomicUsize::new(0);

/// Writes a secret down.
pub(crate) fn note(secret: &str) {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.get_or_insert_default().insert(secret.to_owned());
}

/// How many secrets have been written down.
pub(crate) fn count() -> usize {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    FORGOTTEN.load(Ordering::Relaxed) + seen.as_ref().map_or(0, HashSet::len)
}

/// Forgets what was written down, once the place where it could lie has been searched and removed: a thousand kills
/// in fifty places see more secrets than can be sought after each of them.
pub(crate) fn forget() {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let gone = seen.take().map_or(0, |seen| seen.len());
    FORGOTTEN.fetch_add(gone, Ordering::Relaxed);
}

/// Searches everything that a server has left in its folder and, on PostgreSQL, what `pg_dump` writes.
/// Answers how many bytes were searched.
pub(crate) async fn scan(place: &Place) -> Result<u64> {
    let needles = needles()?;
    let mut searched = 0;
    let mut folders = vec![place.folder.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let file = entry?.path();
            if file.is_dir() {
                folders.push(file);
            } else {
                searched += search(
                    &needles,
                    &file.display().to_string(),
                    &std::fs::read(&file)?,
                )?;
            }
        }
    }
    if !place.is_sqlite() {
        let dump = Command::new("pg_dump").arg(&place.url).output().await?;
        ensure!(
            dump.status.success(),
            "pg_dump: {}",
            String::from_utf8_lossy(&dump.stderr)
        );
        searched += search(&needles, "the dump", &dump.stdout)?;
    }
    Ok(searched)
}

/// Searches what the server tells of itself in `/metrics`.
pub(crate) async fn scan_metrics(address: SocketAddr) -> Result<u64> {
    let mut connection = Connection::open(address).await?;
    let answer = connection.ask(Method::GET, "/metrics", None, None).await?;
    ensure!(
        answer.status == StatusCode::OK && !answer.body.is_empty(),
        "/metrics answers {}",
        answer.status
    );
    search(&needles()?, "/metrics", &answer.body)
}

fn search(needles: &AhoCorasick, name: &str, bytes: &[u8]) -> Result<u64> {
    if let Some(found) = needles.find(bytes) {
        let around = &bytes[found.start().saturating_sub(60)..found.start()];
        anyhow::bail!(
            "a secret lies in {name} at byte {}, after {:?}",
            found.start(),
            String::from_utf8_lossy(around)
        );
    }
    Ok(bytes.len() as u64)
}

fn needles() -> Result<AhoCorasick> {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let all: HashSet<Vec<u8>> = seen
        .iter()
        .flatten()
        .flat_map(|secret| shapes(secret))
        .collect();
    AhoCorasick::new(all).context("too many secrets to search for")
}

/// The ways in which a secret could have been written down.
fn shapes(secret: &str) -> Vec<Vec<u8>> {
    let mut shapes = in_every_way(secret.as_bytes());
    let url: String = secret
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    shapes.push(url.into_bytes());
    // A token is 16 bytes that name its lineage and 32 that are secret; those alone would be enough.
    let token = secret
        .strip_prefix("rc_s_")
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    if let Some((_, bytes)) = token
        .as_deref()
        .and_then(|token| token.split_at_checked(16))
    {
        shapes.extend(in_every_way(bytes));
        shapes.push(secret.as_bytes()["rc_s_".len()..].to_vec());
    }
    shapes
}

fn in_every_way(bytes: &[u8]) -> Vec<Vec<u8>> {
    let lower: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut ways = vec![
        bytes.to_vec(),
        lower.to_uppercase().into_bytes(),
        lower.into_bytes(),
    ];
    // Within a longer text, base64 depends on where the secret begins; the characters that hold bits of
    // its neighbours are left out.
    for skipped in 0..3 {
        let Some(inner) = bytes.get(skipped..) else {
            continue;
        };
        let whole = &inner[..inner.len() / 3 * 3];
        // What is left of a short one would be found anywhere.
        if whole.len() < 6 {
            continue;
        }
        ways.push(STANDARD_NO_PAD.encode(whole).into_bytes());
        ways.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_shape() {
        let secret = "rc_s_AAECAwQFBgcICQoLDA0OD/-+".replace(['/', '+'], "x");
        let token = format!("rc_s_{}", URL_SAFE_NO_PAD.encode([0xfb_u8; 48]));
        let password = "a pass+word of/many";
        let engine = AhoCorasick::new(
            [&secret, &token, &password.to_owned()]
                .into_iter()
                .flat_map(|it| shapes(it)),
        )
        .unwrap();
        let hex: String = [0xfb_u8; 32]
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        for text in [
            token.clone().into_bytes(),
            [b"..".as_slice(), &[0xfb; 32]].concat(),
            hex.into_bytes(),
            STANDARD_NO_PAD.encode(format!("x{token}")).into_bytes(),
            STANDARD_NO_PAD
                .encode(format!("xy{password}z"))
                .into_bytes(),
            b"q=a%20pass%2Bword%20of%2Fmany".to_vec(),
        ] {
            assert!(engine.is_match(&text), "{}", String::from_utf8_lossy(&text));
        }
        assert!(!engine.is_match(b"nothing to be found here".as_slice()));
    }
}
