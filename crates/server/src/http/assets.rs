//! The bundle, the style sheet and the icons, from inside the binary.
//!
//! A new server with a cached old bundle must never happen: an address with the right `?v=` is cached
//! for good, since other bytes have another address; any other is asked for again each time.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

/// A file as `build.rs` found it.
struct Embedded {
    path: &'static str,
    bytes: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

const EMBEDDED: &[Embedded] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// A file and what is known of it.
pub struct Asset {
    file: &'static Embedded,
    version: String,
}

static ASSETS: LazyLock<HashMap<&'static str, Asset>> = LazyLock::new(|| {
    EMBEDDED
        .iter()
        .map(|file| {
            let digest = Sha256::digest(file.bytes);
            let version = crate::hex::write(&digest[..8]);
            (file.path, Asset { file, version })
        })
        .collect()
});

/// The path of the style sheet.
pub const STYLE: &str = "/pkg/rollcall.css";

const SCRIPT: &str = "/pkg/rollcall-client.js";
const WASM: &str = "/pkg/rollcall-client_bg.wasm";

/// Whether the binary holds the WebAssembly bundle.
pub fn has_bundle() -> bool {
    ASSETS.contains_key(SCRIPT) && ASSETS.contains_key(WASM)
}

/// A file's address with its version, `None` if there is no such file.
pub fn address(path: &str) -> Option<String> {
    ASSETS
        .get(path)
        .map(|asset| format!("{path}?v={}", asset.version))
}

/// The style sheet's address. There always is one.
pub fn style() -> String {
    address(STYLE).unwrap_or_else(|| STYLE.to_owned())
}

/// The addresses of script and WebAssembly, where the binary holds them.
pub fn bundle() -> Option<(String, String)> {
    Some((address(SCRIPT)?, address(WASM)?))
}

/// The file at this path.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.get(path)
}

impl Asset {
    /// Answers with the file, compressed where that is accepted, or with 304.
    pub fn answer(&self, query: Option<&str>, headers: &HeaderMap) -> Response {
        let packed = [("br", self.file.brotli), ("gzip", self.file.gzip)]
            .into_iter()
            .find_map(|(coding, bytes)| {
                Some((coding, bytes.filter(|_| accepts(headers, coding))?))
            });
        let tag = match packed {
            Some((coding, _)) => format!("\"{}-{coding}\"", self.version),
            None => format!("\"{}\"", self.version),
        };
        let lasting =
            query.and_then(|query| query.strip_prefix("v=")) == Some(self.version.as_str());
        let unchanged = headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(','))
            .any(|known| known.trim().trim_start_matches("W/") == tag);
        let mut response = if unchanged {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Body::from(packed.map_or(self.file.bytes, |(_, bytes)| bytes)).into_response()
        };
        let answer = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            answer.insert(header::ETAG, tag);
        }
        answer.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static(if lasting {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            }),
        );
        if self.file.brotli.is_some() || self.file.gzip.is_some() {
            answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if !unchanged {
            answer.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static(content_type(self.file.path)),
            );
            if let Some((coding, _)) = packed {
                answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
        }
        response
    }
}

// RFC 9110, 12.5.3: a coding is refused by a weight of zero.
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            let refused = weight
                .trim()
                .strip_prefix("q=")
                .is_some_and(|weight| weight.trim().parse() == Ok(0.0_f32));
            name.trim().eq_ignore_ascii_case(coding) && !refused
        })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Embedded = Embedded {
        path: "/pkg/a.js",
        bytes: b"plain",
        brotli: Some(b"packed"),
        gzip: Some(b"zipped"),
    };

    fn asset() -> Asset {
        Asset {
            file: &FILE,
            version: "00ff".to_owned(),
        }
    }

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            header::HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn a_file_is_sent_packed_to_those_who_take_it() {
        for (value, coding) in [
            ("br", Some("br")),
            ("gzip, deflate, br;q=1.0", Some("br")),
            ("gzip, BR", Some("br")),
            ("br;q=0, gzip", Some("gzip")),
            ("br; q=0.0", None),
            ("gzip, deflate", Some("gzip")),
            ("brotli", None),
            ("identity", None),
        ] {
            let response = asset().answer(None, &headers("accept-encoding", value));
            let sent = response.headers().get("content-encoding");
            assert_eq!(sent.map(|sent| sent.to_str().unwrap()), coding, "{value}");
            assert_eq!(response.headers()["vary"], "accept-encoding");
            let tag = coding.map_or("\"00ff\"".to_owned(), |coding| format!("\"00ff-{coding}\""));
            assert_eq!(response.headers()["etag"], tag);
        }
    }

    #[test]
    fn only_the_right_version_is_kept_for_good() {
        for (query, lasting) in [
            (Some("v=00ff"), true),
            (Some("v=00fe"), false),
            (Some("x=1"), false),
            (None, false),
        ] {
            let response = asset().answer(query, &HeaderMap::new());
            let kept = response.headers()["cache-control"] != "no-cache";
            assert_eq!(kept, lasting, "{query:?}");
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        for (value, status) in [
            ("\"00ff\"", 304),
            ("W/\"00ff\"", 304),
            ("\"a\", \"00ff\"", 304),
            ("\"00fe\"", 200),
        ] {
            let response = asset().answer(None, &headers("if-none-match", value));
            assert_eq!(response.status(), status, "{value}");
        }
    }

    #[test]
    fn there_is_always_a_style_sheet() {
        assert!(find(STYLE).is_some());
        assert!(style().starts_with("/pkg/rollcall.css?v="));
    }
}
