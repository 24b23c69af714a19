//! Restrictions on the tokens that a session may generate.

/// The tokens that may come next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// All tokens.
    Any,
    /// One of these, in ascending order; never empty. A single token is taken without running the model.
    Only(Vec<u32>),
    /// None: the output is complete.
    Done,
}

/// Restricts generation token by token.
pub trait Constraint: Send {
    /// The tokens that may come next.
    fn allowed(&self) -> Allowed;

    /// Takes note of the token that was generated. `probability` is its probability among the allowed tokens.
    fn advance(&mut self, token: u32, probability: f64);
}
