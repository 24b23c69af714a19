//! Databases: parsing, errors, and the round trip of encoding and decoding.

use crate::common::{demo_database, repository};
use auriga_can::dbc::{Bits, Database, EncodeError, Kind};
use auriga_testing::shared_data;
use proptest::prelude::*;

fn refused(text: &str, expect: &str) {
    let error = Database::parse(text, "bad.dbc").expect_err(expect).to_string();
    assert!(error.contains(expect), "{error}");
}

#[test]
fn the_demo_database_encodes_and_decodes_as_the_file_states() {
    let database = demo_database();
    assert!(database.warnings().is_empty());
    let speed = database.message_by_name("SPEED").expect("SPEED");
    assert_eq!((speed.id(), speed.is_extended(), speed.length()), (208, false, 8));
    let mut data = [0xff; 8];
    let values = [("VEHICLE_SPEED", 90.0), ("YAW_RATE", -2.0), ("LONG_ACCEL", -1.5), ("COUNTER", 5.0)];
    speed.encode(&values, &mut data).expect("in range");
    // 9000 = 0x2328; -400 = 0xfe70; -150 in 12 bits = 0xf6a; the counter in the low half of the last byte. The
    // other bits are not changed.
    assert_eq!(data, [0x23, 0x28, 0xfe, 0x70, 0xf6, 0xaf, 0xff, 0xf5]);
    let decoded: Vec<(&str, f64)> = speed.decode(&data).map(|(s, v)| (s.name(), v)).collect();
    assert_eq!(decoded, values);

    let gear = database.message_by_name("BODY").and_then(|m| m.signal("GEAR")).expect("BODY.GEAR");
    assert_eq!(gear.label(3), Some("DRIVE"));
    assert_eq!(gear.label(4), None);
    let tyres = database.message(928, false).expect("TYRES");
    assert_eq!(tyres.comment(), "Every 200 ms, one tyre after the other.");
    assert_eq!(tyres.signal("MUX").expect("MUX").comment(), "Which tyre the frame tells of.");
    assert_eq!(tyres.signal("PRESSURE_RR").expect("PRESSURE_RR").unit(), "kPa");
}

#[test]
fn a_multiplexed_signal_is_decoded_only_for_its_multiplexer_value() {
    let database = demo_database();
    let tyres = database.message_by_name("TYRES").expect("TYRES");
    let mut data = [0; 4];
    tyres.encode(&[("MUX", 2.0), ("PRESSURE_RL", 245.5)], &mut data).expect("in range");
    let decoded: Vec<(&str, f64)> = tyres.decode(&data).map(|(s, v)| (s.name(), v)).collect();
    assert_eq!(decoded, [("MUX", 2.0), ("PRESSURE_RL", 245.5)]);
    let mut seen = Vec::new();
    tyres.decode_each(&data, |i, v| seen.push((tyres.signals()[i].name(), v)));
    assert_eq!(seen, decoded);
    let error = tyres.encode(&[("MUX", 2.0), ("PRESSURE_FL", 245.5)], &mut data).expect_err("not selected");
    assert!(matches!(error, EncodeError::NotSelected { .. }), "{error}");
}

#[test]
fn nested_multiplexers_and_ranges_of_values_are_supported() {
    let text = "BO_ 1 DEEP: 8 X\n SG_ TOP M : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ MID m1M : 8|8@1+ (1,0) [0|0] \"\" X\n \
                SG_ LOW m3 : 16|8@1+ (1,0) [0|0] \"\" X\n SG_ OTHER m2 : 8|16@1+ (1,0) [0|0] \"\" X\n\
                SG_MUL_VAL_ 1 MID TOP 1-1;\nSG_MUL_VAL_ 1 LOW MID 3-5, 9-9;\nSG_MUL_VAL_ 1 OTHER TOP 2-2;\n";
    let database = Database::parse(text, "deep.dbc").expect("valid");
    let names = |data: [u8; 8]| -> Vec<String> {
        let message = database.message(1, false).expect("DEEP");
        message.decode(&data).map(|(s, _)| s.name().to_owned()).collect()
    };
    assert_eq!(names([0, 3, 7, 0, 0, 0, 0, 0]), ["TOP"]);
    assert_eq!(names([1, 3, 7, 0, 0, 0, 0, 0]), ["TOP", "MID", "LOW"]);
    assert_eq!(names([1, 6, 7, 0, 0, 0, 0, 0]), ["TOP", "MID"]);
    assert_eq!(names([1, 9, 7, 0, 0, 0, 0, 0]), ["TOP", "MID", "LOW"]);
    assert_eq!(names([2, 3, 7, 0, 0, 0, 0, 0]), ["TOP", "OTHER"]);
}

