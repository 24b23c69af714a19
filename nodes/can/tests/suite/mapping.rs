//! Mappings: what is accepted, what is refused with its line, and the shipped ones.

use crate::common::{demo_database, repository};
use auriga_can::{
    dbc::{Bits, Database},
    mapping::{Mapping, Value, vss},
};
use auriga_testing::shared_data;

fn value(text: &str, message: &str, data: &[u8]) -> Option<Value> {
    let database = demo_database();
    let mapping = Mapping::parse(text, "vss.toml", &database).unwrap_or_else(|e| panic!("{e}"));
    let message = database.message_by_name(message).expect(message);
    let mapped = &mapping.signals()[0];
    mapped.value(&message.signals()[mapped.signal], &Bits::new(data)).ok()
}

fn refused(text: &str, expect: &str) {
    let error = Mapping::parse(text, "vss.toml", &demo_database()).expect_err(expect).to_string();
    assert!(error.contains(expect), "{error}");
}

#[test]
fn scale_and_offset_are_applied_before_the_unit_is_converted() {
    let body = |rest: &str| format!("[[signal]]\nfrom = \"BODY.OUTSIDE_TEMP\"\nto = \"outside_temp_c\"\n{rest}");
    // Raw 160 is 40 degrees.
    let found = |rest: &str| match value(&body(rest), "BODY", &[0, 0, 160, 0]) {
        Some(Value::Number(number)) => number,
        other => panic!("{other:?}"),
    };
    assert_eq!(found(""), 40.0);
    assert_eq!(found("scale = 2\noffset = -5.0"), 75.0);
    assert!((found("unit = \"degF\"") - 4.444444444444445).abs() < 1e-9);
    // (40 * 2 + 16 - 32) / 1.8
    assert!((found("unit = \"degF\"\nscale = 2\noffset = 16") - 35.55555555555556).abs() < 1e-9);
}

#[test]
fn labels_values_and_absent_values_are_converted_as_the_row_states() {
    let body = |to: &str, rest: &str| format!("[[signal]]\nfrom = \"BODY.GEAR\"\nto = \"{to}\"\n{rest}");
    let gear = |text: &str, raw: u8| value(text, "BODY", &[0, raw, 0, 0]);
    // Labels of the DBC are accepted as they are: DRIVE is drive, 4 in the message.
    assert_eq!(gear(&body("gear", ""), 3), Some(Value::Number(4.0)));
    assert_eq!(gear(&body("gear", ""), 9), None);
    assert_eq!(gear(&body("gear", "values = { 9 = \"drive\" }"), 9), Some(Value::Number(4.0)));
    assert_eq!(gear(&body("gear", "absent = [\"PARK\", 3]"), 3), None);
    let path = "Vehicle.Powertrain.Transmission.IsParkLockEngaged";
    assert_eq!(gear(&body(path, "values = { PARK = true, DRIVE = false }"), 0), Some(Value::Flag(true)));
    assert_eq!(gear(&body(path, ""), 2), Some(Value::Flag(true)));
    let own = "vss_type = \"label\"";
    assert_eq!(gear(&body("Vehicle.Private.Gear", own), 1), Some(Value::Label("REVERSE".into())));
    let own = "vss_type = \"number\"";
    assert_eq!(gear(&body("Vehicle.Private.Gear", own), 2), Some(Value::Number(2.0)));
}

