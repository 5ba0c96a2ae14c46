// How many changes make one text of n letters another. The letters come from a simple generator.

#include <stdlib.h>

static int seed;

static char *letters(int n) {
  char *made = malloc(n);
  for (int i = 0; i < n; i++) {
    seed = (seed * 3877 + 29573) % 139968;
    made[i] = (char)('a' + seed * 4 / 139968);
  }
  return made;
}

static int least(int a, int b) { return a < b ? a : b; }

__attribute__((export_name("run(n: i32) -> f64")))
double run(int n) {
  seed = 42;
  const char *a = letters(n), *b = letters(n);
  int *before = malloc((n + 1) * sizeof *before), *row = malloc((n + 1) * sizeof *row);
  for (int j = 0; j <= n; j++) before[j] = j;
  for (int i = 1; i <= n; i++) {
    row[0] = i;
    for (int j = 1; j <= n; j++) {
      int changed = before[j - 1] + (a[i - 1] != b[j - 1]);
      row[j] = least(changed, least(before[j], row[j - 1]) + 1);
    }
    int *kept = before;
    before = row;
    row = kept;
  }
  return before[n];
}
