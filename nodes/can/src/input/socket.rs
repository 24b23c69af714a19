//! SocketCAN: frames of an interface with the kernel's time. The socket is only ever read.

use crate::dbc::Database;
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use socketcan::{CanAnyFrame, CanFdSocket, CanFilter, EmbeddedFrame, Frame, Socket, SocketOptions, timestamp};
use std::{
    io::{self, ErrorKind},
    time::{Duration, SystemTime},
};

/// More filters than this the kernel does not take (CAN_RAW_FILTER_MAX).
const MOST_FILTERS: usize = 512;
/// Frames handed on at once: enough to catch up with a full bus, few enough to keep the first one fresh.
const BATCH_FRAMES: usize = 64;
/// A read returns after this, so that a stop is noticed on a silent bus.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// The wall clock was set when it has moved by this much more or less than the monotonic one. Slewing (0.5 ms in a
/// second) stays far below.
const CLOCK_SET: Duration = Duration::from_millis(10);

const EFF_FLAG: u32 = 0x8000_0000;
const SFF_MASK: u32 = 0x7ff;
const EFF_MASK: u32 = 0x1fff_ffff;

/// Filters that let the database's identifiers pass; `None` when there are more than the kernel takes.
pub fn filters(database: &Database) -> Option<Vec<(u32, u32)>> {
    let filter = |message: &crate::dbc::Message| match message.is_extended() {
        true => (message.id() | EFF_FLAG, EFF_MASK | EFF_FLAG),
        false => (message.id(), SFF_MASK | EFF_FLAG),
    };
    let messages = database.messages();
    (messages.len() <= MOST_FILTERS).then(|| messages.iter().map(filter).collect())
}

/// An open interface.
pub struct Bus {
    socket: CanFdSocket,
    name: String,
    clock: Clock,
    /// Came while frames were being read.
    failure: Option<io::Error>,
}

impl Bus {
    /// Opens an interface, for classic and FD frames. `filters`: see [`filters`]; error frames always pass.
    pub fn open(interface: &str, filters: Option<&[(u32, u32)]>) -> io::Result<Bus> {
        // Before the socket: no frame it will give is older.
        let clock = Clock::new(read_clocks());
        let socket = CanFdSocket::open(interface)?;
        match filters {
            Some(filters) => {
                let filters: Vec<CanFilter> = filters.iter().map(|&f| f.into()).collect();
                socket.set_filters(&filters)?;
            }
            None => socket.set_filter_accept_all()?,
        }
        socket.set_error_filter_accept_all()?;
        socket.set_recv_timestamp(true)?;
        socket.set_timestamping(
            timestamp::SOF_TIMESTAMPING_RX_SOFTWARE
                | timestamp::SOF_TIMESTAMPING_SOFTWARE
                | timestamp::SOF_TIMESTAMPING_OPT_CMSG,
        )?;
        socket.set_read_timeout(READ_TIMEOUT)?;
        Ok(Bus { socket, name: interface.to_owned(), clock, failure: None })
    }

    /// What is ready, at least one frame; none when the bus was silent for a moment.
    pub fn read(&mut self) -> io::Result<Vec<v1::CanFrame>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let Some(first) = self.read_one()? else { return Ok(Vec::new()) };
        let mut frames = vec![first];
        self.socket.set_nonblocking(true)?;
        while frames.len() < BATCH_FRAMES {
            match self.read_one() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                // The kernel tells of it once: what was read before goes first.
                Err(failure) => {
                    self.failure = Some(failure);
                    break;
                }
            }
        }
        self.socket.set_nonblocking(false)?;
        Ok(frames)
    }

    /// One frame; `None` when none came in time.
    fn read_one(&mut self) -> io::Result<Option<v1::CanFrame>> {
        let read = self.socket.read_frame_with_timestamps();
        // On a silent bus as well: a clock that is slewed for long has not been set.
        self.clock.look(read_clocks());
        let (frame, times) = match read {
            Ok(read) => read,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        // Hardware time stamps are of the adapter's own clock, which nothing here can place.
        let kernel = times.sw.or(times.socket);
        Ok(Some(message(&frame, self.clock.monotonic(kernel), &self.name)))
    }
}

/// Both clocks at one instant.
type Clocks = (SystemTime, Nanos);

/// Reads both clocks, again when something came between.
fn read_clocks() -> Clocks {
    const TOGETHER: Duration = Duration::from_micros(20);
    const ATTEMPTS: usize = 4;
    let read = || {
        let (before, wall) = (Nanos::monotonic(), SystemTime::now());
        (Nanos::monotonic().since(before), (wall, before))
    };
    let mut best = read();
    for _ in 1..ATTEMPTS {
        if best.0 <= TOGETHER {
            break;
        }
        best = std::cmp::min_by_key(best, read(), |(apart, _)| *apart);
    }
    best.1
}

/// Puts the kernel's stamps, which are of the wall clock, on the monotonic clock: how long ago that was, taken from
/// now. However long a frame waited, its age stays true; only a wall clock that is set makes it unknown.
struct Clock {
    now: Clocks,
    /// Stamps before this, on the wall clock, may be of before it was set.
    since: SystemTime,
}

impl Clock {
    fn new(now: Clocks) -> Clock {
        Clock { now, since: now.0 }
    }

