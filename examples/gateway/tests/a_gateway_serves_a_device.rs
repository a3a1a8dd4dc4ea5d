//! `gateway run` with a device on its line, over TCP and on a tty: the device is started, its records are
//! acknowledged, a line that ends is opened again, and a device that was reset takes its log back.
#![cfg(unix)]

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant as Clock};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use verisoo::store::MemoryStore;
use verisoo::wire::{Frame, Message};
use verisoo::{Answers, Config, Event, Hash, Identity, Instant, Name, Node, PeerId, Start, Vkey};
use verisoo_link::{Boot, Channel, MAX_PAYLOAD, OVERHEAD, Receiver, Report};

#[test]
fn over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = format!("tcp:{}", listener.local_addr().unwrap());
    serve(&line, || {
        let stream = listener.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        OwnedFd::from(stream)
    });
}

#[test]
fn on_a_tty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tty");
    // A cable that is plugged in again may be another tty: what stays is a link to it.
    serve(path.to_str().unwrap(), || {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let _ = fs::remove_file(&path);
        symlink(ptsname(&master, Vec::new()).unwrap().to_str().unwrap(), &path).unwrap();
        master
    });
}

fn serve(line: &str, mut plug_in: impl FnMut() -> OwnedFd) {
    let gateway = Gateway::start(line);

    let mut cable = Cable::new(plug_in());
    let mut stranger = Device::new("stranger.example", gateway.vkey);
    stranger.hello(&mut cable);
    let mut device = Device::new("device.example", gateway.vkey);
    device.append(3);
    device.live_until(&mut cable, "its records are acknowledged", |device| device.acknowledged() == Some(3));
    assert!(device.boots.iter().all(|recover| !recover), "its log is new");
    assert!(device.boots.len() <= device.hellos, "nobody else is started");

    // The line ends, and the device does not notice.
    drop(cable);
    let mut cable = Cable::new(plug_in());
    device.append(1);
    device.live_until(&mut cable, "so is a record after it", |device| device.acknowledged() == Some(4));

    // The device is reset: it has forgotten everything but its key.
    drop(cable);
    let mut cable = Cable::new(plug_in());
    let mut device = Device::new("device.example", gateway.vkey);
    device.live_until(&mut cable, "it has its log back", |device| device.node().check_writing().is_ok());
    assert_eq!(device.boots.first(), Some(&true), "its log is not new any more");
    let log = device.node().log(&device.identity.vkey().id()).unwrap();
    assert_eq!((log.complete.size, log.is_forked), (4, false));
    device.append(1);
    device.live_until(&mut cable, "and goes on writing it", |device| device.acknowledged() == Some(5));
}

/// The process, ended when this is dropped.
struct Gateway {
    child: Child,
    vkey: Vkey,
    _dir: tempfile::TempDir,
}

