//! Key files: three lines of text.
//!
//! ```text
//! # example.com/log+0a1b2c3d+Aa…   the vkey, for people to copy
//! example.com/log                  the name
//! 64 hex digits                    the secret seed
//! ```

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use verisoo::{Hash, Identity};

/// Makes a key and writes its file. An existing file is never touched: it may be the only copy of a key.
pub fn make(file: &Path, name: &str) -> anyhow::Result<Identity> {
    let seed = random_seed()?;
    let identity: Identity = Identity::from_seed(name, &seed)?;
    let vkey = identity.vkey();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(file).with_context(|| format!("{} is not written", file.display()))?;
    // Hex of 32 bytes, as hashes are written.
    let written = write!(out, "# {vkey}\n{name}\n{}\n", Hash::from_bytes(seed)).and_then(|()| out.sync_all());
    if let Err(error) = written {
        // Half a key is none.
        let _ = fs::remove_file(file);
        return Err(error).with_context(|| format!("{} is not written", file.display()));
    }
    Ok(identity)
}

/// Reads a key file; one that others on the machine may read is refused.
pub fn load(file: &Path) -> anyhow::Result<Identity> {
    let about = || file.display().to_string();
    let text = fs::read_to_string(file).with_context(about)?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file).with_context(about)?.permissions());
        let is_private = matches!(mode & 0o077, 0);
        ensure!(is_private, "{}: others may read it; chmod 600", about());
    }
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let (name, seed) = (lines.next().unwrap_or_default(), lines.next().and_then(Hash::from_hex));
    ensure!(lines.next().is_none(), "{}: not a key file", about());
    let seed = seed.with_context(|| format!("{}: not a key file", about()))?;
    Identity::from_seed(name, seed.as_bytes()).with_context(about)
}

/// An identity for as long as the process runs.
pub fn throwaway(name: &str) -> anyhow::Result<Identity> {
    Ok(Identity::from_seed(name, &random_seed()?)?)
}

fn random_seed() -> anyhow::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the system gives no random numbers")?;
    Ok(seed)
}