    fn look(&mut self, now: Clocks) {
        let (wall, monotonic) = std::mem::replace(&mut self.now, now);
        let expected = wall + now.1.since(monotonic);
        let off = now.0.duration_since(expected).unwrap_or_else(|e| e.duration());
        if off > CLOCK_SET {
            self.since = now.0;
        }
    }

    /// The time of a stamp; now for one that is missing or not to be believed.
    fn monotonic(&self, stamp: Option<SystemTime>) -> Nanos {
        let (wall, now) = self.now;
        let age = stamp.filter(|s| *s >= self.since).and_then(|s| wall.duration_since(s).ok());
        now - age.unwrap_or_default()
    }
}

fn message(frame: &CanAnyFrame, stamp: Nanos, bus: &str) -> v1::CanFrame {
    let error = matches!(frame, CanAnyFrame::Error(_));
    let flags = if error { 0 } else { EFF_FLAG };
    v1::CanFrame {
        stamp_ns: stamp.0,
        id: frame.id_word() & EFF_MASK,
        extended: frame.id_word() & flags != 0,
        fd: matches!(frame, CanAnyFrame::Fd(_)),
        remote: matches!(frame, CanAnyFrame::Remote(_)),
        error,
        data: frame.data().to_vec().into(),
        bus: bus.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socketcan::{CanErrorFrame, CanFdFrame, CanFrame, ExtendedId, StandardId};

    #[test]
    fn a_kernel_stamp_is_put_on_the_monotonic_clock_by_its_age_however_long_it_waited() {
        let (wall, now) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), Nanos::from_millis(100_000));
        let after = |ms: u64| (wall + Duration::from_millis(ms), now + Duration::from_millis(ms));
        let mut clock = Clock::new(after(0));
        clock.look(after(5_000));
        assert_eq!(clock.monotonic(Some(after(4_997).0)), after(4_997).1);
        assert_eq!(clock.monotonic(Some(after(1).0)), after(1).1);
        // None, ahead of the clock, before the socket was open: the arrival.
        for stamp in [None, Some(after(5_001).0), Some(wall - Duration::from_millis(1))] {
            assert_eq!(clock.monotonic(stamp), after(5_000).1);
        }
    }

    #[test]
    fn stamps_of_before_the_wall_clock_was_set_are_not_believed() {
        let (wall, now) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), Nanos::from_millis(100_000));
        let ms = Duration::from_millis;
        for (set_to, name) in [(wall + ms(3_600_000), "forward"), (wall - ms(3_600_000), "back")] {
            let mut clock = Clock::new((wall, now));
            clock.look((set_to + ms(500), now + ms(500)));
            assert_eq!(clock.monotonic(Some(wall + ms(400))), now + ms(500), "{name}");
            clock.look((set_to + ms(600), now + ms(600)));
            assert_eq!(clock.monotonic(Some(set_to + ms(550))), now + ms(550), "{name}");
        }
    }

    #[test]
    fn slewing_is_not_setting() {
        let (wall, now) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), Nanos::from_millis(100_000));
        let mut clock = Clock::new((wall, now));
        // 0.5 ms faster in each second, for an hour, looked at every 100 ms.
        let after = |ms: u64| (wall + Duration::from_micros(ms * 1000 + ms / 2), now + Duration::from_millis(ms));
        (1..=36_000).for_each(|i| clock.look(after(100 * i)));
        assert_eq!(clock.since, wall);
    }

    #[test]
    fn frames_of_every_kind_keep_what_they_are() {
        let standard = StandardId::new(0x166).unwrap();
        let extended = ExtendedId::new(0x166).unwrap();
        let as_message = |frame: CanAnyFrame| message(&frame, Nanos(7), "can0");
        let classic = as_message(CanFrame::new(standard, &[1, 2]).unwrap().into());
        assert_eq!((classic.id, classic.extended, &classic.data[..]), (0x166, false, &[1, 2][..]));
        assert_eq!((classic.stamp_ns, classic.bus.as_str()), (7, "can0"));
        let long = as_message(CanFdFrame::new(extended, &[9; 12]).unwrap().into());
        assert!(long.fd && long.extended && long.id == 0x166 && long.data.len() == 12);
        let remote = as_message(CanFrame::new_remote(standard, 2).unwrap().into());
        assert!(remote.remote && !remote.error);
        let error = as_message(CanErrorFrame::new_error(0x40, &[0; 8]).unwrap().into());
        assert!(error.error && error.id == 0x40 && !error.extended);
    }

    #[test]
    fn the_kernel_lets_the_databases_identifiers_pass_and_no_others() {
        let text = "BO_ 416 A: 8 X\n\nBO_ 2147484064 B: 8 X\n";
        let database = Database::parse(text, "x.dbc").unwrap();
        let filters = filters(&database).unwrap();
        // As the kernel compares: received & mask == id & mask.
        let passes = |id: u32| filters.iter().any(|(want, mask)| id & mask == want & mask);
        assert!(passes(416) && passes(416 | EFF_FLAG));
        assert!(!passes(417) && !passes(417 | EFF_FLAG));
        let many: String = (0..513).map(|i| format!("BO_ {i} M{i}: 8 X\n\n")).collect();
        assert_eq!(super::filters(&Database::parse(&many, "x.dbc").unwrap()), None);
    }
}
