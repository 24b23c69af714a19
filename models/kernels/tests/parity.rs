//! Every instruction set that this processor has gives the bits of a plain loop over the unpacked weights.

use auriga_kernels::{Kernels, Matrix};

/// Rows that end inside of a tile, at its end, and in the next one; columns that are one block or several.
const ROWS: [usize; 9] = [1, 5, 16, 63, 64, 65, 128, 144, 400];
const COLUMNS: [usize; 5] = [1, 7, 32, 96, 1100];
const GROUPED_COLUMNS: [usize; 4] = [32, 64, 96, 1120];
const TOKENS: [usize; 6] = [1, 2, 3, 4, 5, 8];

/// Pseudorandom numbers (PCG-XSH-RR 64/32), the same on every machine.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u32 {
        let state = self.0;
        self.0 = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((((state >> 18) ^ state) >> 27) as u32).rotate_right((state >> 59) as u32)
    }

    /// From −1 to 1.
    fn number(&mut self) -> f32 {
        self.bits() as f32 / 2f32.powi(31) - 1.0
    }

    fn numbers(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.number()).collect()
    }

    /// The bits of bfloat16 numbers.
    fn halves(&mut self, n: usize) -> Vec<u16> {
        (0..n).map(|_| (self.number().to_bits() >> 16) as u16).collect()
    }
}