#[test]
fn errors_name_the_line_and_the_nearest_name() {
    let row = |from: &str, to: &str, rest: &str| format!("\n[[signal]]\nfrom = \"{from}\"\nto = \"{to}\"\n{rest}\n");
    refused(&row("SPED.VEHICLE_SPEED", "speed_mps", ""), "vss.toml:3: from: ");
    refused(&row("SPED.VEHICLE_SPEED", "speed_mps", ""), "has no message SPED (nearest: SPEED)");
    refused(&row("SPEED.VEHICLE_SPEDE", "speed_mps", ""), "no signal VEHICLE_SPEDE (nearest: VEHICLE_SPEED)");
    refused(&row("SPEED", "speed_mps", ""), "expected MESSAGE.SIGNAL");
    refused(&row("SPEED.VEHICLE_SPEED", "sped_mps", ""), "vss.toml:4: to: ");
    refused(&row("SPEED.VEHICLE_SPEED", "sped_mps", ""), "(nearest: speed_mps)");
    refused(&row("SPEED.VEHICLE_SPEED", "Vehicle.Sped", ""), "(nearest: Vehicle.Speed)");
    refused(&row("SPEED.VEHICLE_SPEED", "range_km", ""), "km/h cannot be converted to km, the unit of range_km");
    refused(&row("SPEED.VEHICLE_SPEED", "speed_mps", "unit = \"knoten\""), "vss.toml:5: unit: the unit \"knoten\"");
    refused(&row("SPEED.COUNTER", "speed_mps", ""), "the unit \"\" is not known");
    refused(&row("SPEED.VEHICLE_SPEED", "speed_mps", "scale = 0"), "expected a number other than 0");
    refused(&row("SPEED.VEHICLE_SPEED", "speed_mps", "timeout_ms = 0"), "vss.toml:5: timeout_ms: expected 1 to");
    refused(&row("SPEED.VEHICLE_SPEED", "speed_mps", "sclae = 1"), "vss.toml:5: unknown field `sclae`");
    refused(&row("SPEED.VEHICLE_SPEED", "gear", ""), "is park, reverse, neutral or drive");
    refused(&row("BODY.GEAR", "gear", "values = { DIRVE = \"drive\" }"), "(nearest: DRIVE)");
    refused(&row("BODY.GEAR", "gear", "values = { DRIVE = \"fly\" }"), "expected park, reverse, neutral or drive");
    refused(&row("BODY.GEAR", "gear", "values = { DRIVE = \"drive\", 3 = \"park\" }"), "3 has two meanings");
    refused(&row("BODY.GEAR", "indicator", "absent = [\"DIRVE\"]"), "(nearest: DRIVE)");
    let lamp = "Vehicle.Body.Lights.Brake.IsActive";
    refused(&row("PEDALS.BRAKE_LIGHT", lamp, "values = { ON = \"LIT\" }"), "one of INACTIVE, ACTIVE, ADAPTIVE");
    let speed = row("SPEED.VEHICLE_SPEED", "speed_mps", "");
    refused(&format!("{speed}{speed}"), "vss.toml:9: to: speed_mps already has a source, in line 4");
    let radar = "[[radar]]\nmessages = [\"RADAR_TRACK_0\"]\nx = \"LONG_DIST\"\ny = \"LAT_DIST\"\n";
    refused(&format!("{radar}vx = \"LONG_DIST\"\n"), "vss.toml:5: vx: m cannot be converted to m/s, the unit of vx");
    refused(&format!("{radar}vx = \"REL_SPEDE\"\n"), "(nearest: REL_SPEED)");
    let both = format!("{radar}vx = \"REL_SPEED\"\n");
    refused(&format!("{both}{both}"), "RADAR_TRACK_0 already has a radar object");
    refused("[[signal]\n", "vss.toml:1: ");
    let missing = Mapping::load("/nowhere/vss.toml", &demo_database()).expect_err("no file").to_string();
    assert!(missing.contains("/nowhere/vss.toml"), "{missing}");
}

