//! The numbers of a tensor where they lie, for what is computed here and not by libtorch.

use tch::{Device, Kind, Tensor};

/// Of a contiguous tensor of 32-bit numbers in the processor's memory.
pub(crate) fn numbers(x: &Tensor) -> &[f32] {
    assert!(x.kind() == Kind::Float && x.device() == Device::Cpu && x.is_contiguous());
    // SAFETY: it has so many numbers there, and lives as long as the slice.
    unsafe { std::slice::from_raw_parts(x.data_ptr().cast(), x.numel()) }
}

/// A new tensor of 32-bit numbers, all of which `write` must write.
pub(crate) fn made(shape: &[i64], write: impl FnOnce(&mut [f32])) -> Tensor {
    let y = Tensor::empty(shape, (Kind::Float, Device::Cpu));
    // SAFETY: it has so many numbers there, and nobody else has it yet.
    write(unsafe { std::slice::from_raw_parts_mut(y.data_ptr().cast(), y.numel()) });
    y
}

/// A tensor for tests, no number of which is like its neighbours: from -1 to 1.
#[cfg(test)]
pub(crate) fn waves(shape: &[i64], step: f64) -> Tensor {
    (Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, Device::Cpu)) * step).sin().view(shape)
}
