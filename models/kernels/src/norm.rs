//! RMSNorm (arXiv 1910.07467) over plain slices.

/// Sums side by side, so that the compiler may use vectors. Their number is part of the result: it is the same on every
/// processor, and so are the bits.
const LANES: usize = 16;

/// y = x / rms(x) ⊙ weight, over each row of `size` numbers of `x`; `weight` has one row or several, which take turns.
///
/// ```
/// let mut y = [0.0; 2];
/// auriga_kernels::rms_norm(&[3.0, 4.0], &[1.0, 0.5], 2, 0.0, &mut y);
/// assert!((y[0] - 0.8485).abs() < 1e-4 && (y[1] - 0.5657).abs() < 1e-4);
/// ```
///
/// # Panics
/// `x` and `y` are not as long as each other, or one of the slices is not whole rows of `size`.
pub fn rms_norm(x: &[f32], weight: &[f32], size: usize, eps: f32, y: &mut [f32]) {
    assert!(size > 0 && x.len() == y.len() && x.len().is_multiple_of(size) && weight.len().is_multiple_of(size));
    let weights = weight.chunks_exact(size).cycle();
    for ((x, w), y) in x.chunks_exact(size).zip(weights).zip(y.chunks_exact_mut(size)) {
        let scale = 1.0 / (mean_square(x) + eps).sqrt();
        for ((x, w), y) in x.iter().zip(w).zip(y) {
            *y = x * scale * w;
        }
    }
}

fn mean_square(x: &[f32]) -> f32 {
    let (lanes, rest) = x.as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for lane in lanes {
        for (sum, x) in sums.iter_mut().zip(lane) {
            *sum += x * x;
        }
    }
    let all: f32 = sums.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>();
    all / x.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_weights_take_turns_and_lengths_need_not_be_whole_vectors() {
        let x: Vec<f32> = (0..4 * 19).map(|i| (i as f32 * 0.7).sin()).collect();
        let weight: Vec<f32> = (0..2 * 19).map(|i| (i as f32).cos()).collect();
        let mut y = vec![0.0; x.len()];
        rms_norm(&x, &weight, 19, 1e-6, &mut y);
        for (row, (x, y)) in x.chunks(19).zip(y.chunks(19)).enumerate() {
            let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 19.0;
            for (i, (x, y)) in x.iter().zip(y).enumerate() {
                let expected = f64::from(*x) / (mean + 1e-6).sqrt() * f64::from(weight[row % 2 * 19 + i]);
                assert!((f64::from(*y) - expected).abs() < 1e-6);
            }
        }
    }
}
