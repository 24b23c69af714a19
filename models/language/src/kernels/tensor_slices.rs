//! The memory of a tensor as a slice, for what this crate computes itself.

use tch::{Device, Kind, Tensor};

/// The numbers of a contiguous tensor of 32-bit floating-point numbers in the processor's memory.
///
/// # Panics
/// It is another tensor.
pub(crate) fn as_slice(x: &Tensor) -> &[f32] {
    assert!(x.kind() == Kind::Float && x.device() == Device::Cpu && x.is_contiguous());
    // SAFETY: the tensor has so many numbers there, and the slice borrows it.
    unsafe { std::slice::from_raw_parts(x.data_ptr().cast(), x.numel()) }
}

/// A new tensor of 32-bit floating-point numbers; `write` must write all of them.
pub(crate) fn tensor_from_fn(shape: &[i64], write: impl FnOnce(&mut [f32])) -> Tensor {
    let y = Tensor::empty(shape, (Kind::Float, Device::Cpu));
    // SAFETY: the tensor has so many numbers there, and nobody else has it yet.
    write(unsafe { std::slice::from_raw_parts_mut(y.data_ptr().cast(), y.numel()) });
    y
}

/// For tests: sin(i · step), whose neighbouring numbers differ; from −1 to 1.
#[cfg(test)]
pub(crate) fn sine_tensor(shape: &[i64], step: f64) -> Tensor {
    (Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, Device::Cpu)) * step).sin().view(shape)
}
