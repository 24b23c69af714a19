//! The intent catalogue (`intents.toml`): names, slots, what may be done when, and what the machine will need next.
//!
//! It is the only place where an intent is named. The decoder is held to it ([`crate::intent::constrained`]), the corpus is checked
//! against it ([`crate::training::corpus`]), and the language node reads rules and demand from it.

use crate::intent::{
    output::{IntentOutput, is_name, is_value},
    scene::Gear,
};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// The intent of an utterance that is not for the car; every catalogue has it.
pub const OUT_OF_SCOPE: &str = "out_of_scope";

#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error("cannot read the intent catalogue {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{name}: {source}")]
    Toml { name: String, source: Box<toml::de::Error> },
    #[error("{name}: intent `{intent}`: {what}")]
    Entry { name: String, intent: String, what: String },
}

/// What kind of thing an intent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Answered from the scene.
    Query,
    /// Something is done.
    Action,
    /// Only talk.
    Dialogue,
    /// The driver or the drive is in trouble.
    Safety,
}

/// What a slot may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotKind {
    /// Words of the utterance, as they were said.
    Text,
    Integer {
        min: i64,
        max: i64,
    },
    Choice(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "SlotEntry")]
pub struct Slot {
    pub name: String,
    pub kind: SlotKind,
    /// Without it the intent is not complete.
    pub required: bool,
}

/// The intent may be done only within these bounds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The rule holds only where these slots have these values.
    #[serde(default)]
    pub when: BTreeMap<String, String>,
    pub max_speed_mps: Option<f64>,
    pub gears: Option<Vec<Gear>>,
    /// What the driver is told.
    pub refusal: String,
}

/// What the machine will likely need after an intent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// Of `launch/workloads.toml`.
    pub workload: String,
    pub probability: f64,
    /// Seconds from the intent.
    pub horizon_s: f64,
    /// On the workload's utility while the forecast holds.
    pub weight: f64,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    pub name: String,
    pub kind: Kind,
    /// A proposal: what is done about it is decided by [`Intent::permit`], not by the model.
    pub touches_vehicle: bool,
    /// A passenger's word is not enough.
    #[serde(default)]
    pub driver_only: bool,
    /// One line for people.
    pub says: String,
    #[serde(default)]
    pub slots: Vec<Slot>,
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    #[serde(default)]
    pub demand: Vec<Demand>,
}

/// All intents, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    intents: Vec<Intent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    intent: Vec<Intent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotEntry {
    name: String,
    r#type: String,
    required: bool,
    min: Option<i64>,
    max: Option<i64>,
    values: Option<Vec<String>>,
}

impl TryFrom<SlotEntry> for Slot {
    type Error = String;

    fn try_from(e: SlotEntry) -> Result<Self, String> {
        let kind = match (e.r#type.as_str(), e.min, e.max, e.values) {
            ("text", None, None, None) => SlotKind::Text,
            ("integer", Some(min), Some(max), None) if min <= max && max - min < 1000 => SlotKind::Integer { min, max },
            ("choice", None, None, Some(values)) if !values.is_empty() => SlotKind::Choice(values),
            (kind, ..) => {
                return Err(format!(
                    "slot `{}` of type {kind:?}: expected \"text\" alone, \"integer\" with min <= max (at most 1000 \
                     values), or \"choice\" with values",
                    e.name
                ));
            }
        };
        Ok(Self { name: e.name, kind, required: e.required })
    }
}

impl Catalogue {
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CatalogueError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| CatalogueError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// `name`: of the text, for messages.
    pub fn parse(text: &str, name: &str) -> Result<Self, CatalogueError> {
        let file: File = toml::from_str(text)
            .map_err(|source| CatalogueError::Toml { name: name.into(), source: Box::new(source) })?;
        let fail =
            |intent: &str, what: String| CatalogueError::Entry { name: name.into(), intent: intent.into(), what };
        for (i, intent) in file.intent.iter().enumerate() {
            if file.intent[..i].iter().any(|other| other.name == intent.name) {
                return Err(fail(&intent.name, "is there twice".into()));
            }
            intent.check().map_err(|what| fail(&intent.name, what))?;
        }
        if !file.intent.iter().any(|i| i.name == OUT_OF_SCOPE && i.slots.is_empty()) {
            return Err(fail(
                OUT_OF_SCOPE,
                "is missing, or has slots: it is the answer to what is not for the car".into(),
            ));
        }
        Ok(Self { intents: file.intent })
    }

