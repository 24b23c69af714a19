//! Tools for a new vehicle.

use crate::common::{demo_database, repository};
use auriga_can::{
    dbc::Database,
    log,
    mapping::Mapping,
    vehicle::{Survey, coverage, import, propose},
};
use auriga_msgs::v1;
use auriga_runtime::Nanos;
use auriga_testing::shared_data;
use proptest::prelude::*;

const BODY: &str = "BO_ 416 BODY_CONTROL: 8 X\n SG_ TURN_LEFT : 0|1@1+ (1,0) [0|1] \"\" X\n \
                    SG_ TURN_RIGHT : 1|1@1+ (1,0) [0|1] \"\" X\n SG_ SEATBELT_DRIVER_UNLATCHED : 2|1@1+ (1,0) [0|1] \"\" X\n \
                    SG_ DOOR_OPEN_FL : 3|1@1+ (1,0) [0|1] \"\" X\n SG_ GearPosition : 8|4@1+ (1,0) [0|15] \"\" X\n\n\
                    BO_ 417 MOTION: 8 X\n SG_ WheelSpeedFL : 0|16@1+ (0.01,0) [0|300] \"km/h\" X\n \
                    SG_ VehicleSpeed : 16|16@1+ (0.01,0) [0|300] \"Unit_KiloMeterPerHour\" X\n \
                    SG_ VehicleSpeedLimit : 32|16@1+ (0.01,0) [0|300] \"km/h\" X\n SG_ YawRate : 48|16@1- (0.01,0) [-300|300] \"deg/s\" X\n\n\
                    CM_ SG_ 417 VehicleSpeed \"Speed over\n ground.\";\nVAL_ 416 GearPosition 0 \"P\" 1 \"R\" 2 \"N\" 3 \"D\" 15 \"SNA\" ;\n";

#[test]
fn a_mapping_is_proposed_by_names_units_and_labels() {
    let database = Database::parse(BODY, "body.dbc").expect("valid");
    let proposal = propose(&database, None);
    let mapping =
        Mapping::parse(&proposal.text, "vss.toml", &database).unwrap_or_else(|e| panic!("{e}\n{}", proposal.text));
    let sources = mapping.sources(&database);
    let of = |target: &str| sources.get(target).map(|s| s.join(" ")).unwrap_or_default();
    assert_eq!(of("speed_mps"), "MOTION.VehicleSpeed");
    assert_eq!(of("Vehicle.Speed"), "MOTION.VehicleSpeed");
    assert_eq!(of("yaw_rate_radps"), "MOTION.YawRate");
    assert_eq!(of("gear"), "BODY_CONTROL.GearPosition");
    assert_eq!(of("indicator"), "BODY_CONTROL.TURN_LEFT BODY_CONTROL.TURN_RIGHT");
    assert_eq!(of("Vehicle.Chassis.Axle.Row1.Wheel.Left.Speed"), "MOTION.WheelSpeedFL");
    assert_eq!(of("Vehicle.Cabin.Door.Row1.DriverSide.IsOpen"), "BODY_CONTROL.DOOR_OPEN_FL");
    assert!(proposal.text.contains("values = { 0 = true, 1 = false }"), "{}", proposal.text);
    assert!(
        proposal
            .text
            .contains("# guess, in Unit_KiloMeterPerHour; others: MOTION.VehicleSpeedLimit; Speed over ground."),
        "{}",
        proposal.text
    );
    assert!(proposal.missing.contains(&"battery"), "{:?}", proposal.missing);
    let guesses = proposal.text.matches("# guess").count();
    assert_eq!(guesses, proposal.text.matches("[[signal]]").count(), "each row is marked");
}

#[test]
fn only_messages_of_the_recording_are_proposed() {
    let database = Database::parse(BODY, "body.dbc").expect("valid");
    let mut survey = Survey::default();
    survey.add(&v1::CanFrame { id: 417, data: vec![0; 8].into(), ..Default::default() });
    let proposal = propose(&database, Some(&survey));
    assert!(proposal.found.contains(&"speed_mps") && !proposal.found.contains(&"indicator"), "{:?}", proposal.found);
}

#[test]
fn the_proposal_for_the_demo_car_has_the_signals_of_its_mapping() {
    let database = demo_database();
    let proposal = propose(&database, None);
    let proposed = Mapping::parse(&proposal.text, "vss.toml", &database).expect("loads").sources(&database);
    let shipped = Mapping::load(repository().join("calibration/auriga-demo/vss.toml"), &database).expect("the mapping");
    let shipped = shipped.sources(&database);
    let fields = [
        "speed_mps",
        "yaw_rate_radps",
        "accel_mps2",
        "steering_wheel_rad",
        "accelerator",
        "brake",
        "gear",
        "indicator",
    ];
    for field in fields.into_iter().chain(["battery", "range_km", "outside_temp_c"]) {
        assert_eq!(proposed.get(field), shipped.get(field), "{field}");
    }
}

