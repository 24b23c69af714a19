//! GB/s of weights of a product of one token, and G multiply-adds/s with 64 tokens, for each instruction set that this
//! processor has and each kind of weights: `cargo bench -p auriga-kernels`. One thread; the median of several rounds, in
//! which the kernels take turns, and the best round, which other load on the machine disturbs least. The peer, libtorch, stands beside it in `auriga-lm bench --large`.

use auriga_kernels::{InstructionSet, Kernels, Matrix};
use std::{hint::black_box, time::Instant};

const ROUNDS: usize = 15;
/// The output matrix of a decoder of half a billion weights, cut to what 8 bits bring to 30 MB.
const SHAPE: [usize; 2] = [32_768, 896];
const TOKENS: usize = 64;

fn main() {
    // `cargo test` runs benches with --test or without --bench: then there is nothing to measure.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let [rows, columns] = SHAPE;
    println!("{rows} x {columns}, one thread, median of {ROUNDS} rounds");
    println!(
        "{:<8}{:<10}{:>10}{:>12}{:>14}{:>16}",
        "weights", "kernels", "GB/s", "best GB/s", "ms a token", "GFMA/s, 64 t."
    );
    for kind in ["f32", "bf16", "int8", "int4"] {
        let matrices: Vec<Matrix> = Kernels::available().into_iter().map(|kernels| matrix(kind, kernels)).collect();
        let mut times = vec![(Vec::new(), Vec::new()); matrices.len()];
        for _ in 0..ROUNDS {
            for (matrix, (one, many)) in matrices.iter().zip(&mut times) {
                // The scalar kernels with many tokens would take most of the time.
                let tokens = if scalar(matrix) { 1 } else { TOKENS };
                one.push(seconds(matrix, 1));
                many.push(seconds(matrix, tokens) / tokens as f64);
            }
        }
        for (matrix, (one, many)) in matrices.iter().zip(times) {
            let best = matrix.bytes() as f64 / one.iter().copied().fold(f64::INFINITY, f64::min) / 1e9;
            let (one, many) = (median(one), median(many));
            let set = matrix.kernels().instruction_set().to_string();
            let (speed, rate) = (matrix.bytes() as f64 / one / 1e9, (rows * columns) as f64 / many / 1e9);
            println!("{kind:<8}{set:<10}{speed:>10.2}{best:>12.2}{:>14.3}{rate:>16.2}", one * 1e3);
        }
    }
}

fn scalar(matrix: &Matrix) -> bool {
    matrix.kernels().instruction_set() == InstructionSet::Scalar
}

fn matrix(kind: &str, kernels: Kernels) -> Matrix {
    let n = SHAPE[0] * SHAPE[1];
    let made = match kind {
        "f32" => Matrix::f32(kernels, SHAPE, &vec![0.5; n]),
        "bf16" => Matrix::bf16(kernels, SHAPE, &vec![0x3f00; n]),
        "int8" => Matrix::int8(kernels, SHAPE, &vec![3; n], &vec![0.5; SHAPE[0]]),
        _ => {
            let groups = n / Matrix::GROUP;
            Matrix::int4(kernels, SHAPE, &vec![5; n], &vec![0x3f00; groups], &vec![0x3f00; groups])
        }
    };
    made.expect("the lengths are those of the shape")
}

fn seconds(matrix: &Matrix, tokens: usize) -> f64 {
    let x = vec![0.25; tokens * SHAPE[1]];
    let start = Instant::now();
    black_box(matrix.multiply(black_box(&x)));
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
