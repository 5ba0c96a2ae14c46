// The product of two matrices of n * n numbers. Gives the number in its middle.

fn matrix(n: i32, seed: f64) -> Vec<Vec<f64>> {
    let scale = seed / f64::from(n) / f64::from(n);
    let row = |i: i32| (0..n).map(|j| scale * f64::from(i - j) * f64::from(i + j)).collect();
    (0..n).map(row).collect()
}

echelon::export! {
    fn run(n: i32) -> f64 {
        let (a, b) = (matrix(n, 1.0), matrix(n, 2.0));
        let n = n as usize;
        let mut product = vec![vec![0.0; n]; n];
        for i in 0..n {
            for k in 0..n {
                let factor = a[i][k];
                for (sum, other) in product[i].iter_mut().zip(&b[k]) {
                    *sum += factor * other;
                }
            }
        }
        product[n / 2][n / 2]
    }
}
