// The spectral norm of an endless matrix, from its first n rows and columns.

fn element(i: usize, j: usize) -> f64 {
    1.0 / ((i + j) * (i + j + 1) / 2 + i + 1) as f64
}

fn times(v: &[f64], out: &mut [f64]) {
    for (i, sum) in out.iter_mut().enumerate() {
        *sum = v.iter().enumerate().fold(0.0, |sum, (j, one)| sum + element(i, j) * one);
    }
}

fn transposed_times(v: &[f64], out: &mut [f64]) {
    for (i, sum) in out.iter_mut().enumerate() {
        *sum = v.iter().enumerate().fold(0.0, |sum, (j, one)| sum + element(j, i) * one);
    }
}

echelon::export! {
    fn run(n: i32) -> f64 {
        let n = n as usize;
        let (mut u, mut v, mut between) = (vec![1.0; n], vec![0.0; n], vec![0.0; n]);
        for _ in 0..10 {
            times(&u, &mut between);
            transposed_times(&between, &mut v);
            times(&v, &mut between);
            transposed_times(&between, &mut u);
        }
        let (mut both, mut square) = (0.0, 0.0);
        for (a, b) in u.iter().zip(&v) {
            both += a * b;
            square += b * b;
        }
        let quotient: f64 = both / square;
        quotient.sqrt()
    }
}
