//! Recordings: parsing, lines that are passed over, clocks, and comparison with the parser of the crate `socketcan`.

use auriga_can::{
    dbc::Database,
    log::{self, Frames, Options},
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use auriga_testing::shared_data;
use proptest::prelude::*;
use socketcan::{CanAnyFrame, EmbeddedFrame, Frame, dump};
use std::io::Cursor;

/// The batches of bytes with time 0 at `base`, and what is said of them.
#[allow(clippy::type_complexity)]
fn read(bytes: &[u8], base: Nanos, options: &Options) -> anyhow::Result<(Vec<(Nanos, v1::CanFrames)>, Vec<String>)> {
    let mut source = Frames::new(Box::new(Cursor::new(bytes.to_vec())), "drive.log".into(), base, options)?;
    let mut batches = Vec::new();
    for batch in source.by_ref() {
        batches.push(batch?);
    }
    Ok((batches, source.take_notices().into_iter().map(|n| format!("{}: {}", n.place, n.text)).collect()))
}

/// The batches of a text, with time 0 at `base`.
fn batches(text: &str, base: Nanos) -> anyhow::Result<Vec<(Nanos, v1::CanFrames)>> {
    Ok(read(text.as_bytes(), base, &Options::default())?.0)
}

/// The frames of a text and what is said of it.
fn noted(text: impl AsRef<[u8]>) -> (Vec<v1::CanFrame>, Vec<String>) {
    let (batches, notices) = read(text.as_ref(), Nanos::ZERO, &Options::default()).expect("a recording");
    (batches.into_iter().flat_map(|(_, batch)| batch.frames).collect(), notices)
}

fn frames(text: &str) -> anyhow::Result<Vec<v1::CanFrame>> {
    Ok(batches(text, Nanos::ZERO)?.into_iter().flat_map(|(_, batch)| batch.frames).collect())
}

/// Milliseconds of the frames of a text, and what is said of it.
fn times(text: &str) -> (Vec<u64>, Vec<String>) {
    let (frames, notices) = noted(text);
    (frames.iter().map(|f| f.stamp_ns / 1_000_000).collect(), notices)
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
fn recordings_that_begin_late_are_played_at_once_unless_they_are_aligned() {
    let base = Nanos::from_millis(5000);
    let stamps = |text: &str, aligned: bool| -> Vec<u64> {
        let options = Options { aligned, ..Default::default() };
        let all = read(text.as_bytes(), base, &options).expect("a log").0;
        all.into_iter().flat_map(|(_, b)| b.frames).map(|f| f.stamp_ns).collect()
    };
    let dates = "(1398128223.803317) can0 001#\n(1398128224.803318) can0 002#\n";
    let early = "(0.000300) can0 001#\n(1.000000) can0 002#\n";
    let late = "(770.592543) can0 001#\n(770.692543) can0 002#\n";
    let negative = "date Tue\nbase hex timestamps absolute\n-0.5 1 1 Rx d 0\n0.25 1 2 Rx d 0\n";
    for aligned in [false, true] {
        assert_eq!(stamps(dates, aligned), [5_000_000_000, 6_000_001_000]);
        assert_eq!(stamps(early, aligned), [5_000_300_000, 6_000_000_000]);
        assert_eq!(stamps(negative, aligned), [5_000_000_000, 5_750_000_000]);
    }
    assert_eq!(stamps(late, false), [5_000_000_000, 5_100_000_000]);
    assert_eq!(stamps(late, true), [775_592_543_000, 775_692_543_000]);
    let (_, notices) = noted(late);
    assert!(notices.len() == 1 && notices[0].contains("drive.log:1: the recording begins at 770.593 s"), "{notices:?}");
    assert_eq!(noted(dates).1, [""; 0]);
}

#[test]
fn jumps_of_the_clock_are_closed_and_reported() {
    let log = |stamps: &[f64]| -> String { stamps.iter().map(|t| format!("({t:.6}) can0 123#01\n")).collect() };
    for jump in [244_000_000.0, 3600.0, 61.0, -0.2, -3600.0, -1.6e9] {
        let (before, after) = (1.7e9, 1.7e9 + 0.1 + jump);
        let text = log(&[before, before + 0.05, before + 0.1, after + 0.05, after + 0.1, after + 0.15]);
        let (found, notices) = times(&text);
        assert_eq!(found, [0, 50, 100, 150, 200, 250], "{jump}");
        assert!(
            notices.len() == 1 && notices[0].starts_with("drive.log:4: the frames from here on are "),
            "{notices:?}"
        );
        assert!(notices[0].contains(if jump > 0.0 { "ahead of" } else { "behind" }), "{notices:?}");
    }
    // A bus may be silent, and frames of two interfaces slightly out of order.
    let (found, notices) = times(&log(&[10.0, 10.05, 40.0, 39.99, 40.05]));
    assert_eq!((found, notices.len()), (vec![0, 50, 30_000, 29_990, 30_050], 1));
}

#[test]
fn one_outlying_time_costs_one_frame() {
    for outlier in ["0.000000", "1800000000.000000", "1699999999.000000"] {
        let text = format!(
            "(1700000000.00) can0 101#\n(1700000000.05) can0 102#\n({outlier}) can0 103#\n(1700000000.15) can0 104#\n(1700000000.20) can0 105#\n"
        );
        let (found, notices) = noted(&text);
        assert_eq!(found.iter().map(|f| f.id).collect::<Vec<_>>(), [0x101, 0x102, 0x104, 0x105], "{outlier}");
        assert_eq!(found.iter().map(|f| f.stamp_ns / 1_000_000).collect::<Vec<_>>(), [0, 50, 150, 200]);
        assert!(
            notices.len() == 1 && notices[0].contains("drive.log:3: ") && notices[0].contains("left out"),
            "{notices:?}"
        );
    }
    // At the start and at the end there is nothing around it: no frame is lost.
    let (found, notices) =
        times("(5.0) can0 101#\n(1700000000.00) can0 102#\n(1700000000.05) can0 103#\n(9.0) can0 104#\n");
    assert_eq!((found.len(), notices.len()), (4, 3), "{found:?} {notices:?}");
    assert!(found.windows(2).all(|pair| pair[1] - pair[0] <= 100), "{found:?}");
}

#[test]
fn candump_is_read_with_every_form_of_its_time_and_without() {
    let bytes = ["[2]  03 E8", "[2]  04 4C", "[2]  04 B0", "[2]  05 14"];
    let log = |stamps: [&str; 4]| -> String {
        stamps.iter().zip(bytes).map(|(t, b)| format!(" {t} can0  123   {b}\n")).collect()
    };
    let absolute = ["(1700000000.000000)", "(1700000000.050000)", "(1700000000.099000)", "(1700000000.150000)"];
    let zero = ["(000.000000)", "(000.050000)", "(000.099000)", "(000.150000)"];
    let delta = ["(000.000000)", "(000.050000)", "(000.049000)", "(000.051000)"];
    let date = [
        "(2023-11-14 23:59:59.950000)",
        "(2023-11-15 00:00:00.000000)",
        "(2023-11-15 00:00:00.049000)",
        "(2023-11-15 00:00:00.100000)",
    ];
    for stamps in [absolute, zero, delta, date] {
        let (found, notices) = times(&log(stamps));
        assert_eq!((found, notices), (vec![0, 50, 99, 150], vec![]), "{stamps:?}");
    }
    let (found, notices) = times(&log([""; 4]));
    assert_eq!(found, [0, 1, 2, 3]);
    assert!(
        notices.len() == 1 && notices[0].contains("have no time") && notices[0].contains("1 ms apart"),
        "{notices:?}"
    );
    let (found, _) = noted(log([""; 4]));
    assert_eq!(found[3].data[..], [0x05, 0x14]);
    // Each of such frames is a batch: none hides another's value.
    assert_eq!(batches(&log([""; 4]), Nanos::ZERO).expect("a log").len(), 4);
}

#[test]
fn other_forms_of_candump_give_the_same_frames() {
    let expected = frames("(0.1) can0 123#0102FF\n").expect("a log");
    for line in [
        "(0.1)  can0  RX - -  123   [3]  01 02 FF   '...'",
        "(0.1)  can0  123   [3]  FF`02`01",
        "(0.1)  can0  123   [3]  00000001 00000010 11111111",
        "\u{1b}[32m(0.1)  can0\u{1b}[0m  123   [3]  01 02 FF",
    ] {
        assert_eq!(frames(&format!("{line}\r\n")).expect(line), expected, "{line}");
    }
    // What candump -e prints below an error frame is no foreign line.
    let text =
        "(0.1)  can0  20000004   [8]  00 04 00 00 00 00 00 00   ERRORFRAME\n\tcontroller-problem{rx-error-warning}\n";
    let (found, notices) = noted(text);
    assert_eq!((found.len(), found[0].error, notices.len()), (1, true, 0), "{notices:?}");
}

#[test]
fn marks_of_the_encoding_and_ends_of_lines_do_not_matter() {
    let text = "(0.1) can0 123#01\n(0.2) can0 123#02\n";
    let expected = frames(text).expect("a log");
    let units: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = [0xff, 0xfe].into_iter().chain(units.iter().flat_map(|u| u.to_le_bytes())).collect();
    let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(units.iter().flat_map(|u| u.to_be_bytes())).collect();
    let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for bytes in [marked, little, big, text.replace('\n', "\r\n").into_bytes()] {
        assert_eq!(noted(bytes), (expected.clone(), vec![]));
    }
}

#[test]
fn peak_trc_gives_the_same_frames() {
    let expected = frames("(0.0025) x 400#0001FF\n(1.8413) x 18FEF1FE#02\n(1.85) x 123#R\n").expect("a log");
    let heading = |version: &str, columns: &str| {
        format!(";$FILEVERSION={version}\n;$STARTTIME=39878.6772258947\n{columns};---\n;   Message Number\n")
    };
    let one = format!(
        "{}     1)         2.5  Rx         0400  3  00 01 FF\n     2)      1841.3  Tx     18FEF1FE  1  02\n\
         3) 1842.0 Warng FFFFFFFF 4 00 00 00 08 BUSHEAVY\n     4)      1850.0  Rx         0123  0  RTR\n",
        heading("1.1", "")
    );
    let two = format!(
        "{}  1  2.500 DT 1  0400 Rx -  3  00 01 FF\n  2  1841.300 DT 1 18FEF1FE Rx - 1 02\n  3 1850.000 RR 1 0123 Rx - 0\n\
         4 1851.0 ST 1 - Rx - 4 00 00 00 08\n",
        heading("2.1", ";$COLUMNS=N,O,T,B,I,d,R,L,D\n")
    );
    for text in [one, two] {
        let (mut found, notices) = noted(&text);
        found.iter_mut().for_each(|f| f.bus = "x".into());
        assert_eq!((found, notices), (expected.clone(), vec![]), "{text}");
    }
    let fd = format!(
        "{}  1  2.500 FD 1  0400 Rx -  12  00 01 02 03 04 05 06 07 08 09 0A 0B\n",
        heading("2.1", ";$COLUMNS=N,O,T,B,I,d,R,L,D\n")
    );
    let (found, _) = noted(&fd);
    assert!(found[0].fd && found[0].data.len() == 12, "{found:?}");
}

#[test]
fn comma_separated_values_give_the_same_frames() {
    let expected = frames("(0.5) 0 166#D03200\n(0.6) 0 18FEF1FE#01\n").expect("a log");
    let savvy = "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n500000,00000166,false,Rx,0,3,D0,32,00,,,,,,\n\
                 600000,18FEF1FE,true,Rx,0,1,01,,,,,,,,\n";
    let cabana = "time,addr,bus,data\n0.5,0x166,0,0xd03200\n0.6,0x18fef1fe,0,0x01\n";
    let python = "timestamp,arbitration_id,extended,remote,error,dlc,data\n0.5,0x166,0,0,0,3,0DIA\n0.6,0x18fef1fe,1,0,0,1,AQ==\n";
    for text in [savvy, cabana, python] {
        let (mut found, notices) = noted(text);
        found.iter_mut().for_each(|f| f.bus = "0".into());
        assert_eq!((found, notices), (expected.clone(), vec![]), "{text}");
    }
    let (found, notices) = noted(format!("{savvy}700000,166,false,Rx,0,3,D0,3\n800000,166,false,Rx,0,0\n"));
    assert_eq!((found.len(), notices.len()), (3, 1), "{notices:?}");
}

#[test]
fn symbolic_asc_is_read_with_the_names_of_a_database() {
    let database = Database::parse("BO_ 358 ENGINE: 4 X\n\nBO_ 2566844926 CCVS1: 8 X\n", "x.dbc").expect("valid");
    let names = Options::default().with_names(&database);
    let text = "date Tue\nbase hex  timestamps absolute\nMeasurement UUID: 1-2-3\n0.1 1 ENGINE Rx d 2 D0 32\n\
                0.2 1 CCVS1 Rx d 1 01\n0.3 1 OTHER Rx d 1 01\n0.4 CANFD 1 Rx ENGINE 0 0 1 1 07\n";
    let (found, notices) = read(text.as_bytes(), Nanos::ZERO, &names).expect("a log");
    let ids: Vec<(u32, bool)> = found.iter().flat_map(|(_, b)| &b.frames).map(|f| (f.id, f.extended)).collect();
    assert_eq!(ids, [(358, false), (0x18fe_f1fe, true), (358, false)]);
    assert!(
        notices.len() == 1 && notices[0].contains("drive.log:6: ") && notices[0].contains("\"OTHER\""),
        "{notices:?}"
    );
}

#[test]
fn formats_that_are_not_read_are_refused_by_name() {
    for (begin, expect) in
        [("LOGG....", "Vector BLF is not read; convert it"), ("MDF     4.10", "MDF"), ("\u{1f}x", "no frame")]
    {
        refused(begin, expect);
    }
    let gzip = Frames::new(Box::new(Cursor::new(b"\x1f\x8b\x08")), "x.gz".into(), Nanos::ZERO, &Options::default());
    assert!(gzip.is_err_and(|e| e.to_string().contains("gunzip")));
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
fn lines_without_a_frame_are_passed_over_and_reported_wherever_they_are() {
    let good = "(0.000300) can0 166#D0320009\n";
    for (line, expect) in [
        ("(0.1) can0 16#00", "expected an identifier of 3 or 8"),
        ("(0.1) can0 800#00", "larger than 7FF"),
        ("(0.1) can0 166#0", "expected up to 8 bytes"),
        ("(0.1) can0 166#000102030405060708", "expected up to 8 bytes"),
        ("(0.1) can0 166#zz", "expected up to 8 bytes"),
        ("(0.1) can0 166##", "expected a digit of flags"),
        ("(0.1) can0 166#R44", "at most one digit after R"),
        ("(0.1) can0", "expected a frame"),
        ("(0.1", "expected (seconds) interface frame"),
        ("(tomorrow) can0 166#00", "expected a time"),
        ("(0.1) can0 166 [9] 00", "more than a frame holds"),
        ("(0.1) can0 166 [2] 00", "expected 2 bytes, found 1"),
        ("(0.1) can0 45123#81:00:12345678#11223344", "CAN XL"),
        ("# marker: overtaking", "expected"),
        ("candump: read: Network is down", "expected"),
    ] {
        // In the middle, at the start, at the end with and without its own end.
        for (text, place) in [
            (format!("{good}{line}\n{good}"), 2),
            (format!("{line}\n{good}{good}"), 1),
            (format!("{good}{good}{line}\n"), 3),
            (format!("{good}{good}{line}"), 3),
        ] {
            let (found, notices) = noted(&text);
            assert_eq!(found.len(), 2, "{text}");
            let [notice] = notices.as_slice() else { panic!("{text}: {notices:?}") };
            assert!(notice.starts_with(&format!("drive.log:{place}: ")), "{notice}");
            assert!(place == 1 || notice.contains(expect), "{notice}");
            assert_eq!(notice.contains("the file ends within the line"), text.ends_with(line), "{notice}");
        }
    }
    let asc = "base hex timestamps absolute\n0.05 1 166 Rx d 1 00\n";
    for (line, expect) in [
        ("0.1 1 8FF Rx d 1 00", "larger than 7FF"),
        ("0.1 1 166 Rx d 4 00 01", "expected 4 bytes, found 2"),
        ("0.1 1 166 Rx d 1 100", "expected a byte"),
        ("0.1 1 16G Rx d 1 10", "expected an identifier, or the name of a message"),
        ("0.1 1 166 Rx", "the line ends before the frame's data"),
        ("0.1 CANFD 1 Rx 123 0 0 9 13 00", "does not stand for 13 bytes"),
        ("what is this", "expected a line of Vector's ASC"),
    ] {
        let (found, notices) = noted(format!("{asc}{line}\n0.2 1 166 Rx d 1 00\n"));
        assert_eq!(found.len(), 2, "{line}");
        assert!(
            notices.len() == 1 && notices[0].starts_with("drive.log:3: ") && notices[0].contains(expect),
            "{notices:?}"
        );
    }
    let long = format!("{good}{}\n{good}", "x".repeat(10_000));
    let (found, notices) = noted(&long);
    assert!(found.len() == 2 && notices[0].contains("drive.log:2: the line is longer than 4096 bytes"), "{notices:?}");
}

#[test]
fn many_bad_lines_are_counted_and_a_file_without_frames_is_refused() {
    let text = format!("(0.1) can0 001#\n{}", "rubbish\n".repeat(100));
    let (found, notices) = noted(&text);
    assert_eq!((found.len(), notices.len()), (1, 33));
    assert_eq!(notices[32], "drive.log: 68 more lines like these");
    refused("", "no frame in it");
    refused("base hex timestamps absolute\n", "no frame in it");
    refused(&"rubbish\n".repeat(20_000), "no frame in it; expected a recording of candump");
    refused(&"x".repeat(10_000), "no frame in it");
    let missing = log::frames("/nowhere/x.log", Nanos::ZERO).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(missing.contains("/nowhere/x.log"), "{missing}");
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
        let line = format!("(0.{us:06}) can0 {id}{data}{direction}");
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
        if let Ok((batches, _)) = read(&bytes, Nanos::ZERO, &Options::default()) {
            prop_assert!(batches.len() <= 300);
        }
    }

    #[test]
    fn a_damaged_recording_loses_only_the_damaged_lines(cut in 0usize..60, at in 0usize..400, put in "[ -~]{0,4}") {
        let candump: String = (0..10).map(|i| format!("(0.{i}) can0 166#D032000{i}\n")).collect();
        let (at, end) = (at.min(candump.len()), (at + cut).min(candump.len()));
        let damaged = format!("{}{put}{}", &candump[..at], &candump[end..]);
        let touched = candump[at..end].matches('\n').count() + 1;
        if let Ok((batches, _)) = read(damaged.as_bytes(), Nanos::ZERO, &Options::default()) {
            let found: usize = batches.iter().map(|(_, batch)| batch.frames.len()).sum();
            // One more: a damaged time may stand alone among its neighbours.
            prop_assert!(found + touched + 1 >= 10, "{found} of 10, {touched} lines touched:\n{damaged}");
        }
    }

    #[test]
    fn any_times_are_played_in_at_most_their_number_of_steps(stamps in prop::collection::vec(any::<u32>(), 1..40)) {
        let text: String = stamps.iter().map(|t| format!("({}.{:06}) can0 123#\n", t / 1000, t % 1000)).collect();
        let (batches, _) = read(text.as_bytes(), Nanos::ZERO, &Options::default()).expect("a log");
        prop_assert!(batches.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        let last = batches.last().expect("frames").0;
        prop_assert!(last <= Nanos::from_millis(61_000 * stamps.len() as u64), "{last:?}");
    }
}