impl Gateway {
    fn start(line: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("key");
        fs::write(&key, format!("gateway.example\n{}\n", Hash::from_bytes([9; 32]))).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        let device = identity("device.example").vkey().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_verisoo-gateway"));
        command.args(["run", "--line", line, "--device", &device, "--key", key.to_str().unwrap()]);
        command.args(["--new-log", "--device-new-log", "--interval", "200"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (vkey, listening) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
        assert!(listening.starts_with("listening on http://"), "{listening}");
        Self { child, vkey: Vkey::parse(&vkey).unwrap(), _dir: dir }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The device's end of the line; unplugged when it is dropped.
struct Cable(File);

impl Cable {
    fn new(end: OwnedFd) -> Self {
        fcntl_setfl(&end, OFlags::NONBLOCK).unwrap();
        Self(end.into())
    }

    /// What has come. Nothing has where the other end is not open yet.
    fn read(&mut self) -> Vec<u8> {
        let mut buf = [0; 512];
        let len = self.0.read(&mut buf).unwrap_or(0);
        buf[..len].to_vec()
    }

    /// What does not get through is lost.
    fn send(&mut self, channel: Channel, payload: &[u8]) {
        let mut frame = Vec::new();
        verisoo_link::send(channel, payload, |bytes| frame.extend_from_slice(bytes));
        let _ = self.0.write_all(&frame);
    }
}

/// What the firmware does, on this machine.
struct Device {
    identity: Identity,
    store: MemoryStore,
    node: Option<(Node, PeerId)>,
    /// Records to be written as soon as it has started.
    planned: usize,
    /// Each time it was told how to start: whether to take its log back.
    boots: Vec<bool>,
    hellos: usize,
    gateway: Vkey,
    receiver: Receiver<{ MAX_PAYLOAD + OVERHEAD }>,
    begun: Clock,
}

impl Device {
    fn new(name: &str, gateway: Vkey) -> Self {
        Self {
            identity: identity(name),
            store: MemoryStore::new(),
            node: None,
            planned: 0,
            boots: Vec::new(),
            hellos: 0,
            gateway,
            receiver: Receiver::new(),
            begun: Clock::now(),
        }
    }

    fn append(&mut self, count: usize) {
        self.planned += count;
    }

    fn node(&self) -> &Node {
        &self.node.as_ref().expect("it has started").0
    }

    fn acknowledged(&self) -> Option<u64> {
        self.node.as_ref()?.0.peers().next()?.acknowledged
    }

    fn hello(&mut self, cable: &mut Cable) {
        self.hellos += 1;
        let vkey = self.identity.vkey();
        let mut buf = [0; 128];
        let report = Report::Hello { name: vkey.name().as_str(), key: *vkey.key() };
        cable.send(Channel::Report, report.encode(&mut buf).unwrap());
    }

    fn live_until(&mut self, cable: &mut Cable, what: &str, done: impl Fn(&Self) -> bool) {
        let begun = Clock::now();
        let mut hello_at = begun;
        while self.node.is_none() || self.planned > 0 || !done(self) {
            assert!(begun.elapsed() < Duration::from_secs(120), "in vain: {what}; {:?}", self.acknowledged());
            for byte in cable.read() {
                if self.receiver.push(byte) {
                    self.received(cable);
                }
            }
            if self.node.is_none() && Clock::now() >= hello_at {
                hello_at += Duration::from_secs(1);
                self.hello(cable);
            }
            self.work(cable);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn received(&mut self, cable: &mut Cable) {
        let now = self.now();
        let Some((channel, payload, _)) = self.receiver.frame() else { return };
        if channel == Channel::Boot {
            let boot = Boot::decode(payload).unwrap();
            self.boots.push(boot.recover);
            if self.node.is_none() {
                let peer = Vkey::new(Name::new(boot.peer_name).unwrap(), boot.peer_key).unwrap();
                assert_eq!(peer, self.gateway);
                let mut node = begin(self.identity.clone(), &mut self.store, &boot, now);
                let peer = node.add_peer(&mut self.store, peer).unwrap();
                self.node = Some((node, peer));
            }
            return;
        }
        let (Some((node, peer)), Ok(Frame { id, message })) = (&mut self.node, Frame::decode(payload)) else { return };
        match message {
            Message::Request(request) => {
                let mut buf = vec![0; MAX_PAYLOAD];
                if let Some(answer) = node.respond(now, &mut self.store, id, &request, &mut buf) {
                    cable.send(Channel::Protocol, answer);
                }
            }
            Message::Response(response) => {
                node.handle(now, &mut self.store, Event::Answer { peer: *peer, request: id, response }).unwrap();
            }
        }
    }

    fn work(&mut self, cable: &mut Cable) {
        let now = self.now();
        let Some((node, _)) = &mut self.node else { return };
        while self.planned > 0 && node.append(&mut self.store, b"a reading").is_ok() {
            self.planned -= 1;
        }
        while let Some(command) = node.poll(now, &mut self.store) {
            let mut buf = vec![0; MAX_PAYLOAD];
            if let Some(bytes) = node.encode(&mut self.store, &command, &mut buf).unwrap() {
                cable.send(Channel::Protocol, bytes);
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.begun.elapsed().as_micros()).unwrap())
    }
}

fn begin(identity: Identity, store: &mut MemoryStore, boot: &Boot<'_>, now: Instant) -> Node {
    let mut config = Config::default();
    config.interval = Duration::from_millis(u64::from(boot.interval_ms));
    config.max_message = u32::try_from(MAX_PAYLOAD).unwrap();
    if !boot.recover {
        return Node::new(identity, config, boot.entropy, now);
    }
    Node::open(identity, config, boot.entropy, now, store, Start::Recover(Answers::AtLeast(1))).unwrap()
}

fn identity(name: &str) -> Identity {
    let mut seed = [7; 32];
    seed.iter_mut().zip(name.bytes()).for_each(|(seed, byte)| *seed ^= byte);
    Identity::from_seed(name, &seed).unwrap()
}