#[test]
fn floating_point_signals_and_long_frames_are_decoded() {
    let text = "BO_ 2147484672 FD: 64 X\n SG_ SINGLE : 7|32@0- (1,0) [0|0] \"\" X\n \
                SG_ DOUBLE : 448|64@1- (2,1) [0|0] \"\" X\n SG_ ODD : 99|64@1- (1,0) [0|0] \"\" X\n \
                SG_ ODD_BIG : 202|63@0+ (1,0) [0|0] \"\" X\n\
                SIG_VALTYPE_ 2147484672 SINGLE : 1;\nSIG_VALTYPE_ 2147484672 DOUBLE : 2;\n";
    let database = Database::parse(text, "fd.dbc").expect("valid");
    let message = database.message(1024, true).expect("FD");
    assert!(database.message(1024, false).is_none());
    let values = [("SINGLE", -1.5), ("DOUBLE", 1e-300), ("ODD", -9007199254740991.0), ("ODD_BIG", 9007199254740991.0)];
    let mut data = [0; 64];
    message.encode(&values, &mut data).expect("in range");
    assert_eq!(data[..4], (-1.5f32).to_be_bytes());
    assert_eq!(data[56..], ((1e-300f64 - 1.0) / 2.0).to_le_bytes());
    for (name, value) in values {
        let signal = message.signal(name).expect(name);
        let found = signal.physical(&Bits::new(&data));
        assert!((found - value).abs() <= 1e-12 * value.abs().max(1.0), "{name}: {found}");
    }
    assert_eq!(message.signal("SINGLE").map(|s| s.kind()), Some(Kind::Float32));
}

#[test]
fn only_can_fd_frames_may_be_padded() {
    let text =
        "BO_ 1 A: 10 X\n SG_ S : 0|8@1+ (1,0) [0|0] \"\" X\n\nBO_ 2 B: 6 X\n SG_ S : 0|8@1+ (1,0) [0|0] \"\" X\n";
    let database = Database::parse(text, "fd.dbc").expect("valid");
    let accepted = |id: u32| -> Vec<usize> {
        let message = database.message(id, false).expect("there");
        (0..=64).filter(|&length| message.accepts_length(length)).collect()
    };
    assert_eq!(accepted(1), [10, 12]);
    assert_eq!(accepted(2), [6]);
}

/// The signals of a database, as MESSAGE.SIGNAL, and what was left out.
fn loaded(text: &str) -> (Vec<String>, Vec<String>) {
    let database = Database::parse(text, "bad.dbc").unwrap_or_else(|e| panic!("{e}\n{text}"));
    let of = |m: &auriga_can::dbc::Message| -> Vec<String> {
        m.signals().iter().map(|s| format!("{}.{}", m.name(), s.name())).collect()
    };
    (database.messages().iter().flat_map(of).collect(), database.warnings().to_vec())
}

