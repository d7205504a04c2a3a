//! Whether there is room: a disk that fills up half-way fails in a hundred ways, none of which says so.

use crate::paths;
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// Refuses to begin without room for what is about to be built: `first` GiB where there is no server yet in this
/// `profile`, a tenth of it otherwise. What cannot be found out is no reason to refuse.
pub(crate) fn room_for(first: u64, profile: &str) -> Result<()> {
    let target = paths::target()?;
    let built = target.join(profile).join("rollcall").exists();
    let needed = if built { first.div_ceil(10) } else { first };
    let Some(there) = target.ancestors().find(|folder| folder.exists()) else {
        return Ok(());
    };
    match free(there) {
        Some(free) if free < needed << 30 => bail!(
            "{} has {:.1} GiB free, and this needs about {needed}: free some, or set CARGO_TARGET_DIR to a folder on another disk",
            target.display(),
            free as f64 / f64::from(1 << 30),
        ),
        _ => Ok(()),
    }
}

/// Bytes free for us on the disk of this folder, if `df` says so.
fn free(folder: &Path) -> Option<u64> {
    let output = Command::new("df").args(["-Pk"]).arg(folder).output().ok()?;
    available(&String::from_utf8_lossy(&output.stdout)).map(|kib| kib << 10)
}

/// The fourth column of the second line (POSIX: `df -P`).
fn available(table: &str) -> Option<u64> {
    let line = table.lines().nth(1)?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_df_says_is_read() {
        let table = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda         263174212 94612345     18432      99% /\n";
        assert_eq!(available(table), Some(18_432));
        assert_eq!(available("Filesystem\n"), None);
        assert_eq!(available(""), None);
    }
}
