//! By which words and units the signals of a target are known.

/// What a target takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number whose unit converts to this one.
    Number(&'static str),
    /// A signal of one or two bits, or with a table of two meanings.
    Flag,
    /// As a flag; its words may also say the opposite (unlatched).
    Belt,
    /// A signal whose labels name the gears.
    Gear,
    /// A signal whose labels name the sides, or two flags.
    Indicator,
}

/// How the signal of a target is found.
#[derive(Debug)]
pub struct Rule {
    /// The targets of the row.
    pub to: &'static [&'static str],
    pub kind: Kind,
    /// Of each of these, one word must be in the name.
    pub needs: &'static [&'static [&'static str]],
    /// Words that make it more likely.
    pub likes: &'static [&'static str],
    /// Words of other signals.
    pub not: &'static [&'static str],
}

const SPEED: &[&str] = &["speed", "spd", "velocity", "vel", "vspeed"];
const FRONT_LEFT: &[&str] = &["fl", "lf", "frontleft", "leftfront", "driver", "drv"];
const FRONT_RIGHT: &[&str] = &["fr", "rf", "frontright", "rightfront", "passenger", "pass", "psngr"];
const REAR_LEFT: &[&str] = &["rl", "lr", "rearleft", "leftrear"];
const REAR_RIGHT: &[&str] = &["rr", "rearright", "rightrear"];
const DOOR: &[&str] = &["door", "doors"];
const OPEN: &[&str] = &["open", "opn", "ajar", "opened", "status", "state"];
const BELT: &[&str] = &["belt", "seatbelt", "buckle", "belted"];
const WHEEL: &[&str] = &["wheel", "whl", "wheels", "ws"];
const NO_STATE: &[&str] = &[
    "request", "req", "cmd", "command", "target", "tgt", "desired", "set", "setpoint", "limit", "max", "min", "valid",
    "qf", "quality", "counter", "checksum", "crc", "error", "fault", "offset", "lead", "rel", "relative", "obj",
    "object", "test",
];
const NOT_VEHICLE_SPEED: &[&str] = &[
    "wheel", "whl", "fl", "fr", "rl", "rr", "cruise", "acc", "fan", "wind", "engine", "eng", "motor", "mot", "yaw",
    "steer", "steering", "turbine", "input", "output", "shaft", "wiper", "lateral", "lat", "sign", "blower", "pump",
    "angle", "rate", "request", "req", "cmd", "command", "target", "desired", "set", "limit", "max", "min", "valid",
    "lead", "rel", "relative", "obj", "object", "avg", "average", "gps", "map", "driver", "sensor", "lf", "lr", "rf",
];

macro_rules! rule {
    ($to:expr, $kind:expr, $needs:expr, $likes:expr, $not:expr) => {
        Rule { to: &$to, kind: $kind, needs: &$needs, likes: &$likes, not: $not }
    };
}