#[test]
fn proposals_for_real_cars_can_be_loaded() {
    let Some(folder) = shared_data("can") else { return };
    for (file, least) in
        [("honda_common", 5), ("Model3CAN", 5), ("tesla_can", 0), ("toyota_2017_ref_pt", 0), ("toyota_adas", 0)]
    {
        let database = Database::load(folder.join(format!("{file}.dbc"))).expect(file);
        let proposal = propose(&database, None);
        Mapping::parse(&proposal.text, file, &database).unwrap_or_else(|e| panic!("{e}\n{}", proposal.text));
        println!("{file}: {}", proposal.found.join(", "));
        assert!(proposal.found.len() >= least, "{file}: {:?}", proposal.found);
    }
}

#[test]
fn a_mapping_of_kuksa_is_imported() {
    let (Some(dbc), Some(json)) =
        (shared_data("can/Model3CAN.dbc"), shared_data("can/tesla_model3_vss_4.2_mapping.json"))
    else {
        return;
    };
    let database = Database::load(dbc).expect("valid");
    let json = std::fs::read_to_string(json).expect("readable");
    let imported = import(&json, "mapping.json", &database).unwrap_or_else(|e| panic!("{e}"));
    println!("{} rows, left out: {:#?}", imported.rows, imported.left_out);
    let mapping =
        Mapping::parse(&imported.text, "vss.toml", &database).unwrap_or_else(|e| panic!("{e}\n{}", imported.text));
    let sources = mapping.sources(&database);
    assert!(sources["Vehicle.Speed"][0].ends_with(".DI_uiSpeed"), "{sources:?}");
    assert!(imported.rows >= 20, "{} rows", imported.rows);
}

#[test]
fn a_text_that_is_no_mapping_of_kuksa_is_refused() {
    let database = demo_database();
    for text in ["", "{", "[]", "{\"Vehicle\": {\"children\": {}}}"] {
        let error = import(text, "m.json", &database).expect_err(text).to_string();
        assert!(error.starts_with("m.json: this is no VSS tree"), "{error}");
    }
    let one = "{\"Vehicle\": {\"children\": {\"Speed\": {\"datatype\": \"float\", \"unit\": \"km/h\", \
               \"dbc2vss\": {\"signal\": \"VEHICLE_SPEED\", \"transform\": {\"math\": \"x*2+1\"}}}, \"IsMoving\": \
               {\"datatype\": \"boolean\", \"dbc2vss\": {\"signal\": \"NONE\"}}}}}";
    let imported = import(one, "m.json", &database).expect("one path");
    assert!(imported.text.contains("scale = 2.0\noffset = 1.0"), "{}", imported.text);
    assert!(imported.left_out[0].contains("Vehicle.IsMoving") && imported.left_out[0].contains("no signal NONE"));
}

#[test]
fn a_survey_says_what_a_recording_carries() {
    let Some(log) = shared_data("can/icsim-sample-can.log") else { return };
    let Some(dbc) = shared_data("can/honda_common.dbc") else { return };
    let database = Database::load(dbc).expect("honda");
    let mut survey = Survey::default();
    for batch in log::frames(log, Nanos::ZERO).expect("a log") {
        batch.expect("frames").1.frames.iter().for_each(|frame| survey.add(frame));
    }
    assert_eq!(survey.seen.values().map(|s| s.count).sum::<u64>(), 6158);
    let table = survey.table(Some(&database));
    assert!(
        table.contains("in no database") && table.contains("SEATBELT_STATUS (the database has 7 bytes)"),
        "{table}"
    );
    let mapping = Mapping::load(repository().join("calibration/honda/vss.toml"), &database).expect("the mapping");
    let report = coverage(&database, &mapping, Some(&survey));
    for expected in ["without a source", "yaw_rate_radps", "other length", "in no database"] {
        assert!(report.contains(expected), "{expected}:\n{report}");
    }
}

proptest! {
    #[test]
    fn any_names_units_and_labels_give_a_mapping_that_loads(
        names in prop::collection::vec("(Vehicle|Turn|Left|Right|Gear|Brake|Door|Speed|Steer|Angle|_|[A-Za-z0-9]){1,5}", 1..8),
        units in prop::collection::vec(prop_oneof!["km/h", "deg", "%", "", "[ -~&&[^\"\\\\]]{0,6}"], 8),
        labels in prop::collection::vec("(P|R|N|D|left|right|off|[a-z ]{1,5})", 4),
        comment in "[ -~\n&&[^\"\\\\]]{0,30}",
    ) {
        let mut text = String::from("BO_ 1 MSG: 8 X\n");
        for (i, (name, unit)) in names.iter().zip(&units).enumerate() {
            let bits = [1, 2, 8, 16][i % 4];
            text += &format!(" SG_ S{name} : {}|{bits}@1+ (1,0) [0|0] \"{unit}\" X\n", 8 * (i % 6));
        }
        text += &format!("\nCM_ SG_ 1 S{} \"{comment}\";\n", names[0]);
        for name in &names {
            let pairs: String = labels.iter().enumerate().map(|(i, label)| format!(" {i} \"{label}\"")).collect();
            text += &format!("VAL_ 1 S{name}{pairs} ;\n");
        }
        let database = Database::parse(&text, "any.dbc").expect("a message");
        let proposal = propose(&database, None);
        if let Err(e) = Mapping::parse(&proposal.text, "vss.toml", &database) {
            prop_assert!(false, "{e}\n{}", proposal.text);
        }
    }
}
