//! Where a model computes.

use tch::Device;

/// CUDA's library is only looked for by name, as the loader of the system finds it.
const CUDA: &std::ffi::CStr = c"libtorch_cuda.so";

/// The graphics processor if this libtorch can use one, else the processor. To be asked before the first tensor is made.
/// Which of them it is has no influence on what must be right, but on the last bits of every number.
pub fn best() -> Device {
    // Nothing here links to the library, so the linker has left it out: libtorch knows of CUDA once it is loaded.
    // SAFETY: the library is libtorch's own half for CUDA, made to be loaded at any time; its name is a C string. The
    // handle is kept for as long as the process lives.
    unsafe { libc::dlopen(CUDA.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    Device::cuda_if_available()
}
