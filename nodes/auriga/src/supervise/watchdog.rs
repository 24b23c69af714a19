//! Who watches the supervisor: systemd (`sd_notify`) and the hardware watchdog. Both are fed only while every safety node
//! is alive.

use super::core::Up;
use anyhow::Context;
use auriga_runtime::Nanos;
use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::Write,
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            fs::OpenOptionsExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// Variables of systemd that are for the supervisor alone: its processes do not get them.
pub(super) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
/// The longest time between two feeds of the hardware watchdog.
const FEED_EVERY: Duration = Duration::from_secs(1);

/// The service manager that started this program.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// Time between two notifications; `None`: it does not watch.
    period: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names: `NOTIFY_SOCKET`, and `WATCHDOG_USEC` with `WATCHDOG_PID` if it watches.
    ///
    /// # Errors
    /// `NOTIFY_SOCKET` is not the address of a Unix socket.
    pub fn from_environment() -> anyhow::Result<Option<ServiceManager>> {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return Ok(None);
        };
        let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let usec = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 0);
        ServiceManager::at(&address, usec.map(Duration::from_micros)).map(Some)
    }

    /// The one at `address`, a path or `@` and an abstract name. `timeout`: within which it expects a sign of life.
    ///
    /// # Errors
    /// When it is not the address of a Unix socket.
    pub fn at(address: &OsStr, timeout: Option<Duration>) -> anyhow::Result<ServiceManager> {
        let bytes = address.as_bytes();
        let found = match bytes.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(Path::new(address)),
        };
        let what = || format!("NOTIFY_SOCKET = {address:?} is not a Unix socket");
        let socket = UnixDatagram::unbound().with_context(what)?;
        // The supervisor waits for nobody.
        socket.set_nonblocking(true).with_context(what)?;
        Ok(ServiceManager { socket, address: found.with_context(what)?, period: timeout.map(|timeout| timeout / 2) })
    }

    fn send(&self, text: &str) {
        if let Err(error) = self.socket.send_to_addr(text.as_bytes(), &self.address) {
            tracing::warn!("the service manager cannot be notified: {error}");
        }
    }
}

/// A watchdog device, such as /dev/watchdog: the machine is reset when nothing is written to it for its timeout.
#[derive(Debug)]
pub struct WatchdogDevice {
    path: PathBuf,
    file: File,
    period: Duration,
    failing: bool,
}

impl WatchdogDevice {
    /// Opens it, which starts it, and sets its timeout where the driver can. Anything that can be written to will do.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, timeout_s: u32) -> anyhow::Result<WatchdogDevice> {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)
            .with_context(|| format!("the watchdog {} cannot be opened", path.display()))?;
        let mut seconds = libc::c_int::try_from(timeout_s).unwrap_or(libc::c_int::MAX);
        // _IOWR('W', 6, int)
        const WDIOC_SETTIMEOUT: u32 = 0xc004_5706;
        // SAFETY: the request reads and writes one int, which lives until the call returns.
        let set = unsafe { libc::ioctl(file.as_raw_fd(), WDIOC_SETTIMEOUT as _, &raw mut seconds) };
        if set != 0 {
            let error = std::io::Error::last_os_error();
            tracing::warn!("{}: its timeout cannot be set ({error}); its own is in force", path.display());
        }
        let period = FEED_EVERY.min(Duration::from_secs(timeout_s.into()) / 3);
        Ok(WatchdogDevice { path: path.to_owned(), file, period, failing: false })
    }

    fn write(&mut self, byte: u8) {
        let failed = self.file.write_all(&[byte]).err();
        if let Some(error) = failed.as_ref().filter(|_| !self.failing) {
            tracing::warn!("the watchdog {} cannot be fed: {error}", self.path.display());
        }
        self.failing = failed.is_some();
    }
}

/// What the supervisor says of itself to those who watch it.
#[derive(Debug, Default)]
pub(super) struct Watchdogs {
    manager: Option<ServiceManager>,
    device: Option<WatchdogDevice>,
    manager_due: Nanos,
    device_due: Nanos,
    ready: bool,
    status: String,
    stopping: bool,
}

impl Watchdogs {
    pub fn new(manager: Option<ServiceManager>, device: Option<WatchdogDevice>) -> Self {
        Self { manager, device, ..Default::default() }
    }

    /// Feeds what is due, if every safety node is alive. While all is being stopped the service manager is still notified:
    /// it has a time limit for that of its own.
    pub fn feed(&mut self, alive: bool, now: Nanos) {
        if !alive && !self.stopping {
            return;
        }
        if let Some((manager, period)) = self.manager.as_ref().and_then(|manager| Some((manager, manager.period?)))
            && now >= self.manager_due
        {
            manager.send("WATCHDOG=1");
            self.manager_due = now + period;
        }
        if let Some(device) = self.device.as_mut().filter(|_| alive && !self.stopping && now >= self.device_due) {
            device.write(b'1');
            self.device_due = now + device.period;
        }
    }

