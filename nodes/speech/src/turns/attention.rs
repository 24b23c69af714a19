//! Whether speech is addressed to the system: activation mode, talk button, and the follow-up time after a wake phrase or
//! a reply.

use auriga_runtime::Nanos;
use serde::Deserialize;
use std::time::Duration;

/// Which speech is addressed to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// What follows a wake phrase or is said with the talk button held; then everything during the follow-up time.
    WakeWord,
    /// What is said with the talk button held.
    PushToTalk,
    /// Everything.
    Always,
}

/// Whether a turn is addressed to the system, as far as is known when it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// It is.
    Addressed,
    /// It is if it holds the wake phrase.
    NeedsWakePhrase,
    /// It is not.
    NotAddressed,
}

/// A change of the talk button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ButtonEvent {
    /// It went down.
    Pressed,
    /// It came up.
    Released,
}

/// The talk button and the follow-up time.
#[derive(Debug)]
pub struct Attention {
    activation: Activation,
    follow_up: Duration,
    longest_press: Duration,
    follow_up_until: Nanos,
    pressed: Option<Nanos>,
    /// The button has been held for too long: it was reported, and does not count until it comes up.
    stuck: bool,
}

impl Attention {
    /// `follow_up`: for how long after a request or a reply speech is addressed to the system without a wake phrase;
    /// `longest_press`: a button that is held for longer is stuck.
    pub fn new(activation: Activation, follow_up: Duration, longest_press: Duration) -> Self {
        Self { activation, follow_up, longest_press, follow_up_until: Nanos::ZERO, pressed: None, stuck: false }
    }

    /// Whether a turn that begins at `at` is addressed to the system.
    pub fn addressing(&self, at: Nanos) -> Addressing {
        let follow_up = self.activation == Activation::WakeWord && at <= self.follow_up_until;
        if self.activation == Activation::Always || follow_up || self.button_held() {
            Addressing::Addressed
        } else if self.needs_wake_phrase() {
            Addressing::NeedsWakePhrase
        } else {
            Addressing::NotAddressed
        }
    }

    /// Whether a wake phrase addresses the system.
    pub fn needs_wake_phrase(&self) -> bool {
        self.activation == Activation::WakeWord
    }

    /// Whether the talk button is held and not stuck.
    pub fn button_held(&self) -> bool {
        self.pressed.is_some() && !self.stuck
    }

    /// A request or a reply ends at `at`: the follow-up time begins anew.
    pub fn extend(&mut self, at: Nanos) {
        self.follow_up_until = self.follow_up_until.max(at + self.follow_up);
    }

    /// Takes the state of the button at `at`; unknown (`None`) counts as released.
    pub fn set_button(&mut self, held: Option<bool>, at: Nanos) -> Option<ButtonEvent> {
        match (self.pressed, held.unwrap_or(false)) {
            (None, true) => {
                self.pressed = Some(at);
                Some(ButtonEvent::Pressed)
            }
            (Some(_), false) => {
                self.pressed = None;
                let stuck = std::mem::take(&mut self.stuck);
                (!stuck).then_some(ButtonEvent::Released)
            }
            _ => None,
        }
    }

    /// True once, when the button has been held for too long.
    pub fn check_stuck(&mut self, now: Nanos) -> bool {
        let stuck = !self.stuck && self.pressed.is_some_and(|since| now.since(since) >= self.longest_press);
        self.stuck |= stuck;
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Addressing::{Addressed, NeedsWakePhrase, NotAddressed};

    fn ms(ms: u64) -> Nanos {
        Nanos::from_millis(ms)
    }
    fn attention(activation: Activation) -> Attention {
        Attention::new(activation, Duration::from_secs(8), Duration::from_secs(20))
    }

    #[test]
    fn speech_is_addressed_during_the_follow_up_time() {
        let mut a = attention(Activation::WakeWord);
        assert_eq!(a.addressing(ms(500)), NeedsWakePhrase);
        a.extend(ms(1000));
        a.extend(ms(400));
        assert_eq!((a.addressing(ms(9000)), a.addressing(ms(9001))), (Addressed, NeedsWakePhrase));
    }

    #[test]
    fn with_push_to_talk_only_the_button_counts() {
        let mut a = attention(Activation::PushToTalk);
        a.extend(ms(1000));
        assert_eq!(a.addressing(ms(2000)), NotAddressed);
        assert_eq!(a.set_button(Some(true), ms(2000)), Some(ButtonEvent::Pressed));
        assert_eq!(a.set_button(Some(true), ms(2020)), None);
        assert_eq!(a.addressing(ms(2100)), Addressed);
        assert_eq!(a.set_button(None, ms(2200)), Some(ButtonEvent::Released));
        assert_eq!(a.addressing(ms(2200)), NotAddressed);
    }

    #[test]
    fn a_stuck_button_is_reported_once_and_ignored_until_it_is_released() {
        let mut a = attention(Activation::WakeWord);
        a.set_button(Some(true), ms(1000));
        assert!(!a.check_stuck(ms(20_999)));
        assert!(a.check_stuck(ms(21_000)));
        assert!(!a.check_stuck(ms(3_600_000)));
        assert!(!a.button_held());
        assert_eq!(a.addressing(ms(3_600_000)), NeedsWakePhrase);
        assert_eq!(a.set_button(Some(false), ms(3_600_000)), None);
        assert_eq!(a.set_button(Some(true), ms(3_601_000)), Some(ButtonEvent::Pressed));
        assert!(a.button_held());
    }
}