#[test]
fn an_invalid_signal_is_left_out_with_its_line_and_the_rest_is_loaded() {
    for (signal, expect) in [
        ("B : 9|8@1+ (1,0) [0|0] \"\" X", "8 bits from bit 9 are not within the 2 bytes"),
        ("B : 7|24@0+ (1,0) [0|0] \"\" X", "24 bits from bit 7 are not within the 2 bytes"),
        ("B : 0|65@1+ (1,0) [0|0] \"\" X", "expected 1 to 64 bits, found 65"),
        ("B : 0|0@1+ (1,0) [0|0] \"\" X", "found 0"),
        ("B : 18446744073709551615|8@1+ (1,0) [0|0] \"\" X", "are not within"),
        ("B : 99999999999999999999|8@1+ (1,0) [0|0] \"\" X", "is too large"),
        ("B : 8|8@1+ (0,0) [0|0] \"\" X", "expected a factor other than 0"),
        ("A : 8|8@1+ (1,0) [0|0] \"\" X", "another signal of the message has the same name"),
        ("B m1 : 8|8@1+ (1,0) [0|0] \"\" X", "m1: the message has no multiplexer"),
        ("B q1 : 8|8@1+ (1,0) [0|0] \"\" X", "expected a multiplexer"),
        ("B : 8|8@1+ (1,0) [0|0] \"\" X\nSIG_VALTYPE_ 5 B : 1;", "SIG_VALTYPE_ gives it 32 bits, it has 8"),
        ("B : 8|8@1+ (1,0) [0|0] \"\" X\nSIG_VALTYPE_ 5 B : 3;", "the type 3"),
        ("B : 8|8@2+ (1,0) [0|0] \"\" X", "expected the byte order 0 or 1, found 2"),
        ("B : 8|8@1+ (x,0) [0|0] \"\" X", "expected the factor"),
        ("B : 8|8@1+ (1,0) [0|0] \"x", "the text in quotes has no end"),
        ("B ; 8|8", "expected ':'"),
    ] {
        let text = format!(
            "VERSION \"\"\n\nBO_ 5 M: 2 X\n SG_ A : 0|4@1+ (1,0) [0|0] \"\" X\n SG_ {signal}\n\nBO_ 6 N: 1 X\n \
             SG_ C : 0|8@1+ (1,0) [0|0] \"\" X\n"
        );
        let (signals, warnings) = loaded(&text);
        assert_eq!(signals, ["M.A", "N.C"], "{signal}");
        let [warning] = warnings.as_slice() else { panic!("{signal}: {warnings:?}") };
        let name = signal.split(' ').next().expect("a name");
        assert!(warning.starts_with(&format!("bad.dbc:5: signal M.{name} is left out: ")), "{warning}");
        assert!(warning.contains(expect), "{warning}");
    }
}

#[test]
fn an_invalid_message_is_left_out_with_its_line_and_the_rest_is_loaded() {
    let good = "BO_ 7 GOOD: 1 X\n SG_ C : 0|8@1+ (1,0) [0|0] \"\" X\n\n";
    let inner = " SG_ S : 0|8@1+ (1,0) [0|0] \"\" X\n\n";
    for (message, expect) in [
        ("BO_ 5 BAD: 65 X\n", "message BAD is left out: it has 65 bytes, a frame at most 64"),
        ("BO_ 2633832958 BAD: 200 X\n", "it has 200 bytes, a frame at most 64; the J1939 transport protocol"),
        ("BO_ 1075054137 BAD: 8 X\n", "1075054137 is no CAN identifier"),
        ("BO_ 7 BAD: 8 X\n", "another message has the same identifier 0x7"),
        ("BO_ 8 GOOD: 8 X\n", "message GOOD is left out: another message has the same name"),
        ("BO_ 8 BAD 8 X\n", "message BAD is left out: expected ':'"),
        ("BO_ x BAD: 8 X\n", "expected the identifier of a message"),
    ] {
        let (signals, warnings) = loaded(&format!("{good}{message}{inner}BO_ 9 LAST: 1 X\n{inner}"));
        assert_eq!(signals, ["GOOD.C", "LAST.S"], "{message}");
        assert!(warnings.len() == 1 && warnings[0].starts_with("bad.dbc:4: "), "{warnings:?}");
        assert!(warnings[0].contains(expect), "{warnings:?}");
    }
    let cycle = "BO_ 1 C: 8 X\n SG_ A m1M : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ B m1M : 8|8@1+ (1,0) [0|0] \"\" X\n \
                  SG_ D : 16|8@1+ (1,0) [0|0] \"\" X\nSG_MUL_VAL_ 1 A B 1-1;\nSG_MUL_VAL_ 1 B A 1-1;\n";
    let (signals, warnings) = loaded(cycle);
    assert_eq!(signals, ["C.D"]);
    assert!(warnings.len() == 2 && warnings[0].contains("in a cycle"), "{warnings:?}");
}

