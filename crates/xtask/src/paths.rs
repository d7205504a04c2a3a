//! Where things are: the tree, the build output, the tools.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The root of the source tree.
pub(crate) fn root() -> PathBuf {
    // Of the checkout that it was started in: two checkouts may share a build folder, and with it this
    // program. `cargo run` sets the variable.
    let here = std::env::var("CARGO_MANIFEST_DIR")
        .unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let here = Path::new(&here);
    // Two levels up from crates/xtask; the manifest directory always has them.
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Cargo's target directory of this build (`CARGO_TARGET_DIR`, a setting, or `target`).
///
/// Read from where this very program lies (`<target>/debug/xtask`), since that is right whichever
/// of the three decided it.
pub(crate) fn target() -> Result<PathBuf> {
    let exe = env::current_exe().context("cannot find this program's own path")?;
    exe.ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .context("this program does not lie in a target directory; start it by `cargo xtask`")
}

/// The target directory of the WebAssembly build.
///
/// It has its own, so that flags and compilers of the two builds never invalidate each other.
pub(crate) fn client_target() -> Result<PathBuf> {
    Ok(target()?.join("client"))
}

/// The finished bundle, which the server takes in when it is compiled.
pub(crate) fn dist() -> PathBuf {
    root().join("dist")
}

/// Where tools are installed: `ROLLCALL_TOOLS`, else a folder in the user's cache directory.
pub(crate) fn tools() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("ROLLCALL_TOOLS").filter(|value| !value.is_empty()) {
        return std::path::absolute(PathBuf::from(folder)).context("ROLLCALL_TOOLS");
    }
    let home = || env::var_os("HOME").map(PathBuf::from);
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| home().map(|home| home.join(".cache")))
        .context("neither ROLLCALL_TOOLS nor HOME is set: there is nowhere to install tools")?;
    Ok(cache.join("rollcall").join("tools"))
}

/// The first file called `name` on `PATH`.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// `PATH` with `folders` in front of it.
pub(crate) fn path_with(folders: &[PathBuf]) -> Result<std::ffi::OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(folders.iter().cloned().chain(env::split_paths(&path)))
        .context("a folder of PATH has a separator in its name")
}
