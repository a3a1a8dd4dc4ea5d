//! The device in this demo: the firmware, built and measured, in QEMU.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// What the linker made of it, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    pub flash: u64,
    pub ram_static: u64,
}

/// Builds the firmware; where it is.
pub fn build() -> anyhow::Result<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The firmware's own configuration is read from its folder, and this build's must not reach it.
    cargo.current_dir(&dir).args(["build", "--release", "--quiet", "--locked"]);
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_TARGET_DIR");
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "the firmware does not build; is its target there? rustup target add thumbv7m-none-eabi");
    Ok(dir.join("target/thumbv7m-none-eabi/release/firmware"))
}

/// Reads the sizes from the ELF file's table of sections.
pub fn measure(firmware: &Path) -> anyhow::Result<Footprint> {
    let elf = std::fs::read(firmware)?;
    let word = |at: usize| -> anyhow::Result<u64> {
        let bytes = elf.get(at..at + 4).context("the ELF file is cut short")?;
        Ok(u64::from(u32::from_le_bytes(bytes.try_into()?)))
    };
    let half = |at: usize| word(at).map(|word| word & 0xffff);
    ensure!(elf.starts_with(b"\x7fELF\x01\x01"), "not a 32-bit little-endian ELF file");
    let (table, entry, count) = (word(32)?, half(46)?, half(48)?);
    let mut footprint = Footprint { flash: 0, ram_static: 0 };
    for section in 0..count {
        let at = usize::try_from(table + section * entry)?;
        let (kind, flags, address, size) = (word(at + 4)?, word(at + 8)?, word(at + 12)?, word(at + 20)?);
        let (is_loaded, has_content, is_in_ram) = (flags & 2 != 0, kind != 8, address >= 0x2000_0000);
        if is_loaded && has_content {
            footprint.flash += size;
        }
        if is_loaded && is_in_ram {
            footprint.ram_static += size;
        }
    }
    Ok(footprint)
}

/// QEMU, ended when this is dropped.
pub struct Emulator(Child);

impl Emulator {
    /// Starts it; the emulator and its serial line.
    pub fn start(firmware: &Path) -> anyhow::Result<(Self, TcpStream)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let line = format!("tcp:{}", listener.local_addr()?);
        let child = Command::new("qemu-system-arm")
            .args(["-M", "lm3s6965evb", "-display", "none", "-monitor", "none", "-serial", &line, "-kernel"])
            .arg(firmware)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let child = match child {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("there is no qemu-system-arm; apt-get install qemu-system-arm")
            }
            child => child?,
        };
        let mut emulator = Self(child);
        listener.set_nonblocking(true)?;
        let begun = Instant::now();
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    stream.set_nodelay(true)?;
                    return Ok((emulator, stream));
                }
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error.into()),
                Err(_) => {}
            }
            if let Some(status) = emulator.0.try_wait()? {
                bail!("QEMU has ended: {status}");
            }
            ensure!(begun.elapsed() < Duration::from_secs(20), "QEMU does not open the serial line");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
