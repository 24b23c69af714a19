//! Recordings: parsing, errors with their line, and comparison with the parser of the crate `socketcan`.

use auriga_can::log::{self, Frames};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use auriga_testing::shared_data;
use proptest::prelude::*;
use socketcan::{CanAnyFrame, EmbeddedFrame, Frame, dump};
use std::io::Cursor;

/// The batches of a text, with time 0 at `base`.
fn batches(text: &str, base: Nanos) -> anyhow::Result<Vec<(Nanos, v1::CanFrames)>> {
    Frames::new(Box::new(Cursor::new(text.as_bytes().to_vec())), "drive.log".into(), base).collect()
}

fn frames(text: &str) -> anyhow::Result<Vec<v1::CanFrame>> {
    Ok(batches(text, Nanos::ZERO)?.into_iter().flat_map(|(_, batch)| batch.frames).collect())
}

fn refused(text: &str, expect: &str) {
    let error = format!("{:#}", frames(text).expect_err(expect));
    assert!(error.contains(expect), "{error}");
}

#[test]
fn the_log_format_of_candump_is_read() {
    let text = "(0.000300) can0 166#D0320009\n\n(0.010000) can1 18FEF1FE#0102\n(0.020000) can0 123##1112233\n\
                (0.030000) can0 123#R\n(0.040000) can0 123#R4 R\n(0.050000) can0 20000040#0000000000000000\n\
                (0.060000) can0 123#1122334455667788_E T\n(0.070000001) can0 7FF#\n";
    let found = frames(text).expect("a log");
    let expected = [
        v1::CanFrame {
            stamp_ns: 300_000,
            id: 0x166,
            data: vec![0xd0, 0x32, 0, 9].into(),
            bus: "can0".into(),
            ..Default::default()
        },
        v1::CanFrame {
            stamp_ns: 10_000_000,
            id: 0x18fef1fe,
            extended: true,
            data: vec![1, 2].into(),
            bus: "can1".into(),
            ..Default::default()
        },
        v1::CanFrame {
            stamp_ns: 20_000_000,
            id: 0x123,
            fd: true,
            data: vec![0x11, 0x22, 0x33].into(),
            bus: "can0".into(),
            ..Default::default()
        },
        v1::CanFrame { stamp_ns: 30_000_000, id: 0x123, remote: true, bus: "can0".into(), ..Default::default() },
        v1::CanFrame { stamp_ns: 40_000_000, id: 0x123, remote: true, bus: "can0".into(), ..Default::default() },
        v1::CanFrame {
            stamp_ns: 50_000_000,
            id: 0x40,
            error: true,
            data: vec![0; 8].into(),
            bus: "can0".into(),
            ..Default::default()
        },
        v1::CanFrame {
            stamp_ns: 60_000_000,
            id: 0x123,
            data: vec![0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88].into(),
            bus: "can0".into(),
            ..Default::default()
        },
        v1::CanFrame { stamp_ns: 70_000_001, id: 0x7ff, bus: "can0".into(), ..Default::default() },
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_readable_format_of_candump_gives_the_same_frames() {
    let log = "(0.000300) can0 166#D0320009\n(0.010000) can0 18FEF1FE#0102\n(0.020000) can0 123##0112233445566778899AABBCC\n\
               (0.030000) can0 123#R\n(0.050000) can0 20000040#0000000000000000\n(0.060000) can0 7FF#\n";
    let readable = " (0.000300)  can0  166   [4]  D0 32 00 09\n (0.010000)  can0  18FEF1FE   [2]  01 02   '..'\n\
                    (0.020000)  can0  TX B -  123  [12]  11 22 33 44 55 66 77 88 99 AA BB CC\n\
                    (0.030000)  can0  RX - -  123   [0]  remote request\n\
                    (0.050000)  can0  20000040   [8]  00 00 00 00 00 00 00 00   ERRORFRAME\n (0.060000)  can0  7FF   [0]\n";
    assert_eq!(frames(readable).expect("readable"), frames(log).expect("log"));
}

#[test]
fn vector_asc_gives_the_same_frames() {
    let log = "(0.000300) 1 166#D0320009\n(0.010000) 2 18FEF1FE#0102\n(0.020000) 1 123##0112233445566778899AABBCC\n\
               (0.030000) 1 123#R\n(0.040000) 1 124#11223344\n";
    let asc = "date Tue Apr 22 00:57:03.803 am 2014\nbase hex  timestamps absolute\ninternal events logged\n\
               // version 9.0.0\nBegin Triggerblock Tue Apr 22 00:57:03.803 am 2014\n   0.000000 Start of measurement\n   \
               0.000300 1  166             Rx   d 4 D0 32 00 09  Length = 0 BitCount = 0 ID = 358\n   \
               0.010000 2  18FEF1FEx       Tx   d 2 01 02\n   0.015000 1  Statistic: D 0 R 0 XD 0 XR 0 E 0 O 0 B 0.0%\n   \
               0.020000 CANFD   1 Rx        123  SomeName                     1 0 9 12 11 22 33 44 55 66 77 88 99 AA BB CC 0 0 1000\n   \
               0.030000 1  123             Rx   r\n   0.040000 CANFD   1 Rx        124                  0 0 4  4 11 22 33 44\nEnd TriggerBlock\n";
    let mut expected = frames(log).expect("log");
    expected[4].fd = true;
    assert_eq!(frames(asc).expect("asc"), expected);

    let decimal = "base dec timestamps relative\n0.5 1 358 Rx d 2 208 50\n0.25 1 ErrorFrame\n";
    let found = frames(decimal).expect("asc");
    assert_eq!((found[0].id, &found[0].data[..], found[0].stamp_ns), (0x166, &[208, 50][..], 500_000_000));
    assert_eq!((found[1].error, found[1].stamp_ns), (true, 750_000_000));
}

#[test]
fn dates_are_relative_to_the_first_frame_and_other_times_to_0() {
    let base = Nanos::from_millis(5000);
    let times = |text: &str| -> Vec<u64> {
        let all = batches(text, base).expect("a log");
        all.into_iter().flat_map(|(_, b)| b.frames).map(|f| f.stamp_ns).collect()
    };
    assert_eq!(times("(1398128223.803317) can0 001#\n(1398128224.803318) can0 002#\n"), [5_000_000_000, 6_000_001_000]);
    assert_eq!(times("(0.000300) can0 001#\n(1.000000) can0 002#\n"), [5_000_300_000, 6_000_000_000]);
}

#[test]
fn frames_within_a_millisecond_are_one_batch_and_batches_are_in_order() {
    let text = "(0.001000) can0 001#\n(0.001400) can0 002#\n(0.001200) can0 003#\n(0.002100) can0 004#\n(0.000500) can0 005#\n\
                (0.009000) can0 006#\n";
    let found = batches(text, Nanos::from_millis(1000)).expect("a log");
    let ids: Vec<Vec<u32>> = found.iter().map(|(_, b)| b.frames.iter().map(|f| f.id).collect()).collect();
    assert_eq!(ids, [vec![1, 2, 3], vec![4, 5], vec![6]]);
    let times: Vec<u64> = found.iter().map(|(t, _)| t.0 / 1000).collect();
    assert_eq!(times, [1_001_400, 1_002_100, 1_009_000]);
    assert_eq!(found[1].1.frames[1].stamp_ns, 1_000_500_000, "a frame keeps its own stamp");
}

#[test]
fn lines_without_a_frame_are_errors_with_file_and_line() {
    let good = "(0.000300) can0 166#D0320009\n";
    for (line, expect) in [
        ("(0.1) can0 16#00", "drive.log:2: expected an identifier of 3 or 8"),
        ("(0.1) can0 800#00", "larger than 7FF"),
        ("(0.1) can0 166#0", "expected up to 8 bytes"),
        ("(0.1) can0 166#000102030405060708", "expected up to 8 bytes"),
        ("(0.1) can0 166#zz", "expected up to 8 bytes"),
        ("(0.1) can0 166##", "expected a digit of flags"),
        ("(0.1) can0 166#R44", "at most one digit after R"),
        ("(0.1) can0", "expected a frame"),
        ("(2014-04-22 00:57:03) can0 166#00", "record with candump -L"),
        ("(0.1) can0 166 [9] 00", "more than a frame holds"),
        ("(0.1) can0 166 [2] 00", "expected 2 bytes, found 1"),
        ("0.1 can0 166#00", "expected (seconds) interface frame"),
    ] {
        refused(&format!("{good}{line}\n"), expect);
        refused(&format!("{good}{line}\n"), "drive.log:2: ");
    }
    let asc = "base hex timestamps absolute\n";
    for (line, expect) in [
        ("0.1 1 8FF Rx d 1 00", "larger than 7FF"),
        ("0.1 1 166 Rx d 4 00 01", "expected 4 bytes, found 2"),
        ("0.1 1 166 Rx d 1 100", "expected a byte"),
        ("0.1 1 16G Rx d 1 10", "expected an identifier (base 16)"),
        ("0.1 CANFD 1 Rx 123 0 0 9 13 00", "does not stand for 13 bytes"),
        ("what is this", "expected candump -L or Vector ASC"),
    ] {
        refused(&format!("{asc}{line}\n"), expect);
        refused(&format!("{asc}{line}\n"), "drive.log:2: ");
    }
    refused("", "no frame in it");
    refused(asc, "no frame in it");
    refused(&"x".repeat(10_000), "longer than 4096 bytes");
    let missing = log::frames("/nowhere/x.log", Nanos::ZERO).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(missing.contains("/nowhere/x.log"), "{missing}");
}

#[test]
fn frames_before_an_error_are_returned_and_none_after_it() {
    let text = "(0.1) can0 001#\n(0.1) can0 002#\nrubbish\n(0.2) can0 003#\n";
    let mut source = Frames::new(Box::new(Cursor::new(text.as_bytes())), "drive.log".into(), Nanos::ZERO);
    assert_eq!(source.next().map(|b| b.expect("two frames").1.frames.len()), Some(2));
    assert!(source.next().is_some_and(|b| b.is_err()));
    assert!(source.next().is_none());
}

#[test]
fn a_real_recording_is_read_completely() {
    let Some(path) = shared_data("can/icsim-sample-can.log") else { return };
    let found: Vec<_> = log::frames(path, Nanos::ZERO).expect("a log").collect::<anyhow::Result<_>>().expect("frames");
    assert_eq!(found.iter().map(|(_, b)| b.frames.len()).sum::<usize>(), 6158);
    assert_eq!(found[0].1.frames[0].stamp_ns, 0);
    assert_eq!(found.last().map(|(t, _)| t.0), Some(3_257_991_000));
}

/// The frame as parsed by the crate `socketcan`.
fn socketcan_frame(line: &str) -> Option<v1::CanFrame> {
    let record = dump::Reader::from_reader(line.as_bytes()).next()?.ok()?;
    let error = matches!(record.frame, CanAnyFrame::Error(_));
    Some(v1::CanFrame {
        stamp_ns: record.t_us * 1000,
        id: record.frame.raw_id(),
        extended: !error && record.frame.is_extended(),
        fd: matches!(record.frame, CanAnyFrame::Fd(_)),
        remote: matches!(record.frame, CanAnyFrame::Remote(_)),
        error,
        data: record.frame.data().to_vec().into(),
        bus: record.device,
    })
}

proptest! {
    #[test]
    fn frames_are_equal_to_those_of_the_crate_socketcan(
        id in prop_oneof!["[0-7][0-9A-F]{2}", "[01][0-9A-F]{7}", "20000[0-3][0-9A-F]{2}"],
        data in prop_oneof!["#([0-9A-F]{2}){0,8}", "##[0-9A-F]([0-9A-F]{2}){8}", "##[0-9A-F]([0-9A-F]{2}){12}", "#R[0-8]?"],
        us in 0u64..1_000_000,
        direction in prop_oneof!["", " R", " T"],
    ) {
        let line = format!("(17.{us:06}) can0 {id}{data}{direction}");
        let found = frames(&line);
        match socketcan_frame(&line) {
            Some(expected) => {
                let mut found = found.expect("a frame");
                if expected.error {
                    // It pads error frames to the eight bytes of the kernel.
                    let mut data = found[0].data.to_vec();
                    data.resize(8, 0);
                    found[0].data = data.into();
                }
                prop_assert_eq!(found, [expected]);
            }
            // It refuses more lines, such as error frames without a class.
            None => prop_assume!(found.is_ok() || id.starts_with('2')),
        }
    }

    #[test]
    fn any_text_is_a_recording_or_an_error(text in "[ -~\n]{0,300}") {
        let _ = frames(&text);
        let _ = frames(&format!("base hex timestamps absolute\n{text}"));
        let _ = frames(&format!("(0.1) can0 001#\n{text}"));
    }

    #[test]
    fn any_bytes_are_a_recording_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let source = Frames::new(Box::new(Cursor::new(bytes)), "x".into(), Nanos::ZERO);
        prop_assert!(source.count() <= 300);
    }

    #[test]
    fn a_damaged_recording_gives_frames_or_an_error_with_a_line(cut in 0usize..200, at in 0usize..200, put in "[ -~]{0,4}") {
        let asc = "base hex timestamps absolute\n0.1 1 166 Rx d 4 D0 32 00 09\n0.2 1 18FEF1FEx Rx d 2 01 02\n\
                   0.3 CANFD 1 Rx 123 1 0 9 12 11 22 33 44 55 66 77 88 99 AA BB CC\n";
        let candump = "(0.1) can0 166#D0320009\n(0.1)  can0  18FEF1FE   [2]  01 02\n(0.2) can0 123##1112233\n";
        for text in [asc, candump] {
            let (at, end) = (at.min(text.len()), (at + cut).min(text.len()));
            if let Err(e) = frames(&format!("{}{put}{}", &text[..at], &text[end..])) {
                prop_assert!(e.to_string().starts_with("drive.log:"), "{e}");
            }
        }
    }
}
