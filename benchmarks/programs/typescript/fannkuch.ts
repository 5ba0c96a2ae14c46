// Fannkuch: how often the front of a permutation of n numbers can be turned around. Gives 1000 * checksum + the most.

export function run(n: i32): f64 {
  const permutation = new Int32Array(n), turned = new Int32Array(n), count = new Int32Array(n);
  let most: i32 = 0, checksum: i32 = 0, left: i32 = n;
  for (let i: i32 = 0; i < n; i++) permutation[i] = i;
  for (let number: i32 = 0; ; number++) {
    for (; left != 1; left--) count[left - 1] = left;
    for (let i: i32 = 0; i < n; i++) turned[i] = permutation[i];
    let flips: i32 = 0;
    for (let first: i32 = turned[0]; first != 0; first = turned[0]) {
      for (let i: i32 = 0, j: i32 = first; i < j; i++, j--) {
        const kept: i32 = turned[i];
        turned[i] = turned[j];
        turned[j] = kept;
      }
      flips++;
    }
    if (flips > most) most = flips;
    checksum += number % 2 ? -flips : flips;
    for (; ; left++) {
      if (left == n) return 1000.0 * checksum + most;
      const first: i32 = permutation[0];
      for (let i: i32 = 0; i < left; i++) permutation[i] = permutation[i + 1];
      permutation[left] = first;
      if (--count[left] > 0) break;
    }
  }
  return -1; // never reached, but asked for
}
