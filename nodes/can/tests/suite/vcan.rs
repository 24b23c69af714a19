//! A real SocketCAN interface: `vcan0`, or the one that AURIGA_VCAN names; skipped where there is none.
//! `ip link add dev vcan0 type vcan && ip link set up vcan0` creates one.

use auriga_can::{dbc::Database, socket};
use auriga_runtime::Nanos;
use socketcan::{CanErrorFrame, CanFdFrame, CanFdSocket, CanFrame, EmbeddedFrame, ExtendedId, Socket, StandardId};
use std::{path::Path, process::Command, time::Duration};

fn interface() -> Option<String> {
    let name = std::env::var("AURIGA_VCAN").unwrap_or("vcan0".into());
    let there = Path::new("/sys/class/net").join(&name).exists();
    if !there {
        auriga_testing::skip(format!("there is no interface {name}"));
    }
    there.then_some(name)
}

/// The next frames, waiting for the bus at most a second.
fn read(bus: &mut socket::Bus, count: usize) -> Vec<auriga_msgs::v1::CanFrame> {
    let (start, mut frames) = (Nanos::monotonic(), Vec::new());
    while frames.len() < count && Nanos::monotonic().since(start) < Duration::from_secs(1) {
        frames.extend(bus.read().expect("readable"));
    }
    frames
}

#[test]
fn opening_an_absent_interface_is_an_error() {
    assert!(socket::Bus::open("nocan7", None).is_err());
}

#[test]
fn frames_that_pass_the_filters_have_the_kernels_timestamp() {
    let Some(name) = interface() else { return };
    let text = "BO_ 416 A: 8 X\n\nBO_ 2147484064 B: 8 X\n\nBO_ 418 C: 12 X\n";
    let filters = socket::filters(&Database::parse(text, "x.dbc").expect("valid")).expect("few");
    let mut bus = socket::Bus::open(&name, Some(&filters)).expect("open");
    let sender = CanFdSocket::open(&name).expect("open");
    let standard = |id: u16| StandardId::new(id).expect("an identifier");
    let before = Nanos::monotonic();
    sender.write_frame(&CanFrame::new(standard(0x123), &[9]).expect("a frame")).expect("sent");
    sender.write_frame(&CanFrame::new(standard(416), &[1, 2]).expect("a frame")).expect("sent");
    let extended = ExtendedId::new(416).expect("an identifier");
    sender.write_frame(&CanFrame::new(extended, &[3]).expect("a frame")).expect("sent");
    let mut expected = 2;
    // An interface without FD refuses long frames.
    if sender.write_frame(&CanFdFrame::new(standard(418), &[7; 12]).expect("a frame")).is_ok() {
        expected += 1;
    }
    let frames = read(&mut bus, expected);
    let after = Nanos::monotonic();
    let seen: Vec<(u32, bool, usize)> = frames.iter().map(|f| (f.id, f.extended, f.data.len())).collect();
    assert_eq!(seen, [(416, false, 2), (416, true, 1), (418, false, 12)][..expected]);
    let slack = Duration::from_millis(1);
    for frame in &frames {
        let stamp = Nanos(frame.stamp_ns);
        assert!(stamp + slack >= before && stamp <= after + slack, "{before:?} {stamp:?} {after:?}");
    }
}

#[test]
fn error_frames_pass_the_filters_and_remote_frames_are_marked() {
    let Some(name) = interface() else { return };
    let filters = socket::filters(&Database::parse("BO_ 416 A: 8 X\n", "x.dbc").expect("valid")).expect("few");
    let mut bus = socket::Bus::open(&name, Some(&filters)).expect("open");
    let sender = CanFdSocket::open(&name).expect("open");
    let bus_off = CanErrorFrame::new_error(0x40, &[0, 0, 0, 0, 0, 0, 12, 34]).expect("a frame");
    sender.write_frame(&socketcan::CanAnyFrame::Error(bus_off)).expect("sent");
    let id = StandardId::new(416).expect("an identifier");
    sender.write_frame(&CanFrame::new_remote(id, 8).expect("a frame")).expect("sent");
    let frames = read(&mut bus, 2);
    let seen: Vec<(u32, bool, bool)> = frames.iter().map(|f| (f.id, f.error, f.remote)).collect();
    assert_eq!(seen, [(0x40, true, false), (416, false, true)]);
    assert_eq!(frames[0].data[6..], [12, 34]);
}

#[test]
fn frames_keep_their_time_of_arrival_when_they_are_read_late() {
    let Some(name) = interface() else { return };
    let mut bus = socket::Bus::open(&name, None).expect("open");
    let sender = CanFdSocket::open(&name).expect("open");
    let id = StandardId::new(7).expect("an identifier");
    let before = Nanos::monotonic();
    for i in 0..100u8 {
        sender.write_frame(&CanFrame::new(id, &[i]).expect("a frame")).expect("sent");
    }
    let sent = Nanos::monotonic();
    std::thread::sleep(Duration::from_millis(1500));
    let frames = read(&mut bus, 100);
    let order: Vec<u8> = frames.iter().map(|f| f.data[0]).collect();
    assert_eq!(order, (0..100).collect::<Vec<u8>>());
    let slack = Duration::from_millis(1);
    for frame in &frames {
        let stamp = Nanos(frame.stamp_ns);
        assert!(stamp + slack >= before && stamp <= sent + slack, "{before:?} {stamp:?} {sent:?}");
    }
    assert!(frames.windows(2).all(|pair| pair[0].stamp_ns <= pair[1].stamp_ns + slack.as_nanos() as u64));
}

#[test]
fn an_interface_that_goes_down_is_an_error_and_can_be_opened_again() {
    let Some(name) = interface() else { return };
    let set = |state: &str| Command::new("ip").args(["link", "set", &name, state]).status().is_ok_and(|s| s.success());
    let mut bus = socket::Bus::open(&name, None).expect("open");
    if !set("down") {
        return auriga_testing::skip(format!("not allowed to take {name} down"));
    }
    let lost = (0..20).any(|_| bus.read().is_err());
    assert!(set("up"), "{name} is down and does not come up again");
    assert!(lost, "no read failed");
    let mut bus = socket::Bus::open(&name, None).expect("open again");
    let sender = CanFdSocket::open(&name).expect("open");
    let id = StandardId::new(1).expect("an identifier");
    sender.write_frame(&CanFrame::new(id, &[1]).expect("a frame")).expect("sent");
    assert_eq!(read(&mut bus, 1).len(), 1);
}
