// How many primes there are below n.

export function run(n: i32): f64 {
  const composite = new Uint8Array(n);
  let found: i32 = 0;
  for (let i: i32 = 2; i < n; i++) {
    if (composite[i] != 0) continue;
    found++;
    for (let j: i32 = i; j < n; j += i) composite[j] = 1;
  }
  return found;
}