#[test]
fn all_errors_are_reported_at_once_in_the_order_of_their_lines() {
    let text = "[[signal]]\nfrom = \"SPED.X\"\nto = \"speed_mps\"\n[[signal]]\nfrom = \"SPEED.VEHICLE_SPEED\"\nto = \"sped_mps\"\n\
                [[radar]]\nmessages = [\"NONE\"]\nx = \"X\"\ny = \"Y\"\nvx = \"V\"\n";
    let error = Mapping::parse(text, "vss.toml", &demo_database()).expect_err("three errors").to_string();
    let lines: Vec<&str> = error.lines().map(|line| line.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(lines, ["vss.toml:2", "vss.toml:6", "vss.toml:8"], "{error}");
}

#[test]
fn what_was_left_out_of_the_database_is_given_as_the_reason() {
    let dbc = "BO_ 5 M: 1 X\n SG_ A : 0|9@1+ (1,0) [0|0] \"km/h\" X\n\nBO_ 2633832958 LONG: 200 X\n SG_ B : 0|8@1+ (1,0) [0|0] \"\" X\n";
    let database = Database::parse(dbc, "x.dbc").expect("valid");
    for (from, expect) in [("M.A", "9 bits from bit 0 are not within"), ("LONG.B", "it has 200 bytes")] {
        let text = format!("[[signal]]\nfrom = \"{from}\"\nto = \"speed_mps\"\n");
        let error = Mapping::parse(&text, "vss.toml", &database).expect_err(from).to_string();
        assert!(error.contains(expect), "{error}");
    }
}

#[test]
fn rules_for_several_sources_fit_the_target() {
    let two = |to: &str, rest: &str| {
        format!(
            "[[signal]]\nfrom = \"SPEED.VEHICLE_SPEED\"\nto = \"{to}\"\n[[signal]]\nfrom = \"SPEED.YAW_RATE\"\nto = \"{to}\"\n{rest}\n"
        )
    };
    refused(&two("Vehicle.IsMoving", "combine = \"sum\""), "vss.toml:7: combine: expected any, all or first");
    refused(&two("speed_mps", "combine = \"any\""), "expected sum, product, maximum, minimum or first");
    refused(&two("speed_mps", "combine = \"sum\""), "deg/s cannot be converted to m/s");
    let one = "[[signal]]\nfrom = \"SPEED.VEHICLE_SPEED\"\nto = \"speed_mps\"\n";
    refused(&format!("{one}source = 3"), "SPEED is not a message of J1939");
    refused(&format!("{one}range = [5, 1]"), "vss.toml:4: range: expected [least, greatest]");
}

#[test]
fn the_demo_mapping_has_every_field_and_all_eight_radar_objects() {
    let database = demo_database();
    let mapping = Mapping::load(repository().join("calibration/auriga-demo/vss.toml"), &database).expect("the mapping");
    let fields = mapping.signals().iter().filter(|s| matches!(s.target, auriga_can::mapping::Target::Field(_)));
    assert_eq!(fields.count(), auriga_can::mapping::Field::ALL.len());
    let ids: Vec<u32> = mapping.messages().iter().filter_map(|m| m.radar.as_ref()).map(|r| r.id).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7]);
    for (message, mapped) in database.messages().iter().zip(mapping.messages()) {
        assert!(!mapped.is_empty(), "{} is not mapped", message.name());
    }
}

#[test]
fn the_honda_mapping_matches_its_database() {
    let Some(dbc) = shared_data("can/honda_common.dbc") else { return };
    let database = Database::load(dbc).expect("honda");
    Mapping::load(repository().join("calibration/honda/vss.toml"), &database).expect("the mapping");
}

#[test]
fn the_tesla_mapping_matches_its_database() {
    let Some(dbc) = shared_data("can/Model3CAN.dbc") else { return };
    let database = Database::load(dbc).expect("tesla");
    let mapping = Mapping::load(repository().join("calibration/tesla-model3/vss.toml"), &database);
    let mapping = mapping.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(mapping.combined().len(), 2);
}

#[test]
fn the_catalogue_agrees_with_vss_4_2() {
    let Some(file) = shared_data("can/tesla_model3_vss_4.2_mapping.json") else { return };
    let tree: serde_json::Value = serde_json::from_slice(&std::fs::read(file).expect("readable")).expect("JSON");
    for (path, datatype) in vss::signals() {
        let pointer = format!("/{}", path.replace('.', "/children/"));
        let node = tree.pointer(&pointer).unwrap_or_else(|| panic!("VSS has no {path}"));
        let text = |key: &str| node[key].as_str().unwrap_or_default();
        let found = match datatype {
            vss::Datatype::Flag => text("datatype") == "boolean",
            vss::Datatype::Number(unit) => {
                ["float", "double", "int8", "uint8", "int16", "uint16", "int32", "uint32"].contains(&text("datatype"))
                    && text("unit") == unit
            }
            vss::Datatype::Label(allowed) => {
                text("datatype") == "string" && node["allowed"] == serde_json::json!(allowed)
            }
        };
        assert!(found, "{path}: {datatype:?} against {node}");
    }
}
