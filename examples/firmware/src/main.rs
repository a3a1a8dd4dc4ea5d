//! A full peer on a Cortex-M3 with 64 KB of RAM and no allocator: its own key and log, replicas of what its
//! peer has, fork detection; a reading of its (simulated) sensor every second, signed and appended.
//!
//! It speaks on a serial line, see [`verisoo_link`], and needs to be told three things when it starts, see
//! [`Boot`]: something random, who its peer is, and whether its log has ever existed. `docs/device.md` is
//! the guide.
#![no_std]
#![no_main]

mod board;
mod memory;

use core::time::Duration;

use board::Board;
use cortex_m_rt::entry;
use static_cell::ConstStaticCell;
use verisoo::store::FixedStore;
use verisoo::wire::{Frame, Message};
use verisoo::{Answers, Ed25519};
use verisoo::{
    Attestation, Command, Config, Event, Fixed, Identity, Instant, Introductions, Name, Node, PeerId, Start, Vkey,
};
use verisoo_link::{Boot, Channel, MAX_PAYLOAD, OVERHEAD, Receiver, Report, Vital};

/// Who this device is. A product keeps the seed in fuses or in a secure element, one for each device.
const NAME: &str = "sensor-7.example";
const SECRET: [u8; 32] = *b"not a secret: this is an example";

/// What a reading says it is: milliseconds since the start (u64) and thousandths of a degree (u32), both
/// little-endian.
const READING: &str = "application/vnd.example.reading";

/// 4 peers; 8 followed logs and its own; 10 differences and 6 requests at a time; batches of up to 9 records.
type Tables = Fixed<4, 9, 10, 6, 80>;

/// Of each of 8 logs the newest records in 192 bytes, of its own those in 1,536; one fork proof of usual
/// length.
type Logs = FixedStore<8, 192, 28, 1_536, 48, 1_104>;

/// Room for the largest frame, and behind it for the answer to a push.
type Line = Receiver<{ MAX_PAYLOAD + OVERHEAD + 232 }>;

static LINE: ConstStaticCell<Line> = ConstStaticCell::new(Line::new());
static LOGS: ConstStaticCell<Logs> = ConstStaticCell::new(Logs::new());