#[test]
fn statements_that_cannot_be_read_are_reported_each_and_do_not_stop_the_rest() {
    let text = "VERSION \"\"\n\nNS_ :\n\tNS_DESC_\n\tCM_\n\tBA_DEF_\n\nBS_:\n\nBU_: A B\n C\n\n// a comment\nBO_ 5 M: 8 A\n \
                SG_ A : 0|8@1+ (1,0) [0|0] \"\" B,\n   C\n SG_ B : 8|8@1+ (1,0) [0|0] \"\"\n \
                SG_ NO_RANGE : 16|8@1+ (1,0) \"\" B\n SG_ W : 0|64@1+ (1.5E-1,-1e+2) [-1E+3|.5e3] \"km/h\" Vector__XXX\n\n\
                what is this\nCM_ SG_ 5 A \"a text with BO_ in it\nBO_ 6 COMMENT: 8 X\nand \\\"quotes\\\"\";\nVAL_ 5 A 0 \"off\" 1 \"on\"\n  \
                2 \"both\" ;\nVAL_ 5 W 18446744073709551615 \"SNA\" -1 \"same\" ;\nVAL_ 5 B 0 \"zero\" 1 one ;\nVAL_TABLE_ T 0 \"t\";\n\
                VAL_ 5 NO_RANGE T ;\nBA_DEF_ BO_ \"GenMsgCycleTime\" INT 0 65535;\nBA_DEF_DEF_ \"GenMsgCycleTime\" 0;\n\
                BA_ \"GenMsgCycleTime\" BO_ 5 100;\nSG_MUL_VAL_ 5 A B x-1;\nBO_ 9 LAST: 1 A\n SG_ S : 0|8@1+ (1,0) [0|0] \"\" A\n";
    let database = Database::parse(text, "odd.dbc").expect("valid");
    let names: Vec<&str> = database.messages().iter().map(|m| m.name()).collect();
    assert_eq!(names, ["M", "LAST"]);
    let message = database.message(5, false).expect("M");
    let signals: Vec<&str> = message.signals().iter().map(|s| s.name()).collect();
    assert_eq!(signals, ["A", "B", "NO_RANGE", "W"]);
    let signal = |name: &str| message.signal(name).expect(name);
    assert_eq!(signal("A").comment(), "a text with BO_ in it\nBO_ 6 COMMENT: 8 X\nand \"quotes\"");
    assert_eq!([0, 1, 2].map(|raw| signal("A").label(raw)), [Some("off"), Some("on"), Some("both")]);
    assert_eq!(signal("W").label(-1), Some("SNA"));
    assert_eq!((signal("W").factor(), signal("W").offset(), signal("W").range()), (0.15, -100.0, (-1000.0, 500.0)));
    assert_eq!(signal("NO_RANGE").label(0), Some("t"));
    assert_eq!(message.cycle_ms(), Some(100));
    let reasons: Vec<&str> = database.warnings().iter().map(String::as_str).collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons[0].contains("found \"what\"") && reasons[1].contains("values (VAL_) of B"), "{reasons:?}");
    assert!(reasons[2].contains("expected a value of the multiplexer"), "{reasons:?}");
}

