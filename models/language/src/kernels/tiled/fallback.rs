//! In place of the kernels, where no processor has what they need. None of them is ever called.

use super::{Block, TILE};

pub fn supported() -> bool {
    false
}

pub unsafe fn f32<const M: usize>(_: &[[f32; TILE]], _: &Block<'_>, _: &mut [[f32; TILE]]) {}

pub unsafe fn bf16<const M: usize>(_: &[[u16; TILE]], _: &Block<'_>, _: &mut [[f32; TILE]]) {}

pub unsafe fn int8<const M: usize>(_: &[[i8; TILE]], _: &Block<'_>, _: &mut [[f32; TILE]]) {}

pub unsafe fn int4<const M: usize>(_: &[[u32; TILE]], _: &[[[u16; TILE]; 2]], _: &Block<'_>, _: &mut [[f32; TILE]]) {}
