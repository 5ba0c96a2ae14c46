// The product of two matrices of n * n numbers. Gives the number in its middle.

#include <stdlib.h>

static double *matrix(int n, double seed) {
  double *made = malloc((size_t)n * n * sizeof *made), scale = seed / n / n;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) made[i * n + j] = scale * (i - j) * (i + j);
  return made;
}

__attribute__((export_name("run(n: i32) -> f64")))
double run(int n) {
  const double *a = matrix(n, 1.0), *b = matrix(n, 2.0);
  double *product = calloc((size_t)n * n, sizeof *product);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < n; k++)
      for (int j = 0; j < n; j++) product[i * n + j] += a[i * n + k] * b[k * n + j];
  return product[n / 2 * n + n / 2];
}