#[test]
fn a_text_without_messages_is_refused() {
    refused("", "bad.dbc: this is not a CAN database (DBC): there is no message");
    refused("VERSION \"\"\n\nBU_: A\n", "there is no message");
    refused("[[signal]]\nfrom = \"A.B\"\n", "bad.dbc:1: this is not a CAN database (DBC): ");
    let missing = Database::load("/nowhere/x.dbc").expect_err("no file").to_string();
    assert!(missing.contains("/nowhere/x.dbc"), "{missing}");
}

#[test]
fn a_frame_of_another_length_has_the_signals_that_lie_wholly_within_it() {
    let text = "BO_ 1 M: 8 X\n SG_ A : 7|16@0+ (1,0) [0|0] \"\" X\n SG_ B : 16|12@1+ (1,0) [0|0] \"\" X\n \
                SG_ MUX M : 60|4@1+ (1,0) [0|0] \"\" X\n SG_ C m0 : 40|8@1+ (1,0) [0|0] \"\" X\n";
    let database = Database::parse(text, "x.dbc").expect("valid");
    let message = database.message(1, false).expect("M");
    let names = |length: usize| -> Vec<&str> { message.decode(&[0; 64][..length]).map(|(s, _)| s.name()).collect() };
    assert_eq!(names(0), [""; 0]);
    assert_eq!(names(1), [""; 0]);
    assert_eq!(names(2), ["A"]);
    assert_eq!(names(3), ["A"]);
    assert_eq!(names(4), ["A", "B"]);
    // C lies within six bytes, its multiplexer does not.
    assert_eq!(names(7), ["A", "B"]);
    assert_eq!(names(8), ["A", "B", "MUX", "C"]);
    assert_eq!(names(12), ["A", "B", "MUX", "C"]);
    let mut each = Vec::new();
    message.decode_each(&[0; 7], |i, _| each.push(message.signals()[i].name()));
    assert_eq!(each, ["A", "B"]);
}

#[test]
fn a_database_with_a_byte_order_mark_and_in_utf_16_is_loaded() {
    let text = "VERSION \"\"\n\nBO_ 1 M: 1 X\n SG_ T : 0|8@1+ (1,0) [0|0] \"°C\" X\n";
    let folder = tempfile::tempdir().expect("a folder");
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let crlf = text.replace('\n', "\r\n").into_bytes();
    let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
    for (name, bytes) in [("marked", marked), ("utf16", utf16), ("latin", latin), ("crlf", crlf)] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let database = Database::load(&path).expect(name);
        assert!(database.warnings().is_empty(), "{name}: {:?}", database.warnings());
        assert_eq!(database.message_by_name("M").and_then(|m| m.signal("T")).expect("M.T").unit(), "°C", "{name}");
    }
}

/// CCVS1 and EEC1 with the source address that stands for any, and a message to one receiver.
const J1939: &str = "BO_ 2364540158 EEC1: 8 X\n SG_ EngSpeed : 24|16@1+ (0.125,0) [0|8031.875] \"rpm\" X\n\n\
                     BO_ 2566844926 CCVS1: 8 X\n SG_ Speed : 8|16@1+ (0.00390625,0) [0|250.996] \"km/h\" X\n\n\
                     BO_ 2348875774 TSC1: 8 X\n SG_ Torque : 24|8@1+ (1,-125) [-125|125] \"%\" X\n\n";
const J1939_ATTRIBUTES: &str =
    "BA_DEF_ BO_ \"VFrameFormat\" ENUM \"StandardCAN\",\"ExtendedCAN\",\"reserved\",\"J1939PG\";\n";

