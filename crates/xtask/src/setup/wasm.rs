//! A compiler for `wasm32-unknown-unknown`, with its standard library.
//!
//! Most people have it from rustup. Where rustup cannot download, Debian has a compiler with the
//! library's source, from which cargo builds the library itself (`-Zbuild-std`). That source is
//! also worth having for shipping builds: a library built for size, without panic messages, makes
//! the bundle a sixth smaller.

use super::debian;
use crate::paths;
use crate::process::{output, step, succeeds_within};
use anyhow::{Context, Result, bail};
use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// As `rust-version` in `Cargo.toml`.
const OLDEST: (u32, u32) = (1, 95);
/// How long rustup may try before we look elsewhere: enough for its 20 MB on a slow line.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);
/// In order of preference; the newest linker that Debian keeps for its compiler comes first.
const LINKERS: [&str; 5] = [
    "wasm-ld-22",
    "wasm-ld-21",
    "wasm-ld-20",
    "wasm-ld-19",
    "wasm-ld",
];

/// What a bundle is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Quick to build, with panic messages.
    Development,
    /// Small.
    Shipping,
}

/// A compiler that can build for WebAssembly.
#[derive(Clone)]
pub(crate) struct Compiler {
    /// The compiler, if it is not the one that cargo would use anyway.
    other: Option<PathBuf>,
    sysroot: PathBuf,
    /// Whether the standard library is compiled with the bundle.
    from_source: bool,
}

impl Compiler {
    fn examine(other: Option<PathBuf>) -> Option<Self> {
        let rustc = other.clone().unwrap_or_else(|| "rustc".into());
        let ask = |words: &[&str]| {
            let mut command = Command::new(&rustc);
            command.current_dir(paths::root()).args(words);
            if other.is_some() {
                command.env_remove("RUSTUP_TOOLCHAIN");
            }
            output(&mut command).ok()
        };
        at_least(&ask(&["--version"])?, OLDEST).then_some(())?;
        let sysroot = ask(&["--print", "sysroot"])?.trim_end().into();
        Some(Self {
            other,
            sysroot,
            from_source: false,
        })
    }

    fn library(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib")
    }

    fn has_ready_made(&self) -> bool {
        let folder = self.library().join(TARGET).join("lib");
        fs::read_dir(folder).is_ok_and(|files| {
            files
                .flatten()
                .any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
        })
    }

    fn has_source(&self) -> bool {
        self.library().join("src/rust/library/Cargo.lock").is_file() && self.linker().is_ok()
    }

    fn with_library_from_source(mut self) -> Self {
        self.from_source = true;
        self
    }

    /// The linker to name, or none if the compiler brings its own.
    fn linker(&self) -> Result<Option<PathBuf>> {
        let own = fs::read_dir(self.library()).is_ok_and(|hosts| {
            hosts
                .flatten()
                .any(|host| host.path().join("bin/rust-lld").is_file())
        });
        if own {
            return Ok(None);
        }
        match LINKERS.iter().find_map(|name| paths::which(name)) {
            Some(linker) => Ok(Some(linker)),
            None => bail!("there is no linker for WebAssembly (wasm-ld)"),
        }
    }

    /// A folder that must lead `PATH` so that `cargo` and `rustc` are this compiler's.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.other.as_ref().and_then(|_| other_folder().ok())
    }

    /// Whether this is a compiler beside the one that the rest is built with.
    pub(crate) fn is_other(&self) -> bool {
        self.other.is_some()
    }

    /// Makes the command, and whatever it starts, build for WebAssembly with this compiler.
    pub(crate) fn configure(&self, command: &mut Command, purpose: Purpose) -> Result<()> {
        command.env("CARGO_TARGET_DIR", paths::client_target()?);
        if let Some(rustc) = &self.other {
            command
                .env_remove("RUSTUP_TOOLCHAIN")
                .env("RUSTC", rustc)
                .env("CARGO", rustc.with_file_name("cargo"));
        }
        if let Some(linker) = self.linker()? {
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        let mut flags = Vec::new();
        if self.from_source {
            // These settings are not yet stable; the compilers are, and are told to allow them.
            command
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
            if purpose == Purpose::Shipping {
                command.env("CARGO_UNSTABLE_BUILD_STD_FEATURES", "optimize_for_size");
                flags.extend([
                    "-Zunstable-options",
                    "-Cpanic=immediate-abort",
                    "-Zlocation-detail=none",
                    "-Zfmt-debug=none",
                ]);
            }
        }
        // As in `.cargo/config.toml`, which these flags replace.
        flags.push("--cfg=erase_components");
        // Stronger than any RUSTFLAGS of the surroundings, which are meant for the host.
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
        Ok(())
    }
}

