//! The cable itself: a tty, or a TCP connection to whatever has one.

use std::convert::Infallible;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;

/// Where a device is connected.
#[derive(Clone, Debug)]
pub enum Port {
    /// `tcp:HOST:PORT`: a terminal server, or an emulator.
    Tcp(String),
    /// Everything else: the path of a tty.
    Tty(PathBuf),
}

/// The two halves of an open line.
pub type Halves = (Box<dyn Read + Send>, Box<dyn Write + Send>);

impl FromStr for Port {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.strip_prefix("tcp:") {
            Some(address) => Self::Tcp(address.to_owned()),
            None => Self::Tty(text.into()),
        })
    }
}

impl Port {
    /// Opens the line, a tty with so many bits a second.
    pub fn open(&self, baud: u32) -> anyhow::Result<Halves> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream.try_clone()?), Box::new(stream)))
            }
            Self::Tty(path) => {
                let tty = open_tty(path, baud).with_context(|| format!("cannot open {}", path.display()))?;
                Ok((Box::new(tty.try_clone()?), Box::new(tty)))
            }
        }
    }
}

/// Eight bits, no parity, nothing translated, and for nobody else as long as it is open.
#[cfg(unix)]
fn open_tty(path: &std::path::Path, baud: u32) -> anyhow::Result<File> {
    use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
    use rustix::termios::{ControlModes, OptionalActions, ioctl_tiocexcl, tcgetattr, tcsetattr};

    // Not blocking while it is opened: without a carrier that could last for ever.
    let tty = open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let mut settings = tcgetattr(&tty).context("not a tty")?;
    settings.make_raw();
    settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    settings.set_speed(baud).with_context(|| format!("{baud} baud"))?;
    tcsetattr(&tty, OptionalActions::Flush, &settings)?;
    ioctl_tiocexcl(&tty)?;
    fcntl_setfl(&tty, OFlags::empty())?;
    Ok(tty.into())
}

#[cfg(not(unix))]
fn open_tty(_: &std::path::Path, _: u32) -> anyhow::Result<File> {
    anyhow::bail!("ttys are opened on Unix alone; serve it as TCP and give tcp:HOST:PORT")
}
