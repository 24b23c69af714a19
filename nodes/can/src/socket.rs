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
/// A kernel stamp this far from the arrival is not believed: the wall clock was set.
const LONGEST_QUEUE: Duration = Duration::from_secs(1);

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
    /// Came while frames were being read.
    failure: Option<io::Error>,
}

impl Bus {
    /// Opens an interface, for classic and FD frames. `filters`: see [`filters`]; error frames always pass.
    pub fn open(interface: &str, filters: Option<&[(u32, u32)]>) -> io::Result<Bus> {
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
        Ok(Bus { socket, name: interface.to_owned(), failure: None })
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
    fn read_one(&self) -> io::Result<Option<v1::CanFrame>> {
        let (frame, times) = match self.socket.read_frame_with_timestamps() {
            Ok(read) => read,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        // Hardware time stamps are of the adapter's own clock, which nothing here can place.
        let kernel = times.sw.or(times.socket);
        let stamp = monotonic(kernel, SystemTime::now(), Nanos::monotonic());
        Ok(Some(message(&frame, stamp, &self.name)))
    }
}

/// The kernel stamps with the wall clock: how long ago that was, taken from the monotonic clock's now.
fn monotonic(kernel: Option<SystemTime>, wall_now: SystemTime, now: Nanos) -> Nanos {
    let age = kernel.and_then(|stamp| wall_now.duration_since(stamp).ok());
    now - age.filter(|age| *age < LONGEST_QUEUE).unwrap_or_default()
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
    fn a_kernel_stamp_is_put_on_the_monotonic_clock_by_its_age() {
        let (wall, now) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000), Nanos::from_millis(100_000));
        let ago = |ms: u64| Some(wall - Duration::from_millis(ms));
        assert_eq!(monotonic(ago(3), wall, now), Nanos::from_millis(99_997));
        // None, ahead of the clock, and before the clock was set: the arrival.
        assert_eq!(monotonic(None, wall, now), now);
        assert_eq!(monotonic(Some(wall + Duration::from_millis(1)), wall, now), now);
        assert_eq!(monotonic(ago(5_000_000), wall, now), now);
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
