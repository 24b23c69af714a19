//! Which instruction set computes: chosen once, at run time, and never one that the processor lacks.

#[cfg(target_arch = "aarch64")]
use crate::simd::neon::Neon;
use crate::simd::scalar::Scalar;
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};
use std::{fmt, str::FromStr};

/// The instruction sets that there are kernels for, on whatever processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InstructionSet {
    /// AVX-512F of x86-64: vectors of 16 numbers.
    Avx512,
    /// AVX2 and FMA of x86-64: vectors of 8 numbers.
    Avx2,
    /// NEON of aarch64: pairs of vectors of 4 numbers.
    Neon,
    /// One number at a time, on every processor: the reference of the others.
    Scalar,
}

impl InstructionSet {
    /// All of them, the fastest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Scalar];
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Scalar => "scalar",
        })
    }
}

/// A name that is none of [`InstructionSet::ALL`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownInstructionSet(String);

impl fmt::Display for UnknownInstructionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no instruction set is named {:?}; there are avx512, avx2, neon, scalar", self.0)
    }
}

impl std::error::Error for UnknownInstructionSet {}

impl FromStr for InstructionSet {
    type Err = UnknownInstructionSet;

    /// The name that [`Display`](fmt::Display) writes.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|set| set.to_string() == name);
        found.ok_or_else(|| UnknownInstructionSet(name.to_owned()))
    }
}

/// Kernels of an instruction set that this processor has been found to have. There is no other way to make one than the
/// functions below, so a matrix that holds one cannot reach an instruction that the processor lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels(pub(crate) Proof);

/// The value of an instruction set, made by its detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Scalar(Scalar),
}

impl Kernels {
    /// The fastest kernels that this processor can run; the scalar ones if it has no instruction set of the list.
    pub fn best() -> Self {
        InstructionSet::ALL.into_iter().find_map(Self::of).unwrap_or(Self(Proof::Scalar(Scalar)))
    }

    /// The kernels of this instruction set; `None` where the processor lacks it.
    ///
    /// ```
    /// use auriga_kernels::{InstructionSet, Kernels};
    ///
    /// assert!(Kernels::of(InstructionSet::Scalar).is_some());
    /// // No processor has both.
    /// assert!(Kernels::of(InstructionSet::Avx2).is_none() || Kernels::of(InstructionSet::Neon).is_none());
    /// ```
    pub fn of(set: InstructionSet) -> Option<Self> {
        let proof = match set {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => Proof::Avx512(Avx512::detect()?),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => Proof::Avx2(Avx2::detect()?),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => Proof::Neon(Neon::detect()?),
            InstructionSet::Scalar => Proof::Scalar(Scalar),
            _ => return None,
        };
        Some(Self(proof))
    }

    /// All that this processor can run, the fastest first.
    pub fn available() -> Vec<Self> {
        InstructionSet::ALL.into_iter().filter_map(Self::of).collect()
    }

    /// The instruction set of these kernels.
    pub fn instruction_set(self) -> InstructionSet {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Proof::Avx512(_) => InstructionSet::Avx512,
            #[cfg(target_arch = "x86_64")]
            Proof::Avx2(_) => InstructionSet::Avx2,
            #[cfg(target_arch = "aarch64")]
            Proof::Neon(_) => InstructionSet::Neon,
            Proof::Scalar(_) => InstructionSet::Scalar,
        }
    }
}

/// Calls a generic function with the value of the instruction set, which decides what it is compiled for.
macro_rules! with_simd {
    ($kernels:expr, $simd:ident => $call:expr) => {
        match $kernels.0 {
            #[cfg(target_arch = "x86_64")]
            $crate::dispatch::Proof::Avx512($simd) => $call,
            #[cfg(target_arch = "x86_64")]
            $crate::dispatch::Proof::Avx2($simd) => $call,
            #[cfg(target_arch = "aarch64")]
            $crate::dispatch::Proof::Neon($simd) => $call,
            $crate::dispatch::Proof::Scalar($simd) => $call,
        }
    };
}
pub(crate) use with_simd;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_read_back() {
        for set in InstructionSet::ALL {
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        let error = "sse2".parse::<InstructionSet>().unwrap_err().to_string();
        assert!(error.contains("sse2") && error.contains("avx2"), "{error}");
    }

    #[test]
    fn kernels_are_of_the_instruction_set_that_was_asked_for_or_refused() {
        for set in InstructionSet::ALL {
            if let Some(kernels) = Kernels::of(set) {
                assert_eq!(kernels.instruction_set(), set);
            }
        }
        assert_eq!(Kernels::available().first().copied(), Some(Kernels::best()));
    }

    #[test]
    fn kernels_of_another_architecture_are_refused() {
        let others = if cfg!(target_arch = "x86_64") {
            vec![InstructionSet::Neon]
        } else {
            vec![InstructionSet::Avx512, InstructionSet::Avx2]
        };
        for set in others {
            assert_eq!(Kernels::of(set), None, "{set}");
        }
    }

    #[test]
    fn every_aarch64_processor_has_neon_kernels() {
        assert_eq!(Kernels::best().instruction_set() == InstructionSet::Neon, cfg!(target_arch = "aarch64"));
    }
}
