//! What a session may generate next.

/// What may come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Anything.
    Any,
    /// One of these, in ascending order; not empty. A single one is taken without asking the model.
    Only(Vec<u32>),
    /// Nothing: what was to be said has been said.
    Done,
}

/// Leads a session token by token.
pub trait Guide: Send {
    fn allowed(&self) -> Allowed;

    /// `probability`: of the token among those that were allowed.
    fn advance(&mut self, token: u32, probability: f64);
}