#[test]
fn j1939_messages_are_found_by_their_parameter_group() {
    let database = Database::parse(J1939, "x.dbc").expect("valid");
    let name = |id: u32| database.message(id, true).map(|m| m.name().to_owned());
    for (id, expected) in [
        (0x0cf0_0400, Some("EEC1")),
        (0x18f0_0431, Some("EEC1")),
        (0x0cf0_04fe, Some("EEC1")),
        (0x18fe_f100, Some("CCVS1")),
        (0x1cfe_f1fe, Some("CCVS1")),
        (0x18fe_f200, None),
        // To one receiver: its address is not of the group.
        (0x0c00_000b, Some("TSC1")),
        (0x0c00_0f0b, Some("TSC1")),
        (0x0c01_000b, None),
        // The data page is.
        (0x0df0_0400, None),
    ] {
        assert_eq!(name(id).as_deref(), expected, "{id:#x}");
    }
    assert!(database.message(0xf004, false).is_none());
}

#[test]
fn messages_are_of_j1939_by_their_attributes() {
    let of = |text: &str| -> Vec<bool> {
        Database::parse(text, "x.dbc").expect("valid").messages().iter().map(|m| m.is_j1939()).collect()
    };
    assert_eq!(of(J1939), [true; 3]);
    let format = |rest: &str| format!("{J1939}{J1939_ATTRIBUTES}{rest}");
    assert_eq!(of(&format("BA_DEF_DEF_ \"VFrameFormat\" \"J1939PG\";\n")), [true; 3]);
    let one = "BA_DEF_DEF_ \"VFrameFormat\" \"ExtendedCAN\";\nBA_ \"VFrameFormat\" BO_ 2566844926 3;\n";
    assert_eq!(of(&format(one)), [false, true, false]);
    let protocol = |name: &str| format!("{J1939}BA_DEF_ \"ProtocolType\" STRING ;\nBA_ \"ProtocolType\" \"{name}\";\n");
    assert_eq!(of(&protocol("J1939")), [true; 3]);
    assert_eq!(of(&protocol("CAN")), [false; 3]);
    // Without attributes, another source address says that identifiers are whole.
    assert_eq!(of(&format!("{J1939}BO_ 2566844672 OTHER: 8 X\n")), [false; 4]);
    let standard = "BO_ 254 M: 8 X\n";
    assert_eq!(of(standard), [false]);
}

#[test]
fn messages_of_one_parameter_group_are_told_apart_by_their_source() {
    let text = "BO_ 2565865472 ENGINE: 8 X\n\nBO_ 2565865483 BRAKES: 8 X\n\nBO_ 2565865726 OTHERS: 8 X\n\n\
                BA_DEF_ \"ProtocolType\" STRING ;\nBA_ \"ProtocolType\" \"J1939\";\n";
    let database = Database::parse(text, "x.dbc").expect("valid");
    let name = |id: u32| database.message(id, true).map(|m| m.name().to_owned());
    let id = 2_565_865_472 & 0x1fff_ff00;
    assert_eq!(name(id).as_deref(), Some("ENGINE"));
    assert_eq!(name(id & 0x03ff_ffff | 0x0b).as_deref(), Some("BRAKES"));
    assert_eq!(name(id | 0x21).as_deref(), Some("OTHERS"));
}

#[test]
fn encoding_errors_name_the_signal() {
    let database = demo_database();
    let speed = database.message_by_name("SPEED").expect("SPEED");
    let mut data = [0; 8];
    let mut refused = |values: &[(&str, f64)], expect: &str| {
        let error = speed.encode(values, &mut data).expect_err(expect).to_string();
        assert!(error.contains(expect), "{error}");
    };
    refused(&[("VEHICLE_SPED", 1.0)], "no signal VEHICLE_SPED (nearest: VEHICLE_SPEED)");
    refused(&[("VEHICLE_SPEED", -1.0)], "SPEED.VEHICLE_SPEED = -1: its bits represent 0 to 655.35");
    refused(&[("YAW_RATE", f64::NAN)], "YAW_RATE = NaN");
    refused(&[("COUNTER", 16.0)], "0 to 15");
    let error = speed.encode(&[], &mut [0; 7]).expect_err("short").to_string();
    assert_eq!(error, "message SPEED has 8 bytes, the buffer 7");
}

