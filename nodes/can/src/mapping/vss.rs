//! Paths of the COVESA Vehicle Signal Specification 4.2 with their types and units.
//!
//! This is the part about driving, power, doors and lights. Other paths can be mapped when the mapping states their type
//! (`vss_type`, and `vss_unit` for a number).

use super::target::Field;

/// The type of a VSS signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datatype {
    /// A number with its unit in VSS; "": without unit.
    Number(&'static str),
    /// A boolean.
    Flag,
    /// A string, one of these.
    Label(&'static [&'static str]),
}

use Datatype::{Flag, Label, Number};

#[rustfmt::skip]
const SIGNALS: &[(&str, Datatype)] = &[
    ("Vehicle.Speed", Number("km/h")),
    ("Vehicle.IsMoving", Flag),
    ("Vehicle.TraveledDistance", Number("km")),
    ("Vehicle.Acceleration.Lateral", Number("m/s^2")),
    ("Vehicle.Acceleration.Longitudinal", Number("m/s^2")),
    ("Vehicle.Acceleration.Vertical", Number("m/s^2")),
    ("Vehicle.AngularVelocity.Pitch", Number("degrees/s")),
    ("Vehicle.AngularVelocity.Roll", Number("degrees/s")),
    ("Vehicle.AngularVelocity.Yaw", Number("degrees/s")),
    ("Vehicle.ADAS.ABS.IsEngaged", Flag),
    ("Vehicle.ADAS.CruiseControl.IsActive", Flag),
    ("Vehicle.ADAS.CruiseControl.SpeedSet", Number("km/h")),
    ("Vehicle.ADAS.ESC.IsEnabled", Flag),
    ("Vehicle.ADAS.ESC.IsEngaged", Flag),
    ("Vehicle.ADAS.TCS.IsEngaged", Flag),
    ("Vehicle.Body.Horn.IsActive", Flag),
    ("Vehicle.Body.Lights.Backup.IsOn", Flag),
    ("Vehicle.Body.Lights.Beam.High.IsOn", Flag),
    ("Vehicle.Body.Lights.Beam.Low.IsOn", Flag),
    ("Vehicle.Body.Lights.Brake.IsActive", Label(&["INACTIVE", "ACTIVE", "ADAPTIVE"])),
    ("Vehicle.Body.Lights.DirectionIndicator.Left.IsSignaling", Flag),
    ("Vehicle.Body.Lights.DirectionIndicator.Right.IsSignaling", Flag),
    ("Vehicle.Body.Lights.Fog.Front.IsOn", Flag),
    ("Vehicle.Body.Lights.Fog.Rear.IsOn", Flag),
    ("Vehicle.Body.Lights.Hazard.IsSignaling", Flag),
    ("Vehicle.Body.Lights.IsHighBeamSwitchOn", Flag),
    ("Vehicle.Body.Lights.LightSwitch", Label(&["OFF", "POSITION", "DAYTIME_RUNNING_LIGHTS", "AUTO", "BEAM"])),
    ("Vehicle.Body.Lights.Parking.IsOn", Flag),
    ("Vehicle.Body.Lights.Running.IsOn", Flag),
    ("Vehicle.Body.Trunk.Front.IsOpen", Flag),
    ("Vehicle.Body.Trunk.Rear.IsOpen", Flag),
    ("Vehicle.Body.Windshield.Front.Wiping.Intensity", Number("")),
    ("Vehicle.Body.Windshield.Front.Wiping.Mode",
        Label(&["OFF", "SLOW", "MEDIUM", "FAST", "INTERVAL", "RAIN_SENSOR"])),
    ("Vehicle.Body.Windshield.Front.WasherFluid.IsLevelLow", Flag),
    ("Vehicle.Cabin.Door.Row1.DriverSide.IsLocked", Flag),
    ("Vehicle.Cabin.Door.Row1.DriverSide.IsOpen", Flag),
    ("Vehicle.Cabin.Door.Row1.PassengerSide.IsLocked", Flag),
    ("Vehicle.Cabin.Door.Row1.PassengerSide.IsOpen", Flag),
    ("Vehicle.Cabin.Door.Row2.DriverSide.IsOpen", Flag),
    ("Vehicle.Cabin.Door.Row2.PassengerSide.IsOpen", Flag),
    ("Vehicle.Cabin.HVAC.AmbientAirTemperature", Number("celsius")),
    ("Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted", Flag),
    ("Vehicle.Cabin.Seat.Row1.PassengerSide.IsBelted", Flag),
    ("Vehicle.Chassis.Accelerator.PedalPosition", Number("percent")),
    ("Vehicle.Chassis.Axle.Row1.Wheel.Left.Speed", Number("km/h")),
    ("Vehicle.Chassis.Axle.Row1.Wheel.Left.Tire.Pressure", Number("kPa")),
    ("Vehicle.Chassis.Axle.Row1.Wheel.Left.Tire.Temperature", Number("celsius")),
    ("Vehicle.Chassis.Axle.Row1.Wheel.Right.Speed", Number("km/h")),
    ("Vehicle.Chassis.Axle.Row1.Wheel.Right.Tire.Pressure", Number("kPa")),
    ("Vehicle.Chassis.Axle.Row1.Wheel.Right.Tire.Temperature", Number("celsius")),
    ("Vehicle.Chassis.Axle.Row2.Wheel.Left.Speed", Number("km/h")),
    ("Vehicle.Chassis.Axle.Row2.Wheel.Left.Tire.Pressure", Number("kPa")),
    ("Vehicle.Chassis.Axle.Row2.Wheel.Left.Tire.Temperature", Number("celsius")),
    ("Vehicle.Chassis.Axle.Row2.Wheel.Right.Speed", Number("km/h")),
    ("Vehicle.Chassis.Axle.Row2.Wheel.Right.Tire.Pressure", Number("kPa")),
    ("Vehicle.Chassis.Axle.Row2.Wheel.Right.Tire.Temperature", Number("celsius")),
    ("Vehicle.Chassis.Brake.PedalPosition", Number("percent")),
    ("Vehicle.Chassis.ParkingBrake.IsEngaged", Flag),
    ("Vehicle.Chassis.SteeringWheel.Angle", Number("degrees")),
    ("Vehicle.Exterior.AirTemperature", Number("celsius")),
    ("Vehicle.LowVoltageBattery.CurrentCurrent", Number("A")),
    ("Vehicle.LowVoltageBattery.CurrentVoltage", Number("V")),
    ("Vehicle.Powertrain.CombustionEngine.ECT", Number("celsius")),
    ("Vehicle.Powertrain.CombustionEngine.Speed", Number("rpm")),
    ("Vehicle.Powertrain.CombustionEngine.TPS", Number("percent")),
    ("Vehicle.Powertrain.CombustionEngine.Torque", Number("Nm")),
    ("Vehicle.Powertrain.ElectricMotor.Power", Number("kW")),
    ("Vehicle.Powertrain.ElectricMotor.Speed", Number("rpm")),
    ("Vehicle.Powertrain.ElectricMotor.Torque", Number("Nm")),
    ("Vehicle.Powertrain.FuelSystem.RelativeLevel", Number("percent")),
    ("Vehicle.Powertrain.Range", Number("m")),
    ("Vehicle.Powertrain.TractionBattery.Charging.IsCharging", Flag),
    ("Vehicle.Powertrain.TractionBattery.CurrentCurrent", Number("A")),
    ("Vehicle.Powertrain.TractionBattery.CurrentPower", Number("W")),
    ("Vehicle.Powertrain.TractionBattery.CurrentVoltage", Number("V")),
    ("Vehicle.Powertrain.TractionBattery.Range", Number("m")),
    ("Vehicle.Powertrain.TractionBattery.StateOfCharge.Current", Number("percent")),
    ("Vehicle.Powertrain.TractionBattery.StateOfCharge.Displayed", Number("percent")),
    ("Vehicle.Powertrain.TractionBattery.Temperature.Average", Number("celsius")),
    ("Vehicle.Powertrain.Transmission.CurrentGear", Number("")),
    ("Vehicle.Powertrain.Transmission.IsParkLockEngaged", Flag),
    ("Vehicle.Powertrain.Transmission.SelectedGear", Number("")),
];

/// The type of a path; `None` when it is not in this catalogue.
pub fn datatype(path: &str) -> Option<Datatype> {
    SIGNALS.iter().find(|(known, _)| *known == path).map(|(_, datatype)| *datatype)
}

/// All targets of a mapping by their names, each with its unit, or what it takes: first the fields of the vehicle state,
/// then the paths of this catalogue.
pub fn targets() -> impl Iterator<Item = (&'static str, &'static str)> {
    let fields = Field::ALL.iter().map(|(name, field, unit)| {
        let kind = match field {
            Field::Gear | Field::Indicator => "word",
            Field::PushToTalk => "flag",
            _ => unit,
        };
        (*name, kind)
    });
    let paths = SIGNALS.iter().map(|(path, datatype)| match datatype {
        Number("") => (*path, "number"),
        Number(unit) => (*path, *unit),
        Flag => (*path, "flag"),
        Label(_) => (*path, "word"),
    });
    fields.chain(paths)
}

/// All paths of this catalogue with their types.
pub fn signals() -> impl Iterator<Item = (&'static str, Datatype)> {
    SIGNALS.iter().copied()
}