    pub fn intents(&self) -> &[Intent] {
        &self.intents
    }

    pub fn get(&self, name: &str) -> Option<&Intent> {
        self.intents.iter().find(|i| i.name == name)
    }

    /// Whether an output keeps to the catalogue: its name, its slots, their values, and none missing. The error says what
    /// does not.
    pub fn check(&self, output: &IntentOutput) -> Result<&Intent, String> {
        let intent = self.get(&output.name).ok_or_else(|| format!("no intent is named `{}`", output.name))?;
        for (i, (name, value)) in output.slots.iter().enumerate() {
            let slot = intent.slot(name).ok_or_else(|| format!("`{}` has no slot `{name}`", intent.name))?;
            if output.slots[..i].iter().any(|(other, _)| other == name) {
                return Err(format!("slot `{name}` of `{}` is there twice", intent.name));
            }
            slot.kind.check(value).map_err(|what| format!("slot `{name}` of `{}`: {what}", intent.name))?;
        }
        match intent.slots.iter().find(|s| s.required && output.slot(&s.name).is_none()) {
            Some(missing) => Err(format!("`{}` needs its slot `{}`", intent.name, missing.name)),
            None => Ok(intent),
        }
    }
}

impl SlotKind {
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let holds = match self {
            Self::Text => is_value(value),
            Self::Integer { min, max } => value.parse().is_ok_and(|v: i64| (*min..=*max).contains(&v)),
            Self::Choice(values) => values.iter().any(|v| v == value),
        };
        if holds { Ok(()) } else { Err(format!("{value:?} is not one of its values ({self:?})")) }
    }
}

