// In how many ways n queens can stand on n * n fields without threatening each other.

#include <stdbool.h>

#define MOST 32

static bool columns[MOST], rising[2 * MOST], falling[2 * MOST];

static int place(int row, int n) {
  if (row == n) return 1;
  int ways = 0;
  for (int column = 0; column < n; column++) {
    if (columns[column] || rising[row + column] || falling[row - column + n]) continue;
    columns[column] = rising[row + column] = falling[row - column + n] = true;
    ways += place(row + 1, n);
    columns[column] = rising[row + column] = falling[row - column + n] = false;
  }
  return ways;
}

__attribute__((export_name("run(n: i32) -> f64")))
double run(int n) { return place(0, n); }
