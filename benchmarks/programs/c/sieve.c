// How many primes there are below n.

#include <stdbool.h>
#include <stdlib.h>

__attribute__((export_name("run(n: i32) -> f64")))
double run(int n) {
  bool *composite = calloc(n, sizeof *composite);
  int found = 0;
  for (int i = 2; i < n; i++) {
    if (composite[i]) continue;
    found++;
    for (int j = i; j < n; j += i) composite[j] = true;
  }
  return found;
}