impl Intent {
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|s| s.name == name)
    }

    /// What a passenger is told who asks for what is the driver's alone.
    pub fn refusal_to_passenger(&self) -> Option<&'static str> {
        self.driver_only.then_some("That is for the driver to ask.")
    }

    /// Whether the intent may be done now; the error is what the driver is told. `speed_mps` and `gear` are `None` when not
    /// known: a bound on them refuses then.
    pub fn permit(&self, slots: &[(String, String)], speed_mps: Option<f64>, gear: Option<Gear>) -> Result<(), &str> {
        for rule in &self.rules {
            let holds = rule.when.iter().all(|(name, value)| slots.iter().any(|(n, v)| n == name && v == value));
            // Written so that a speed which is not a number refuses too.
            let speed_ok = rule.max_speed_mps.is_none_or(|max| speed_mps.is_some_and(|v| v.abs() <= max));
            let gear_ok = rule.gears.as_ref().is_none_or(|gears| gear.is_some_and(|g| gears.contains(&g)));
            if holds && !(speed_ok && gear_ok) {
                return Err(&rule.refusal);
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err("a name is lower-case letters, digits and _".into());
        }
        for (i, slot) in self.slots.iter().enumerate() {
            if !is_name(&slot.name) || self.slots[..i].iter().any(|s| s.name == slot.name) {
                return Err(format!("slot `{}`: names are lower-case letters, digits and _, each once", slot.name));
            }
            if let SlotKind::Choice(values) = &slot.kind
                && let Some(bad) = values.iter().find(|v| !is_value(v))
            {
                return Err(format!("slot `{}`: the value {bad:?} is empty or has one of ; = < in it", slot.name));
            }
        }
        for rule in &self.rules {
            if rule.max_speed_mps.is_some_and(|v| !(v.is_finite() && v >= 0.0)) {
                return Err("a rule's max_speed_mps must be a number that is not negative".into());
            }
            if rule.max_speed_mps.is_none() && rule.gears.is_none() || rule.refusal.trim().is_empty() {
                return Err("a rule needs max_speed_mps or gears, and a refusal that can be spoken".into());
            }
            for (name, value) in &rule.when {
                let slot =
                    self.slot(name).ok_or_else(|| format!("a rule names the slot `{name}`, which is not there"))?;
                slot.kind.check(value).map_err(|e| format!("a rule about slot `{name}`: {e}"))?;
            }
        }
        for d in &self.demand {
            let sane = (0.0..=1.0).contains(&d.probability)
                && d.horizon_s.is_finite()
                && d.horizon_s > 0.0
                && d.weight.is_finite()
                && d.weight >= 0.0;
            if !sane || d.workload.is_empty() {
                return Err(format!(
                    "demand on `{}`: expected probability 0..1, horizon_s > 0, weight >= 0, a workload",
                    d.workload
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Catalogue {
        Catalogue::load(concat!(env!("CARGO_MANIFEST_DIR"), "/intents.toml")).unwrap()
    }

    #[test]
    fn the_shipped_catalogue_loads_and_knows_its_intents() {
        let catalogue = shipped();
        assert_eq!(catalogue.intents().len(), 39);
        assert_eq!(catalogue.get("call").unwrap().slots[0].kind, SlotKind::Text);
        assert!(catalogue.get("set_temperature").unwrap().touches_vehicle);
    }

    #[test]
    fn a_rule_refuses_beyond_its_bounds_and_where_the_value_is_not_known() {
        let catalogue = shipped();
        let window = catalogue.get("window_open").unwrap();
        let all = [("which".to_string(), "all".to_string())];
        assert_eq!(window.permit(&[], Some(30.0), None), Ok(()));
        assert_eq!(window.permit(&all, Some(30.0), None), Err("We are too fast to open all windows."));
        assert_eq!(window.permit(&[], Some(40.0), None), Err("We are too fast to open a window."));
        assert_eq!(window.permit(&[], Some(f64::NAN), None), Err("We are too fast to open a window."));
        let lights = catalogue.get("lights").unwrap();
        let off = [("state".to_string(), "off".to_string())];
        assert!(lights.permit(&off, Some(0.0), None).is_err());
        assert!(lights.permit(&off, Some(0.0), Some(Gear::Drive)).is_err());
        assert_eq!(lights.permit(&off, Some(0.0), Some(Gear::Park)), Ok(()));
    }

    #[test]
    fn the_lights_and_the_drivers_messages_are_not_a_passengers_to_ask() {
        let catalogue = shipped();
        for name in ["lights", "read_messages"] {
            assert!(catalogue.get(name).unwrap().refusal_to_passenger().is_some(), "{name}");
        }
        for name in ["window_open", "play_music", "range_query", "seat_heating"] {
            assert_eq!(catalogue.get(name).unwrap().refusal_to_passenger(), None, "{name}");
        }
    }

    #[test]
    fn an_output_is_held_to_the_catalogue() {
        let catalogue = shipped();
        let check = |text: &str| catalogue.check(&IntentOutput::parse(text).unwrap()).map(|_| ());
        assert_eq!(check("set_temperature degrees=21;"), Ok(()));
        assert_eq!(check("set_temperature"), Err("`set_temperature` needs its slot `degrees`".into()));
        assert!(check("set_temperature degrees=99;").unwrap_err().contains("not one of its values"));
        assert!(check("thanks much=yes;").unwrap_err().contains("no slot"));
        assert!(check("fly").unwrap_err().contains("no intent"));
    }

    #[test]
    fn a_broken_catalogue_says_which_intent_and_why() {
        let out = "[[intent]]\nname = 'out_of_scope'\nkind = 'dialogue'\ntouches_vehicle = false\nsays = 'no'\n";
        let with =
            |more: &str| Catalogue::parse(&format!("{out}{more}"), "x.toml").map(|_| ()).map_err(|e| e.to_string());
        assert_eq!(with(""), Ok(()));
        assert!(with(out).unwrap_err().contains("x.toml: intent `out_of_scope`: is there twice"));
        assert!(with("colour = 1").unwrap_err().contains("colour"));
        assert!(with("slots = [{name='a', type='integer', required=true}]").unwrap_err().contains("slot `a` of type"));
        assert!(with("[[intent.rule]]\nrefusal = 'no'").unwrap_err().contains("a rule needs max_speed_mps or gears"));
        let missing = Catalogue::parse("intent = []", "x.toml").unwrap_err().to_string();
        assert!(missing.contains("out_of_scope"), "{missing}");
    }
}
