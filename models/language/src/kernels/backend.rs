//! Which kernels multiply.

use auriga_kernels::{InstructionSet, Kernels};
use std::{fmt, str::FromStr};

/// Whose kernels compute the products of a model that is run, not trained, on the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Those of [`auriga_kernels`], for an instruction set that this processor has.
    Packed(Kernels),
    /// libtorch's operators. With weights of 8 and 4 bits they round activations to 16 bits.
    Libtorch,
}

impl Backend {
    /// [`auriga_kernels`] with the best instruction set of this processor; libtorch where it has none that there are vector
    /// kernels for.
    ///
    /// ```
    /// use auriga_lm::kernels::backend::Backend;
    ///
    /// assert!(Backend::available().contains(&Backend::best()));
    /// ```
    pub fn best() -> Self {
        let kernels = Kernels::best();
        if kernels.instruction_set() == InstructionSet::Scalar { Self::Libtorch } else { Self::Packed(kernels) }
    }

    /// All that this processor can run, the scalar reference among them.
    pub fn available() -> Vec<Self> {
        Kernels::available().into_iter().map(Self::Packed).chain([Self::Libtorch]).collect()
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packed(kernels) => kernels.instruction_set().fmt(f),
            Self::Libtorch => f.write_str("libtorch"),
        }
    }
}

/// A backend that there is not, or not on this processor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no kernel of this processor; it has {}", Backend::available().iter().map(Backend::to_string).collect::<Vec<_>>().join(", "))]
pub struct UnknownBackend {
    name: String,
}

impl FromStr for Backend {
    type Err = UnknownBackend;

    /// The name that [`Display`](fmt::Display) writes: of an instruction set, or `libtorch`.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::available().into_iter().find(|backend| backend.to_string() == name);
        found.ok_or_else(|| UnknownBackend { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_read_back() {
        for backend in Backend::available() {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
    }

    #[test]
    fn an_instruction_set_that_the_processor_lacks_is_refused_by_name() {
        let lacking = if cfg!(target_arch = "x86_64") { "neon" } else { "avx512" };
        let error = lacking.parse::<Backend>().unwrap_err().to_string();
        assert!(error.contains(lacking) && error.contains("libtorch"), "{error}");
    }
}
