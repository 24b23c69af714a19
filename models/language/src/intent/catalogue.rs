//! The intent catalogue (`intents.toml`): names, slots, rules of permission, and forecasts of resource demand.
//!
//! It is the only place where intents are defined. The decoder is constrained to it ([`crate::intent::constrained`]), the
//! corpus is checked against it ([`crate::training::corpus`]), and the language node reads rules and demand from it.

use crate::intent::{
    output::{IntentOutput, is_name, is_value},
    scene::Gear,
};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// The intent of utterances that no other intent covers; every catalogue has it.
pub const OUT_OF_SCOPE: &str = "out_of_scope";

/// The largest number of words in the value of a text slot.
pub const MAX_SPAN_WORDS: usize = 8;

/// An error of a catalogue.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The file cannot be read.
    #[error("cannot read the intent catalogue {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The text is not TOML, or has unknown or missing keys.
    #[error("{name}: {source}")]
    Toml {
        /// The file.
        name: String,
        /// The cause.
        source: Box<toml::de::Error>,
    },
    /// An intent is defined wrongly.
    #[error("{name}: intent `{intent}`: {what}")]
    Entry {
        /// The file.
        name: String,
        /// The intent.
        intent: String,
        /// What is wrong.
        what: String,
    },
}

/// The kind of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Answered from the scene.
    Query,
    /// Performs an action.
    Action,
    /// Dialogue without an action.
    Dialogue,
    /// An emergency or another safety matter.
    Safety,
}

/// The type of a slot's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotKind {
    /// Consecutive words of the utterance, at most [`MAX_SPAN_WORDS`].
    Text,
    /// An integer within bounds.
    Integer {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
    },
    /// One of these values.
    Choice(Vec<String>),
}

/// A slot of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "SlotEntry")]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// The type of its value.
    pub kind: SlotKind,
    /// Whether the intent needs it.
    pub required: bool,
}

/// A condition on the vehicle state under which an intent is permitted.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The rule applies only if these slots have these values.
    #[serde(default)]
    pub when: BTreeMap<String, String>,
    /// The highest permitted speed, m/s.
    pub max_speed_mps: Option<f64>,
    /// The permitted gears.
    pub gears: Option<Vec<Gear>>,
    /// The reply if the rule does not permit the intent.
    pub refusal: String,
}

/// A workload that is likely needed after an intent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// Name of the workload in `launch/workloads.toml`.
    pub workload: String,
    /// Probability that it is needed, 0 to 1.
    pub probability: f64,
    /// Time from the intent within which it is needed, s.
    pub horizon_s: f64,
    /// Factor on the workload's utility while the forecast is valid.
    pub weight: f64,
    /// The reason, for people.
    pub reason: String,
}

