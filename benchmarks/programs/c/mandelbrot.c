// How many of n * n points are in the Mandelbrot set after 50 steps.

__attribute__((export_name("run(n: i32) -> f64")))
double run(int n) {
  int inside = 0;
  for (int row = 0; row < n; row++) {
    double ci = 2.0 * row / n - 1.0;
    for (int column = 0; column < n; column++) {
      double cr = 2.0 * column / n - 1.5, zr = 0, zi = 0;
      int step = 0;
      while (step < 50 && zr * zr + zi * zi <= 4) {
        double next = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci;
        zr = next;
        step++;
      }
      inside += step == 50;
    }
  }
  return inside;
}
