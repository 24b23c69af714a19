//! What is worth saying about a recording, without it being an error.

/// Notices of one recording that are kept one by one; the rest are counted.
const MAX_NOTICES: usize = 32;
/// Characters of a line that are shown.
const SHOWN: usize = 60;

/// A remark about a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// File and line.
    pub place: String,
    /// What was found, and what is done about it.
    pub text: String,
}

/// Collects notices, of which there may be one for each line.
#[derive(Debug, Default)]
pub(super) struct Notices {
    path: String,
    fresh: Vec<Notice>,
    count: usize,
}

impl Notices {
    pub fn new(path: String) -> Self {
        Self { path, ..Self::default() }
    }

    pub fn add(&mut self, line: usize, text: String) {
        self.count += 1;
        if self.count <= MAX_NOTICES {
            self.fresh.push(Notice { place: format!("{}:{line}", self.path), text });
        }
    }

    /// At the end of the recording: how many were not kept.
    pub fn finish(&mut self) {
        if let Some(more @ 1..) = self.count.checked_sub(MAX_NOTICES) {
            self.fresh.push(Notice { place: self.path.clone(), text: format!("{more} more lines like these") });
            self.count = 0;
        }
    }

    /// Those that came since the last call.
    pub fn take(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.fresh)
    }
}

/// A line as it is shown.
pub(super) fn shortened(line: &str) -> String {
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?} …", &line[..end]),
        None => format!("{line:?}"),
    }
}