/// An intent of the catalogue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// It changes the vehicle: it is only a proposal, and [`Intent::permit`] decides, not the model.
    pub touches_vehicle: bool,
    /// Only the driver may request it.
    #[serde(default)]
    pub driver_only: bool,
    /// One line for people and for prompts.
    #[serde(alias = "says")]
    pub description: String,
    /// Its slots.
    #[serde(default)]
    pub slots: Vec<Slot>,
    /// Conditions under which it is permitted; all must hold.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    /// Workloads that are likely needed after it.
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
    /// Reads a catalogue.
    ///
    /// # Errors
    /// A file that cannot be read, or an intent that is defined wrongly.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, CatalogueError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| CatalogueError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses a catalogue; `name` is named in error messages.
    ///
    /// # Errors
    /// An intent that is defined wrongly.
    pub fn parse(text: &str, name: &str) -> Result<Self, CatalogueError> {
        let file: File = toml::from_str(text)
            .map_err(|source| CatalogueError::Toml { name: name.into(), source: Box::new(source) })?;
        let fail =
            |intent: &str, what: String| CatalogueError::Entry { name: name.into(), intent: intent.into(), what };
        for (i, intent) in file.intent.iter().enumerate() {
            if file.intent[..i].iter().any(|other| other.name == intent.name) {
                return Err(fail(&intent.name, "is defined twice".into()));
            }
            intent.check().map_err(|what| fail(&intent.name, what))?;
        }
        if !file.intent.iter().any(|i| i.name == OUT_OF_SCOPE && i.slots.is_empty()) {
            return Err(fail(
                OUT_OF_SCOPE,
                "is missing, or has slots: it is the intent of utterances that no other intent covers".into(),
            ));
        }
        Ok(Self { intents: file.intent })
    }

    /// All intents in the order of the file.
    pub fn intents(&self) -> &[Intent] {
        &self.intents
    }

    /// The intent of this name.
    pub fn get(&self, name: &str) -> Option<&Intent> {
        self.intents.iter().find(|i| i.name == name)
    }

    /// Checks an output against the catalogue, and returns its intent.
    ///
    /// # Errors
    /// An unknown name or slot, a value out of bounds, or a required slot that is missing, as text.
    pub fn check(&self, output: &IntentOutput) -> Result<&Intent, String> {
        let intent = self.get(&output.name).ok_or_else(|| format!("no intent is named `{}`", output.name))?;
        for (i, (name, value)) in output.slots.iter().enumerate() {
            let slot = intent.slot(name).ok_or_else(|| format!("`{}` has no slot `{name}`", intent.name))?;
            if output.slots[..i].iter().any(|(other, _)| other == name) {
                return Err(format!("slot `{name}` of `{}` is given twice", intent.name));
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
    /// Checks a value; the error describes what was expected.
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
    /// The slot of this name.
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|s| s.name == name)
    }

    /// The reply to a passenger's request, if only the driver may request the intent.
    pub fn refusal_to_passenger(&self) -> Option<&'static str> {
        self.driver_only.then_some("That is for the driver to ask.")
    }

    /// Checks the rules. `speed_mps` (m/s) and `gear` are `None` if not known; a rule on an unknown value does not permit the
    /// intent.
    ///
    /// # Errors
    /// The reply to the driver if the intent is not permitted.
    pub fn permit(&self, slots: &[(String, String)], speed_mps: Option<f64>, gear: Option<Gear>) -> Result<(), &str> {
        for rule in &self.rules {
            let holds = rule.when.iter().all(|(name, value)| slots.iter().any(|(n, v)| n == name && v == value));
            // NaN is not permitted either.
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
    fn the_shipped_catalogue_loads() {
        let catalogue = shipped();
        assert_eq!(catalogue.intents().len(), 39);
        assert_eq!(catalogue.get("call").unwrap().slots[0].kind, SlotKind::Text);
        assert!(catalogue.get("set_temperature").unwrap().touches_vehicle);
    }

    #[test]
    fn rules_do_not_permit_values_out_of_bounds_or_unknown() {
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
    fn only_the_driver_may_request_lights_and_messages() {
        let catalogue = shipped();
        for name in ["lights", "read_messages"] {
            assert!(catalogue.get(name).unwrap().refusal_to_passenger().is_some(), "{name}");
        }
        for name in ["window_open", "play_music", "range_query", "seat_heating"] {
            assert_eq!(catalogue.get(name).unwrap().refusal_to_passenger(), None, "{name}");
        }
    }

    #[test]
    fn outputs_are_checked_against_the_catalogue() {
        let catalogue = shipped();
        let check = |text: &str| catalogue.check(&IntentOutput::parse(text).unwrap()).map(|_| ());
        assert_eq!(check("set_temperature degrees=21;"), Ok(()));
        assert_eq!(check("set_temperature"), Err("`set_temperature` needs its slot `degrees`".into()));
        assert!(check("set_temperature degrees=99;").unwrap_err().contains("not one of its values"));
        assert!(check("thanks much=yes;").unwrap_err().contains("no slot"));
        assert!(check("fly").unwrap_err().contains("no intent"));
    }

    #[test]
    fn errors_name_the_intent_and_the_reason() {
        let out = "[[intent]]\nname = 'out_of_scope'\nkind = 'dialogue'\ntouches_vehicle = false\ndescription = 'no'\n";
        let with =
            |more: &str| Catalogue::parse(&format!("{out}{more}"), "x.toml").map(|_| ()).map_err(|e| e.to_string());
        assert_eq!(with(""), Ok(()));
        assert!(with(out).unwrap_err().contains("x.toml: intent `out_of_scope`: is defined twice"));
        assert!(with("colour = 1").unwrap_err().contains("colour"));
        assert!(with("slots = [{name='a', type='integer', required=true}]").unwrap_err().contains("slot `a` of type"));
        assert!(with("[[intent.rule]]\nrefusal = 'no'").unwrap_err().contains("a rule needs max_speed_mps or gears"));
        let missing = Catalogue::parse("intent = []", "x.toml").unwrap_err().to_string();
        assert!(missing.contains("out_of_scope"), "{missing}");
    }
}
