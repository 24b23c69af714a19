//! Whether the car is spoken to: the wake phrase, the talk button, and a while after both.

use auriga_runtime::Nanos;
use serde::Deserialize;
use std::time::Duration;

/// What makes speech the car's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// The wake phrase or the talk button, and then for a while anything.
    WakeWord,
    /// Only while the talk button is held.
    PushToTalk,
    /// Everything that is said.
    Always,
}

/// What became of the talk button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Press {
    Pressed,
    Released,
}

/// The talk button and the time until which the car listens.
#[derive(Debug)]
pub struct Attention {
    activation: Activation,
    window: Duration,
    longest_press: Duration,
    until: Nanos,
    pressed: Option<Nanos>,
    /// It has been told, and what is heard is not for the car, until the button comes up.
    stuck: bool,
}

impl Attention {
    /// `window`: how long the car listens after it was spoken to; `longest_press`: a button that is held longer is stuck.
    pub fn new(activation: Activation, window: Duration, longest_press: Duration) -> Self {
        Self { activation, window, longest_press, until: Nanos::ZERO, pressed: None, stuck: false }
    }

    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Whether what begins at `at` is for the car without a wake phrase.
    pub fn awake(&self, at: Nanos) -> bool {
        match self.activation {
            Activation::Always => true,
            Activation::WakeWord => self.held() || at <= self.until,
            Activation::PushToTalk => self.held(),
        }
    }

    /// Whether the talk button is held, and works.
    pub fn held(&self) -> bool {
        self.pressed.is_some() && !self.stuck
    }

    /// The car was spoken to, or answers, until `at`: what is said shortly after is for it as well.
    pub fn keep(&mut self, at: Nanos) {
        self.until = self.until.max(at + self.window);
    }

    /// What the bus says of the button at `at`; an unknown button is not held.
    pub fn button(&mut self, held: Option<bool>, at: Nanos) -> Option<Press> {
        match (self.pressed, held.unwrap_or(false)) {
            (None, true) => {
                self.pressed = Some(at);
                Some(Press::Pressed)
            }
            (Some(_), false) => {
                self.pressed = None;
                let stuck = std::mem::take(&mut self.stuck);
                (!stuck).then_some(Press::Released)
            }
            _ => None,
        }
    }

    /// True once, when the button has been held for too long; its turn is over then.
    pub fn got_stuck(&mut self, now: Nanos) -> bool {
        let stuck = !self.stuck && self.pressed.is_some_and(|since| now.since(since) >= self.longest_press);
        self.stuck |= stuck;
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Nanos {
        Nanos::from_millis(ms)
    }
    fn attention(activation: Activation) -> Attention {
        Attention::new(activation, Duration::from_secs(8), Duration::from_secs(20))
    }

    #[test]
    fn the_car_listens_for_a_while_after_it_was_spoken_to() {
        let mut a = attention(Activation::WakeWord);
        assert!(!a.awake(ms(500)));
        a.keep(ms(1000));
        a.keep(ms(400));
        assert!(a.awake(ms(9000)) && !a.awake(ms(9001)));
    }

    #[test]
    fn with_push_to_talk_only_the_button_counts() {
        let mut a = attention(Activation::PushToTalk);
        a.keep(ms(1000));
        assert!(!a.awake(ms(2000)));
        assert_eq!(a.button(Some(true), ms(2000)), Some(Press::Pressed));
        assert_eq!(a.button(Some(true), ms(2020)), None);
        assert!(a.awake(ms(2100)));
        assert_eq!(a.button(None, ms(2200)), Some(Press::Released));
        assert!(!a.awake(ms(2200)));
    }

    #[test]
    fn a_button_that_is_stuck_is_told_once_and_does_not_count_until_it_comes_up() {
        let mut a = attention(Activation::WakeWord);
        a.button(Some(true), ms(1000));
        assert!(!a.got_stuck(ms(20_999)));
        assert!(a.got_stuck(ms(21_000)));
        assert!(!a.got_stuck(ms(3_600_000)));
        assert!(!a.held() && !a.awake(ms(3_600_000)));
        assert_eq!(a.button(Some(false), ms(3_600_000)), None);
        assert_eq!(a.button(Some(true), ms(3_601_000)), Some(Press::Pressed));
        assert!(a.held());
    }
}
