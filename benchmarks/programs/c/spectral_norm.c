// The spectral norm of an endless matrix, from its first n rows and columns.

#include <math.h>
#include <stdlib.h>

static double element(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void times(const double *v, double *out, int n) {
  for (int i = 0; i < n; i++) {
    double sum = 0;
    for (int j = 0; j < n; j++) sum += element(i, j) * v[j];
    out[i] = sum;
  }
}

static void transposed_times(const double *v, double *out, int n) {
  for (int i = 0; i < n; i++) {
    double sum = 0;
    for (int j = 0; j < n; j++) sum += element(j, i) * v[j];
    out[i] = sum;
  }
}

__attribute__((export_name("run(n: i32) -> f64")))
double run(int n) {
  double *u = malloc(n * sizeof *u), *v = malloc(n * sizeof *v), *between = malloc(n * sizeof *between);
  for (int i = 0; i < n; i++) u[i] = 1;
  for (int i = 0; i < 10; i++) {
    times(u, between, n);
    transposed_times(between, v, n);
    times(v, between, n);
    transposed_times(between, u, n);
  }
  double both = 0, square = 0;
  for (int i = 0; i < n; i++) {
    both += u[i] * v[i];
    square += v[i] * v[i];
  }
  return sqrt(both / square);
}