fn of_half(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// y [tokens, rows] with a function that computes one number of it, from a row's number and a token.
fn each(rows: usize, columns: usize, x: &[f32], y: impl Fn(usize, &[f32]) -> f32) -> Vec<f32> {
    x.chunks_exact(columns).flat_map(|x| (0..rows).map(|row| y(row, x)).collect::<Vec<_>>()).collect()
}

/// The documented order of additions: column after column, fused.
fn dot(weights: impl Iterator<Item = f32>, x: &[f32]) -> f32 {
    weights.zip(x).fold(0.0, |sum, (w, x)| w.mul_add(*x, sum))
}

#[track_caller]
fn assert_same_bits(kernels: Kernels, what: &str, tokens: usize, matrix: &Matrix, x: &[f32], expected: &[f32]) {
    let bits = |numbers: &[f32]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
    let found = matrix.multiply(x);
    let set = kernels.instruction_set();
    let shape = [matrix.rows(), matrix.columns()];
    assert!(bits(&found) == bits(expected), "{set}, {what}, {shape:?}, {tokens} tokens: {found:?} is not {expected:?}");
}

/// Calls with each of this processor's kernels, a shape, a number of tokens and random numbers.
fn for_all(columns: &[usize], check: impl Fn(Kernels, [usize; 2], usize, &mut Random)) {
    let mut random = Random(1);
    for rows in ROWS {
        for &columns in columns {
            for tokens in TOKENS {
                // The long ones need no more tokens: it would be slow under emulation.
                if rows * columns * tokens > 300_000 {
                    continue;
                }
                for kernels in Kernels::available() {
                    check(kernels, [rows, columns], tokens, &mut random);
                }
            }
        }
    }
}

#[test]
fn products_of_32_bit_weights_have_the_bits_of_the_reference() {
    for_all(&COLUMNS, |kernels, shape @ [rows, columns], tokens, random| {
        let (weights, x) = (random.numbers(rows * columns), random.numbers(tokens * columns));
        let expected = each(rows, columns, &x, |row, x| dot(weights[row * columns..].iter().copied(), x));
        let matrix = Matrix::f32(kernels, shape, &weights).unwrap();
        assert_same_bits(kernels, "f32", tokens, &matrix, &x, &expected);
    });
}

#[test]
fn products_of_bfloat16_weights_have_the_bits_of_the_reference() {
    for_all(&COLUMNS, |kernels, shape @ [rows, columns], tokens, random| {
        let (weights, x) = (random.halves(rows * columns), random.numbers(tokens * columns));
        let expected = each(rows, columns, &x, |row, x| dot(weights[row * columns..].iter().copied().map(of_half), x));
        let matrix = Matrix::bf16(kernels, shape, &weights).unwrap();
        assert_same_bits(kernels, "bf16", tokens, &matrix, &x, &expected);
    });
}

#[test]
fn products_of_8_bit_codes_have_the_bits_of_the_reference() {
    for_all(&COLUMNS, |kernels, shape @ [rows, columns], tokens, random| {
        let codes: Vec<i8> = (0..rows * columns).map(|_| random.bits() as i8).collect();
        let (scales, x) = (random.numbers(rows), random.numbers(tokens * columns));
        let expected = each(rows, columns, &x, |row, x| {
            dot(codes[row * columns..].iter().map(|code| f32::from(*code)), x) * scales[row]
        });
        let matrix = Matrix::int8(kernels, shape, &codes, &scales).unwrap();
        assert_same_bits(kernels, "int8", tokens, &matrix, &x, &expected);
    });
}

#[test]
fn products_of_4_bit_codes_have_the_bits_of_the_reference() {
    for_all(&GROUPED_COLUMNS, |kernels, shape @ [rows, columns], tokens, random| {
        let groups = columns / Matrix::GROUP;
        let codes: Vec<u8> = (0..rows * columns).map(|_| random.bits() as u8 & 15).collect();
        let (scales, zero_points) = (random.halves(rows * groups), random.halves(rows * groups));
        let x = random.numbers(tokens * columns);
        let expected = each(rows, columns, &x, |row, x| {
            let mut sum = 0.0;
            for (g, x) in x.chunks_exact(Matrix::GROUP).enumerate() {
                let at = row * groups + g;
                let codes = codes[at * Matrix::GROUP..].iter().map(|code| f32::from(*code) - 8.0);
                sum = dot(codes, x).mul_add(of_half(scales[at]), sum);
                sum = x.iter().sum::<f32>().mul_add(of_half(zero_points[at]), sum);
            }
            sum
        });
        let matrix = Matrix::int4(kernels, shape, &codes, &scales, &zero_points).unwrap();
        assert_same_bits(kernels, "int4", tokens, &matrix, &x, &expected);
    });
}

/// A product of ones is the number of columns: no kernel leaves its result at zero.
#[test]
fn no_kernel_returns_zeros() {
    let (rows, columns) = (3, 64);
    let (one, x) = (0x3f80, vec![1.0; columns]);
    for kernels in Kernels::available() {
        let shape = [rows, columns];
        let (halves, zeros) = (vec![one; rows * columns / Matrix::GROUP], vec![0; rows * columns / Matrix::GROUP]);
        for matrix in [
            Matrix::f32(kernels, shape, &vec![1.0; rows * columns]),
            Matrix::bf16(kernels, shape, &vec![one; rows * columns]),
            Matrix::int8(kernels, shape, &vec![1; rows * columns], &[1.0; 3]),
            Matrix::int4(kernels, shape, &vec![9; rows * columns], &halves, &zeros),
        ] {
            let matrix = matrix.unwrap();
            assert_eq!(matrix.multiply(&x), [columns as f32; 3], "{}: {matrix:?}", kernels.instruction_set());
        }
    }
}

#[test]
fn extreme_codes_and_numbers_are_exact() {
    for kernels in Kernels::available() {
        let matrix = Matrix::int8(kernels, [1, 2], &[-128, 127], &[1.0]).unwrap();
        assert_eq!(matrix.multiply(&[1.0, 0.0, 0.0, 1.0]), [-128.0, 127.0]);
        let codes: Vec<u8> = (0..32).map(|i| i % 16).collect();
        let matrix = Matrix::int4(kernels, [1, 32], &codes, &[0x3f80], &[0]).unwrap();
        for column in 0..32 {
            let mut x = [0.0; 32];
            x[column] = 1.0;
            assert_eq!(matrix.multiply(&x), [codes[column] as f32 - 8.0]);
        }
        let matrix = Matrix::f32(kernels, [1, 1], &[f32::MIN_POSITIVE / 2.0]).unwrap();
        assert_eq!(matrix.multiply(&[1.0]), [f32::MIN_POSITIVE / 2.0], "subnormal numbers are kept");
        assert!(matrix.multiply(&[f32::NAN])[0].is_nan());
    }
}

#[test]
fn rows_are_given_back_dequantized() {
    let mut random = Random(2);
    let shape @ [rows, columns] = [150, 64];
    let weights = random.numbers(rows * columns);
    let halves = random.halves(rows * columns);
    let codes: Vec<i8> = (0..rows * columns).map(|_| random.bits() as i8).collect();
    let scales = random.numbers(rows);
    let nibbles: Vec<u8> = (0..rows * columns).map(|_| random.bits() as u8 & 15).collect();
    let (group_scales, zero_points) = (random.halves(rows * 2), random.halves(rows * 2));
    for kernels in Kernels::available() {
        for row in [0, 1, 63, 64, 149] {
            let at = |c: usize| row * columns + c;
            let expect = |matrix: Matrix, of: &dyn Fn(usize) -> f32| {
                assert_eq!(matrix.row(row), (0..columns).map(of).collect::<Vec<_>>());
            };
            expect(Matrix::f32(kernels, shape, &weights).unwrap(), &|c| weights[at(c)]);
            expect(Matrix::bf16(kernels, shape, &halves).unwrap(), &|c| of_half(halves[at(c)]));
            expect(Matrix::int8(kernels, shape, &codes, &scales).unwrap(), &|c| f32::from(codes[at(c)]) * scales[row]);
            expect(Matrix::int4(kernels, shape, &nibbles, &group_scales, &zero_points).unwrap(), &|c| {
                let group = row * 2 + c / Matrix::GROUP;
                (f32::from(nibbles[at(c)]) - 8.0) * of_half(group_scales[group]) + of_half(zero_points[group])
            });
        }
    }
}

#[test]
fn parts_of_a_product_are_those_of_the_whole() {
    let mut random = Random(3);
    let (rows, columns, tokens) = (400, 40, 4);
    let (weights, x) = (random.numbers(rows * columns), random.numbers(tokens * columns));
    for kernels in Kernels::available() {
        let matrix = Matrix::f32(kernels, [rows, columns], &weights).unwrap();
        let product = matrix.product(&x);
        let mut tiles = vec![f32::NAN; product.tiles() * product.tile_len()];
        let (first, rest) = tiles.split_at_mut(2 * product.tile_len());
        product.compute(2, rest);
        product.compute(0, first);
        let mut y = vec![f32::NAN; tokens * rows];
        product.untile(&tiles, &mut y);
        assert_eq!(y, matrix.multiply(&x));
    }
}

#[test]
fn no_tokens_and_no_rows_give_nothing() {
    for kernels in Kernels::available() {
        let matrix = Matrix::f32(kernels, [2, 3], &[1.0; 6]).unwrap();
        assert_eq!(matrix.multiply(&[]), []);
        assert_eq!(Matrix::bf16(kernels, [0, 3], &[]).unwrap().multiply(&[1.0; 3]), []);
    }
}

#[test]
fn wrong_lengths_are_refused_by_name() {
    let kernels = Kernels::best();
    let message = |result: Result<Matrix, auriga_kernels::ShapeError>| result.unwrap_err().to_string();
    let f32 = message(Matrix::f32(kernels, [2, 3], &[0.0; 5]));
    assert_eq!(f32, "5 weights were given for a matrix that has 6");
    let scales = message(Matrix::int8(kernels, [2, 3], &[0; 6], &[0.0]));
    assert_eq!(scales, "1 scales were given for a matrix that has 2");
    let columns = message(Matrix::int4(kernels, [1, 40], &[0; 40], &[0], &[0]));
    assert_eq!(columns, "40 columns are not a multiple of 32");
    let zero_points = message(Matrix::int4(kernels, [1, 32], &[0; 32], &[0], &[]));
    assert_eq!(zero_points, "0 zero points were given for a matrix that has 1");
}
