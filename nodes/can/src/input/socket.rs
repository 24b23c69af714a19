//! SocketCAN: frames of an interface with the kernel's timestamps. Nothing is ever sent.

use crate::dbc::{Database, Message, parameter_group};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use socketcan::{CanAnyFrame, CanFdSocket, CanFilter, EmbeddedFrame, Frame, Socket, SocketOptions, timestamp};
use std::{
    io::{self, ErrorKind},
    time::{Duration, SystemTime},
};

/// Most filters of a socket (the kernel's CAN_RAW_FILTER_MAX).
const MAX_FILTERS: usize = 512;
/// Most frames in a batch: enough to catch up with a full bus, few enough to keep the first one fresh.
const MAX_BATCH: usize = 64;
/// A read returns after this time, so that a stop is noticed on a silent bus.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// The wall clock has been set when it moved by this much more or less than the monotonic one. Slewing (0.5 ms per
/// second) stays far below.
const CLOCK_STEP: Duration = Duration::from_millis(10);

const EFF_FLAG: u32 = 0x8000_0000;
const SFF_MASK: u32 = 0x7ff;
const EFF_MASK: u32 = 0x1fff_ffff;

/// Filters (identifier, mask) that pass the database's identifiers; `None` when there are more than the kernel accepts.
pub fn filters(database: &Database) -> Option<Vec<(u32, u32)>> {
    let filter = |message: &Message| match message.is_extended() {
        true if message.is_j1939() => {
            let (group, mask) = parameter_group(message.id());
            (group << 8 | EFF_FLAG, mask << 8 | EFF_FLAG)
        }
        true => (message.id() | EFF_FLAG, EFF_MASK | EFF_FLAG),
        false => (message.id(), SFF_MASK | EFF_FLAG),
    };
    let messages = database.messages();
    (messages.len() <= MAX_FILTERS).then(|| messages.iter().map(filter).collect())
}

/// An open interface.
pub struct Bus {
    socket: CanFdSocket,
    name: String,
    clock: ClockOffset,
    /// An error after frames were read; returned by the next read.
    failure: Option<io::Error>,
}

impl Bus {
    /// Opens an interface for classic and FD frames. `filters`: see [`filters`]; error frames always pass.
    ///
    /// # Errors
    /// When there is no such interface, or an option is refused.
    pub fn open(interface: &str, filters: Option<&[(u32, u32)]>) -> io::Result<Bus> {
        // Before the socket is opened: none of its frames is older.
        let clock = ClockOffset::new(read_clocks());
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

    /// The frames that are ready; empty when none came within 100 ms.
    ///
    /// # Errors
    /// When the interface fails, for example when it goes down.
    pub fn read(&mut self) -> io::Result<Vec<v1::CanFrame>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let Some(first) = self.read_one()? else { return Ok(Vec::new()) };
        let mut frames = vec![first];
        self.socket.set_nonblocking(true)?;
        while frames.len() < MAX_BATCH {
            match self.read_one() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                // The kernel reports an error once: first the frames read before it are returned.
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
        self.clock.update(read_clocks());
        let (frame, times) = match read {
            Ok(read) => read,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        // Hardware timestamps are of the adapter's own clock, whose offset is not known here.
        let kernel = times.sw.or(times.socket);
        Ok(Some(message(&frame, self.clock.monotonic(kernel), &self.name)))
    }
}

/// Wall clock and monotonic clock at one instant.
type Clocks = (SystemTime, Nanos);

/// Reads both clocks, again when the thread was interrupted in between.
fn read_clocks() -> Clocks {
    const MAX_GAP: Duration = Duration::from_micros(20);
    const ATTEMPTS: usize = 4;
    let read = || {
        let (before, wall) = (Nanos::monotonic(), SystemTime::now());
        (Nanos::monotonic().since(before), (wall, before))
    };
    let mut best = read();
    for _ in 1..ATTEMPTS {
        if best.0 <= MAX_GAP {
            break;
        }
        best = std::cmp::min_by_key(best, read(), |(gap, _)| *gap);
    }
    best.1
}

/// Converts the kernel's stamps, which are of the wall clock, to the monotonic clock: a stamp's age is subtracted from
/// now. The age is right however long a frame waited, unless the wall clock was set in between.
struct ClockOffset {
    now: Clocks,
    /// Stamps before this may be from before the wall clock was set.
    valid_from: SystemTime,
}

impl ClockOffset {
    fn new(now: Clocks) -> Self {
        Self { now, valid_from: now.0 }
    }

    fn update(&mut self, now: Clocks) {
        let (wall, monotonic) = std::mem::replace(&mut self.now, now);
        let expected = wall + now.1.since(monotonic);
        let step = now.0.duration_since(expected).unwrap_or_else(|e| e.duration());
        if step > CLOCK_STEP {
            self.valid_from = now.0;
        }
    }

    /// The stamp on the monotonic clock; now for a stamp that is missing or not valid.
    fn monotonic(&self, stamp: Option<SystemTime>) -> Nanos {
        let (wall, now) = self.now;
        let age = stamp.filter(|s| *s >= self.valid_from).and_then(|s| wall.duration_since(s).ok());
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
    fn a_stamp_is_converted_by_its_age_however_long_the_frame_waited() {
        let (wall, now) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), Nanos::from_millis(100_000));
        let after = |ms: u64| (wall + Duration::from_millis(ms), now + Duration::from_millis(ms));
        let mut clock = ClockOffset::new(after(0));
        clock.update(after(5_000));
        assert_eq!(clock.monotonic(Some(after(4_997).0)), after(4_997).1);
        assert_eq!(clock.monotonic(Some(after(1).0)), after(1).1);
        // No stamp, ahead of the clock, before the socket was opened: the time of arrival.
        for stamp in [None, Some(after(5_001).0), Some(wall - Duration::from_millis(1))] {
            assert_eq!(clock.monotonic(stamp), after(5_000).1);
        }
    }

    #[test]
    fn stamps_from_before_the_wall_clock_was_set_are_not_used() {
        let (wall, now) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), Nanos::from_millis(100_000));
        let ms = Duration::from_millis;
        for (set_to, name) in [(wall + ms(3_600_000), "forward"), (wall - ms(3_600_000), "back")] {
            let mut clock = ClockOffset::new((wall, now));
            clock.update((set_to + ms(500), now + ms(500)));
            assert_eq!(clock.monotonic(Some(wall + ms(400))), now + ms(500), "{name}");
            clock.update((set_to + ms(600), now + ms(600)));
            assert_eq!(clock.monotonic(Some(set_to + ms(550))), now + ms(550), "{name}");
        }
    }

    #[test]
    fn slewing_does_not_invalidate_stamps() {
        let (wall, now) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), Nanos::from_millis(100_000));
        let mut clock = ClockOffset::new((wall, now));
        // 0.5 ms faster in each second, for an hour, looked at every 100 ms.
        let after = |ms: u64| (wall + Duration::from_micros(ms * 1000 + ms / 2), now + Duration::from_millis(ms));
        (1..=36_000).for_each(|i| clock.update(after(100 * i)));
        assert_eq!(clock.valid_from, wall);
    }

    #[test]
    fn frames_of_every_kind_are_converted() {
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
    fn the_filters_pass_the_identifiers_of_the_database_alone() {
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