/// The rules, the most important targets first.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    rule!(["speed_mps", "Vehicle.Speed"], Kind::Number("m/s"), [SPEED],
        ["vehicle", "veh", "car", "xmission", "ego", "esp"], NOT_VEHICLE_SPEED),
    rule!(["yaw_rate_radps", "Vehicle.AngularVelocity.Yaw"], Kind::Number("rad/s"), [&["yaw"]],
        ["rate", "velocity", "speed"], NO_STATE),
    rule!(["steering_wheel_rad", "Vehicle.Chassis.SteeringWheel.Angle"], Kind::Number("rad"),
        [&["steer", "steering", "str", "sas", "swa", "lws"], &["angle", "ang", "position", "swa", "lws"]],
        ["wheel", "driver", "sensor"], NO_STATE),
    rule!(["accelerator", "Vehicle.Chassis.Accelerator.PedalPosition"], Kind::Number("ratio"),
        [&["accel", "accelerator", "gas", "throttle", "app"], &["pedal", "gas", "app", "pos", "position"]],
        ["pedal", "pos", "position"], NO_STATE),
    rule!(["brake", "Vehicle.Chassis.Brake.PedalPosition"], Kind::Number("ratio"),
        [&["brake", "brk"], &["pedal", "pos", "position"]], ["pedal", "pos"], NO_STATE),
    rule!(["accel_mps2", "Vehicle.Acceleration.Longitudinal"], Kind::Number("m/s2"),
        [&["accel", "acceleration", "acc", "ax"], &["long", "longitudinal", "lon", "lgt", "x", "ax", "vehicle"]], ["sensor", "esp"],
        NO_STATE),
    rule!(["gear"], Kind::Gear, [&["gear", "shifter", "prnd", "selector", "shift", "lever", "range"]],
        ["position", "pos", "shifter", "selected"], NO_STATE),
    rule!(["indicator"], Kind::Indicator, [&["turn", "blinker", "indicator", "blink", "flasher", "signals", "signal"]],
        ["turn", "stalk", "light", "lamp"], NO_STATE),
    rule!(["battery", "Vehicle.Powertrain.TractionBattery.StateOfCharge.Displayed"], Kind::Number("ratio"),
        [&["soc", "charge", "soci", "socui"]], ["battery", "bat", "ui", "display"], NO_STATE),
    rule!(["range_km", "Vehicle.Powertrain.Range"], Kind::Number("km"), [&["range"]],
        ["electric", "remaining", "dte", "rated"], NO_STATE),
    rule!(["outside_temp_c", "Vehicle.Exterior.AirTemperature"], Kind::Number("celsius"),
        [&["outside", "ambient", "outdoor", "exterior", "oat"], &["temp", "temperature", "air", "oat"]], ["air"], NO_STATE),
    rule!(["Vehicle.Powertrain.CombustionEngine.Speed"], Kind::Number("rpm"),
        [&["engine", "eng", "rpm"], &["speed", "rpm", "spd"]], ["engine", "eng"], NO_STATE),
    rule!(["Vehicle.Powertrain.CombustionEngine.ECT"], Kind::Number("celsius"),
        [&["coolant", "ect"], &["temp", "temperature", "ect"]], ["engine", "eng"], NO_STATE),
    rule!(["Vehicle.Powertrain.FuelSystem.RelativeLevel"], Kind::Number("percent"), [&["fuel"], &["level", "lvl"]], [], NO_STATE),
    rule!(["Vehicle.TraveledDistance"], Kind::Number("km"), [&["odometer", "odo", "mileage"]], ["total"], NO_STATE),
    rule!(["Vehicle.Acceleration.Lateral"], Kind::Number("m/s^2"),
        [&["accel", "acceleration", "acc", "ay"], &["lat", "lateral", "y", "ay"]], ["sensor", "esp"], NO_STATE),
    rule!(["Vehicle.LowVoltageBattery.CurrentVoltage"], Kind::Number("V"), [&["battery", "batt", "bat"], &["voltage", "volt"]],
        ["12", "low"], NO_STATE),
    rule!(["Vehicle.Chassis.Axle.Row1.Wheel.Left.Speed"], Kind::Number("km/h"), [WHEEL, FRONT_LEFT], ["speed", "spd"], NO_STATE),
    rule!(["Vehicle.Chassis.Axle.Row1.Wheel.Right.Speed"], Kind::Number("km/h"), [WHEEL, FRONT_RIGHT], ["speed", "spd"], NO_STATE),
    rule!(["Vehicle.Chassis.Axle.Row2.Wheel.Left.Speed"], Kind::Number("km/h"), [WHEEL, REAR_LEFT], ["speed", "spd"], NO_STATE),
    rule!(["Vehicle.Chassis.Axle.Row2.Wheel.Right.Speed"], Kind::Number("km/h"), [WHEEL, REAR_RIGHT], ["speed", "spd"], NO_STATE),
    rule!(["Vehicle.Cabin.Door.Row1.DriverSide.IsOpen"], Kind::Flag, [DOOR, OPEN, FRONT_LEFT], [], NO_STATE),
    rule!(["Vehicle.Cabin.Door.Row1.PassengerSide.IsOpen"], Kind::Flag, [DOOR, OPEN, FRONT_RIGHT], [], NO_STATE),
    rule!(["Vehicle.Cabin.Door.Row2.DriverSide.IsOpen"], Kind::Flag, [DOOR, OPEN, REAR_LEFT], [], NO_STATE),
    rule!(["Vehicle.Cabin.Door.Row2.PassengerSide.IsOpen"], Kind::Flag, [DOOR, OPEN, REAR_RIGHT], [], NO_STATE),
    rule!(["Vehicle.Body.Trunk.Rear.IsOpen"], Kind::Flag, [&["trunk", "tailgate", "hatch"], OPEN], [], NO_STATE),
    rule!(["Vehicle.Cabin.Seat.Row1.DriverSide.IsBelted"], Kind::Belt, [BELT, FRONT_LEFT], [], NO_STATE),
    rule!(["Vehicle.Cabin.Seat.Row1.PassengerSide.IsBelted"], Kind::Belt, [BELT, FRONT_RIGHT], [], NO_STATE),
    rule!(["Vehicle.Chassis.ParkingBrake.IsEngaged"], Kind::Flag,
        [&["park", "parking", "epb", "hand", "handbrake"], &["brake", "brk", "epb", "handbrake"]], ["active", "engaged", "on"], NO_STATE),
    rule!(["Vehicle.Body.Lights.Beam.Low.IsOn"], Kind::Flag, [&["low"], &["beam", "beams"]], [], NO_STATE),
    rule!(["Vehicle.Body.Lights.Beam.High.IsOn"], Kind::Flag, [&["high", "hi"], &["beam", "beams"]], [], NO_STATE),
];
