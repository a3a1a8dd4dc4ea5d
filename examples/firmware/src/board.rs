//! The board: TI's LM3S6965 evaluation kit, as QEMU has it. All that is not safe Rust is here: the
//! registers of its serial port, and the stack's memory.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;

/// The system clock after a reset, in QEMU.
const CLOCK_HZ: u32 = 12_500_000;

/// Cycles in which the system's timer runs down once: all of its 24 bits, 1.3 seconds. A tick each
/// millisecond would be simpler, but ticks can be lost: where one is late for longer than a period (in an
/// emulator on a busy machine, or behind a critical section) two become one, and the clock falls behind.
const LAP: u32 = 1 << 24;

/// How often it has run down; enough for 180 years.
static LAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // The only writer: no other context changes it between the two.
    LAPS.store(LAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Time and the serial line.
pub struct Board {
    millis: u64,
}

impl Board {
    /// Starts the timer and the serial port; `None` the second time.
    pub fn take() -> Option<Self> {
        let mut core = cortex_m::Peripherals::take()?;
        core.SYST.set_clock_source(SystClkSource::Core);
        core.SYST.set_reload(LAP - 1);
        core.SYST.clear_current();
        core.SYST.enable_interrupt();
        core.SYST.enable_counter();
        Uart::start();
        Some(Self { millis: 0 })
    }

    /// Milliseconds since the start.
    pub fn millis(&mut self) -> u64 {
        let (laps, left) = loop {
            let (laps, left) = (LAPS.load(Ordering::Relaxed), SYST::get_current());
            if LAPS.load(Ordering::Relaxed) == laps {
                break (laps, left);
            }
        };
        let cycles = u64::from(laps) * u64::from(LAP) + u64::from(LAP - 1 - left);
        // A lap that has begun and is not counted yet must not turn back the clock.
        self.millis = self.millis.max(cycles / u64::from(CLOCK_HZ / 1_000));
        self.millis
    }

    /// The next byte from the line, if one has come.
    #[expect(clippy::unused_self, reason = "whoever holds the board has the line")]
    pub fn read(&mut self) -> Option<u8> {
        Uart::read()
    }

    /// Writes to the line, waiting for it where need be.
    #[expect(clippy::unused_self, reason = "whoever holds the board has the line")]
    pub fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            Uart::write(*byte);
        }
    }
}

/// `UART0`, an ARM `PrimeCell` PL011 without interrupts. While nobody reads, QEMU holds the sender back; on a
/// real board the line needs RTS and CTS, or an interrupt that fills a queue.
struct Uart;

impl Uart {
    const BASE: usize = 0x4000_C000;
    const DATA: usize = 0x00;
    const FLAGS: usize = 0x18;
    const BAUD_INTEGER: usize = 0x24;
    const BAUD_FRACTION: usize = 0x28;
    const LINE: usize = 0x2C;
    const CONTROL: usize = 0x30;

    const FLAG_RX_EMPTY: u32 = 1 << 4;
    const FLAG_TX_FULL: u32 = 1 << 5;

    fn start() {
        // Clocks for UART0 and for port A, whose pins 0 and 1 become the line.
        Self::poke(0x400F_E104, 1);
        Self::poke(0x400F_E108, 1);
        Self::poke(0x4000_4420, 0b11);
        Self::poke(0x4000_451C, 0b11);
        // 115,200 baud at 12.5 MHz (6.78 = 6 + 50/64); eight bits, FIFOs on; enabled both ways.
        Self::poke(Self::BASE + Self::BAUD_INTEGER, 6);
        Self::poke(Self::BASE + Self::BAUD_FRACTION, 50);
        Self::poke(Self::BASE + Self::LINE, 0x70);
        Self::poke(Self::BASE + Self::CONTROL, 0x301);
    }

    fn read() -> Option<u8> {
        let is_empty = Self::peek(Self::BASE + Self::FLAGS) & Self::FLAG_RX_EMPTY != 0;
        (!is_empty).then(|| Self::peek(Self::BASE + Self::DATA).to_le_bytes()[0])
    }

    fn write(byte: u8) {
        while Self::peek(Self::BASE + Self::FLAGS) & Self::FLAG_TX_FULL != 0 {}
        Self::poke(Self::BASE + Self::DATA, u32::from(byte));
    }

    fn peek(address: usize) -> u32 {
        // SAFETY: only called with the addresses above, which are registers of this chip.
        unsafe { (address as *const u32).read_volatile() }
    }

    fn poke(address: usize, value: u32) {
        // SAFETY: as for `peek`; these registers move no memory.
        unsafe { (address as *mut u32).write_volatile(value) }
    }
}

/// The most stack used since the start, and the room there is for it, in bytes.
pub fn stack() -> (u32, u32) {
    unsafe extern "C" {
        static mut _stack_end: u32;
        static mut _stack_start: u32;
    }
    let end = &raw const _stack_end;
    let start = &raw const _stack_start;
    let mut at = end;
    // SAFETY: from the end of static memory to the top of the stack there is memory, which cortex-m-rt has
    // filled with this word before main; what the stack overwrites meanwhile does not matter.
    while at < start && unsafe { at.read_volatile() } == cortex_m_rt::STACK_PAINT_VALUE {
        at = at.wrapping_add(1);
    }
    let bytes = |from: *const u32| u32::try_from(start.addr() - from.addr()).unwrap_or(u32::MAX);
    (bytes(at), bytes(end))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Whoever waits for reports notices; a product would have a watchdog.
    loop {
        cortex_m::asm::wfi();
    }
}

/// The interrupts' handlers: none is enabled, and the linker's script wants one. Without this there would be
/// room for 240 of them, a kilobyte of flash.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [usize; 1] = [0];
