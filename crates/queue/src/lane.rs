//! Lanes: what is urgent does not stand behind what is not.

/// A lane of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Not delayed by anything else: a fifth of a worker's places are kept for it.
    High,
    /// The usual one.
    Normal,
    /// What goes out when nothing else waits; never starved.
    Bulk,
}

impl Lane {
    /// All of them, most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Bulk];

    /// The name used in keys and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}