impl Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = if self.is_other() { "Debian's" } else { "the" };
        let library = if self.from_source {
            "built from source"
        } else {
            "ready-made"
        };
        write!(
            f,
            "{whose} compiler for {TARGET} (standard library {library})"
        )
    }
}

/// Finds or installs a compiler for the purpose.
pub(super) fn ensure(purpose: Purpose) -> Result<Compiler> {
    let active = Compiler::examine(None).context("there is no rustc 1.95 or newer on PATH")?;
    if purpose == Purpose::Shipping
        && (active.has_source() || rustup(&["component", "add", "rust-src"], "a smaller bundle"))
        && active.has_source()
    {
        return Ok(active.with_library_from_source());
    }
    if purpose == Purpose::Shipping
        && let Some(debian) = debian_compiler()?
    {
        return Ok(debian);
    }
    if active.has_ready_made() || rustup(&["target", "add", TARGET], "the browser's part") {
        if purpose == Purpose::Shipping {
            eprintln!(
                "    note: without the standard library's source the bundle gets a sixth larger"
            );
        }
        return Ok(active);
    }
    if active.has_source() {
        return Ok(active.with_library_from_source());
    }
    if let Some(debian) = debian_compiler()? {
        return Ok(debian);
    }
    debian::install(
        &["rustc-web", "cargo-web", "rust-web-src", "lld-22"],
        "a compiler for WebAssembly, as rustup could not download one",
    )?;
    debian_compiler()?.context("Debian's rustc-web was installed and still cannot be used")
}

/// Debian's compiler beside the active one, if it is there with cargo, source and linker.
fn debian_compiler() -> Result<Option<Compiler>> {
    let rustc = Path::new("/usr/bin/rustc");
    if !rustc.is_file() || !rustc.with_file_name("cargo").is_file() {
        return Ok(None);
    }
    let Some(compiler) = Compiler::examine(Some(rustc.into())).filter(Compiler::has_source) else {
        return Ok(None);
    };
    // A folder with nothing but these: all of /usr/bin in front of PATH would hide other tools.
    let folder = other_folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    for name in ["cargo", "rustc", "rustdoc"] {
        let link = folder.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(rustc.with_file_name(name), &link)
                .with_context(|| format!("linking {}", link.display()))?;
        }
    }
    Ok(Some(compiler.with_library_from_source()))
}

fn other_folder() -> Result<PathBuf> {
    Ok(paths::tools()?.join("debian-rust"))
}

/// Asks rustup for something, once: what failed is remembered, since a site that cannot download
/// would otherwise wait for it every time.
fn rustup(words: &[&str], why: &str) -> bool {
    if paths::which("rustup").is_none() {
        return false;
    }
    let ask = || -> Result<bool> {
        let memory = paths::tools()?.join("rustup-could-not");
        let compiler = output(
            Command::new("rustc")
                .current_dir(paths::root())
                .arg("--version"),
        )?;
        let line = format!("{}: {}", compiler.trim(), words.join(" "));
        let known = fs::read_to_string(&memory).unwrap_or_default();
        if known.lines().any(|one| one == line) {
            return Ok(false);
        }
        let done = step(&format!("rustup {}", words.join(" ")), why, || {
            let mut command = Command::new("rustup");
            command.current_dir(paths::root()).args(words);
            if !succeeds_within(&mut command, RUSTUP_LIMIT) {
                bail!("rustup could not");
            }
            Ok(())
        });
        if done.is_err() {
            eprintln!(
                "    looking elsewhere; delete {} to try again",
                memory.display()
            );
            fs::create_dir_all(paths::tools()?)?;
            fs::write(&memory, format!("{known}{line}\n"))?;
        }
        Ok(done.is_ok())
    };
    ask().unwrap_or(false)
}

/// Whether "rustc 1.96.0 (…)" is at least the given version.
fn at_least(version: &str, oldest: (u32, u32)) -> bool {
    let mut numbers = version
        .trim_start_matches("rustc ")
        .split(['.', '-', ' '])
        .map_while(|number| number.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(at_least("rustc 1.96.0 (ac68faa20 2026-05-25)", (1, 95)));
        assert!(at_least("rustc 2.0.0-nightly", (1, 95)));
        assert!(at_least("rustc 1.100.0", (1, 95)));
        assert!(!at_least("rustc 1.63.0", (1, 95)));
        assert!(!at_least("rustc 1.9.0", (1, 95)));
        assert!(!at_least("nonsense", (1, 95)));
    }
}