#[test]
fn databases_of_real_cars_are_loaded() {
    let Some(folder) = shared_data("can") else { return };
    for (file, messages, warnings) in [
        ("honda_common.dbc", 23, 0),
        ("Model3CAN.dbc", 159, 0),
        ("tesla_can.dbc", 44, 0),
        ("tesla_model3_party.dbc", 21, 0),
        ("toyota_2017_ref_pt.dbc", 111, 32),
        ("toyota_adas.dbc", 33, 0),
        ("toyota_tss2_adas.dbc", 35, 0),
    ] {
        let database = Database::load(folder.join(file)).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((database.messages().len(), database.warnings().len()), (messages, warnings), "{file}");
    }
    let honda = Database::load(folder.join("honda_common.dbc")).expect("honda");
    let cruise = honda.message_by_name("CRUISE").and_then(|m| m.signal("CRUISE_SPEED_PCM")).expect("CRUISE");
    assert_eq!(cruise.comment(), "255 = no speed");
}

/// A message with one signal anywhere in it.
fn any_layout() -> impl Strategy<Value = (String, usize)> {
    let sizes = prop_oneof![3 => 1usize..=8, 1 => 9usize..=64];
    (sizes, any::<bool>(), any::<bool>(), 1usize..=64).prop_flat_map(|(length, big, signed, bits)| {
        let bits = bits.min(length * 8);
        (0..=length * 8 - bits).prop_map(move |first| {
            let start = if big { first / 8 * 8 + 7 - first % 8 } else { first };
            let (order, sign) = (if big { 0 } else { 1 }, if signed { '-' } else { '+' });
            let text = format!("BO_ 1 M: {length} X\n SG_ S : {start}|{bits}@{order}{sign} (1,0) [0|0] \"\" X\n");
            (text, length)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn encoded_values_are_decoded_and_no_other_bit_is_changed(
        (text, length) in any_layout(), fraction in 0.0f64..=1.0, fill in any::<u8>(),
    ) {
        let database = Database::parse(&text, "any.dbc").expect("valid");
        let message = database.message_by_name("M").expect("M");
        let signal = &message.signals()[0];
        let (low, high) = signal.bounds();
        // Beyond 53 bits not every integer is a double.
        let value = (low + (high - low) * fraction).round().clamp(-9e15, 9e15).clamp(low, high);
        prop_assume!(value < 2f64.powi(signal.bits() as i32 - i32::from(signal.kind() == Kind::Signed)));
        let mut data = vec![fill; length];
        message.encode(&[("S", value)], &mut data).expect("in range");
        let found: Vec<f64> = message.decode(&data).map(|(_, v)| v).collect();
        prop_assert_eq!(found, [value]);
        // Encoding the other fill's value back leaves the frame as it was before.
        let mut other = vec![!fill; length];
        message.encode(&[("S", value)], &mut other).expect("in range");
        let same = data.iter().zip(&other).map(|(a, b)| (a ^ b).count_zeros()).sum::<u32>();
        prop_assert_eq!(same, signal.bits());
    }

    #[test]
    fn any_text_is_a_database_or_an_error(text in "[ -~\n]{0,200}") {
        if let Err(e) = Database::parse(&text, "any.dbc") {
            prop_assert!(e.to_string().starts_with("any.dbc"), "{e}");
        }
    }

    #[test]
    fn a_damaged_database_is_a_database_or_an_error(at in 0usize..6000, cut in 0usize..40, put in "[ -~\n]{0,8}") {
        let text = std::fs::read_to_string(repository().join("calibration/auriga-demo/vehicle.dbc")).expect("readable");
        let (at, end) = (at.min(text.len()), (at + cut).min(text.len()));
        let damaged = format!("{}{put}{}", &text[..at], &text[end..]);
        if let Ok(database) = Database::parse(&damaged, "any.dbc") {
            let frame = [0x5a; 64];
            for message in database.messages() {
                for length in 0..=64 {
                    message.decode_each(&frame[..length], |_, _| ());
                }
            }
        }
    }
}