    /// Says what is up: that all is ready, once every safety node is, and in words when it has changed.
    pub fn state(&mut self, up: Up) {
        let Some(manager) = self.manager.as_ref().filter(|_| !self.stopping) else { return };
        if !self.ready && up.safety_is_up() {
            self.ready = true;
            manager.send("READY=1");
        }
        let ((safety, safety_all), (others, others_all)) = (up.safety, up.others);
        let status = format!("STATUS={safety} of {safety_all} safety nodes and {others} of {others_all} others are up");
        if status != self.status {
            manager.send(&status);
            self.status = status;
        }
    }

    /// All is being stopped. `requested`: by somebody, not because something failed: the device is switched off only then.
    pub fn stopping(&mut self, requested: bool) {
        self.stopping = true;
        if let Some(manager) = &self.manager {
            manager.send("STOPPING=1");
        }
        if let Some(mut device) = self.device.take_if(|_| requested) {
            // "Magic close": closing the device would otherwise leave it running, and the machine would be reset.
            device.write(b'V');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Read};

    fn up(safety: usize) -> Up {
        Up { safety: (safety, 2), others: (1, 1) }
    }

    #[test]
    fn systemd_is_told_that_all_is_ready_and_alive_and_what_is_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let said = || {
            let mut buffer = [0; 200];
            std::iter::from_fn(|| {
                socket.recv(&mut buffer).ok().map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned())
            })
            .collect::<Vec<String>>()
        };
        let manager = ServiceManager::at(path.as_os_str(), Some(Duration::from_secs(4))).unwrap();
        let mut watchdogs = Watchdogs::new(Some(manager), None);
        let at = Nanos::from_millis;
        watchdogs.state(up(1));
        assert_eq!(said(), ["STATUS=1 of 2 safety nodes and 1 of 1 others are up"]);
        watchdogs.state(up(2));
        assert_eq!(said(), ["READY=1", "STATUS=2 of 2 safety nodes and 1 of 1 others are up"]);
        watchdogs.state(up(2));
        assert!(said().is_empty());
        for ms in [1000, 2900, 3000, 3100] {
            watchdogs.feed(true, at(ms));
        }
        assert_eq!(said(), ["WATCHDOG=1"; 2], "at half of its timeout");
        watchdogs.feed(false, at(9000));
        assert!(said().is_empty(), "a safety node is not alive");
        watchdogs.stopping(true);
        watchdogs.feed(false, at(12_000));
        watchdogs.state(up(0));
        assert_eq!(said(), ["STOPPING=1", "WATCHDOG=1"]);
    }

    #[test]
    fn an_abstract_address_is_understood_and_a_senseless_one_refused() {
        let name = format!("auriga-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        ServiceManager::at(OsStr::new(&format!("@{name}")), None).unwrap().send("READY=1");
        let mut buffer = [0; 20];
        assert_eq!(socket.recv(&mut buffer).unwrap(), 7);
        let long = "x".repeat(300);
        let error = ServiceManager::at(OsStr::new(&long), None).unwrap_err();
        assert!(error.to_string().contains("NOTIFY_SOCKET"), "{error:#}");
    }

    #[test]
    fn the_device_is_written_to_while_safety_is_alive_and_switched_off_only_by_a_requested_stop() {
        let folder = tempfile::tempdir().unwrap();
        let at = Nanos::from_millis;
        for (requested, expected) in [(true, "11V"), (false, "11")] {
            let path = folder.path().join(format!("watchdog-{requested}"));
            fs::write(&path, "").unwrap();
            let mut watchdogs = Watchdogs::new(None, Some(WatchdogDevice::open(&path, 2).unwrap()));
            for (alive, ms) in [(true, 1000), (true, 1600), (true, 1700), (false, 4000), (false, 60_000)] {
                watchdogs.feed(alive, at(ms));
            }
            watchdogs.stopping(requested);
            assert_eq!(fs::read_to_string(&path).unwrap(), expected);
        }
        let error = WatchdogDevice::open(Path::new("/no/such/watchdog"), 2).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/watchdog"), "{error:#}");
    }

    #[test]
    fn a_device_that_takes_nothing_does_not_stop_the_supervisor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let mut reader = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
        let mut watchdogs = Watchdogs::new(None, Some(WatchdogDevice::open(&path, 3).unwrap()));
        for second in 0..100_000 {
            watchdogs.feed(true, Nanos::from_millis(second * 1000));
        }
        let mut fed = vec![0; 1000];
        assert_eq!(reader.read(&mut fed).unwrap(), 1000);
        assert!(fed.iter().all(|byte| *byte == b'1'));
    }
}