#[entry]
fn main() -> ! {
    // All fail only the second time.
    if let (Some(board), Some(line), Some(logs)) = (Board::take(), LINE.try_take(), LOGS.try_take()) {
        start(board, line, logs);
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// Says hello until it is told how to start; then it is a member of the federation for good. Returns only
/// where it was told what cannot be.
fn start(mut board: Board, line: &'static mut Line, logs: &'static mut Logs) {
    let Some(identity) = identity() else { return };
    let Some(told) = wait_for_boot(&mut board, line, *identity.vkey().key()) else { return };
    let Told { peer, config, entropy, recover, reading_ms } = told;
    let now = board.millis();
    // It lives here, on the stack: returned into a static cell, it would be on the stack as well while it is
    // made, and there is no room for two.
    let mut node: Node<Tables> = Node::new(identity, config, entropy, instant(now));
    if recover && node.load(logs, Start::Recover(Answers::AtLeast(1))).is_err() {
        return;
    }
    let (Ok(peer), Some(identity)) = (node.add_peer(logs, peer), self::identity()) else { return };
    let vital = Vital::default();
    Device { board, line, logs, node: &mut node, identity, peer, reading_ms, reading_at: now, report_at: now, vital }
        .run();
}

/// What [`Boot`] says.
struct Told {
    peer: Vkey<Ed25519>,
    config: Config,
    entropy: [u8; 32],
    recover: bool,
    reading_ms: u32,
}

#[inline(never)]
fn wait_for_boot(board: &mut Board, line: &mut Line, key: [u8; 32]) -> Option<Told> {
    let mut hello_at = 0;
    loop {
        let now = board.millis();
        if now >= hello_at {
            hello_at = now + 500;
            report(board, &Report::Hello { name: NAME, key });
        }
        if board.read().is_some_and(|byte| line.push(byte))
            && let Some((Channel::Boot, payload, _)) = line.frame()
            && let Some(boot) = Boot::decode(payload)
        {
            let peer = Vkey::new(Name::new(boot.peer_name).ok()?, boot.peer_key).ok()?;
            let mut config = Config::default();
            config.interval = Duration::from_millis(u64::from(boot.interval_ms));
            config.timeout = Duration::from_secs(1);
            config.max_message = 4_608;
            config.window = 1;
            // Of introduced logs no more is kept than of others: the store bounds their bytes.
            config.introductions = Introductions::Accept { logs: 6, bytes: u64::MAX };
            let reading_ms = boot.reading_ms.max(1);
            return Some(Told { peer, config, entropy: boot.entropy, recover: boot.recover, reading_ms });
        }
    }
}

struct Device<'a> {
    board: Board,
    line: &'static mut Line,
    logs: &'static mut Logs,
    node: &'a mut Node<Tables>,
    identity: Identity<Ed25519>,
    peer: PeerId,
    reading_ms: u32,
    reading_at: u64,
    report_at: u64,
    vital: Vital,
}

impl Device<'_> {
    fn run(mut self) -> ! {
        loop {
            self.receive();
            let now = self.board.millis();
            if now >= self.reading_at {
                self.reading_at = now + u64::from(self.reading_ms);
                self.take_reading(now);
            }
            if now >= self.report_at {
                self.report_at = now + 1_000;
                self.report(now);
            }
            // What is sent is written where frames are received, so that there is one buffer and not two.
            if !self.line.is_receiving() {
                self.poll(now);
            }
        }
    }

    /// Reads what has come, up to the end of a frame, and handles that.
    fn receive(&mut self) {
        while let Some(byte) = self.board.read() {
            if self.line.push(byte) {
                return self.frame();
            }
        }
    }

    #[inline(never)]
    fn frame(&mut self) {
        let now = instant(self.board.millis());
        let Some((Channel::Protocol, payload, rest)) = self.line.frame() else { return };
        let Ok(Frame { id, message }) = Frame::decode(payload) else { return };
        match message {
            Message::Request(request) => {
                if let Some(answer) = self.node.respond(now, self.logs, id, &request, rest) {
                    send(&mut self.board, Channel::Protocol, answer);
                }
            }
            Message::Response(response) => {
                // The store is never busy and has no errors to report; what it has no room for is a notice.
                let _ = self.node.handle(now, self.logs, Event::Answer { peer: self.peer, request: id, response });
            }
        }
    }

    #[inline(never)]
    fn poll(&mut self, now: u64) {
        let Some(command) = self.node.poll(instant(now), self.logs) else { return };
        if let Command::Notify(_) = command {
            return;
        }
        let scratch = self.line.scratch();
        let limit = scratch.len().min(MAX_PAYLOAD);
        if let Some(buf) = scratch.get_mut(..limit)
            && let Ok(Some(bytes)) = self.node.encode(self.logs, &command, buf)
        {
            send(&mut self.board, Channel::Protocol, bytes);
        }
    }

    /// A reading, signed as a statement of its own and appended to the log. Where peers have not
    /// acknowledged enough for something older to be dropped, the next reading has to do.
    #[inline(never)]
    fn take_reading(&mut self, now: u64) {
        let mut payload = [0; 12];
        let (when, what) = payload.split_at_mut(8);
        when.copy_from_slice(&now.to_le_bytes());
        what.copy_from_slice(&simulated(now).to_le_bytes());
        let mut scratch = [0; 128];
        let mut record = [0; 160];
        let appended =
            Attestation::sign_with(&self.identity, READING, &payload, &mut scratch).ok().and_then(|signed| {
                let len = signed.encode(&mut record).ok()?;
                self.node.append(self.logs, record.get(..len)?).ok()
            });
        match appended {
            Some(index) => self.vital.appended = index + 1,
            None => self.vital.put_off = self.vital.put_off.saturating_add(1),
        }
    }

    #[inline(never)]
    fn report(&mut self, now: u64) {
        let (stack_peak, stack_room) = board::stack();
        self.vital = Vital {
            uptime_ms: now,
            acknowledged: self.node.peers().filter_map(|peer| peer.acknowledged).max().unwrap_or(0),
            is_waiting: self.node.check_writing().is_err(),
            bad_frames: self.line.bad_frames,
            stack_peak,
            stack_room,
            ..self.vital
        };
        report(&mut self.board, &Report::Vital(self.vital));
        for log in self.node.logs() {
            let (size, is_forked) = (log.complete.size, log.is_forked);
            report(&mut self.board, &Report::Log { log: *log.log.as_bytes(), size, is_forked });
        }
    }
}

#[inline(never)]
fn identity() -> Option<Identity<Ed25519>> {
    Identity::from_seed(NAME, &SECRET).ok()
}

fn instant(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Thousandths of a degree: a slow wave.
fn simulated(now: u64) -> u32 {
    let phase = u32::try_from(now / 100 % 2_000).unwrap_or(0);
    20_000 + phase.min(2_000 - phase)
}

fn report(board: &mut Board, report: &Report<'_>) {
    let mut buf = [0; 128];
    if let Some(bytes) = report.encode(&mut buf) {
        send(board, Channel::Report, bytes);
    }
}

/// One copy of what stuffs and sends, for all who call it.
#[inline(never)]
fn send(board: &mut Board, channel: Channel, payload: &[u8]) {
    verisoo_link::send(channel, payload, |bytes| board.write(bytes));
}
