// How many of n * n points are in the Mandelbrot set after 50 steps.

export function run(n: i32): f64 {
  let inside: i32 = 0;
  for (let row: i32 = 0; row < n; row++) {
    const ci: f64 = (2.0 * row) / n - 1.0;
    for (let column: i32 = 0; column < n; column++) {
      const cr: f64 = (2.0 * column) / n - 1.5;
      let zr: f64 = 0, zi: f64 = 0, step: i32 = 0;
      while (step < 50 && zr * zr + zi * zi <= 4) {
        const next: f64 = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci;
        zr = next;
        step++;
      }
      if (step == 50) inside++;
    }
  }
  return inside;
}
