// Fannkuch: how often the front of a permutation of n numbers can be turned around. Gives 1000 * checksum + the most.

#define MOST 16

__attribute__((export_name("run(n: i32) -> f64")))
double run(int n) {
  int permutation[MOST], turned[MOST], count[MOST];
  int most = 0, checksum = 0, left = n;
  for (int i = 0; i < n; i++) permutation[i] = i;
  for (int number = 0;; number++) {
    for (; left != 1; left--) count[left - 1] = left;
    for (int i = 0; i < n; i++) turned[i] = permutation[i];
    int flips = 0;
    for (int first = turned[0]; first; first = turned[0]) {
      for (int i = 0, j = first; i < j; i++, j--) {
        int kept = turned[i];
        turned[i] = turned[j];
        turned[j] = kept;
      }
      flips++;
    }
    if (flips > most) most = flips;
    checksum += number % 2 ? -flips : flips;
    for (;; left++) {
      if (left == n) return 1000.0 * checksum + most;
      int first = permutation[0];
      for (int i = 0; i < left; i++) permutation[i] = permutation[i + 1];
      permutation[left] = first;
      if (--count[left] > 0) break;
    }
  }
}
