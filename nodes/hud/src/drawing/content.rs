//! What is drawn besides the view of the scene.

/// How much of the decorative layer is granted: the levels of the workload "hud-decor".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Decor {
    /// The safety layer alone.
    #[default]
    Off,
    /// A plain lane surface, marks at other objects, the dialogue line.
    Plain,
    /// A faded lane surface, and distances at the marks.
    Full,
}

/// One line of the dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogueLine {
    /// "YOU" or "AURIGA".
    pub speaker: &'static str,
    /// The text, free of control characters.
    pub text: String,
}

/// What is drawn besides the view of the scene.
#[derive(Debug, Clone, Default)]
pub struct Extras<'a> {
    /// The granted level of decoration.
    pub decor: Decor,
    /// The newest line of the dialogue, while it is to be shown.
    pub dialogue: Option<&'a DialogueLine>,
    /// Speech comes from the transcript track of a drive, not from a microphone: this is marked in the picture.
    pub transcript_track: bool,
    /// The speed in the driver's unit; `None` when unknown.
    pub speed: Option<f64>,
    /// The driver's unit of speed.
    pub unit: &'a str,
}
