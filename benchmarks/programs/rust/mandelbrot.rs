// How many of n * n points are in the Mandelbrot set after 50 steps.

echelon::export! {
    fn run(n: i32) -> f64 {
        let mut inside = 0;
        for row in 0..n {
            let ci = 2.0 * f64::from(row) / f64::from(n) - 1.0;
            for column in 0..n {
                let cr = 2.0 * f64::from(column) / f64::from(n) - 1.5;
                let (mut zr, mut zi, mut step) = (0.0, 0.0, 0);
                while step < 50 && zr * zr + zi * zi <= 4.0 {
                    let next = zr * zr - zi * zi + cr;
                    zi = 2.0 * zr * zi + ci;
                    zr = next;
                    step += 1;
                }
                inside += i32::from(step == 50);
            }
        }
        f64::from(inside)
    }
}
