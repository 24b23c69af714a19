//! Databases: parsing, errors, and the round trip of encoding and decoding.

use crate::common::{demo_database, repository};
use auriga_can::dbc::{Database, EncodeError, Kind};
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
    let decoded: Vec<(&str, f64)> = speed.decode(&data).expect("8 bytes").map(|(s, v)| (s.name(), v)).collect();
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
    let decoded: Vec<(&str, f64)> = tyres.decode(&data).expect("4 bytes").map(|(s, v)| (s.name(), v)).collect();
    assert_eq!(decoded, [("MUX", 2.0), ("PRESSURE_RL", 245.5)]);
    let mut seen = Vec::new();
    tyres.decode_each(&data, |i, v| seen.push((tyres.signals()[i].name(), v))).expect("4 bytes");
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
        message.decode(&data).expect("8 bytes").map(|(s, _)| s.name().to_owned()).collect()
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
        let found = signal.physical(&message.bits(&data).expect("64 bytes"));
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
    let error = database.message(2, false).map(|m| m.bits(&[0; 8]).expect_err("too long").to_string());
    assert_eq!(error.as_deref(), Some("expected 6 bytes, found 8"));
}

#[test]
fn invalid_messages_and_signals_are_errors_with_their_line() {
    let one =
        |signal: &str| format!("VERSION \"\"\n\nBO_ 5 M: 2 X\n SG_ A : 0|4@1+ (1,0) [0|0] \"\" X\n SG_ {signal}\n");
    refused(&one("B : 9|8@1+ (1,0) [0|0] \"\" X"), "bad.dbc:5: signal M.B: 8 bits from bit 9");
    refused(&one("B : 7|24@0+ (1,0) [0|0] \"\" X"), "24 bits from bit 7 are not within the 2 bytes");
    refused(&one("B : 0|65@1+ (1,0) [0|0] \"\" X"), "expected 1 to 64 bits, found 65");
    refused(&one("B : 0|0@1+ (1,0) [0|0] \"\" X"), "found 0");
    refused(&one("B : 18446744073709551615|8@1+ (1,0) [0|0] \"\" X"), "signal M.B");
    refused(&one("B : 8|8@1+ (0,0) [0|0] \"\" X"), "expected a factor other than 0");
    refused(&one("A : 8|8@1+ (1,0) [0|0] \"\" X"), "another signal of the message has the same name");
    refused(&one("B m1 : 8|8@1+ (1,0) [0|0] \"\" X"), "no multiplexer");
    refused(&one("B : 8|8@1+ (1,0) [0|0] \"\" X\nSIG_VALTYPE_ 5 B : 1;"), "SIG_VALTYPE_ gives it 32 bits, it has 8");
    refused("BO_ 5 M: 2 X\n SG_ A ; 0\n", "bad.dbc:2:");
    refused("BO_ 5 M: 65 X\n", "bad.dbc:1: message M: expected at most 64 bytes");
    refused("BO_ 5 M: 2 X\n\nBO_ 5 N: 2 X\n", "bad.dbc:3: message N: another message has the same identifier 0x5");
    refused("BO_ 5 M: 2 X\n\nBO_ 6 M: 2 X\n", "another message has the same name");
    let cycle = "BO_ 1 C: 8 X\n SG_ A m1M : 0|8@1+ (1,0) [0|0] \"\" X\n SG_ B m1M : 8|8@1+ (1,0) [0|0] \"\" X\n\
                  SG_MUL_VAL_ 1 A B 1-1;\nSG_MUL_VAL_ 1 B A 1-1;\n";
    refused(cycle, "in a cycle");
    let missing = Database::load("/nowhere/x.dbc").expect_err("no file").to_string();
    assert!(missing.contains("/nowhere/x.dbc"), "{missing}");
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
        let found: Vec<f64> = message.decode(&data).expect("its length").map(|(_, v)| v).collect();
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
                    let _ = message.decode_each(&frame[..length], |_, _| ());
                }
            }
        }
    }
}
