//! The trail's two files in the data folder: the key, and the note of the newest end.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use zeroize::Zeroizing;

use super::Head;
use crate::clock::Random;
use crate::hex;

/// The key of the chain: 32 random bytes.
pub const KEY: &str = "audit.key";
/// The newest number and HMAC, as one line of text.
pub const HEAD: &str = "audit.head";
/// The note that did not fit the trail at a start, kept until somebody has looked into it.
pub const DOUBTFUL_HEAD: &str = "audit.head.doubtful";

/// The key; `None` where there is no file.
///
/// # Errors
/// In words, where the file cannot be read or does not hold 32 bytes.
pub fn read_key(folder: &Path) -> anyhow::Result<Option<Zeroizing<[u8; 32]>>> {
    let file = folder.join(KEY);
    match fs::read(&file) {
        Ok(bytes) => {
            let key = <[u8; 32]>::try_from(Zeroizing::new(bytes).as_slice()).ok();
            Ok(Some(Zeroizing::new(key.with_context(|| {
                format!("{} does not hold 32 bytes", file.display())
            })?)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// The key; made at the first start.
pub(super) fn read_or_make_key(
    folder: &Path,
    random: &dyn Random,
) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    if let Some(key) = read_key(folder)? {
        return Ok(key);
    }
    let mut key = Zeroizing::new([0; 32]);
    random.fill(key.as_mut_slice());
    let file = folder.join(KEY);
    write_private(&file, key.as_slice())
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(key)
}

/// The noted end; `None` where there is no file.
///
/// # Errors
/// In words, where the file cannot be read or holds something else.
pub fn read_head(file: &Path) -> anyhow::Result<Option<Head>> {
    match fs::read_to_string(file) {
        Ok(text) => parse_head(&text)
            .map(Some)
            .ok_or_else(|| anyhow!("{} does not hold the end of a trail", file.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            bail!("{} does not hold the end of a trail", file.display())
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn parse_head(text: &str) -> Option<Head> {
    let (sequence, hmac) = text.trim().split_once(' ')?;
    let sequence = sequence.parse().ok()?;
    (sequence >= 0).then_some((sequence, hex::read(hmac)?))
}

/// Notes an end.
pub(super) fn write_head(file: &Path, (sequence, hmac): Head) -> anyhow::Result<()> {
    let hmac = hex::write(&hmac);
    let next = file.with_extension("head.next");
    // Renamed into place, so that a crash leaves the old note or the new one, never half of one.
    write_private(&next, format!("{sequence} {hmac}\n").as_bytes())?;
    fs::rename(&next, file)?;
    Ok(())
}

/// Puts a note that does not fit aside; the first of several is the one that tells most.
pub(super) fn keep_doubtful_head(folder: &Path) -> anyhow::Result<()> {
    let kept = folder.join(DOUBTFUL_HEAD);
    if kept.exists() {
        return Ok(());
    }
    fs::rename(folder.join(HEAD), &kept)
        .with_context(|| format!("cannot keep the old note as {}", kept.display()))
}

/// Writes a file that only its owner may read, through to the disk.
pub fn write_private(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(file)?;
    opened.write_all(bytes)?;
    opened.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_nothing_else_is_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(HEAD);
        assert!(read_head(&file).unwrap().is_none());
        write_head(&file, (7, [0xab; 32])).unwrap();
        assert_eq!(read_head(&file).unwrap(), Some((7, [0xab; 32])));
        let hmac = "ab".repeat(32);
        for text in [
            String::new(),
            "7".to_owned(),
            format!("-7 {hmac}"),
            format!("x {hmac}"),
            format!("7 {}", &hmac[1..]),
            format!("7 +{}", &hmac[1..]),
            format!("7 {}", "é".repeat(32)),
        ] {
            fs::write(&file, &text).unwrap();
            assert!(read_head(&file).is_err(), "{text}");
        }
        fs::write(&file, [0xff, 0xfe]).unwrap();
        let words = |outcome: anyhow::Result<Option<Head>>| outcome.unwrap_err().to_string();
        assert!(words(read_head(&file)).contains("does not hold the end"));
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(words(read_head(&file)).starts_with("cannot read"));
    }

    // Taken for "not there", it would be replaced, and the trail would never be confirmed again.
    #[test]
    fn a_key_that_cannot_be_read_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_key(folder.path()).unwrap().is_none());
        fs::create_dir(folder.path().join(KEY)).unwrap();
        let error = read_key(folder.path()).unwrap_err();
        assert!(error.to_string().starts_with("cannot read"), "{error}");
        assert!(read_or_make_key(folder.path(), &crate::clock::OsRandom).is_err());
    }
}
