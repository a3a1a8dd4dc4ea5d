//! Durations as operators write them.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, anyhow};

/// A number of seconds, which may be a fraction and is more than none.
pub fn seconds(text: &str) -> anyhow::Result<Duration> {
    let seconds = f64::from_str(text)?;
    let duration = Duration::try_from_secs_f64(seconds).context("seconds")?;
    if duration.is_zero() { Err(anyhow!("more than 0")) } else { Ok(duration) }
}
